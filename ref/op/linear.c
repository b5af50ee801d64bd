/* linear - an affine map of the rows of a matrix.
 *
 *   y[n,o] = b[o] + sum over i of  w[o,i] x[n,i]
 *
 * Gradient. Every product w x that entered y[n,o] sends dy[n,o] times the other factor:
 *   dx[n,i] = sum over o of w[o,i] dy[n,o],    dw[o,i] = sum over n of dy[n,o] x[n,i],    db[o] = sum over n of dy[n,o].
 *
 * Bound. Multilinear: each result's E is kappa(number of terms) times the same sum over absolute values, for any order of
 * summation, with or without FMA. y: in + 1 terms,  dx: out,  dw and db: N.
 *
 * Source: the embedding layers of EDM's U-Net (Karras et al. 2022).
 */
#include "op.h"

#include <math.h>

static double term(double a, double b, bool absolute) { return absolute ? fabs(a * b) : a * b; }

static void output(double *y, const double *x, const double *w, const double *b, const hkd_linear_dims *d, bool absolute) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t o = 0; o < d->out; o++) {
            double sum = b ? term(b[o], 1, absolute) : 0;
            for (int64_t i = 0; i < d->in; i++) sum += term(w[o * d->in + i], x[n * d->in + i], absolute);
            y[n * d->out + o] = sum;
        }
}

static void gradients(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                      const hkd_linear_dims *d, bool absolute) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t o = 0; o < d->out; o++) {
            const double g = dy[n * d->out + o];
            if (db) db[o] += term(g, 1, absolute);
            for (int64_t i = 0; dx && i < d->in; i++) dx[n * d->in + i] += term(w[o * d->in + i], g, absolute);
            for (int64_t i = 0; dw && i < d->in; i++) dw[o * d->in + i] += term(x[n * d->in + i], g, absolute);
        }
}

void hkd_ref_linear(double *y, const double *x, const double *w, const double *b, const hkd_linear_dims *d) {
    output(y, x, w, b, d, false);
}

void hkd_ref_linear_grad(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                         const hkd_linear_dims *d) {
    gradients(dx, dw, db, dy, x, w, d, false);
}

static void times(double *e, int64_t count, double factor) {
    for (int64_t i = 0; e && i < count; i++) e[i] *= factor;
}

void hkd_ref_linear_bound(double *ey, double *edx, double *edw, double *edb, const double *dy, const double *x,
                          const double *w, const double *b, const hkd_linear_dims *d, hkd_kappa_rule kappa) {
    if (ey) output(ey, x, w, b, d, true);
    times(ey, d->n * d->out, hkd_kappa(kappa, (double)(d->in + 1)));
    times(edx, d->n * d->in, 0);
    times(edw, d->out * d->in, 0);
    times(edb, d->out, 0);
    if (edx || edw || edb) gradients(edx, edw, edb, dy, x, w, d, true);
    times(edx, d->n * d->in, hkd_kappa(kappa, (double)d->out));
    times(edw, d->out * d->in, hkd_kappa(kappa, (double)d->n));
    times(edb, d->out, hkd_kappa(kappa, (double)d->n));
}

/* ---- the row ---- */

enum { X, W, B };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    const int64_t *x = in[X].dim, *w = in[W].dim;
    if (in[X].rank != 2 || in[W].rank != 2 || x[1] != w[1]) return "x must be [n, in] and w [out, in]";
    if (in[B].rank >= 0 && (in[B].rank != 1 || in[B].dim[0] != w[0])) return "b must be [out]";
    out[0] = hkd_shape_of(2, x[0], w[0]);
    return NULL;
}

static hkd_linear_dims dims(const hkd_ref_call *c) {
    const int64_t *w = c->in_shape[W].dim;
    return (hkd_linear_dims){c->in_shape[X].dim[0], w[1], w[0]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_linear_dims d = dims(c);
    hkd_ref_linear(c->out[0], c->in[X], c->in[W], c->in[B], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_linear_dims d = dims(c);
    hkd_ref_linear_grad(c->grad[X], c->grad[W], c->grad[B], c->up[0], c->in[X], c->in[W], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_linear_dims d = dims(c);
    hkd_ref_linear_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[W], c->grad_bound[B], c->up[0], c->in[X], c->in[W],
                         c->in[B], &d, c->kappa);
}

const hkd_op hkd_op_linear = {
    .name = "linear",
    .formula = "y = x w' + b",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"x", "w", "?b"},
    .out = {"y"},
    .reads_in = 1 << X | 1 << W,
    .weights = 1 << W | 1 << B,
    .rows = 1 << W | 1 << B,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
