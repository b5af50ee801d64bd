/* sum_squares - the square of the Euclidean norm of an array; gradients are clipped and watched by it.
 *
 *   y = sum over i of x[i]^2
 *
 * Gradient. dx[i] = 2 x[i] dy.
 *
 * Bound. A sum of n products: E(y) = kappa(n) y + y, the last for the rounding of each square.
 * dx is one product with 2 x exact: E(dx) = |dx|.
 *
 * Source: global gradient norm of Pascanu et al. 2013.
 */
#include "op.h"

#include <math.h>

void hkd_ref_sum_squares(double *y, const double *x, int64_t n) {
    y[0] = 0;
    for (int64_t i = 0; i < n; i++) y[0] += x[i] * x[i];
}

void hkd_ref_sum_squares_grad(double *dx, const double *dy, const double *x, int64_t n) {
    for (int64_t i = 0; dx && i < n; i++) dx[i] += 2 * x[i] * dy[0];
}

void hkd_ref_sum_squares_bound(double *ey, double *edx, const double *dy, const double *x, int64_t n, hkd_kappa_rule kappa) {
    if (ey) {
        hkd_ref_sum_squares(ey, x, n);
        ey[0] *= kappa == HKD_KAPPA_EXACT ? 0 : hkd_kappa(kappa, (double)n) + 1;
    }
    for (int64_t i = 0; edx && i < n; i++) edx[i] = kappa == HKD_KAPPA_EXACT ? 0 : fabs(2 * x[i] * dy[0]);
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)in, (void)p;
    out[0] = hkd_shape_of(1, (int64_t)1);
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_sum_squares(c->out[0], c->in[0], hkd_count(&c->in_shape[0])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_sum_squares_grad(c->grad[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_sum_squares_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]), c->kappa);
}

const hkd_op hkd_op_sum_squares = {
    .name = "sum_squares",
    .formula = "y = sum of x^2",
    .source = "Pascanu et al. 2013 (gradient norm)",
    .in = {"x"},
    .out = {"y"},
    .reads_in = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
