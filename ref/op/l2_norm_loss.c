/* l2_norm_loss - Euclidean distance of each sample, not squared.
 *
 *   l[n] = |x[n] - y[n]| = sqrt(S),   S = sum over i of (x[n,i] - y[n,i])^2
 *
 * Gradient. dl/dx = (x - y) / |x - y|, a unit vector, and dl/dy its negative. At x = y it is defined as 0.
 *
 * Bound. E(S) = (kappa(size) + 3) S, then one root. In the gradient the factor dl / root, the difference and their product.
 *
 * Source: ECT (Geng et al. 2025), its metric with c = 0.
 */
#include "bounded.h"
#include "op.h"

/* The factor of (x - y) in the gradient. */
static hkd_bounded slope(hkd_bounded s) { return s.v > 0 ? hkd_quotient(hkd_exactly(1), hkd_root(s)) : hkd_exactly(0); }

void hkd_ref_l2_norm_loss(double *l, const double *x, const double *y, int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, HKD_KAPPA_EXACT);
        l[k] = hkd_root(s).v;
    }
}

void hkd_ref_l2_norm_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y,
                               int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, HKD_KAPPA_EXACT);
        const double factor = dl[k] * slope(s).v;
        for (int64_t i = k * size; i < (k + 1) * size; i++) {
            if (dx) dx[i] += factor * (x[i] - y[i]);
            if (dy) dy[i] -= factor * (x[i] - y[i]);
        }
    }
}

void hkd_ref_l2_norm_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                                int64_t n, int64_t size, hkd_kappa_rule kappa) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, kappa);
        if (el) el[k] = hkd_root(s).e;
        if (!dl) continue;
        const hkd_bounded factor = hkd_product(hkd_exactly(dl[k]), slope(s));
        for (int64_t i = k * size; i < (k + 1) * size; i++) {
            const double e = hkd_product(factor, (hkd_bounded){x[i] - y[i], fabs(x[i] - y[i])}).e;
            if (edx) edx[i] = e;
            if (edy) edy[i] = e;
        }
    }
}

/* ---- the row ---- */

enum { X, Y };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[X].rank < 1 || !hkd_same_shape(&in[X], &in[Y])) return "x and y must be [n, ...] of one shape";
    (void)p;
    out[0] = hkd_shape_of(1, in[X].dim[0]);
    return NULL;
}

static int64_t size_of(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0];
    return n ? hkd_count(&c->in_shape[X]) / n : 0;
}

static void forward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_l2_norm_loss(c->out[0], c->in[X], c->in[Y], n, size);
}

static void backward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_l2_norm_loss_grad(c->grad[X], c->grad[Y], c->up[0], c->in[X], c->in[Y], n, size);
}

static void bound(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_l2_norm_loss_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[Y], c->up[0], c->in[X], c->in[Y],
                               n, size, c->kappa);
}

const hkd_op hkd_op_l2_norm_loss = {
    .name = "l2_norm_loss",
    .formula = "l = |x - y| per sample",
    .source = "ECT (Geng et al. 2025)",
    .in = {"x", "y"},
    .out = {"l"},
    .reads_in = 1 << X | 1 << Y,
    .not_exact = "square root",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
