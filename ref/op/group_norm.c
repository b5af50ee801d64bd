/* group_norm - every group of channels of every sample brought to mean 0 and variance 1, then scaled and shifted by channel.
 *
 *   mean = 1/m sum x,   var = 1/m sum (x - mean)^2,   h = (x - mean) r,  r = 1/sqrt(var + eps),   y = gamma[c] h + beta[c]
 *
 * over the m = (c/groups) area elements of one group of one sample. The variance is the biased one (divided by m).
 *
 * Gradient. With g = gamma dy the gradient that reaches h, dgamma[c] = sum dy h and dbeta[c] = sum dy over n and positions.
 * h depends on x three ways: directly (r g), through the mean (-r sum g / m), and through r: dr/dx = -r^3 (x - mean) / m,
 * which gives -r h sum(g h) / m. Together
 *   dx = r (g - 1/m sum g - h 1/m sum (g h)).
 * dx is orthogonal to 1, and (but for eps) to h: adding to or scaling x changes nothing.
 *
 * Stability. The variance is taken in a second pass around the mean; mean(x^2) - mean^2 would lose everything when the
 * mean is large beside the deviation, and is outside of the bound.
 *
 * Bound. E(mean) = kappa(m) mean|x| + C_DIV |mean|. An error of the mean shifts all deviations alike; sum (x - mean) = 0
 * makes its first-order effect on the variance vanish and leaves u E(mean)^2, which decides when the variance is tiny:
 *   E(var) = (kappa(m) + 3 + C_DIV) var + u E(mean)^2,      E(r) = r/2 E(var + eps) / (var + eps) + (C_SQRT + C_DIV) r
 * (1/sqrt is convex, so this also covers errors as large as var + eps). The rest is sums and products of bounded values.
 *
 * Source: Wu & He 2018, "Group Normalization"; EDM spec: eps 1e-6, min(32, c/4) groups.
 */
#include "bounded.h"
#include "op.h"

#include <math.h>

typedef struct {
    hkd_bounded mean, r;
} statistics;

static statistics statistics_of(const double *x, int64_t m, double eps, hkd_kappa_rule rule) {
    const double kappa = hkd_kappa(rule, (double)m);
    double sum = 0, size = 0, squares = 0;
    for (int64_t i = 0; i < m; i++) {
        sum += x[i];
        size += fabs(x[i]);
    }
    const double mean = sum / (double)m, e_mean = kappa * size / (double)m + HKD_C_DIV * fabs(mean);
    for (int64_t i = 0; i < m; i++) squares += (x[i] - mean) * (x[i] - mean);
    const double var = squares / (double)m, e_var = (kappa + 3 + HKD_C_DIV) * var + HKD_U * e_mean * e_mean;
    const hkd_bounded shifted = hkd_sum2((hkd_bounded){var, e_var}, (hkd_bounded){eps, eps});
    const double r = 1 / sqrt(shifted.v);
    return (statistics){{mean, e_mean}, hkd_function(r, r / 2 / shifted.v, shifted, HKD_C_SQRT + HKD_C_DIV)};
}

/* Elements of one group of one sample: they lie side by side. */
static int64_t group_size(const hkd_group_norm_dims *d) { return d->c / d->groups * d->area; }

/* Channel of element i of group s, where s counts the groups of all samples. */
static int64_t channel(const hkd_group_norm_dims *d, int64_t s, int64_t i) {
    return s % d->groups * (d->c / d->groups) + i / d->area;
}

void hkd_ref_group_norm(double *y, const double *x, const double *gamma, const double *beta, const hkd_group_norm_dims *d) {
    const int64_t m = group_size(d);
    for (int64_t s = 0; s < d->n * d->groups; s++) {
        const statistics z = statistics_of(x + s * m, m, d->eps, HKD_KAPPA_EXACT);
        for (int64_t i = 0; i < m; i++) {
            const int64_t c = channel(d, s, i);
            y[s * m + i] = gamma[c] * ((x[s * m + i] - z.mean.v) * z.r.v) + beta[c];
        }
    }
}

void hkd_ref_group_norm_grad(double *dx, double *dgamma, double *dbeta, const double *dy, const double *x,
                             const double *gamma, const hkd_group_norm_dims *d) {
    const int64_t m = group_size(d);
    for (int64_t s = 0; s < d->n * d->groups; s++) {
        const double *xs = x + s * m, *dys = dy + s * m;
        const statistics z = statistics_of(xs, m, d->eps, HKD_KAPPA_EXACT);
        double sum_g = 0, sum_gh = 0;
        for (int64_t i = 0; i < m; i++) {
            const int64_t c = channel(d, s, i);
            const double h = (xs[i] - z.mean.v) * z.r.v;
            sum_g += gamma[c] * dys[i];
            sum_gh += gamma[c] * dys[i] * h;
            if (dgamma) dgamma[c] += dys[i] * h;
            if (dbeta) dbeta[c] += dys[i];
        }
        for (int64_t i = 0; dx && i < m; i++) {
            const double g = gamma[channel(d, s, i)] * dys[i], h = (xs[i] - z.mean.v) * z.r.v;
            dx[s * m + i] += z.r.v * (g - sum_g / (double)m - h * (sum_gh / (double)m));
        }
    }
}

static hkd_bounded normalised(double x, const statistics *z) {
    return hkd_product(hkd_sum2(hkd_exactly(x), hkd_negative(z->mean)), z->r);
}

/* One more term of a sum whose length gives kappa. */
static void add(hkd_bounded *sum, hkd_bounded term, double kappa) {
    sum->v += term.v;
    sum->e += kappa * fabs(term.v) + term.e;
}

void hkd_ref_group_norm_bound(double *ey, double *edx, double *edgamma, double *edbeta, const double *dy, const double *x,
                              const double *gamma, const double *beta, const hkd_group_norm_dims *d, hkd_kappa_rule rule) {
    const int64_t m = group_size(d);
    const double kappa = hkd_kappa(rule, (double)m), c_kappa = hkd_kappa(rule, (double)(d->n * d->area));
    const hkd_bounded count = hkd_exactly((double)m);
    for (int64_t c = 0; edgamma && c < d->c; c++) edgamma[c] = 0;
    for (int64_t c = 0; edbeta && c < d->c; c++) edbeta[c] = 0;
    for (int64_t s = 0; s < d->n * d->groups; s++) {
        const double *xs = x + s * m;
        const statistics z = statistics_of(xs, m, d->eps, rule);
        for (int64_t i = 0; ey && i < m; i++) {
            const int64_t c = channel(d, s, i);
            const hkd_bounded scaled = hkd_product(hkd_exactly(gamma[c]), normalised(xs[i], &z));
            ey[s * m + i] = hkd_sum2(scaled, hkd_exactly(beta[c])).e;
        }
        if (!dy) continue;
        hkd_bounded sum_g = {0, 0}, sum_gh = {0, 0};
        for (int64_t i = 0; i < m; i++) {
            const int64_t c = channel(d, s, i);
            const hkd_bounded h = normalised(xs[i], &z), up = hkd_exactly(dy[s * m + i]);
            const hkd_bounded g = hkd_product(hkd_exactly(gamma[c]), up), to_gamma = hkd_product(up, h);
            add(&sum_g, g, kappa);
            add(&sum_gh, hkd_product(g, h), kappa);
            if (edgamma) edgamma[c] += c_kappa * fabs(to_gamma.v) + to_gamma.e;
            if (edbeta) edbeta[c] += c_kappa * fabs(up.v);
        }
        const hkd_bounded mean_g = hkd_quotient(sum_g, count), mean_gh = hkd_quotient(sum_gh, count);
        for (int64_t i = 0; edx && i < m; i++) {
            const hkd_bounded g = hkd_product(hkd_exactly(gamma[channel(d, s, i)]), hkd_exactly(dy[s * m + i]));
            const hkd_bounded across = hkd_product(normalised(xs[i], &z), mean_gh);
            const hkd_bounded left = hkd_sum2(hkd_sum2(g, hkd_negative(mean_g)), hkd_negative(across));
            edx[s * m + i] = hkd_product(z.r, left).e;
        }
    }
}

/* ---- the row ---- */

enum { X, GAMMA, BETA };
enum { GROUPS, EPS };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t c = in[X].rank == 2 || in[X].rank == 4 ? in[X].dim[1] : -1;
    if (c < 0 || in[GAMMA].rank != 1 || in[BETA].rank != 1) return "x must be [n, c, h, w] or [n, c], gamma and beta [c]";
    if (in[GAMMA].dim[0] != c || in[BETA].dim[0] != c) return "gamma and beta must have one value per channel of x";
    if (p[GROUPS] < 1 || c % (int64_t)p[GROUPS]) return "groups must divide the number of channels";
    if (!(p[EPS] >= 0)) return "eps must not be negative";
    out[0] = in[X];
    return NULL;
}

static hkd_group_norm_dims dims(const hkd_ref_call *c) {
    const hkd_shape *x = &c->in_shape[X];
    const int64_t area = x->rank == 4 ? x->dim[2] * x->dim[3] : 1;
    return (hkd_group_norm_dims){x->dim[0], x->dim[1], area, (int64_t)c->p[GROUPS], c->p[EPS]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_group_norm_dims d = dims(c);
    hkd_ref_group_norm(c->out[0], c->in[X], c->in[GAMMA], c->in[BETA], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_group_norm_dims d = dims(c);
    hkd_ref_group_norm_grad(c->grad[X], c->grad[GAMMA], c->grad[BETA], c->up[0], c->in[X], c->in[GAMMA], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_group_norm_dims d = dims(c);
    hkd_ref_group_norm_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[GAMMA], c->grad_bound[BETA], c->up[0], c->in[X],
                             c->in[GAMMA], c->in[BETA], &d, c->kappa);
}

const hkd_op hkd_op_group_norm = {
    .name = "group_norm",
    .formula = "y = gamma (x - mean) / sqrt(var + eps) + beta, per sample and group of channels",
    .source = "Wu & He 2018; EDM (Karras et al. 2022), network",
    .in = {"x", "gamma", "beta"},
    .out = {"y"},
    .param = {{"groups", 'i', 32}, {"eps", 'r', 1e-6}},
    .reads_in = 1 << X | 1 << GAMMA,
    .weights = 1 << GAMMA | 1 << BETA,
    .in_place = 1 << 0,
    .not_exact = "the reciprocal square root of var + eps is irrational but for chosen data",
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
