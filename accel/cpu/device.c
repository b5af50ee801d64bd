/* Opens the cpu device: memory, layout at the border, and the choice of the instruction set. */
#include "cpu.h"

#include "status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { ALIGNMENT = 64 };

/* Aligned memory in plain C99: the pointer that malloc gave is kept just below. */
static float *aligned_new(size_t bytes) {
    if (bytes > SIZE_MAX - ALIGNMENT - sizeof(void *)) return NULL;
    char *raw = malloc(bytes + ALIGNMENT + sizeof(void *));
    if (!raw) return NULL;
    char *aligned = (char *)(((uintptr_t)raw + sizeof(void *) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    memcpy(aligned - sizeof raw, &raw, sizeof raw);
    return (float *)(void *)aligned;
}

static void aligned_free(float *data) {
    if (!data) return;
    void *raw;
    memcpy(&raw, (char *)data - sizeof raw, sizeof raw);
    free(raw);
}

static hkd_cpu *self(hkd_device *dev) { return (hkd_cpu *)(void *)dev; }

hkd_status hkd_cpu_scratch(hkd_cpu *cpu, float **out, size_t bytes) {
    if (bytes > cpu->scratch_bytes) {
        aligned_free(cpu->scratch);
        cpu->scratch_bytes = 0;
        cpu->scratch = aligned_new(bytes);
        if (!cpu->scratch) return hkd_fail(HKD_RESOURCES, "cpu: out of memory (%zu bytes of scratch asked for)", bytes);
        cpu->scratch_bytes = bytes;
    }
    *out = cpu->scratch;
    return HKD_OK;
}

static size_t bytes_of(const hkd_device *dev, const hkd_shape *shape, hkd_role role) {
    (void)dev, (void)role;
    return (size_t)hkd_count(shape) * sizeof(float);
}

static hkd_status alloc(hkd_device *dev, hkd_buffer **out, size_t bytes, hkd_role role) {
    (void)dev;
    *out = malloc(sizeof **out);
    float *data = *out ? aligned_new(bytes ? bytes : 1) : NULL;
    if (!data) {
        free(*out);
        *out = NULL;
        return hkd_fail(HKD_RESOURCES, "cpu: out of memory (%zu bytes asked for)", bytes);
    }
    **out = (hkd_buffer){.data = data, .bytes = bytes, .role = role};
    return HKD_OK;
}

static hkd_status slice(hkd_device *dev, hkd_buffer **out, hkd_buffer *whole, size_t at, size_t bytes) {
    (void)dev;
    *out = malloc(sizeof **out);
    if (!*out) return hkd_fail(HKD_RESOURCES, "cpu: out of memory");
    **out = (hkd_buffer){.data = whole->data + at / sizeof(float), .bytes = bytes, .role = whole->role, .part = true};
    return HKD_OK;
}

hkd_status hkd_cpu_form_new(hkd_cpu_form *out, size_t floats) {
    *out = (hkd_cpu_form){aligned_new(floats * sizeof *out->data), floats * sizeof *out->data};
    return out->data ? HKD_OK : hkd_fail(HKD_RESOURCES, "cpu: out of memory (%zu bytes for a prepared weight)", out->bytes);
}

void hkd_cpu_freeze(hkd_buffer *b, hkd_cpu_form form, int tag) {
    aligned_free(b->data);
    aligned_free(b->frozen);
    *b = (hkd_buffer){.bytes = b->bytes, .role = b->role, .frozen = form.data, .frozen_bytes = form.bytes, .form = tag};
}

/* Before a write: raw memory instead of a frozen form. */
static hkd_status thaw(hkd_buffer *b) {
    if (!b->frozen) return HKD_OK;
    float *data = aligned_new(b->bytes ? b->bytes : 1);
    if (!data) return hkd_fail(HKD_RESOURCES, "cpu: out of memory (%zu bytes asked for)", b->bytes);
    aligned_free(b->frozen);
    *b = (hkd_buffer){.data = data, .bytes = b->bytes, .role = b->role};
    return HKD_OK;
}

static hkd_status readable(const hkd_buffer *b) {
    if (!b || !b->frozen) return HKD_OK;
    return hkd_fail(HKD_USAGE, "cpu: a frozen weight can only be read by the call that it was frozen for");
}

static void release(hkd_device *dev, hkd_buffer *b) {
    (void)dev;
    if (!b) return;
    aligned_free(b->frozen);
    if (!b->part) aligned_free(b->data);
    free(b);
}

/* Between row-major [n, c, area] outside and [n, area, c] inside; everything else is one row of one channel. */
typedef struct {
    int64_t n, c, area;
} picture;

enum { STRIP = 64 }; /* pixels of a work item: a strip of all channels stays in cache while it is turned */

static picture picture_of(const hkd_tensor *t) {
    if (t->buffer->role != HKD_ACTIVATION || t->shape.rank != 4) return (picture){1, 1, hkd_count(&t->shape)};
    return (picture){t->shape.dim[0], t->shape.dim[1], t->shape.dim[2] * t->shape.dim[3]};
}

static int64_t strips(const picture *p) { return p->n * ((p->area + STRIP - 1) / STRIP); }

/* Strip number `item`: its image, first pixel and end. */
static int64_t strip_at(const picture *p, int64_t item, int64_t *begin, int64_t *end) {
    const int64_t per_image = (p->area + STRIP - 1) / STRIP;
    *begin = item % per_image * STRIP;
    *end = *begin + STRIP < p->area ? *begin + STRIP : p->area;
    return item / per_image;
}

static hkd_status upload(hkd_device *dev, const hkd_tensor *to, const void *from, hkd_dtype type) {
    const hkd_status status = thaw(to->buffer);
    if (status) return status;
    const picture p = picture_of(to);
    const float *floats = from;
    const double *doubles = from;
    float *data = to->buffer->data;
    #pragma omp parallel for num_threads(self(dev)->threads) if (p.n * p.c * p.area > HKD_SMALL)
    for (int64_t item = 0; item < strips(&p); item++) {
        int64_t begin, end;
        const int64_t n = strip_at(&p, item, &begin, &end);
        for (int64_t c = 0; c < p.c; c++) {
            const int64_t outside = (n * p.c + c) * p.area, inside = n * p.area * p.c + c;
            for (int64_t i = begin; i < end; i++)
                data[inside + i * p.c] = type == HKD_F64 ? (float)doubles[outside + i] : floats[outside + i];
        }
    }
    (void)dev;
    return HKD_OK;
}

static hkd_status download(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from) {
    const hkd_status status = readable(from->buffer);
    if (status) return status;
    const picture p = picture_of(from);
    float *floats = to;
    double *doubles = to;
    const float *data = from->buffer->data;
    for (int64_t item = 0; item < strips(&p); item++) {
        int64_t begin, end;
        const int64_t n = strip_at(&p, item, &begin, &end);
        for (int64_t c = 0; c < p.c; c++) {
            const int64_t outside = (n * p.c + c) * p.area, inside = n * p.area * p.c + c;
            for (int64_t i = begin; i < end; i++)
                if (type == HKD_F64) doubles[outside + i] = (double)data[inside + i * p.c];
                else floats[outside + i] = data[inside + i * p.c];
        }
    }
    (void)dev;
    return HKD_OK;
}

static hkd_status fill(hkd_device *dev, const hkd_tensor *to, double value) {
    const hkd_status status = thaw(to->buffer);
    if (status) return status;
    const int64_t count = hkd_count(&to->shape);
    float *data = to->buffer->data;
    #pragma omp parallel for num_threads(self(dev)->threads) if (count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) data[i] = (float)value;
    (void)dev;
    return HKD_OK;
}

static hkd_status copy(hkd_device *dev, const hkd_tensor *to, const hkd_tensor *from) {
    hkd_status status = readable(from->buffer);
    if (!status) status = thaw(to->buffer);
    if (!status) memmove(to->buffer->data, from->buffer->data, bytes_of(dev, &from->shape, to->buffer->role));
    return status;
}

static hkd_status sync(hkd_device *dev) {
    (void)dev;
    return HKD_OK;
}

static const hkd_cpu_op *find(const hkd_cpu *cpu, const hkd_op *op) {
    for (int i = 0; cpu->isa->ops[i]; i++)
        if (cpu->isa->ops[i]->op == op) return cpu->isa->ops[i];
    return NULL;
}

static bool supports(const hkd_device *dev, const hkd_op *op, bool backward) {
    const hkd_cpu_op *row = find((const hkd_cpu *)(const void *)dev, op);
    return row && (!backward || row->backward);
}

static void workspace(const hkd_device *dev, const hkd_call *call, bool backward, size_t part[HKD_WORKSPACES]) {
    const hkd_cpu *cpu = (const hkd_cpu *)(const void *)dev;
    const hkd_cpu_op *row = find(cpu, call->op);
    if (row && row->workspace) part[0] = row->workspace(cpu, call, backward);
}

static hkd_status forward(hkd_device *dev, const hkd_call *call) {
    const hkd_cpu_op *row = find(self(dev), call->op);
    hkd_status status = HKD_OK;
    for (int i = 0; !status && !row->freeze && i < hkd_op_inputs(call->op); i++) status = readable(call->in[i].buffer);
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++) status = thaw(call->out[i].buffer);
    return status ? status : row->forward(self(dev), call);
}

static hkd_status backward(hkd_device *dev, const hkd_call *call) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++) status = readable(call->in[i].buffer);
    return status ? status : find(self(dev), call->op)->backward(self(dev), call);
}

static size_t held(const hkd_device *dev, const hkd_tensor *weight) {
    (void)dev;
    return weight->buffer->frozen ? weight->buffer->frozen_bytes : weight->buffer->bytes;
}

static hkd_status freeze(hkd_device *dev, const hkd_call *call) {
    const hkd_cpu_op *row = find(self(dev), call->op);
    return row && row->freeze ? row->freeze(self(dev), call) : HKD_OK;
}

static const hkd_spread *spread(const hkd_device *dev, const hkd_call *call) {
    const hkd_cpu *cpu = (const hkd_cpu *)(const void *)dev;
    const hkd_cpu_op *row = find(cpu, call->op);
    return row && row->spread ? row->spread(cpu, call) : NULL;
}

static void close_device(hkd_device *dev) {
    aligned_free(self(dev)->scratch);
    free(dev);
}

extern const hkd_cpu_isa hkd_cpu_isa_plain;
#ifdef HKD_X86
extern const hkd_cpu_isa hkd_cpu_isa_avx2, hkd_cpu_isa_avx512;
#endif

static const hkd_cpu_isa *choose(const char *wanted) {
#ifdef HKD_X86
    __builtin_cpu_init();
    if ((!wanted || !strcmp(wanted, "avx512")) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return &hkd_cpu_isa_avx512;
    if ((!wanted || !strcmp(wanted, "avx2")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &hkd_cpu_isa_avx2;
#endif
    return !wanted || !strcmp(wanted, "plain") ? &hkd_cpu_isa_plain : NULL;
}

hkd_status hkd_device_open_cpu(hkd_device **out, const hkd_device_options *options) {
    *out = NULL;
    const hkd_cpu_isa *isa = choose(options->isa);
    if (!isa) return hkd_fail(HKD_DEVICE, "cpu: this processor or build has no instruction set '%s'", options->isa);
    int threads = 1;
#ifdef _OPENMP
    threads = options->threads > 0 ? options->threads : omp_get_num_procs();
#endif
    hkd_cpu *cpu = malloc(sizeof *cpu);
    if (!cpu) return hkd_fail(HKD_RESOURCES, "cpu: out of memory");
    *cpu = (hkd_cpu){
        .base = {.kind = "cpu", .bytes = bytes_of, .alloc = alloc, .release = release, .slice = slice, .upload = upload,
                 .download = download, .fill = fill, .copy = copy, .sync = sync, .supports = supports,
                 .workspace = workspace, .forward = forward, .backward = backward, .freeze = freeze, .held = held,
                 .spread = spread, .close = close_device},
        .threads = threads,
        .direct = options->direct,
        .isa = isa,
    };
    snprintf(cpu->base.name, sizeof cpu->base.name, "%s, %d thread%s", isa->name, threads, threads == 1 ? "" : "s");
    *out = &cpu->base;
    return HKD_OK;
}
