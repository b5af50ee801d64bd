/* softmax - every row of numbers turned into positive weights that sum to 1.
 *
 *   y[n,j] = exp(x[n,j] - m) / sum_k exp(x[n,k] - m),    m = max_k x[n,k]
 *
 * Gradient. dy_j/dx_k = y_j (delta_jk - y_k), so dx_j = y_j (dy_j - sum_k y_k dy_k): backward needs only the result. The
 * gradients of a row sum to 0, since adding a number to all of x changes nothing.
 *
 * Stability. m may be any number, mathematically; the maximum keeps exp from overflowing and at least one term at 1.
 *
 * Bound. A term exp(x - m) has the relative error r = |x - m| + C_EXP. With those of the sum, weighted by y, and the division
 *   E(y) = y (r + sum_k y r + kappa(c) + C_DIV) + underflow,
 * and dx is a sum and two products of bounded values.
 *
 * Source: Bridle 1990.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

#include <math.h>

static double largest(const double *x, int64_t count) {
    double m = -INFINITY;
    for (int64_t j = 0; j < count; j++) m = fmax(m, x[j]);
    return m;
}

void hkd_ref_softmax(double *y, const double *x, int64_t n, int64_t c) {
    for (int64_t i = 0; i < n; i++, x += c, y += c) {
        const double m = largest(x, c);
        double sum = 0;
        for (int64_t j = 0; j < c; j++) sum += y[j] = hkd_exp(x[j] - m);
        for (int64_t j = 0; j < c; j++) y[j] /= sum;
    }
}

void hkd_ref_softmax_grad(double *dx, const double *dy, const double *y, int64_t n, int64_t c) {
    for (int64_t i = 0; dx && i < n; i++, dx += c, dy += c, y += c) {
        double mean = 0;
        for (int64_t j = 0; j < c; j++) mean += y[j] * dy[j];
        for (int64_t j = 0; j < c; j++) dx[j] += y[j] * (dy[j] - mean);
    }
}

/* What a row's elements share: maximum, sum of exp, and the relative error of that sum. */
typedef struct {
    double m, sum, error;
} row;

static row row_of(const double *x, int64_t c, double kappa) {
    row r = {largest(x, c), 0, 0};
    for (int64_t j = 0; j < c; j++) r.sum += hkd_exp(x[j] - r.m);
    for (int64_t j = 0; j < c; j++) r.error += hkd_exp(x[j] - r.m) / r.sum * (fabs(x[j] - r.m) + HKD_C_EXP);
    r.error += kappa;
    return r;
}

static hkd_bounded weight(double x, const row *r) {
    const double y = hkd_exp(x - r->m) / r->sum;
    return (hkd_bounded){y, y * (fabs(x - r->m) + HKD_C_EXP + r->error + HKD_C_DIV) + HKD_UNDERFLOW};
}

void hkd_ref_softmax_bound(double *ey, double *edx, const double *dy, const double *x, int64_t n, int64_t c,
                           hkd_kappa_rule rule) {
    const double kappa = hkd_kappa(rule, (double)c);
    for (int64_t i = 0; i < n; i++) {
        const row r = row_of(x + i * c, c, kappa);
        for (int64_t j = i * c; ey && j < (i + 1) * c; j++) ey[j] = weight(x[j], &r).e;
        hkd_bounded mean = {0, 0};
        for (int64_t j = i * c; edx && j < (i + 1) * c; j++) {
            const hkd_bounded term = hkd_product(weight(x[j], &r), hkd_exactly(dy[j]));
            mean.v += term.v;
            mean.e += kappa * fabs(term.v) + term.e;
        }
        for (int64_t j = i * c; edx && j < (i + 1) * c; j++)
            edx[j] = hkd_product(weight(x[j], &r), hkd_sum2(hkd_exactly(dy[j]), hkd_negative(mean))).e;
    }
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    if (in[0].rank != 2) return "x must be [n, c]";
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) {
    hkd_ref_softmax(c->out[0], c->in[0], c->out_shape[0].dim[0], c->out_shape[0].dim[1]);
}

static void backward(const hkd_ref_call *c) {
    hkd_ref_softmax_grad(c->grad[0], c->up[0], c->out[0], c->out_shape[0].dim[0], c->out_shape[0].dim[1]);
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_softmax_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], c->out_shape[0].dim[0], c->out_shape[0].dim[1],
                          c->kappa);
}

const hkd_op hkd_op_softmax = {
    .name = "softmax",
    .formula = "y = exp(x - max) / sum exp(x - max), over the last axis",
    .source = "Bridle 1990",
    .in = {"x"},
    .out = {"y"},
    .reads_out = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "exp of anything but 0 is irrational",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
