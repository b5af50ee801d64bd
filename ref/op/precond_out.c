/* precond_out - put the denoised picture together from the noisy one and the network's output.
 *
 *   y[n] = c_skip(sigma[n]) x[n] + c_out(sigma[n]) f[n]
 *
 *                  c_skip               c_out
 *   EDM            d^2/(sigma^2+d^2)    sigma d/sqrt(sigma^2+d^2)      d = sigma_data
 *   VP, IDDPM      1                    -sigma
 *   VE             1                    sigma
 *   DECODER_ONLY   0                    d
 * f may have more channels than x (IDDPM predicts a variance too): the first ones are used.
 *
 * Gradient. Linear in x and f: dx = c_skip dy, df = c_out dy (0 for unused channels). sigma has none.
 *
 * Bound. sigma^2, d^2 and sigma d are rounded once each; then sum, root, division, the two products and their sum.
 *
 * Source: EDM (Karras et al. 2022), Table 1; DECODER_ONLY: HKD (Bai, Ding, Zou 2025), Eq. 6 read literally.
 */
#include "bounded.h"
#include "op.h"

typedef struct {
    hkd_bounded skip, out;
} coefficients;

static coefficients coefficients_of(double sigma, hkd_precond kind, double d) {
    const hkd_bounded zero = hkd_exactly(0), one = hkd_exactly(1), s = hkd_exactly(sigma), sd = {d, d};
    switch (kind) {
    case HKD_PRECOND_VP:
    case HKD_PRECOND_IDDPM: return (coefficients){one, hkd_negative(s)};
    case HKD_PRECOND_VE: return (coefficients){one, s};
    case HKD_PRECOND_DECODER_ONLY: return (coefficients){zero, sd};
    case HKD_PRECOND_EDM: break;
    }
    const hkd_bounded s2 = {sigma * sigma, sigma * sigma}, d2 = {d * d, d * d}, sum = hkd_sum2(s2, d2);
    return (coefficients){hkd_quotient(d2, sum), hkd_quotient(hkd_product(s, sd), hkd_root(sum))};
}

void hkd_ref_precond_out(double *y, const double *x, const double *f, const double *sigma, const hkd_precond_dims *d) {
    for (int64_t n = 0; n < d->n; n++) {
        const coefficients c = coefficients_of(sigma[n], d->kind, d->sigma_data);
        for (int64_t i = 0; i < d->size; i++)
            y[n * d->size + i] = c.skip.v * x[n * d->size + i] + c.out.v * f[n * d->f_size + i];
    }
}

void hkd_ref_precond_out_grad(double *dx, double *df, const double *dy, const double *sigma, const hkd_precond_dims *d) {
    for (int64_t n = 0; n < d->n; n++) {
        const coefficients c = coefficients_of(sigma[n], d->kind, d->sigma_data);
        for (int64_t i = 0; i < d->size; i++) {
            if (dx) dx[n * d->size + i] += c.skip.v * dy[n * d->size + i];
            if (df) df[n * d->f_size + i] += c.out.v * dy[n * d->size + i];
        }
    }
}

void hkd_ref_precond_out_bound(double *ey, double *edx, double *edf, const double *dy, const double *x, const double *f,
                               const double *sigma, const hkd_precond_dims *d) {
    for (int64_t i = 0; edf && i < d->n * d->f_size; i++) edf[i] = 0;
    for (int64_t n = 0; n < d->n; n++) {
        const coefficients c = coefficients_of(sigma[n], d->kind, d->sigma_data);
        for (int64_t i = 0; i < d->size; i++) {
            const int64_t at = n * d->size + i, f_at = n * d->f_size + i;
            if (ey) ey[at] = hkd_sum2(hkd_product(c.skip, hkd_exactly(x[at])), hkd_product(c.out, hkd_exactly(f[f_at]))).e;
            if (edx) edx[at] = hkd_product(c.skip, hkd_exactly(dy[at])).e;
            if (edf) edf[f_at] = hkd_product(c.out, hkd_exactly(dy[at])).e;
        }
    }
}

/* ---- the row ---- */

enum { X, F, SIGMA };
enum { KIND, SIGMA_DATA };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const hkd_shape *x = &in[X], *f = &in[F];
    if (x->rank < 2 || in[SIGMA].rank != 1 || in[SIGMA].dim[0] != x->dim[0]) return "x must be [n, c, ...] and sigma [n]";
    if (p[KIND] < HKD_PRECOND_EDM || p[KIND] > HKD_PRECOND_DECODER_ONLY)
        return "kind must be 0 (edm), 1 (vp), 2 (ve), 3 (iddpm) or 4 (decoder_only)";
    if (!(p[SIGMA_DATA] > 0)) return "sigma_data must be positive";
    hkd_shape first = *f;
    if (p[KIND] == HKD_PRECOND_IDDPM && f->rank == x->rank && f->dim[1] > x->dim[1]) first.dim[1] = x->dim[1];
    if (!hkd_same_shape(&first, x)) return "f must have the shape of x (iddpm: it may have more channels)";
    out[0] = *x;
    return NULL;
}

static hkd_precond_dims dims(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0];
    return (hkd_precond_dims){n, n ? hkd_count(&c->in_shape[X]) / n : 0, n ? hkd_count(&c->in_shape[F]) / n : 0,
                              (hkd_precond)c->p[KIND], c->p[SIGMA_DATA]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_out(c->out[0], c->in[X], c->in[F], c->in[SIGMA], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_out_grad(c->grad[X], c->grad[F], c->up[0], c->in[SIGMA], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_out_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[F], c->up[0], c->in[X], c->in[F],
                              c->in[SIGMA], &d);
}

const hkd_op hkd_op_precond_out = {
    .name = "precond_out",
    .formula = "y = c_skip(sigma) x + c_out(sigma) f",
    .source = "EDM (Karras et al. 2022), Table 1",
    .in = {"x", "f", "sigma"},
    .out = {"y"},
    .param = {{"kind", 'i', HKD_PRECOND_EDM}, {"sigma_data", 'r', 0.5}},
    .no_grad = 1 << SIGMA,
    .reads_in = 1 << SIGMA,
    .in_place = 1 << 0,
    .not_exact = "c_skip is a quotient and c_out a square root",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
