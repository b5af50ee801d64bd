/* batch_norm - normalisation of every channel by recorded statistics (inference).
 *
 *   y[n,c,i,j] = g (x[n,c,i,j] - mean[c]) + beta[c],       g = gamma[c] / s,   s = sqrt(var[c] + eps)
 *
 * Gradient. mean and var are constants, so y is linear in x, in gamma and in beta:
 *   dx = g dy,    dgamma[c] = sum over n, i, j of dy (x - mean) / s,    dbeta[c] = sum over n, i, j of dy.
 *
 * Bound. Running error gives g and 1/s their E. y is taken as the sum of the three terms g x, -g mean and beta, so that the
 * folded form g x + (beta - g mean) is right as well:
 *   E(y) = kappa(3) (|g x| + |g mean| + |beta|) + E(g) (|x| + |mean|),      E(dx) = |g dy| + E(g) |dy|.
 * dgamma likewise has the terms dy x / s and -dy mean / s; both sums have m = n h w pixels: kappa(m) sum |terms| + sum E(term).
 *
 * Source: Ioffe & Szegedy 2015; the FID network (Inception v3).
 */
#include "bounded.h"
#include "op.h"

#include <math.h>

void hkd_ref_batch_norm(double *y, const double *x, const double *gamma, const double *beta, const double *mean,
                        const double *var, const hkd_batch_norm_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++) {
            const double g = gamma[c] / sqrt(var[c] + d->eps);
            for (int64_t i = 0; i < d->area; i++) {
                const int64_t at = (n * d->c + c) * d->area + i;
                y[at] = g * (x[at] - mean[c]) + beta[c];
            }
        }
}

void hkd_ref_batch_norm_grad(double *dx, double *dgamma, double *dbeta, const double *dy, const double *x, const double *gamma,
                             const double *mean, const double *var, const hkd_batch_norm_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++) {
            const double s = sqrt(var[c] + d->eps);
            for (int64_t i = 0; i < d->area; i++) {
                const int64_t at = (n * d->c + c) * d->area + i;
                if (dx) dx[at] += gamma[c] / s * dy[at];
                if (dgamma) dgamma[c] += dy[at] * (x[at] - mean[c]) / s;
                if (dbeta) dbeta[c] += dy[at];
            }
        }
}

/* sqrt(var + eps); eps itself is rounded. */
static hkd_bounded deviation(double var, double eps) {
    const hkd_bounded v = hkd_sum2(hkd_exactly(var), (hkd_bounded){eps, fabs(eps)});
    return hkd_function(sqrt(v.v), 0.5 / sqrt(v.v), v, HKD_C_SQRT);
}

void hkd_ref_batch_norm_bound(double *ey, double *edx, double *edgamma, double *edbeta, const double *dy, const double *x,
                              const double *gamma, const double *beta, const double *mean, const double *var,
                              const hkd_batch_norm_dims *d, hkd_kappa_rule kappa) {
    const double three = hkd_kappa(kappa, 3), pixels = hkd_kappa(kappa, (double)(d->n * d->area));
    for (int64_t c = 0; edgamma && c < d->c; c++) edgamma[c] = 0;
    for (int64_t c = 0; edbeta && c < d->c; c++) edbeta[c] = 0;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++) {
            const hkd_bounded s = deviation(var[c], d->eps);
            const hkd_bounded g = hkd_quotient(hkd_exactly(gamma[c]), s), r = hkd_quotient(hkd_exactly(1), s);
            for (int64_t i = 0; i < d->area; i++) {
                const int64_t at = (n * d->c + c) * d->area + i;
                const double size = fabs(x[at]) + fabs(mean[c]);
                if (ey) ey[at] = three * (fabs(g.v) * size + fabs(beta[c])) + g.e * size;
                if (edx) edx[at] = fabs(g.v * dy[at]) + g.e * fabs(dy[at]);
                if (edgamma) edgamma[c] += fabs(dy[at]) * size * ((pixels + three) * fabs(r.v) + r.e);
                if (edbeta) edbeta[c] += pixels * fabs(dy[at]);
            }
        }
}

/* ---- the row ---- */

enum { X, GAMMA, BETA, MEAN, VAR };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[X].rank != 4) return "x must be [n, c, h, w]";
    for (int i = GAMMA; i <= VAR; i++)
        if (in[i].rank != 1 || in[i].dim[0] != in[X].dim[1]) return "gamma, beta, mean and var must be [c]";
    if (!(p[0] >= 0)) return "eps must not be negative";
    out[0] = in[X];
    return NULL;
}

static hkd_batch_norm_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[X].dim;
    return (hkd_batch_norm_dims){x[0], x[1], x[2] * x[3], c->p[0]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_batch_norm_dims d = dims(c);
    hkd_ref_batch_norm(c->out[0], c->in[X], c->in[GAMMA], c->in[BETA], c->in[MEAN], c->in[VAR], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_batch_norm_dims d = dims(c);
    hkd_ref_batch_norm_grad(c->grad[X], c->grad[GAMMA], c->grad[BETA], c->up[0], c->in[X], c->in[GAMMA], c->in[MEAN],
                            c->in[VAR], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_batch_norm_dims d = dims(c);
    hkd_ref_batch_norm_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[GAMMA], c->grad_bound[BETA], c->up[0], c->in[X],
                             c->in[GAMMA], c->in[BETA], c->in[MEAN], c->in[VAR], &d, c->kappa);
}

const hkd_op hkd_op_batch_norm = {
    .name = "batch_norm",
    .formula = "y = gamma (x - mean) / sqrt(var + eps) + beta, recorded mean and var",
    .source = "Ioffe & Szegedy 2015",
    .in = {"x", "gamma", "beta", "mean", "var"},
    .out = {"y"},
    .param = {{"eps", 'r', 1e-3}},
    .no_grad = 1 << MEAN | 1 << VAR,
    .reads_in = 1 << X | 1 << GAMMA | 1 << MEAN | 1 << VAR,
    .weights = 1 << GAMMA | 1 << BETA | 1 << MEAN | 1 << VAR,
    .in_place = 1 << X,
    .not_exact = "the square root of var + eps",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
