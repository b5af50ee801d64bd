/* conv2d - two-dimensional cross-correlation with stride, zero padding, groups and bias.
 *
 *   y[n,o,i,j] = b[o] + sum over c, p, q of  w[o,c,p,q] x[n, g C/G + c, i s - pad_h + p, j s - pad_w + q]
 *
 * with C/G input channels per group, g the group of output channel o, s the stride, and x = 0 outside the picture.
 *
 * Gradient. y is linear in x, in w and in b. Every product w x that entered y[n,o,i,j] sends, with the upstream gradient dy,
 *   dx at its x:  w dy,      dw at its w:  x dy,      and  db[o]:  dy.
 * So each gradient is the same walk over (n, o, c, p, q, i, j), collected at another place.
 *
 * Bound. The operator is multilinear, so each result's E is kappa(number of terms) times the same sum over absolute values:
 *   y: C/G kh kw + 1 terms,   dx: at most C_out/G kh kw,   dw and db: N H_out W_out.
 * It holds for any order of summation, with or without FMA. The functions below therefore take a flag `absolute`.
 *
 * Source: EDM (Karras et al. 2022), all convolutions of the network.
 */
#include "op.h"

#include <math.h>

/* Outputs lo <= i < hi whose input i * stride - pad + tap lies inside [0, in). */
typedef struct {
    int64_t lo, hi;
} range;

static range inside(int64_t out, int64_t in, int64_t stride, int64_t pad, int64_t tap) {
    range r = {0, 0};
    while (r.lo < out && r.lo * stride - pad + tap < 0) r.lo++;
    r.hi = r.lo;
    while (r.hi < out && r.hi * stride - pad + tap < in) r.hi++;
    return r;
}

static double term(double a, double b, bool absolute) { return absolute ? fabs(a * b) : a * b; }

static void output(double *y, const double *x, const double *w, const double *b, const hkd_conv2d_dims *d, bool absolute) {
    const int64_t c_group = d->c_in / d->groups, o_group = d->c_out / d->groups;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t o = 0; o < d->c_out; o++) {
            double *ys = y + (n * d->c_out + o) * d->h_out * d->w_out;
            for (int64_t i = 0; i < d->h_out * d->w_out; i++) ys[i] = b ? term(b[o], 1, absolute) : 0;
            for (int64_t c = 0; c < c_group; c++) {
                const double *xs = x + (n * d->c_in + o / o_group * c_group + c) * d->h * d->w;
                const double *ws = w + (o * c_group + c) * d->kh * d->kw;
                for (int64_t p = 0; p < d->kh; p++)
                    for (int64_t q = 0; q < d->kw; q++) {
                        const range rows = inside(d->h_out, d->h, d->stride, d->pad_h, p);
                        const range cols = inside(d->w_out, d->w, d->stride, d->pad_w, q);
                        for (int64_t i = rows.lo; i < rows.hi; i++) {
                            const double *x_row = xs + (i * d->stride - d->pad_h + p) * d->w - d->pad_w + q;
                            for (int64_t j = cols.lo; j < cols.hi; j++)
                                ys[i * d->w_out + j] += term(ws[p * d->kw + q], x_row[j * d->stride], absolute);
                        }
                    }
            }
        }
}

/* dx and dw together: the same walk as output(), collected at the other two factors. */
static void gradients(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                      const hkd_conv2d_dims *d, bool absolute) {
    const int64_t c_group = d->c_in / d->groups, o_group = d->c_out / d->groups;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t o = 0; o < d->c_out; o++) {
            const double *dys = dy + (n * d->c_out + o) * d->h_out * d->w_out;
            if (db)
                for (int64_t i = 0; i < d->h_out * d->w_out; i++) db[o] += term(dys[i], 1, absolute);
            for (int64_t c = 0; c < c_group; c++) {
                const int64_t x_start = (n * d->c_in + o / o_group * c_group + c) * d->h * d->w;
                const int64_t w_start = (o * c_group + c) * d->kh * d->kw;
                for (int64_t p = 0; p < d->kh; p++)
                    for (int64_t q = 0; q < d->kw; q++) {
                        const range rows = inside(d->h_out, d->h, d->stride, d->pad_h, p);
                        const range cols = inside(d->w_out, d->w, d->stride, d->pad_w, q);
                        const int64_t tap = w_start + p * d->kw + q;
                        double sum = 0;
                        for (int64_t i = rows.lo; i < rows.hi; i++) {
                            const int64_t x_row = x_start + (i * d->stride - d->pad_h + p) * d->w - d->pad_w + q;
                            const double *dy_row = dys + i * d->w_out;
                            if (dx)
                                for (int64_t j = cols.lo; j < cols.hi; j++)
                                    dx[x_row + j * d->stride] += term(w[tap], dy_row[j], absolute);
                            if (dw)
                                for (int64_t j = cols.lo; j < cols.hi; j++)
                                    sum += term(x[x_row + j * d->stride], dy_row[j], absolute);
                        }
                        if (dw) dw[tap] += sum;
                    }
            }
        }
}

void hkd_ref_conv2d(double *y, const double *x, const double *w, const double *b, const hkd_conv2d_dims *d) {
    output(y, x, w, b, d, false);
}

void hkd_ref_conv2d_grad(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                         const hkd_conv2d_dims *d) {
    gradients(dx, dw, db, dy, x, w, d, false);
}

static void times(double *e, int64_t count, double factor) {
    for (int64_t i = 0; e && i < count; i++) e[i] *= factor;
}

void hkd_ref_conv2d_bound(double *ey, double *edx, double *edw, double *edb, const double *dy, const double *x,
                          const double *w, const double *b, const hkd_conv2d_dims *d, hkd_kappa_rule kappa) {
    const int64_t taps = d->kh * d->kw, weights = d->c_out * (d->c_in / d->groups) * taps;
    const int64_t inputs = d->n * d->c_in * d->h * d->w, pixels = d->h_out * d->w_out;
    if (ey) {
        output(ey, x, w, b, d, true);
        times(ey, d->n * d->c_out * pixels, hkd_kappa(kappa, (double)(d->c_in / d->groups * taps + 1)));
    }
    times(edx, inputs, 0);
    times(edw, weights, 0);
    times(edb, d->c_out, 0);
    if (edx || edw || edb) gradients(edx, edw, edb, dy, x, w, d, true);
    times(edx, inputs, hkd_kappa(kappa, (double)(d->c_out / d->groups * taps)));
    times(edw, weights, hkd_kappa(kappa, (double)(d->n * pixels)));
    times(edb, d->c_out, hkd_kappa(kappa, (double)(d->n * pixels)));
}

/* ---- the row ---- */

enum { X, W, B };
enum { STRIDE, PAD_H, PAD_W, GROUPS };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[X].dim, *w = in[W].dim, groups = (int64_t)p[GROUPS], stride = (int64_t)p[STRIDE];
    if (in[X].rank != 4 || in[W].rank != 4) return "x must be [n, c_in, h, w] and w [c_out, c_in/groups, kh, kw]";
    if (stride < 1 || groups < 1 || p[PAD_H] < 0 || p[PAD_W] < 0 || w[2] < 1 || w[3] < 1)
        return "stride, groups and kernel must be at least 1, padding at least 0";
    if (x[1] != groups * w[1] || w[0] % groups) return "channels of x, w and groups do not fit together";
    if (in[B].rank >= 0 && (in[B].rank != 1 || in[B].dim[0] != w[0])) return "b must be [c_out]";
    const int64_t h = x[2] + 2 * (int64_t)p[PAD_H] - w[2], v = x[3] + 2 * (int64_t)p[PAD_W] - w[3];
    if (h < 0 || v < 0) return "the kernel is larger than the padded picture";
    out[0] = hkd_shape_of(4, x[0], w[0], h / stride + 1, v / stride + 1);
    return NULL;
}

static hkd_conv2d_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[X].dim, *w = c->in_shape[W].dim, *y = c->out_shape[0].dim;
    return (hkd_conv2d_dims){x[0], x[1], x[2], x[3], w[0], w[2], w[3], (int64_t)c->p[STRIDE],
                             (int64_t)c->p[PAD_H], (int64_t)c->p[PAD_W], (int64_t)c->p[GROUPS], y[2], y[3]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_conv2d_dims d = dims(c);
    hkd_ref_conv2d(c->out[0], c->in[X], c->in[W], c->in[B], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_conv2d_dims d = dims(c);
    hkd_ref_conv2d_grad(c->grad[X], c->grad[W], c->grad[B], c->up[0], c->in[X], c->in[W], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_conv2d_dims d = dims(c);
    hkd_ref_conv2d_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[W], c->grad_bound[B], c->up[0], c->in[X],
                         c->in[W], c->in[B], &d, c->kappa);
}

const hkd_op hkd_op_conv2d = {
    .name = "conv2d",
    .formula = "y = b + w * x (cross-correlation)",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"x", "w", "?b"},
    .out = {"y"},
    .param = {{"stride", 'i', 1}, {"pad_h", 'i', 0}, {"pad_w", 'i', 0}, {"groups", 'i', 1}},
    .reads_in = 1 << X | 1 << W,
    .weights = 1 << W | 1 << B,
    .rows = 1 << W | 1 << B,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
