/* channel_norm - every pixel's vector of channels, divided by its length.
 *
 *   y[n,c,s] = x[n,c,s] / q,      q = r + eps,      r = sqrt(sum over c of x[n,c,s]^2)
 *
 * Gradient. dy_c / q from the numerator; through q, with dr/dx_c = x_c / r and p = sum over k of dy_k x_k:
 *   dx_c = (dy_c - (x_c / r) (p / q)) / q.
 * At x = 0 the gradient of the length is 0 by convention, so dx = dy / q there.
 *
 * Stability. eps is added to the length, not to its square, so squares that underflow (|x| < 1e-19) do not matter beside it.
 *
 * Bound. E(sum x^2) = kappa(C) sum x^2,  E(p) = kappa(C) sum |dy x|; the rest is running error, term by term.
 *
 * Source: LPIPS (Zhang et al. 2018), eps = 1e-10.
 */
#include "bounded.h"
#include "op.h"

#include <math.h>

/* Length of the vector at x, its channels `area` apart. */
static double length(const double *x, const hkd_channel_norm_dims *d) {
    double sum = 0;
    for (int64_t c = 0; c < d->c; c++) sum += x[c * d->area] * x[c * d->area];
    return sqrt(sum);
}

static double inner(const double *a, const double *b, const hkd_channel_norm_dims *d, bool absolute) {
    double sum = 0;
    for (int64_t c = 0; c < d->c; c++) {
        const double term = a[c * d->area] * b[c * d->area];
        sum += absolute ? fabs(term) : term;
    }
    return sum;
}

void hkd_ref_channel_norm(double *y, const double *x, const hkd_channel_norm_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t s = 0; s < d->area; s++) {
            const int64_t at = n * d->c * d->area + s;
            const double q = length(x + at, d) + d->eps;
            for (int64_t c = 0; c < d->c; c++) y[at + c * d->area] = x[at + c * d->area] / q;
        }
}

void hkd_ref_channel_norm_grad(double *dx, const double *dy, const double *x, const hkd_channel_norm_dims *d) {
    for (int64_t n = 0; dx && n < d->n; n++)
        for (int64_t s = 0; s < d->area; s++) {
            const int64_t at = n * d->c * d->area + s;
            const double r = length(x + at, d), q = r + d->eps, p = inner(dy + at, x + at, d, false);
            for (int64_t c = at; c < at + d->c * d->area; c += d->area) dx[c] += (dy[c] - (r > 0 ? x[c] / r * (p / q) : 0)) / q;
        }
}

void hkd_ref_channel_norm_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_channel_norm_dims *d,
                                hkd_kappa_rule kappa) {
    const double k = hkd_kappa(kappa, (double)d->c);
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t s = 0; s < d->area; s++) {
            const int64_t at = n * d->c * d->area + s;
            const double l = length(x + at, d);
            const hkd_bounded r = {l, (k / 2 + HKD_C_SQRT) * l}; /* sqrt halves the relative error of the sum */
            const hkd_bounded q = hkd_sum2(r, (hkd_bounded){d->eps, d->eps});
            for (int64_t c = at; ey && c < at + d->c * d->area; c += d->area) ey[c] = hkd_quotient(hkd_exactly(x[c]), q).e;
            if (!edx) continue;
            const hkd_bounded p = {inner(dy + at, x + at, d, false), k * inner(dy + at, x + at, d, true)};
            for (int64_t c = at; c < at + d->c * d->area; c += d->area) {
                const hkd_bounded unit = l > 0 ? hkd_quotient(hkd_exactly(x[c]), r) : hkd_exactly(0);
                const hkd_bounded through = hkd_product(unit, hkd_quotient(p, q));
                edx[c] = hkd_quotient(hkd_sum2(hkd_exactly(dy[c]), hkd_negative(through)), q).e;
            }
        }
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank != 4) return "x must be [n, c, h, w]";
    if (!(p[0] > 0)) return "eps must be positive";
    out[0] = in[0];
    return NULL;
}

static hkd_channel_norm_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[0].dim;
    return (hkd_channel_norm_dims){x[0], x[1], x[2] * x[3], c->p[0]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_channel_norm_dims d = dims(c);
    hkd_ref_channel_norm(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_channel_norm_dims d = dims(c);
    hkd_ref_channel_norm_grad(c->grad[0], c->up[0], c->in[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_channel_norm_dims d = dims(c);
    hkd_ref_channel_norm_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_channel_norm = {
    .name = "channel_norm",
    .formula = "y = x / (|x| + eps), |x| over the channels of a pixel",
    .source = "LPIPS (Zhang et al. 2018)",
    .in = {"x"},
    .out = {"y"},
    .param = {{"eps", 'r', 1e-10}},
    .reads_in = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "lengths are irrational",
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
