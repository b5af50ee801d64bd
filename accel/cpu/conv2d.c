/* conv2d on the cpu, and the rows that fuse what follows it: chooses the algorithm, by the shape alone. */
#include "conv2d.h"
#include "winograd.h"

#include "status.h"

extern const hkd_op hkd_op_conv2d, hkd_op_conv2d_add_channel, hkd_op_conv2d_add_scale;

enum { X, W, B, EXTRA };
enum { STRIDE, PAD_H, PAD_W, GROUPS, SCALE };

static hkd_conv2d_dims dims_of(const hkd_call *c, const hkd_shape *out) {
    const int64_t *x = c->in[X].shape.dim, *w = c->in[W].shape.dim;
    return (hkd_conv2d_dims){x[0], x[1], x[2], x[3], w[0], w[2], w[3], (int64_t)c->p[STRIDE], (int64_t)c->p[PAD_H],
                             (int64_t)c->p[PAD_W], (int64_t)c->p[GROUPS], out->dim[2], out->dim[3]};
}

static bool winograd_pays(const hkd_cpu *cpu, const hkd_conv2d_dims *d) { return !cpu->direct && hkd_winograd_pays(d); }

enum { RAW, DIRECT, WINOGRAD }; /* forms of a weight */

static hkd_epilogue epilogue_of(const hkd_call *call) {
    hkd_epilogue e = {.bias = hkd_cpu_data(&call->in[B])};
    if (call->op == &hkd_op_conv2d_add_channel) e.image_bias = hkd_cpu_data(&call->in[EXTRA]);
    if (call->op == &hkd_op_conv2d_add_scale) e.residual = hkd_cpu_data(&call->in[EXTRA]), e.scale = (float)call->p[SCALE];
    return e;
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_conv2d_dims d = dims_of(call, &call->out[0].shape);
    const bool fast = winograd_pays(cpu, &d);
    const hkd_buffer *w = call->in[W].buffer;
    if (w->frozen && w->form != (fast ? WINOGRAD : DIRECT))
        return hkd_fail(HKD_USAGE, "conv2d: this weight was frozen for pictures of another size");
    const hkd_epilogue then = epilogue_of(call);
    return (fast ? hkd_winograd : hkd_conv2d_direct)(cpu, hkd_cpu_data(&call->out[0]), hkd_cpu_data(&call->in[X]), w, &then,
                                                     &d);
}

static hkd_status freeze(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_conv2d_dims d = dims_of(call, &call->out[0].shape);
    const bool fast = winograd_pays(cpu, &d);
    hkd_buffer *w = call->in[W].buffer;
    hkd_cpu_form form;
    if (w->frozen) return HKD_OK;
    const hkd_status status = (fast ? hkd_winograd_form : hkd_conv2d_direct_form)(cpu, &form, w->data, &d);
    if (!status) hkd_cpu_freeze(w, form, fast ? WINOGRAD : DIRECT);
    return status;
}

/* db = sum of dy over pixels: rows into images, images into groups, groups in order. One item: 16 channels. */
static void bias_gradient(hkd_cpu *cpu, float *db, const float *dy, const hkd_conv2d_dims *d, bool accumulate) {
    enum { BLOCK = 16 };
    #pragma omp parallel for num_threads(cpu->threads) if (d->n * d->h_out * d->w_out * d->c_out > HKD_SMALL)
    for (int64_t o = 0; o < d->c_out; o += BLOCK) {
        const int64_t count = hkd_min(BLOCK, d->c_out - o);
        for (int64_t c = 0; !accumulate && c < count; c++) db[o + c] = 0;
        for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
            float group[BLOCK] = {0};
            for (int64_t i = first * d->h_out; i < hkd_min(first + HKD_GROUP, d->n) * d->h_out; i++) {
                float row[BLOCK] = {0};
                for (int64_t j = i * d->w_out; j < (i + 1) * d->w_out; j++)
                    for (int64_t c = 0; c < count; c++) row[c] += dy[j * d->c_out + o + c];
                for (int64_t c = 0; c < count; c++) group[c] += row[c];
            }
            for (int64_t c = 0; c < count; c++) db[o + c] += group[c];
        }
    }
    (void)cpu;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_conv2d_dims d = dims_of(call, &call->up[0].shape);
    const float *x = hkd_cpu_data(&call->in[X]), *w = hkd_cpu_data(&call->in[W]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[X]), *dw = hkd_cpu_data(&call->grad[W]), *db = hkd_cpu_data(&call->grad[B]);
    const bool fast = winograd_pays(cpu, &d);
    hkd_status status = HKD_OK;
    if (dx) status = (fast ? hkd_winograd_dx : hkd_conv2d_direct_dx)(cpu, dx, dy, w, &d, call->accumulate[X]);
    if (dw && !status) status = (fast ? hkd_winograd_dw : hkd_conv2d_direct_dw)(cpu, dw, dy, x, &d, call->accumulate[W]);
    if (db && !status) bias_gradient(cpu, db, dy, &d, call->accumulate[B]);
    return status;
}

/* dv[n, c] = sum of dy over the pixels of an image, rows first. One item: an image, 16 channels. */
static void image_bias_gradient(hkd_cpu *cpu, float *dv, const float *dy, const hkd_conv2d_dims *d, bool accumulate) {
    enum { BLOCK = 16 };
    const int64_t blocks = hkd_ceil_div(d->c_out, BLOCK);
    #pragma omp parallel for num_threads(cpu->threads) if (d->n * d->h_out * d->w_out * d->c_out > HKD_SMALL)
    for (int64_t item = 0; item < d->n * blocks; item++) {
        const int64_t n = item / blocks, o = item % blocks * BLOCK, count = hkd_min(BLOCK, d->c_out - o);
        float sum[BLOCK] = {0}, *to = dv + n * d->c_out + o;
        for (int64_t i = n * d->h_out; i < (n + 1) * d->h_out; i++) {
            float row[BLOCK] = {0};
            for (int64_t j = i * d->w_out; j < (i + 1) * d->w_out; j++)
                for (int64_t c = 0; c < count; c++) row[c] += dy[j * d->c_out + o + c];
            for (int64_t c = 0; c < count; c++) sum[c] += row[c];
        }
        for (int64_t c = 0; c < count; c++) to[c] = (accumulate ? to[c] : 0) + sum[c];
    }
    (void)cpu;
}

static hkd_status backward_add_channel(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_conv2d_dims d = dims_of(call, &call->up[0].shape);
    float *dv = hkd_cpu_data(&call->grad[EXTRA]);
    if (dv) image_bias_gradient(cpu, dv, hkd_cpu_data(&call->up[0]), &d, call->accumulate[EXTRA]);
    return backward(cpu, call);
}

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    const hkd_conv2d_dims d = dims_of(call, backward ? &call->up[0].shape : &call->out[0].shape);
    const bool fast = winograd_pays(cpu, &d);
    const bool frozen = call->in[W].buffer && call->in[W].buffer->frozen;
    if (!backward) return fast ? hkd_winograd_bytes(cpu, &d, false) : hkd_conv2d_direct_bytes(cpu, &d, false, frozen);
    const size_t by_x = fast ? hkd_winograd_bytes(cpu, &d, true) : hkd_conv2d_direct_bytes(cpu, &d, true, false);
    const size_t dx = call->grad[X].buffer ? by_x : 0;
    const size_t dw = call->grad[W].buffer ? (fast ? hkd_winograd_dw_bytes : hkd_conv2d_direct_dw_bytes)(cpu, &d) : 0;
    return dx > dw ? dx : dw;
}

/* Outputs and data gradients in tiles of Winograd's outputs; the nine taps of a kernel fit into one. */
static const hkd_spread *spread(const hkd_cpu *cpu, const hkd_call *call) {
    static const hkd_spread tiles = {.name = "winograd F(4x4,3x3)", .factor = HKD_WINOGRAD_FACTOR, .tile = 4};
    const hkd_conv2d_dims d = dims_of(call, &call->out[0].shape);
    return winograd_pays(cpu, &d) ? &tiles : NULL;
}

const hkd_cpu_op HKD_CPU(conv2d) = {
    .op = &hkd_op_conv2d, .workspace = workspace, .forward = forward, .backward = backward, .freeze = freeze,
    .spread = spread};

const hkd_cpu_op HKD_CPU(conv2d_add_channel) = {
    .op = &hkd_op_conv2d_add_channel, .workspace = workspace, .forward = forward, .backward = backward_add_channel,
    .freeze = freeze, .spread = spread};

/* Forward only: its gradient would need s dy in memory of its own, which the chain has already. */
const hkd_cpu_op HKD_CPU(conv2d_add_scale) = {
    .op = &hkd_op_conv2d_add_scale, .workspace = workspace, .forward = forward, .freeze = freeze, .spread = spread};
