/* pseudo_huber_loss - a distance that is quadratic near 0 and linear far away.
 *
 *   l[n] = sqrt(|x[n] - y[n]|^2 + c^2) - c,   |.| the Euclidean norm of a sample
 *
 * Gradient. dl/dx = (x - y) / sqrt(|x - y|^2 + c^2), and dl/dy is its negative: smooth at x = y, never longer than 1.
 *
 * Stability. Evaluated as S / (sqrt(S + c^2) + c), S = |x - y|^2, which does not cancel when S is small.
 *
 * Bound. That of the formula as it stands, difference included, so a port may write it so: E(S) = (kappa(size) + 3) S, then a
 * sum, a root and a difference. In the gradient the factor dl / root, the difference x - y and their product.
 *
 * Source: Charbonnier et al. 1997; improved consistency training (Song & Dhariwal 2024), Eq. 7; ECT (Geng et al. 2025).
 */
#include "bounded.h"
#include "op.h"

static hkd_bounded root(hkd_bounded s, double c) { return hkd_root(hkd_sum2(s, (hkd_bounded){c * c, c * c})); }

static hkd_bounded loss(hkd_bounded s, double c) {
    const hkd_bounded r = root(s, c);
    return (hkd_bounded){s.v / (r.v + c), hkd_sum2(r, (hkd_bounded){-c, c}).e};
}

void hkd_ref_pseudo_huber_loss(double *l, const double *x, const double *y, double c, int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, HKD_KAPPA_EXACT);
        l[k] = loss(s, c).v;
    }
}

void hkd_ref_pseudo_huber_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y,
                                    double c, int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, HKD_KAPPA_EXACT);
        const double factor = dl[k] / root(s, c).v;
        for (int64_t i = k * size; i < (k + 1) * size; i++) {
            if (dx) dx[i] += factor * (x[i] - y[i]);
            if (dy) dy[i] -= factor * (x[i] - y[i]);
        }
    }
}

void hkd_ref_pseudo_huber_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                                     double c, int64_t n, int64_t size, hkd_kappa_rule kappa) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, kappa);
        if (el) el[k] = loss(s, c).e;
        if (!dl) continue;
        const hkd_bounded factor = hkd_product(hkd_exactly(dl[k]), hkd_quotient(hkd_exactly(1), root(s, c)));
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
    if (!(p[0] > 0)) return "c must be positive (c = 0 is l2_norm_loss)";
    out[0] = hkd_shape_of(1, in[X].dim[0]);
    return NULL;
}

static int64_t size_of(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0];
    return n ? hkd_count(&c->in_shape[X]) / n : 0;
}

static void forward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_pseudo_huber_loss(c->out[0], c->in[X], c->in[Y], c->p[0], n, size);
}

static void backward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_pseudo_huber_loss_grad(c->grad[X], c->grad[Y], c->up[0], c->in[X], c->in[Y], c->p[0], n, size);
}

static void bound(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_pseudo_huber_loss_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[Y], c->up[0], c->in[X], c->in[Y],
                                    c->p[0], n, size, c->kappa);
}

const hkd_op hkd_op_pseudo_huber_loss = {
    .name = "pseudo_huber_loss",
    .formula = "l = sqrt(|x - y|^2 + c^2) - c per sample",
    .source = "Song & Dhariwal 2024, Eq. 7",
    .in = {"x", "y"},
    .out = {"l"},
    .param = {{"c", 'r', 0.03}},
    .reads_in = 1 << X | 1 << Y,
    .not_exact = "square root",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
