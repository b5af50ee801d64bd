/* silu - the smooth gate, also called swish.
 *
 *   y = x s(x),    s(x) = 1 / (1 + exp(-x))
 *
 * Gradient. s' = s (1 - s), so dx = dy (s + x s (1 - s)).
 *
 * Stability. For x << 0 the quotient exp(x) / (1 + exp(x)) is the same number and never overflows; float32 needs it below
 * x = -88, where exp(-x) is beyond its range and s(x) is not yet 0.
 *
 * Bound. Either form takes e = exp(-|x|) with E(e) = C_EXP e + one underflow, and divides by 1 + e or takes e / (1 + e):
 *   E(s) = s (C_EXP + 1 + C_DIV) + underflow,     E(1 - s) = E(s) + 1 (it may be formed by subtraction),
 * and y and dx are products and sums of these.
 *
 * Source: Elfwing et al. 2017; Ramachandran et al. 2017.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

#include <math.h>

static double sigmoid(double x) {
    const double e = hkd_exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

void hkd_ref_silu(double *y, const double *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] * sigmoid(x[i]);
}

void hkd_ref_silu_grad(double *dx, const double *dy, const double *x, int64_t count) {
    for (int64_t i = 0; dx && i < count; i++) {
        const double s = sigmoid(x[i]);
        dx[i] += dy[i] * (s + x[i] * s * (1 - s));
    }
}

void hkd_ref_silu_bound(double *ey, double *edx, const double *dy, const double *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const double v = sigmoid(x[i]);
        const hkd_bounded s = {v, v * (HKD_C_EXP + 1 + HKD_C_DIV) + HKD_UNDERFLOW}, rest = {1 - v, s.e + 1};
        const hkd_bounded y = hkd_product(hkd_exactly(x[i]), s);
        if (ey) ey[i] = y.e;
        if (edx) edx[i] = hkd_product(hkd_exactly(dy[i]), hkd_sum2(s, hkd_product(y, rest))).e;
    }
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_silu(c->out[0], c->in[0], hkd_count(&c->in_shape[0])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_silu_grad(c->grad[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_silu_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]));
}

const hkd_op hkd_op_silu = {
    .name = "silu",
    .formula = "y = x / (1 + exp(-x))",
    .source = "Elfwing et al. 2017",
    .in = {"x"},
    .out = {"y"},
    .reads_in = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "exp of anything but 0 is irrational",
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
