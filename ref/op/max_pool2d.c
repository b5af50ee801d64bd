/* max_pool2d - the largest value in each window.
 *
 *   y[n,c,i,j] = max over 0 <= p, q < k of  x[n, c, i s - pad + p, j s - pad + q],   places outside the picture left out
 *
 * h_out = floor((h + 2 pad - k) / s) + 1; with ceil_mode the quotient is rounded up, but the last window begins inside the
 * picture or its first padding. A NaN in the window is the result.
 *
 * Gradient. y is a copy of one element, the first of the largest in row-major order, so dx receives dy there.
 *
 * Bound. Copies do not round: E(y) = 0. dx sums at most m = ceil(k/s)^2 windows: E(dx) = kappa(m) sum |dy|.
 *
 * Source: VGG16, Inception v3; ties as in PyTorch's CPU kernel.
 */
#include "op.h"

#include <math.h>

/* Index of the element that window (i, j) selects. */
static int64_t largest(const double *x, const hkd_pool2d_dims *d, int64_t plane, int64_t i, int64_t j) {
    int64_t best = -1;
    for (int64_t p = 0; p < d->k_h; p++)
        for (int64_t q = 0; q < d->k_w; q++) {
            const int64_t row = i * d->stride - d->pad + p, col = j * d->stride - d->pad + q;
            if (row < 0 || row >= d->h || col < 0 || col >= d->w) continue;
            const int64_t at = (plane * d->h + row) * d->w + col;
            if (best < 0 || x[at] > x[best] || (isnan(x[at]) && !isnan(x[best]))) best = at;
        }
    return best;
}

/* dx += dy at the selected elements. */
static void send(double *dx, const double *dy, const double *x, double gain, const hkd_pool2d_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++) {
                const double g = dy[(plane * d->h_out + i) * d->w_out + j];
                dx[largest(x, d, plane, i, j)] += gain * (absolute ? fabs(g) : g);
            }
}

void hkd_ref_max_pool2d(double *y, const double *x, const hkd_pool2d_dims *d) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++)
                y[(plane * d->h_out + i) * d->w_out + j] = x[largest(x, d, plane, i, j)];
}

void hkd_ref_max_pool2d_grad(double *dx, const double *dy, const double *x, const hkd_pool2d_dims *d) {
    if (dx) send(dx, dy, x, 1, d, false);
}

void hkd_ref_max_pool2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_pool2d_dims *d,
                              hkd_kappa_rule kappa) {
    const int64_t windows = ((d->k_h + d->stride - 1) / d->stride) * ((d->k_w + d->stride - 1) / d->stride);
    for (int64_t i = 0; ey && i < d->n * d->c * d->h_out * d->w_out; i++) ey[i] = 0;
    for (int64_t i = 0; edx && i < d->n * d->c * d->h * d->w; i++) edx[i] = 0;
    if (edx) send(edx, dy, x, hkd_kappa(kappa, (double)windows), d, true);
}

/* ---- the row ---- */

enum { KERNEL, STRIDE, PAD, CEIL };

static int64_t extent(int64_t in, const double *p) {
    const int64_t k = (int64_t)p[KERNEL], s = (int64_t)p[STRIDE], pad = (int64_t)p[PAD];
    const int64_t out = (in + 2 * pad - k + (p[CEIL] != 0 ? s - 1 : 0)) / s + 1;
    return p[CEIL] != 0 && (out - 1) * s >= in + pad ? out - 1 : out;
}

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[0].dim;
    if (in[0].rank != 4) return "x must be [n, c, h, w]";
    if (p[KERNEL] < 1 || p[STRIDE] < 1) return "kernel and stride must be at least 1";
    if (p[PAD] < 0 || 2 * p[PAD] > p[KERNEL]) return "pad must be between 0 and half the kernel";
    if (x[2] < 1 || x[3] < 1 || (double)x[2] + 2 * p[PAD] < p[KERNEL] || (double)x[3] + 2 * p[PAD] < p[KERNEL])
        return "the kernel is larger than the padded picture";
    out[0] = hkd_shape_of(4, x[0], x[1], extent(x[2], p), extent(x[3], p));
    return NULL;
}

static hkd_pool2d_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[0].dim, *y = c->out_shape[0].dim, k = (int64_t)c->p[KERNEL];
    return (hkd_pool2d_dims){x[0], x[1], x[2], x[3], k, k, (int64_t)c->p[STRIDE], (int64_t)c->p[PAD], 0, y[2], y[3]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_max_pool2d(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_max_pool2d_grad(c->grad[0], c->up[0], c->in[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_pool2d_dims d = dims(c);
    hkd_ref_max_pool2d_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_max_pool2d = {
    .name = "max_pool2d",
    .formula = "y = max of x in each window",
    .source = "VGG16 (Simonyan & Zisserman 2015), Inception v3 (Szegedy et al. 2016)",
    .in = {"x"},
    .out = {"y"},
    .param = {{"kernel", 'i', 2}, {"stride", 'i', 2}, {"pad", 'i', 0}, {"ceil_mode", 'i', 0}},
    .reads_in = 1 << 0,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
