/* gelu - a number times the probability that a unit normal lies below it (the exact form, not the tanh approximation).
 *
 *   y = x P(x),    P(x) = (1 + erf(x / sqrt 2)) / 2 = erfc(-x / sqrt 2) / 2
 *
 * Gradient. P' is the normal density p(x) = exp(-x^2/2) / sqrt(2 pi), so dx = dy (P + x p).
 *
 * Stability. erfc keeps P exact for x << 0, where 1 + erf cancels; the bound allows float32 that cancellation, because the form
 * with erf is what everybody computes.
 *
 * Bound. v = x / sqrt 2 with E(v) = 2 |v|;  E(erf) = 2/sqrt(pi) exp(-v^2) E(v) + C_ERF |erf|;  then a sum with 1, an exact
 * half and a product. q = x^2/2 with E(q) = 2 q, and E(p) = p (2 q + C_EXP + 2) + underflow.
 *
 * Source: Hendrycks & Gimpel 2016.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

static const double SQRT_HALF = 0.70710678118654752440, DENSITY_AT_0 = 0.39894228040143267794; /* 1/sqrt(2 pi) */

static double below(double x) { return hkd_erfc(-SQRT_HALF * x) / 2; }
static double density(double x) { return DENSITY_AT_0 * hkd_exp(-x * x / 2); }

void hkd_ref_gelu(double *y, const double *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] * below(x[i]);
}

void hkd_ref_gelu_grad(double *dx, const double *dy, const double *x, int64_t count) {
    for (int64_t i = 0; dx && i < count; i++) dx[i] += dy[i] * (below(x[i]) + x[i] * density(x[i]));
}

void hkd_ref_gelu_bound(double *ey, double *edx, const double *dy, const double *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const double v = SQRT_HALF * x[i], q = x[i] * x[i] / 2, d = density(x[i]);
        const hkd_bounded erf = hkd_function(hkd_erf(v), d / DENSITY_AT_0 * 1.12837916709551257390 /* 2/sqrt(pi) */,
                                             (hkd_bounded){v, 2 * fabs(v)}, HKD_C_ERF);
        const hkd_bounded p = {below(x[i]), hkd_sum2(hkd_exactly(1), erf).e / 2};
        const hkd_bounded bell = {d, d * (2 * q + HKD_C_EXP + 2) + HKD_UNDERFLOW}, at = hkd_exactly(x[i]);
        if (ey) ey[i] = hkd_product(at, p).e;
        if (edx) edx[i] = hkd_product(hkd_exactly(dy[i]), hkd_sum2(p, hkd_product(at, bell))).e;
    }
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_gelu(c->out[0], c->in[0], hkd_count(&c->in_shape[0])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_gelu_grad(c->grad[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_gelu_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], hkd_count(&c->in_shape[0]));
}

const hkd_op hkd_op_gelu = {
    .name = "gelu",
    .formula = "y = x (1 + erf(x / sqrt 2)) / 2",
    .source = "Hendrycks & Gimpel 2016",
    .in = {"x"},
    .out = {"y"},
    .reads_in = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "erf of anything but 0 is irrational",
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
