/* avg_pool2d - the mean of each window.
 *
 *   y[n,c,i,j] = 1/m sum over 0 <= p, q < k of  x[n, c, i s - pad + p, j s - pad + q],   places outside the picture count as 0
 *
 * m is the number of the window's places inside the picture (count_include_pad = 0) or inside the picture and its padding
 * (1). Sizes as in max_pool2d. kernel = 0 is one window over the whole picture (global pooling).
 *
 * Gradient. Linear: every place of window (i, j) inside the picture receives dy / m.
 *
 * Bound. Linear, and the division counts as C_DIV more roundings: E = (kappa(terms) + kappa(C_DIV)) times the same walk over
 * absolute values, with k^2 terms in y and ceil(k/s)^2 in dx.
 *
 * Source: Inception v3 (count_include_pad = 0 in the FID network), the head of VGG and ResNet (global).
 */
#include "op.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* The part of a window inside the picture, and 1/m. */
typedef struct {
    int64_t top, bottom, left, right;
    double weight;
} window;

static window window_of(const hkd_pool2d_dims *d, int64_t i, int64_t j) {
    const int64_t row = i * d->stride - d->pad, col = j * d->stride - d->pad;
    const int64_t row_end = least(row + d->k_h, d->h + d->pad), col_end = least(col + d->k_w, d->w + d->pad);
    window v = {most(row, 0), least(row_end, d->h), most(col, 0), least(col_end, d->w), 0};
    const int64_t padded = (row_end - row) * (col_end - col), inside = (v.bottom - v.top) * (v.right - v.left);
    v.weight = 1 / (double)(d->count_include_pad ? padded : inside);
    return v;
}

static void means(double *y, const double *x, double gain, const hkd_pool2d_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++) {
                const window v = window_of(d, i, j);
                double sum = 0;
                for (int64_t row = v.top; row < v.bottom; row++)
                    for (int64_t col = v.left; col < v.right; col++) {
                        const double value = x[(plane * d->h + row) * d->w + col];
                        sum += absolute ? fabs(value) : value;
                    }
                y[(plane * d->h_out + i) * d->w_out + j] = gain * sum * v.weight;
            }
}

static void send(double *dx, const double *dy, double gain, const hkd_pool2d_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++) {
                const window v = window_of(d, i, j);
                const double g = gain * v.weight * dy[(plane * d->h_out + i) * d->w_out + j];
                for (int64_t row = v.top; row < v.bottom; row++)
                    for (int64_t col = v.left; col < v.right; col++)
                        dx[(plane * d->h + row) * d->w + col] += absolute ? fabs(g) : g;
            }
}

void hkd_ref_avg_pool2d(double *y, const double *x, const hkd_pool2d_dims *d) { means(y, x, 1, d, false); }

void hkd_ref_avg_pool2d_grad(double *dx, const double *dy, const hkd_pool2d_dims *d) {
    if (dx) send(dx, dy, 1, d, false);
}

void hkd_ref_avg_pool2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_pool2d_dims *d,
                              hkd_kappa_rule kappa) {
    const int64_t windows = ((d->k_h + d->stride - 1) / d->stride) * ((d->k_w + d->stride - 1) / d->stride);
    const double division = hkd_kappa(kappa, HKD_C_DIV);
    if (ey) means(ey, x, hkd_kappa(kappa, (double)(d->k_h * d->k_w)) + division, d, true);
    for (int64_t i = 0; edx && i < d->n * d->c * d->h * d->w; i++) edx[i] = 0;
    if (edx) send(edx, dy, hkd_kappa(kappa, (double)windows) + division, d, true);
}

/* ---- the row ---- */

enum { KERNEL, STRIDE, PAD, CEIL, COUNT_PAD };

static int64_t extent(int64_t in, const double *p) {
    const int64_t k = (int64_t)p[KERNEL], s = (int64_t)p[STRIDE], pad = (int64_t)p[PAD];
    if (k == 0) return 1;
    const int64_t out = (in + 2 * pad - k + (p[CEIL] != 0 ? s - 1 : 0)) / s + 1;
    return p[CEIL] != 0 && (out - 1) * s >= in + pad ? out - 1 : out;
}

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[0].dim;
    if (in[0].rank != 4) return "x must be [n, c, h, w]";
    if (p[KERNEL] < 0 || p[STRIDE] < 1) return "kernel must be at least 1, or 0 for the whole picture, and stride at least 1";
    if (p[PAD] < 0 || 2 * p[PAD] > p[KERNEL]) return "pad must be between 0 and half the kernel";
    if (x[2] < 1 || x[3] < 1 || (double)x[2] + 2 * p[PAD] < p[KERNEL] || (double)x[3] + 2 * p[PAD] < p[KERNEL])
        return "the kernel is larger than the padded picture";
    out[0] = hkd_shape_of(4, x[0], x[1], extent(x[2], p), extent(x[3], p));
    return NULL;
}

static hkd_pool2d_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[0].dim, *y = c->out_shape[0].dim, k = (int64_t)c->p[KERNEL];
    return (hkd_pool2d_dims){x[0], x[1], x[2], x[3], k ? k : x[2], k ? k : x[3], (int64_t)c->p[STRIDE], (int64_t)c->p[PAD],
                             c->p[COUNT_PAD] != 0, y[2], y[3]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_avg_pool2d(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_avg_pool2d_grad(c->grad[0], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_avg_pool2d_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_avg_pool2d = {
    .name = "avg_pool2d",
    .formula = "y = mean of x in each window",
    .source = "Inception v3 (Szegedy et al. 2016)",
    .in = {"x"},
    .out = {"y"},
    .param = {{"kernel", 'i', 2}, {"stride", 'i', 2}, {"pad", 'i', 0}, {"ceil_mode", 'i', 0}, {"count_include_pad", 'i', 1}},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
