/* conv2d on OpenCL, and the rows that fuse what follows it: everything is the contraction of contract.h on a zero-padded copy
 * P [c, n, h_p, w_p] of a picture.
 *
 *   forward    m = output channel, n = pixel, r = (c, p, q); where a row of pixels does not hold whole vectors, n = place on P,
 *              and what lies beyond the picture is computed and dropped
 *              where rows are short but pictures hold whole vectors, P is [c, q, n, h_p, w], a copy for each q, moved by it
 *              with a stride: m = column of an output row, n = output channel, weights transposed
 *   dx         the same as forward without stride, on dy spread by the stride, weights walked backwards
 *   dw         m = input channel, n = output channel (dy transposed), r = (image, row, column) by groups of images, z = (p, q);
 *              it comes out as [c, p, q, output channel] and is transposed into place
 *
 * A 1x1 convolution without padding reads the picture itself. */
#include "opencl.h"

extern const hkd_op hkd_op_conv2d, hkd_op_conv2d_add_channel, hkd_op_conv2d_add_scale;

enum { X, W, B, EXTRA };
enum { STRIDE, PAD_H, PAD_W, GROUPS, SCALE };
enum { PADDED, TURNED, WEIGHTS, SUMS }; /* scratch */

typedef struct {
    int64_t n, c_in, h, w, c_out, kh, kw, taps, stride, pad_h, pad_w, groups, h_out, w_out, c_group, o_group;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim, *w = call->in[W].shape.dim, groups = (int64_t)call->p[GROUPS];
    const int64_t *y = (call->out[0].buffer ? &call->out[0] : &call->up[0])->shape.dim;
    return (dims){.n = x[0], .c_in = x[1], .h = x[2], .w = x[3], .c_out = w[0], .kh = w[2], .kw = w[3], .taps = w[2] * w[3],
                  .stride = (int64_t)call->p[STRIDE], .pad_h = (int64_t)call->p[PAD_H], .pad_w = (int64_t)call->p[PAD_W],
                  .groups = groups, .h_out = y[2], .w_out = y[3], .c_group = w[1], .o_group = w[0] / groups};
}

enum { SKEW = 16 }; /* floats between the channels of P, so that they do not lie a power of two apart */

/* A picture as the contraction walks over it: P, or the picture itself. */
typedef struct {
    hkd_buffer *data;
    int64_t h, w, channel, image; /* padded extents; steps from channel to channel and from image to image */
    bool padded;
    int64_t copy;                 /* 0, or the step from the copy for one tap column to that for the next */
} picture;

/* Needs no padding. Many channels a power of two apart would fall into the same places of a cache: a copy is faster. */
static bool plain(const dims *d) {
    const bool collide = d->c_in > 512 && d->h * d->w % 1024 == 0;
    return d->taps == 1 && d->stride == 1 && !d->pad_h && !d->pad_w && !collide;
}

/* Rows too short for vectors, pictures that hold whole ones, and no other size behind the convolution. */
static bool copied(const hkd_cl *cl, const dims *d) {
    const bool same = d->stride == 1 && 2 * d->pad_w == d->kw - 1 && 2 * d->pad_h == d->kh - 1;
    return same && d->kw > 1 && d->w % cl->width && d->h * d->w % cl->width == 0 && (d->w & (d->w - 1)) == 0;
}

static picture copies(hkd_cl *cl, const dims *d) {
    const int64_t h = d->h + 2 * d->pad_h, image = h * d->w, copy = d->n * image;
    return (picture){cl->scratch[PADDED], h, d->w, d->kw * copy + SKEW, image, true, copy};
}

static picture padded_x(hkd_cl *cl, const hkd_call *call, const dims *d) {
    const int64_t area = d->h * d->w, h = d->h + 2 * d->pad_h, w = d->w + 2 * d->pad_w;
    if (plain(d)) return (picture){call->in[X].buffer, d->h, d->w, area, d->c_in * area, false, 0};
    return (picture){cl->scratch[PADDED], h, w, d->n * h * w + SKEW, h * w, true, 0};
}

static picture padded_dy(hkd_cl *cl, const hkd_call *call, const dims *d) {
    const int64_t area = d->h_out * d->w_out, h = d->h + d->kh - 1, w = d->w + d->kw - 1;
    if (plain(d)) return (picture){call->up[0].buffer, d->h, d->w, area, d->c_out * area, false, 0};
    if (copied(cl, d)) return copies(cl, d);
    return (picture){cl->scratch[PADDED], h, w, d->n * h * w + SKEW, h * w, true, 0};
}

static hkd_status pad(hkd_cl *cl, const picture *to, const hkd_tensor *from, int64_t top, int64_t left, int64_t spread) {
    const int64_t *f = from->shape.dim, rows = f[1] * f[0] * to->h;
    if (!to->padded) return HKD_OK;
    if (to->copy) {
        const int64_t planes = to->channel / to->copy * f[1] * f[0];
        return hkd_cl_runs(cl, "conv2d_copies", planes, to->image, hkd_cl_memory(to->data), hkd_cl_tensor(from),
                           hkd_cl_int(planes), hkd_cl_int(to->image), hkd_cl_int(f[0]), hkd_cl_int(f[1]),
                           hkd_cl_int(f[2] * f[3]), hkd_cl_int(f[3]), hkd_cl_int(to->channel), hkd_cl_int(top),
                           hkd_cl_int(left));
    }
    if (spread == 1 && f[2] > 0 && f[3] > 0 && left >= 0 && left + f[3] <= to->w && top >= 0 && top + f[2] <= to->h)
        return hkd_cl_runs(cl, "conv2d_pad", rows, f[3], hkd_cl_memory(to->data), hkd_cl_tensor(from), hkd_cl_int(rows),
                           hkd_cl_int(to->w), hkd_cl_int(to->h), hkd_cl_int(f[0]), hkd_cl_int(f[1]), hkd_cl_int(f[2]),
                           hkd_cl_int(f[3]), hkd_cl_int(to->channel), hkd_cl_int(top), hkd_cl_int(left));
    return hkd_cl_runs(cl, "conv2d_spread", rows, to->w, hkd_cl_memory(to->data), hkd_cl_tensor(from), hkd_cl_int(rows),
                       hkd_cl_int(to->w), hkd_cl_int(to->h), hkd_cl_int(f[0]), hkd_cl_int(f[1]), hkd_cl_int(f[2]),
                       hkd_cl_int(f[3]), hkd_cl_int(to->channel), hkd_cl_int(top), hkd_cl_int(left), hkd_cl_int(spread));
}

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    const int64_t x = d.c_in * (d.n * (d.h + 2 * d.pad_h) * (d.w + 2 * d.pad_w) + SKEW);
    const int64_t dy = d.c_out * (d.n * (d.h + d.kh - 1) * (d.w + d.kw - 1) + SKEW), weights = d.c_out * d.c_group * d.taps;
    const bool want_dx = backward && call->grad[X].buffer, want_dw = backward && call->grad[W].buffer;
    int64_t padded = backward && !want_dw ? 0 : x;
    if (want_dx && dy > padded) padded = dy;
    if (copied(cl, &d) && (!backward || want_dx)) {
        const int64_t one = d.kw * d.n * (d.h + 2 * d.pad_h) * d.w + SKEW, all = (backward ? d.c_out : d.c_in) * one;
        if (all > padded) padded = all;
    }
    if (!plain(&d) && padded) bytes[PADDED] = (size_t)(padded + d.kw) * sizeof(float); /* the last row is read past its end */
    if (!backward && d.stride > 1) bytes[TURNED] = (size_t)weights * sizeof(float);
    if (want_dw) bytes[TURNED] = (size_t)(d.n * d.c_out * d.h_out * d.w_out) * sizeof(float);
    if (want_dw) bytes[WEIGHTS] = (size_t)weights * sizeof(float);
    if (backward && call->grad[B].buffer) bytes[SUMS] = (size_t)(d.n * d.c_out) * sizeof(float);
}

/* Columns n are the pixels of all images, where rows hold whole vectors (or pictures do, and count as one row). */
static void whole_rows(hkd_contract *k, const picture *p, int64_t images, int64_t h, int64_t w, int64_t c_image) {
    k->n = (int)(images * h * w);
    k->z1 = 1;
    k->n0 = k->n0_used = (int)w;
    k->n1 = k->n1_used = (int)h;
    k->b_n1 = (int)p->w;
    k->b_n2 = (int)p->image;
    k->c_n0 = 1;
    k->c_n1 = (int)w;
    k->c_n2 = (int)c_image;
}

/* Where the columns n of a contraction without stride lie: on all images at once when padded, else one by one. */
static void columns(const hkd_cl *cl, hkd_contract *k, const picture *p, int64_t images, int64_t h, int64_t w,
                    int64_t c_image) {
    if (p->copy) {
        whole_rows(k, p, images, 1, h * w, c_image);
        k->b_r2 = (int)p->copy;
        return;
    }
    if (p->padded && w % cl->width == 0) {
        whole_rows(k, p, images, h, w, c_image);
        return;
    }
    k->n = (int)(p->padded ? ((images - 1) * p->h + h) * p->w : h * w);
    k->z1 = (int)(p->padded ? 1 : images);
    k->b_z1 = (int)p->image;
    k->c_z1 = (int)c_image;
    k->n0 = (int)(p->padded ? p->w : h * w);
    k->n0_used = (int)(p->padded ? w : h * w);
    k->n1 = (int)(p->padded ? p->h : 1);
    k->n1_used = (int)(p->padded ? h : 1);
    k->c_n0 = 1;
    k->c_n1 = (int)w;
    k->c_n2 = (int)c_image;
}

static hkd_contract without_stride(const hkd_cl *cl, const dims *d, const picture *x, int64_t g) {
    const int64_t area = d->h_out * d->w_out;
    hkd_contract k = {.m = (int)d->o_group, .z0 = 1, .r0 = (int)d->c_group, .r1 = (int)d->kh, .r2 = (int)d->kw,
                      .a = (int)(g * d->o_group * d->c_group * d->taps),
                      .a_m = (int)(d->c_group * d->taps), .a_r0 = (int)d->taps, .a_r1 = (int)d->kw, .a_r2 = 1,
                      .b = (int)(g * d->c_group * x->channel), .b_r0 = (int)x->channel, .b_r1 = (int)x->w, .b_r2 = 1,
                      .c = (int)(g * d->o_group * area), .c_m = (int)area};
    columns(cl, &k, x, d->n, d->h_out, d->w_out, d->c_out * area);
    return k;
}

static hkd_contract with_stride(const dims *d, const picture *x, int64_t g) {
    const int64_t area = d->h_out * d->w_out, s = d->stride;
    return (hkd_contract){
        .m = (int)d->w_out, .n = (int)d->o_group, .z0 = (int)d->h_out, .z1 = (int)d->n,
        .r0 = (int)d->c_group, .r1 = (int)d->kh, .r2 = (int)d->kw,
        .a = (int)(g * d->c_group * x->channel), .a_m = (int)s, .a_r0 = (int)x->channel, .a_r1 = (int)x->w, .a_r2 = 1,
        .a_z0 = (int)(s * x->w), .a_z1 = (int)x->image,
        .b = (int)(g * d->o_group), .b_r0 = (int)(d->taps * d->c_out), .b_r1 = (int)(d->kw * d->c_out), .b_r2 = (int)d->c_out,
        .c = (int)(g * d->o_group * area), .c_m = 1, .c_z0 = (int)d->w_out, .c_z1 = (int)(d->c_out * area),
        .n0 = (int)d->o_group, .n0_used = (int)d->o_group, .n1 = 1, .n1_used = 1, .c_n0 = (int)area, .bias_by_n = 1};
}

/* What follows a convolution, done to its result in memory. */
static hkd_status follow(hkd_cl *cl, const hkd_call *call, const dims *d) {
    const hkd_tensor *y = &call->out[0], *extra = &call->in[EXTRA];
    const int64_t rows = d->n * d->c_out, area = d->h_out * d->w_out;
    if (call->op == &hkd_op_conv2d_add_channel)
        return hkd_cl_runs(cl, "add_channel", rows, area, hkd_cl_tensor(y), hkd_cl_tensor(y), hkd_cl_tensor(extra),
                           hkd_cl_int(rows), hkd_cl_int(area), hkd_cl_int(d->c_out), hkd_cl_int(d->n));
    const hkd_status status = hkd_cl_runs(cl, "add", 1, rows * area, hkd_cl_tensor(y), hkd_cl_tensor(y), hkd_cl_tensor(extra),
                                          hkd_cl_int(1), hkd_cl_int(rows * area));
    return status ? status : hkd_cl_scaled(cl, y, y, call->p[SCALE], false);
}

/* The same as part of the contraction, where its columns lie in order; false: they do not. */
static bool followed(hkd_contract *k, const hkd_call *call, const dims *d) {
    if (d->stride > 1 || !(k->b_n1 || k->n0 == k->n)) return false;
    k->more = call->op == &hkd_op_conv2d_add_channel ? CONTRACT_SHIFT : CONTRACT_RESIDUAL;
    k->more_image = (int)d->c_out;
    k->scale = (float)call->p[SCALE];
    return true;
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    bool done = call->op == &hkd_op_conv2d;
    const picture x = copied(cl, &d) ? copies(cl, &d) : padded_x(cl, call, &d);
    const hkd_buffer *weights = d.stride > 1 ? cl->scratch[TURNED] : call->in[W].buffer;
    hkd_status status = pad(cl, &x, &call->in[X], d.pad_h, d.pad_w, 1);
    if (!status && d.stride > 1)
        status = hkd_cl_transpose(cl, cl->scratch[TURNED], call->in[W].buffer, 1, d.c_out, d.c_group * d.taps);
    for (int64_t g = 0; !status && g < d.groups; g++) {
        hkd_contract k = d.stride > 1 ? with_stride(&d, &x, g) : without_stride(cl, &d, &x, g);
        k.bias = (int)(g * d.o_group);
        if (call->op != &hkd_op_conv2d) done = followed(&k, call, &d);
        status = hkd_cl_contract(cl, call->out[0].buffer, d.stride > 1 ? x.data : weights, d.stride > 1 ? weights : x.data,
                                 call->in[B].buffer, call->in[EXTRA].buffer, &k);
    }
    return status || done ? status : follow(cl, call, &d);
}

static hkd_status to_x(hkd_cl *cl, const hkd_call *call, const dims *d) {
    const picture dy = padded_dy(cl, call, d);
    hkd_status status = pad(cl, &dy, &call->up[0], d->kh - 1 - d->pad_h, d->kw - 1 - d->pad_w, d->stride);
    for (int64_t g = 0; !status && g < d->groups; g++) {
        const int64_t area = d->h * d->w, one = d->c_group * d->taps;
        hkd_contract k = {.m = (int)d->c_group, .z0 = 1, .r0 = (int)d->o_group, .r1 = (int)d->kh, .r2 = (int)d->kw,
                          .a = (int)(g * d->o_group * one + d->taps - 1), .a_m = (int)d->taps,
                          .a_r0 = (int)one, .a_r1 = (int)-d->kw, .a_r2 = -1,
                          .b = (int)(g * d->o_group * dy.channel), .b_r0 = (int)dy.channel, .b_r1 = (int)dy.w, .b_r2 = 1,
                          .c = (int)(g * d->c_group * area), .c_m = (int)area, .accumulate = call->accumulate[X]};
        columns(cl, &k, &dy, d->n, d->h, d->w, d->c_in * area);
        status = hkd_cl_contract(cl, call->grad[X].buffer, call->in[W].buffer, dy.data, NULL, NULL, &k);
    }
    return status;
}

static hkd_status to_w(hkd_cl *cl, const hkd_call *call, const dims *d) {
    const picture x = padded_x(cl, call, d);
    const int64_t s = d->stride, area = d->h_out * d->w_out, inputs = d->c_group * d->taps;
    hkd_buffer *dw = cl->scratch[WEIGHTS];
    hkd_status status = pad(cl, &x, &call->in[X], d->pad_h, d->pad_w, 1);
    if (!status) status = hkd_cl_transpose(cl, cl->scratch[TURNED], call->up[0].buffer, d->n, d->c_out, area);
    if (!status && call->accumulate[W])
        status = hkd_cl_transpose(cl, dw, call->grad[W].buffer, d->groups, d->o_group, inputs);
    for (int64_t g = 0; !status && g < d->groups; g++) {
        const hkd_contract k = {
            .m = (int)d->c_group, .n = (int)d->o_group, .z0 = (int)d->kw, .z1 = (int)d->kh,
            .r0 = (int)d->n, .r1 = (int)d->h_out, .r2 = (int)d->w_out, .group = HKD_CL_GROUP,
            .a = (int)(g * d->c_group * x.channel), .a_m = (int)x.channel, .a_r0 = (int)x.image, .a_r1 = (int)(s * x.w),
            .a_r2 = (int)s, .a_z0 = 1, .a_z1 = (int)x.w,
            .b = (int)(g * d->o_group), .b_r0 = (int)(area * d->c_out), .b_r1 = (int)(d->w_out * d->c_out),
            .b_r2 = (int)d->c_out, .c = (int)(g * d->o_group * inputs), .c_m = (int)(d->taps * d->o_group),
            .c_z0 = (int)d->o_group, .c_z1 = (int)(d->kw * d->o_group), .n0 = (int)d->o_group, .n0_used = (int)d->o_group,
            .n1 = 1, .n1_used = 1, .c_n0 = 1, .accumulate = call->accumulate[W]};
        status = hkd_cl_contract(cl, dw, x.data, cl->scratch[TURNED], NULL, NULL, &k);
    }
    return status ? status : hkd_cl_transpose(cl, call->grad[W].buffer, dw, d->groups, inputs, d->o_group);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_status status = HKD_OK;
    if (call->grad[W].buffer) status = to_w(cl, call, &d);
    if (!status && call->grad[X].buffer) status = to_x(cl, call, &d);
    const int64_t rows = d.n * d.c_out, area = d.h_out * d.w_out;
    if (!status && call->grad[EXTRA].buffer)
        status = hkd_cl_sum_rows(cl, call->grad[EXTRA].buffer, call->up[0].buffer, rows, area, call->accumulate[EXTRA]);
    if (!status && call->grad[B].buffer) {
        status = hkd_cl_sum_rows(cl, cl->scratch[SUMS], call->up[0].buffer, rows, area, false);
        if (!status)
            status = hkd_cl_fold(cl, call->grad[B].buffer, cl->scratch[SUMS], d.n, d.c_out, HKD_CL_GROUP, call->accumulate[B]);
    }
    return status;
}

const hkd_cl_op hkd_cl_conv2d = {.op = &hkd_op_conv2d, .scratch = scratch, .forward = forward, .backward = backward};
const hkd_cl_op hkd_cl_conv2d_add_channel = {
    .op = &hkd_op_conv2d_add_channel, .scratch = scratch, .forward = forward, .backward = backward};
/* Forward only: its gradient would need s dy in memory of its own, which the chain has already. */
const hkd_cl_op hkd_cl_conv2d_add_scale = {.op = &hkd_op_conv2d_add_scale, .scratch = scratch, .forward = forward};
