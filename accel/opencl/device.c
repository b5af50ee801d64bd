/* Opens an OpenCL device and gives it the shape of ref/core/device.h: memory, transfers, calls. */
#include "half.h"
#include "tune.h"

#include "status.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 18 }; /* elements converted at a time between double and float */

static hkd_cl *self(hkd_device *dev) { return (hkd_cl *)(void *)dev; }

/* ---- memory ---- */

static size_t bytes_of(const hkd_device *dev, const hkd_shape *shape, hkd_role role) {
    const bool half = hkd_cl_is_half((const hkd_cl *)(const void *)dev, shape, role);
    return (size_t)hkd_count(shape) * (half ? sizeof(cl_half) : sizeof(float));
}

static hkd_status alloc(hkd_device *dev, hkd_buffer **out, size_t bytes, hkd_role role) {
    hkd_cl *cl = self(dev);
    *out = NULL;
    if (bytes / (cl->half ? sizeof(cl_half) : sizeof(float)) > INT_MAX - HKD_CL_SLACK)
        return hkd_cl_out_of_memory(cl, bytes, CL_INVALID_BUFFER_SIZE);
    hkd_buffer *b = malloc(sizeof *b);
    if (!b) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    cl_int code;
    *b = (hkd_buffer){.bytes = bytes, .role = role};
    b->memory = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, bytes + HKD_CL_SLACK, NULL, &code);
    if (code) {
        free(b);
        return hkd_cl_out_of_memory(cl, bytes, code);
    }
    cl->used += bytes + HKD_CL_SLACK;
    *out = b;
    return HKD_OK;
}

/* A tenth stays with the driver: kernels, alignment, and what other programs hold. */
static void memory(const hkd_device *dev, size_t *left, size_t *largest) {
    const hkd_cl *cl = (const hkd_cl *)(const void *)dev;
    const size_t all = (size_t)(cl->machine.memory / 10 * 9);
    *left = all > cl->used ? all - cl->used : 0;
    *largest = (size_t)cl->machine.largest - HKD_CL_SLACK;
}

static void release(hkd_device *dev, hkd_buffer *b) {
    if (!b) return;
    clReleaseMemObject(b->memory); /* the queue keeps it until its commands are done */
    self(dev)->used -= b->bytes + HKD_CL_SLACK;
    free(b);
}

static hkd_status upload(hkd_device *dev, const hkd_tensor *to, const void *from, hkd_dtype type) {
    hkd_cl *cl = self(dev);
    const size_t n = (size_t)hkd_count(&to->shape);
    if (hkd_cl_is_half(cl, &to->shape, to->buffer->role)) return hkd_cl_half_upload(cl, to, from, type);
    float *part = type == HKD_F64 ? malloc(CHUNK * sizeof *part) : NULL;
    if (type == HKD_F64 && !part) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    cl_int code = CL_SUCCESS;
    for (size_t done = 0; !code && done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        for (size_t i = 0; part && i < count; i++) part[i] = (float)((const double *)from)[done + i];
        code = clEnqueueWriteBuffer(cl->queue, to->buffer->memory, CL_TRUE, done * sizeof(float), count * sizeof(float),
                                    part ? part : (const float *)from + done, 0, NULL, NULL);
    }
    free(part);
    return code ? hkd_cl_failed(cl, "a transfer to the device", "", code) : HKD_OK;
}

static hkd_status download(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from) {
    hkd_cl *cl = self(dev);
    const size_t n = (size_t)hkd_count(&from->shape);
    if (hkd_cl_is_half(cl, &from->shape, from->buffer->role)) return hkd_cl_half_download(cl, to, type, from);
    float *part = type == HKD_F64 ? malloc(CHUNK * sizeof *part) : NULL;
    if (type == HKD_F64 && !part) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    cl_int code = CL_SUCCESS;
    for (size_t done = 0; !code && done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        code = clEnqueueReadBuffer(cl->queue, from->buffer->memory, CL_TRUE, done * sizeof(float), count * sizeof(float),
                                   part ? part : (float *)to + done, 0, NULL, NULL);
        for (size_t i = 0; part && i < count; i++) ((double *)to)[done + i] = (double)part[i];
    }
    free(part);
    return code ? hkd_cl_failed(cl, "a transfer from the device", "", code) : HKD_OK;
}

static hkd_status fill(hkd_device *dev, const hkd_tensor *to, double value) {
    const int64_t count = hkd_count(&to->shape);
    if (hkd_cl_is_half(self(dev), &to->shape, to->buffer->role)) return hkd_cl_half_fill(self(dev), to, value);
    return hkd_cl_runs(self(dev), "fill", 1, count, hkd_cl_tensor(to), hkd_cl_int(1), hkd_cl_int(count), hkd_cl_real(value));
}

static hkd_status copy(hkd_device *dev, const hkd_tensor *to, const hkd_tensor *from) {
    hkd_cl *cl = self(dev);
    const size_t bytes = bytes_of(dev, &from->shape, from->buffer->role);
    if (!bytes || to->buffer == from->buffer) return HKD_OK;
    const cl_int code = clEnqueueCopyBuffer(cl->queue, from->buffer->memory, to->buffer->memory, 0, 0, bytes, 0, NULL, NULL);
    return code ? hkd_cl_failed(cl, "a copy", "", code) : HKD_OK;
}

static hkd_status sync(hkd_device *dev) {
    hkd_cl *cl = self(dev);
    const cl_int code = clFinish(cl->queue);
    cl->unflushed = 0;
    return code ? hkd_cl_failed(cl, "the work", "", code) : HKD_OK;
}

/* ---- calls ---- */

static const hkd_cl_op *find(const hkd_op *op) {
    for (int i = 0; hkd_cl_table[i]; i++)
        if (hkd_cl_table[i]->op == op) return hkd_cl_table[i];
    return NULL;
}

static bool supports(const hkd_device *dev, const hkd_op *op, bool backward) {
    const hkd_cl_op *row = find(op);
    const bool gradients = !((const hkd_cl *)(const void *)dev)->half;
    return row && (backward ? row->backward && gradients : row->forward != NULL);
}

static void workspace(const hkd_device *dev, const hkd_call *call, bool backward, size_t part[HKD_WORKSPACES]) {
    const hkd_cl *cl = (const hkd_cl *)(const void *)dev;
    const hkd_cl_op *row = find(call->op);
    if (row && !backward) hkd_cl_half_workspace(cl, row, call, part);
    else if (row && row->scratch) row->scratch(cl, call, backward, part);
}

static hkd_status make_room(hkd_cl *cl, const hkd_cl_op *row, const hkd_call *call, bool backward) {
    size_t need[HKD_CL_SCRATCH] = {0};
    if (row->scratch) row->scratch(cl, call, backward, need);
    for (int i = 0; i < HKD_CL_SCRATCH; i++) {
        if (!need[i] || (cl->scratch[i] && need[i] <= cl->scratch[i]->bytes)) continue;
        cl->base.release(&cl->base, cl->scratch[i]);
        const hkd_status status = cl->base.alloc(&cl->base, &cl->scratch[i], need[i], HKD_STATE);
        if (status) return status;
    }
    return HKD_OK;
}

static hkd_status run_forward(hkd_cl *cl, const hkd_cl_op *row, const hkd_call *call) {
    const hkd_status status = make_room(cl, row, call, false);
    return status ? status : row->forward(cl, call);
}

static hkd_status forward(hkd_device *dev, const hkd_call *call) {
    return hkd_cl_half_call(self(dev), run_forward, find(call->op), call);
}

static hkd_status backward(hkd_device *dev, const hkd_call *call) {
    const hkd_cl_op *row = find(call->op);
    const hkd_status status = make_room(self(dev), row, call, true);
    return status ? status : row->backward(self(dev), call);
}

/* ---- opening and closing ---- */

static void close_device(hkd_device *dev) {
    hkd_cl *cl = self(dev);
    if (cl->queue) clFinish(cl->queue); /* some drivers crash when the program ends with work queued */
    for (int i = 0; i < HKD_CL_SCRATCH; i++) dev->release(dev, cl->scratch[i]);
    for (int i = 0; i < HKD_CL_WIDE; i++) dev->release(dev, cl->wide[i]);
    hkd_tensor_free(dev, &cl->frequencies);
    hkd_cl_forget_program(cl);
    hkd_cl_blas_close();
    free(cl->choices);
    if (cl->queue) clReleaseCommandQueue(cl->queue);
    if (cl->context) clReleaseContext(cl->context);
    free(cl);
}

static bool contains(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (!part[i]) return true;
    }
    return false;
}

static hkd_status choose(hkd_cl_machine *out, const char *which) {
    hkd_cl_machine *list;
    int count, at = 0;
    char empty[256];
    const hkd_status status = hkd_cl_machines(&list, &count, empty, sizeof empty);
    if (status) return status;
    if (!count) return hkd_cl_no_device(empty, "/dev");
    if (which && *which) {
        char *end;
        const long index = strtol(which, &end, 10);
        if (!*end && index >= 0 && index < count) at = (int)index; /* a larger number may be part of a name */
        else while (at < count && !contains(list[at].name, which) && !contains(list[at].platform_name, which)) at++;
    }
    if (at < count) *out = list[at];
    free(list);
    if (at == count) return hkd_fail(HKD_DEVICE, "opencl: no device '%s' among %d; hkd devices lists them", which, count);
    return HKD_OK;
}

/* The profiles: floats of a vector, work-items that share a row, and the tile of contract, rows x vectors. */
typedef struct {
    const char *name;
    int width, lanes, tile_m, tile_v;
} cl_profile;

static const cl_profile profiles[] = {
    {"cpu", 16, 1, 8, 2},
    {"gpu", 4, 64, 8, 1},
};

/* The named one, else the one for the type of device; NULL: there is none of that name. */
static const cl_profile *profile_of(const char *name, cl_device_type type) {
    if (!name) name = type & CL_DEVICE_TYPE_CPU ? "cpu" : "gpu";
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (!strcmp(profiles[i].name, name)) return &profiles[i];
    return NULL;
}

static void set_options(hkd_cl *cl, const cl_profile *p) {
    cl_device_fp_config precision = 0;
    clGetDeviceInfo(cl->machine.id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof precision, &precision, NULL);
    snprintf(cl->options, sizeof cl->options, "-cl-std=CL1.2 -DWIDTH=%d -DLANES=%d -DPROFILE_M=%d -DPROFILE_V=%d%s", p->width,
             p->lanes, p->tile_m, p->tile_v,
             precision & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
}

static hkd_status prove(hkd_cl *cl) {
    if (hkd_cl_was_checked(cl) && !cl->from_cache) return HKD_OK;
    hkd_status status = hkd_cl_self_check(&cl->base);
    if (status && cl->from_cache) { /* perhaps the binary's fault: once more from source */
        hkd_cl_forget_program(cl);
        status = hkd_cl_build(cl, false);
        if (!status) status = hkd_cl_self_check(&cl->base);
    }
    if (!status) hkd_cl_remember_check(cl);
    return status;
}

static hkd_status start(hkd_cl *cl) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)cl->machine.platform, 0};
    cl_int code;
    cl->context = clCreateContext(properties, 1, &cl->machine.id, NULL, NULL, &code);
    if (code) return hkd_cl_failed(cl, "opening", "", code);
    cl->queue = clCreateCommandQueue(cl->context, cl->machine.id, 0, &code);
    if (code) return hkd_cl_failed(cl, "making a queue", "", code);
    return hkd_cl_build(cl, true);
}

hkd_status hkd_device_open_opencl(hkd_device **out, const char *which, const hkd_device_options *options) {
    hkd_cl_machine machine;
    *out = NULL;
    hkd_status status = choose(&machine, which);
    if (status) return status;
    const cl_profile *profile = profile_of(options->isa, machine.type);
    if (!profile) return hkd_fail(HKD_USAGE, "opencl: profile '%s' is neither cpu nor gpu", options->isa);
    if (options->clblast && !strcmp(hkd_cl_blas_name(), "no CLBlast"))
        return hkd_fail(HKD_DEVICE, "opencl: built without CLBlast");
    hkd_cl *cl = malloc(sizeof *cl);
    if (!cl) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    *cl = (hkd_cl){
        .base = {.kind = "opencl", .bytes = bytes_of, .alloc = alloc, .release = release,
                 .upload = upload, .download = download, .fill = fill, .copy = copy, .sync = sync, .supports = supports,
                 .workspace = workspace, .memory = memory, .forward = forward, .backward = backward, .close = close_device},
        .machine = machine, .width = profile->width, .lanes = profile->lanes, .tile_m = profile->tile_m,
        .tile_n = profile->tile_v * profile->width,
        /* A CPU's driver keeps its own cache, and asking PoCL for the binary would make it compile every kernel at once. */
        .keeps_binaries = !(machine.type & CL_DEVICE_TYPE_CPU), .unproved = options->force, .clblast = options->clblast,
        .most_wide = 4 << 20, .most_work = 1e9, .most_visits = 1 << 25, /* a tenth of a second at 20 GFLOP/s, or at 10 GB/s */
    };
    snprintf(cl->base.name, sizeof cl->base.name, "%.80s, driver %.30s", machine.name, machine.driver);
    set_options(cl, profile);
    status = start(cl);
    if (!status && !options->no_tune) hkd_cl_load_choices(cl);
    if (!status && !options->force) status = prove(cl);
    cl->half = options->half; /* the self-check is about float32 */
    if (status) close_device(&cl->base);
    else *out = &cl->base;
    return status;
}
