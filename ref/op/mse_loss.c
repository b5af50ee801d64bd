/* mse_loss - mean squared difference of each sample.
 *
 *   l[n] = 1/size sum over i of (x[n,i] - y[n,i])^2
 *
 * Gradient. dl/dx_i = 2 (x_i - y_i) / size, and dl/dy_i is its negative.
 *
 * Bound. The sum of squared differences: E(S) = (kappa(size) + 3) S; then one division. In the gradient the factor
 * 2 dl / size, the difference and their product.
 *
 * Source: HKD (Bai, Ding, Zou 2025), reconstruction loss.
 */
#include "bounded.h"
#include "op.h"

/* The loss, and the factor of (x - y) in its gradient. */
static hkd_bounded loss(hkd_bounded s, int64_t size) { return hkd_quotient(s, hkd_exactly((double)size)); }
static hkd_bounded slope(int64_t size) { return hkd_quotient(hkd_exactly(2), hkd_exactly((double)size)); }

void hkd_ref_mse_loss(double *l, const double *x, const double *y, int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, HKD_KAPPA_EXACT);
        l[k] = loss(s, size).v;
    }
}

void hkd_ref_mse_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y,
                           int64_t n, int64_t size) {
    for (int64_t k = 0; k < n; k++) {
        const double factor = dl[k] * slope(size).v;
        for (int64_t i = k * size; i < (k + 1) * size; i++) {
            if (dx) dx[i] += factor * (x[i] - y[i]);
            if (dy) dy[i] -= factor * (x[i] - y[i]);
        }
    }
}

void hkd_ref_mse_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                            int64_t n, int64_t size, hkd_kappa_rule kappa) {
    for (int64_t k = 0; k < n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * size, y + k * size, size, kappa);
        if (el) el[k] = loss(s, size).e;
        if (!dl) continue;
        const hkd_bounded factor = hkd_product(hkd_exactly(dl[k]), slope(size));
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
    if (in[X].dim[0] > 0 && hkd_count(&in[X]) == 0) return "a sample must have at least one element";
    out[0] = hkd_shape_of(1, in[X].dim[0]);
    return NULL;
}

static int64_t size_of(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0];
    return n ? hkd_count(&c->in_shape[X]) / n : 0;
}

static void forward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_mse_loss(c->out[0], c->in[X], c->in[Y], n, size);
}

static void backward(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_mse_loss_grad(c->grad[X], c->grad[Y], c->up[0], c->in[X], c->in[Y], n, size);
}

static void bound(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = size_of(c);
    hkd_ref_mse_loss_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[Y], c->up[0], c->in[X], c->in[Y],
                           n, size, c->kappa);
}

const hkd_op hkd_op_mse_loss = {
    .name = "mse_loss",
    .formula = "l = mean of (x - y)^2 over each sample",
    .source = "HKD (Bai, Ding, Zou 2025), Eq. 8",
    .in = {"x", "y"},
    .out = {"l"},
    .reads_in = 1 << X | 1 << Y,
    .not_exact = "a mean divides",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
