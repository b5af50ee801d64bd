/* The ground-truth device: doubles in row-major order, and the plain functions of ref/op. */
#include "device.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

struct hkd_buffer {
    double *data;
    bool part; /* of another's */
};

static size_t bytes(const hkd_device *dev, const hkd_shape *shape, hkd_role role) {
    (void)dev, (void)role;
    return (size_t)hkd_count(shape) * sizeof(double);
}

static hkd_status alloc(hkd_device *dev, hkd_buffer **out, size_t size, hkd_role role) {
    (void)dev, (void)role;
    hkd_buffer *b = malloc(sizeof *b);
    double *data = b ? malloc(size ? size : 1) : NULL;
    if (!data) {
        free(b);
        *out = NULL;
        return hkd_fail(HKD_RESOURCES, "ref: out of memory (%zu bytes asked for)", size);
    }
    *b = (hkd_buffer){data, false};
    *out = b;
    return HKD_OK;
}

static hkd_status slice(hkd_device *dev, hkd_buffer **out, hkd_buffer *whole, size_t at, size_t size) {
    (void)dev, (void)size;
    *out = malloc(sizeof **out);
    if (!*out) return hkd_fail(HKD_RESOURCES, "ref: out of memory");
    **out = (hkd_buffer){whole->data + at / sizeof(double), true};
    return HKD_OK;
}

static void release(hkd_device *dev, hkd_buffer *b) {
    (void)dev;
    if (b && !b->part) free(b->data);
    free(b);
}

static hkd_status upload(hkd_device *dev, const hkd_tensor *to, const void *from, hkd_dtype type) {
    (void)dev;
    const int64_t n = hkd_count(&to->shape);
    for (int64_t i = 0; i < n; i++)
        to->buffer->data[i] = type == HKD_F64 ? ((const double *)from)[i] : (double)((const float *)from)[i];
    return HKD_OK;
}

static hkd_status download(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from) {
    (void)dev;
    const int64_t n = hkd_count(&from->shape);
    for (int64_t i = 0; i < n; i++)
        if (type == HKD_F64) ((double *)to)[i] = from->buffer->data[i];
        else ((float *)to)[i] = (float)from->buffer->data[i];
    return HKD_OK;
}

static hkd_status fill(hkd_device *dev, const hkd_tensor *to, double value) {
    (void)dev;
    const int64_t n = hkd_count(&to->shape);
    for (int64_t i = 0; i < n; i++) to->buffer->data[i] = value;
    return HKD_OK;
}

static hkd_status copy(hkd_device *dev, const hkd_tensor *to, const hkd_tensor *from) {
    memmove(to->buffer->data, from->buffer->data, bytes(dev, &from->shape, HKD_STATE));
    return HKD_OK;
}

static hkd_status sync(hkd_device *dev) {
    (void)dev;
    return HKD_OK;
}

static bool supports(const hkd_device *dev, const hkd_op *op, bool backward) {
    (void)dev;
    return backward ? op->backward != NULL : op->forward != NULL;
}

static void workspace(const hkd_device *dev, const hkd_call *call, bool backward, size_t part[HKD_WORKSPACES]) {
    (void)dev, (void)call, (void)backward, (void)part; /* none */
}

static double *data(const hkd_tensor *t) { return t->buffer ? t->buffer->data : NULL; }

/* The shapes must outlive the returned call. */
static hkd_ref_call unpack(const hkd_call *call, hkd_shape *in_shape, hkd_shape *out_shape) {
    hkd_ref_call c = {.p = call->p, .in_shape = in_shape, .out_shape = out_shape};
    for (int i = 0; i < hkd_op_inputs(call->op); i++) {
        in_shape[i] = call->in[i].buffer ? call->in[i].shape : HKD_ABSENT;
        c.in[i] = data(&call->in[i]);
        c.grad[i] = data(&call->grad[i]);
    }
    for (int i = 0; i < hkd_op_outputs(call->op); i++) {
        out_shape[i] = call->out[i].buffer ? call->out[i].shape : call->up[i].shape;
        c.out[i] = data(&call->out[i]);
        c.up[i] = data(&call->up[i]);
    }
    return c;
}

/* Threads stand around the plain functions, not in them: a call whose channels are made by rows of their own (convolution,
 * linear layer) falls into calls for some channels of one image. */
enum { CHANNELS = 16, MUCH = 1 << 20 }; /* MUCH: multiply-adds that are worth waking threads for */

typedef struct {
    const hkd_op *op;
    const hkd_ref_call *whole;
    int64_t parts; /* of an image */
} cut;

static bool can_be_cut(const hkd_op *op, const hkd_ref_call *c) {
    const hkd_shape *x = &c->in_shape[0], *w = &c->in_shape[1];
    if (!op->rows || c->out_shape[0].rank < 2 || w->dim[1] != x->dim[1]) return false; /* groups see other channels */
    return c->out_shape[0].dim[1] > 0 && hkd_count(&c->out_shape[0]) * (hkd_count(w) / w->dim[0]) > MUCH;
}

static void run_part(void *self, int64_t i) {
    const cut *t = self;
    hkd_ref_call c = *t->whole;
    hkd_shape in[HKD_MAX_IN], out = c.out_shape[0];
    const int64_t n = i / t->parts, first = i % t->parts * CHANNELS, channels = out.dim[1];
    const int64_t per_image = hkd_count(&out) / out.dim[0], rest = channels - first;
    for (int k = 0; k < hkd_op_inputs(t->op); k++) {
        in[k] = c.in_shape[k];
        if (!(t->op->rows >> k & 1) || !c.in[k]) continue;
        c.in[k] += first * (hkd_count(&in[k]) / channels);
        in[k].dim[0] = rest < CHANNELS ? rest : CHANNELS;
    }
    c.in[0] += n * (hkd_count(&in[0]) / in[0].dim[0]);
    c.out[0] += n * per_image + first * (per_image / channels);
    in[0].dim[0] = out.dim[0] = 1;
    out.dim[1] = rest < CHANNELS ? rest : CHANNELS;
    c.in_shape = in;
    c.out_shape = &out;
    t->op->forward(&c);
}

static hkd_status forward(hkd_device *dev, const hkd_call *call) {
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
    const hkd_ref_call c = unpack(call, in, out);
    if (dev->threads > 1 && can_be_cut(call->op, &c)) {
        cut t = {call->op, &c, (out[0].dim[1] + CHANNELS - 1) / CHANNELS};
        hkd_each(dev, out[0].dim[0] * t.parts, run_part, &t);
    } else {
        call->op->forward(&c);
    }
    return HKD_OK;
}

static hkd_status backward(hkd_device *dev, const hkd_call *call) {
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
    const hkd_ref_call c = unpack(call, in, out);
    for (int i = 0; i < hkd_op_inputs(call->op); i++)
        if (call->grad[i].buffer && !call->accumulate[i]) fill(dev, &call->grad[i], 0);
    call->op->backward(&c);
    return HKD_OK;
}

static void close_device(hkd_device *dev) { free(dev); }

hkd_status hkd_device_open_ref(hkd_device **out, const hkd_device_options *options) {
    (void)options;
    hkd_device *dev = malloc(sizeof *dev);
    *out = dev;
    if (!dev) return hkd_fail(HKD_RESOURCES, "ref: out of memory");
    *dev = (hkd_device){
        .kind = "ref", .name = "scalar reference, float64", .bytes = bytes, .alloc = alloc, .release = release, .slice = slice,
        .upload = upload, .download = download, .fill = fill, .copy = copy, .sync = sync, .supports = supports,
        .workspace = workspace, .forward = forward, .backward = backward, .close = close_device,
    };
    return HKD_OK;
}
