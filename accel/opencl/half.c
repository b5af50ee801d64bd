#include "half.h"

#include "status.h"

extern const hkd_op hkd_op_conv2d, hkd_op_conv2d_add_channel, hkd_op_conv2d_add_scale, hkd_op_linear, hkd_op_resample2d,
    hkd_op_haar2d, hkd_op_max_pool2d, hkd_op_avg_pool2d, hkd_op_resize_bilinear, hkd_op_group_norm, hkd_op_channel_norm,
    hkd_op_relu, hkd_op_silu, hkd_op_gelu, hkd_op_softmax, hkd_op_attention, hkd_op_add, hkd_op_scale, hkd_op_add_channel,
    hkd_op_concat;
/* Rows that compute each image from that image alone. */
static const hkd_op *const by_image[] = {
    &hkd_op_conv2d, &hkd_op_conv2d_add_channel, &hkd_op_conv2d_add_scale, &hkd_op_linear, &hkd_op_resample2d,
    &hkd_op_haar2d, &hkd_op_max_pool2d, &hkd_op_avg_pool2d, &hkd_op_resize_bilinear, &hkd_op_group_norm, &hkd_op_channel_norm,
    &hkd_op_relu, &hkd_op_silu, &hkd_op_gelu, &hkd_op_softmax, &hkd_op_attention, &hkd_op_add, &hkd_op_scale,
    &hkd_op_add_channel, &hkd_op_concat, NULL,
};

bool hkd_cl_is_half(const hkd_cl *cl, const hkd_shape *shape, hkd_role role) {
    return cl->half && role == HKD_ACTIVATION && shape->rank > 1;
}

static bool stored_half(const hkd_cl *cl, const hkd_tensor *t) {
    return t->buffer && hkd_cl_is_half(cl, &t->shape, t->buffer->role);
}

static size_t wide_bytes(const hkd_shape *shape) { return (size_t)hkd_count(shape) * sizeof(float); }

/* The float32 twin number `i`, with room for the tensor. */
static hkd_status room(hkd_cl *cl, int i, const hkd_shape *shape) {
    hkd_device *dev = &cl->base;
    if (cl->wide[i] && wide_bytes(shape) <= cl->wide[i]->bytes) return HKD_OK;
    dev->release(dev, cl->wide[i]);
    return dev->alloc(dev, &cl->wide[i], wide_bytes(shape), HKD_STATE);
}

static hkd_status widen(hkd_cl *cl, const hkd_buffer *to, const hkd_tensor *from, int64_t first, int64_t count) {
    return hkd_cl_items(cl, "half_widen", count, hkd_cl_memory(to), hkd_cl_tensor(from), hkd_cl_int(first), hkd_cl_int(count));
}

static hkd_status store(hkd_cl *cl, const hkd_tensor *to, const hkd_buffer *from, int64_t first, int64_t count) {
    return hkd_cl_items(cl, "half_store", count, hkd_cl_tensor(to), hkd_cl_memory(from), hkd_cl_int(first), hkd_cl_int(count));
}

/* ---- calls ---- */

/* The operands of a call that have twins. Tensors in one buffer (in place, x + x) share one. */
typedef struct {
    hkd_tensor *tensor[HKD_CL_WIDE];
    hkd_tensor half[HKD_CL_WIDE]; /* as they were */
    int twin[HKD_CL_WIDE];
    bool written[HKD_CL_WIDE];
    int count, twins;
} operands;

static void add(operands *o, const hkd_cl *cl, hkd_tensor *t, bool written) {
    if (!stored_half(cl, t)) return;
    const int i = o->count++;
    o->tensor[i] = t, o->half[i] = *t, o->written[i] = written;
    o->twin[i] = -1;
    for (int k = 0; k < i; k++)
        if (o->half[k].buffer == t->buffer) o->twin[i] = o->twin[k];
    if (o->twin[i] < 0) o->twin[i] = o->twins++;
}

static operands operands_of(const hkd_cl *cl, hkd_call *call) {
    operands o = {.count = 0};
    for (int i = 0; i < HKD_MAX_IN; i++) add(&o, cl, &call->in[i], false);
    for (int k = 0; k < HKD_MAX_OUT; k++) add(&o, cl, &call->out[k], true);
    return o;
}

/* How many images to run at a time: those whose twins fit in most_wide bytes, at least one. All where the operator looks at
 * images together, or has operands that are not sliced. */
static int64_t images_at_once(const hkd_cl *cl, const hkd_call *call, const operands *o) {
    const int64_t n = o->count ? o->half[0].shape.dim[0] : 1;
    size_t each = 0;
    int i = 0;
    while (by_image[i] && by_image[i] != call->op) i++;
    for (int k = 0; k < o->count; k++) {
        if (o->half[k].shape.dim[0] != n) return n;
        each += wide_bytes(&o->half[k].shape) / (size_t)n;
    }
    if (!by_image[i] || !each || (size_t)n * each <= cl->most_wide) return n;
    return cl->most_wide > each ? (int64_t)(cl->most_wide / each) : 1;
}

static void take_images(const operands *o, int64_t n) {
    for (int i = 0; i < o->count; i++) o->tensor[i]->shape.dim[0] = n;
}

void hkd_cl_half_workspace(const hkd_cl *cl, const hkd_cl_op *row, const hkd_call *call, size_t part[HKD_WORKSPACES]) {
    hkd_call some = *call;
    const operands o = operands_of(cl, &some);
    take_images(&o, images_at_once(cl, call, &o));
    for (int i = 0; i < o.count; i++) part[HKD_CL_SCRATCH + o.twin[i]] = wide_bytes(&o.tensor[i]->shape);
    if (row->scratch) row->scratch(cl, &some, false, part);
}

/* `some` is the part of a call that begins at image `first`, and its operands are the twins. */
static hkd_status run_part(hkd_cl *cl, hkd_cl_runner *run, const hkd_cl_op *row, const hkd_call *some, const operands *o,
                           int64_t first) {
    hkd_status status = HKD_OK;
    for (int pass = 0; !status && pass < 3; pass++) {
        if (pass == 1) status = run(cl, row, some);
        for (int i = 0; pass != 1 && !status && i < o->count; i++) {
            const hkd_shape *whole = &o->half[i].shape;
            const int64_t count = hkd_count(&o->tensor[i]->shape), each = hkd_count(whole) / whole->dim[0];
            if (o->written[i] == (pass == 2))
                status = (pass ? store(cl, &o->half[i], o->tensor[i]->buffer, first * each, count)
                               : widen(cl, o->tensor[i]->buffer, &o->half[i], first * each, count));
        }
    }
    return status;
}

hkd_status hkd_cl_half_call(hkd_cl *cl, hkd_cl_runner *run, const hkd_cl_op *row, const hkd_call *call) {
    hkd_call some = *call;
    const operands o = operands_of(cl, &some);
    if (!o.count) return run(cl, row, call);
    const int64_t n = o.half[0].shape.dim[0], step = images_at_once(cl, call, &o);
    hkd_status status = HKD_OK;
    for (int64_t first = 0; !status && first < n; first += step) {
        if (step < n) take_images(&o, n - first < step ? n - first : step);
        for (int i = 0; !status && i < o.count; i++) {
            status = room(cl, o.twin[i], &o.tensor[i]->shape);
            o.tensor[i]->buffer = cl->wide[o.twin[i]];
        }
        if (!status) status = run_part(cl, run, row, &some, &o, first);
    }
    return status;
}

/* ---- whole tensors ---- */

hkd_status hkd_cl_half_upload(hkd_cl *cl, const hkd_tensor *to, const void *from, hkd_dtype type) {
    hkd_status status = room(cl, 0, &to->shape);
    if (!status) status = cl->base.upload(&cl->base, &(hkd_tensor){to->shape, cl->wide[0]}, from, type);
    return status ? status : store(cl, to, cl->wide[0], 0, hkd_count(&to->shape));
}

hkd_status hkd_cl_half_download(hkd_cl *cl, void *to, hkd_dtype type, const hkd_tensor *from) {
    hkd_status status = room(cl, 0, &from->shape);
    if (!status) status = widen(cl, cl->wide[0], from, 0, hkd_count(&from->shape));
    return status ? status : cl->base.download(&cl->base, to, type, &(hkd_tensor){from->shape, cl->wide[0]});
}

hkd_status hkd_cl_half_fill(hkd_cl *cl, const hkd_tensor *to, double value) {
    const int64_t count = hkd_count(&to->shape);
    return hkd_cl_items(cl, "half_fill", count, hkd_cl_tensor(to), hkd_cl_int(count), hkd_cl_real(value));
}
