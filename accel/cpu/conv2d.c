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

enum { BLOCK = 64 };

/* sum [count] = the sum of dy over an image's pixels, row by row. */
HKD_INLINE void sum_image(float *sum, const float *dy, const hkd_conv2d_dims *d, const int64_t count) {
    float all[BLOCK] = {0};
    for (int64_t i = 0; i < d->h_out; i++) {
        float row[BLOCK] = {0};
        for (int64_t j = 0; j < d->w_out; j++, dy += d->c_out)
            for (int64_t c = 0; c < count; c++) row[c] += dy[c];
        for (int64_t c = 0; c < count; c++) all[c] += row[c];
    }
    for (int64_t c = 0; c < count; c++) sum[c] = all[c];
}

/* sums [n, c_out]. One item: an image, BLOCK channels. */
static void sum_images(hkd_cpu *cpu, float *sums, const float *dy, const hkd_conv2d_dims *d) {
    const int64_t blocks = hkd_ceil_div(d->c_out, BLOCK);
    #pragma omp parallel for num_threads(cpu->threads) if (d->n * d->h_out * d->w_out * d->c_out > HKD_SMALL)
    for (int64_t item = 0; item < d->n * blocks; item++) {
        const int64_t n = item / blocks, o = item % blocks * BLOCK, count = hkd_min(BLOCK, d->c_out - o);
        const float *from = dy + n * d->h_out * d->w_out * d->c_out + o;
        float *to = sums + n * d->c_out + o;
        if (count == BLOCK) sum_image(to, from, d, BLOCK); /* in registers */
        else sum_image(to, from, d, count);
    }
    (void)cpu;
}

/* db = the sum over images, in groups of HKD_GROUP; dv [n, c_out] = the sums themselves. Either may be NULL. */
static void bias_gradients(float *db, bool add_db, float *dv, bool add_dv, const float *sums, const hkd_conv2d_dims *d) {
    for (int64_t c = 0; db && c < d->c_out; c++) {
        float sum = add_db ? db[c] : 0;
        for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
            float group = 0;
            for (int64_t n = first; n < hkd_min(first + HKD_GROUP, d->n); n++) group += sums[n * d->c_out + c];
            sum += group;
        }
        db[c] = sum;
    }
    for (int64_t i = 0; dv && i < d->n * d->c_out; i++) dv[i] = (add_dv ? dv[i] : 0) + sums[i];
}

static size_t sums_bytes(const hkd_conv2d_dims *d) { return (size_t)(d->n * d->c_out) * sizeof(float); }

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_conv2d_dims d = dims_of(call, &call->up[0].shape);
    const float *x = hkd_cpu_data(&call->in[X]), *w = hkd_cpu_data(&call->in[W]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[X]), *dw = hkd_cpu_data(&call->grad[W]), *db = hkd_cpu_data(&call->grad[B]);
    float *dv = call->op == &hkd_op_conv2d_add_channel ? hkd_cpu_data(&call->grad[EXTRA]) : NULL, *sums;
    const bool fast = winograd_pays(cpu, &d);
    hkd_status status = HKD_OK;
    if (dx) status = (fast ? hkd_winograd_dx : hkd_conv2d_direct_dx)(cpu, dx, dy, w, &d, call->accumulate[X]);
    if (dw && !status) status = (fast ? hkd_winograd_dw : hkd_conv2d_direct_dw)(cpu, dw, dy, x, &d, call->accumulate[W]);
    if (status || (!db && !dv)) return status;
    status = hkd_cpu_scratch(cpu, &sums, sums_bytes(&d));
    if (status) return status;
    sum_images(cpu, sums, dy, &d);
    bias_gradients(db, call->accumulate[B], dv, call->accumulate[EXTRA], sums, &d);
    return HKD_OK;
}

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    const hkd_conv2d_dims d = dims_of(call, backward ? &call->up[0].shape : &call->out[0].shape);
    const bool fast = winograd_pays(cpu, &d);
    const bool frozen = hkd_cpu_frozen(&call->in[W]) != NULL;
    if (!backward) return fast ? hkd_winograd_bytes(cpu, &d, false, frozen) : hkd_conv2d_direct_bytes(cpu, &d, false, frozen);
    const size_t by_x = fast ? hkd_winograd_bytes(cpu, &d, true, false) : hkd_conv2d_direct_bytes(cpu, &d, true, false);
    const size_t dx = call->grad[X].buffer ? by_x : 0;
    const size_t dw = call->grad[W].buffer ? (fast ? hkd_winograd_dw_bytes : hkd_conv2d_direct_dw_bytes)(cpu, &d) : 0;
    const size_t sums = sums_bytes(&d), products = dx > dw ? dx : dw;
    return products > sums ? products : sums;
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
    .op = &hkd_op_conv2d_add_channel, .workspace = workspace, .forward = forward, .backward = backward,
    .freeze = freeze, .spread = spread};

/* Forward only: its gradient would need s dy in memory of its own, which the chain has already. */
const hkd_cpu_op HKD_CPU(conv2d_add_scale) = {
    .op = &hkd_op_conv2d_add_scale, .workspace = workspace, .forward = forward, .freeze = freeze, .spread = spread};
