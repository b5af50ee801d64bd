/* precond_in - scale a noisy picture to unit variance before the network sees it.
 *
 *   y[n] = c_in(sigma[n]) x[n],      c_in = 1 / sqrt(sigma^2 + d^2)   EDM and DECODER_ONLY, d = sigma_data
 *                                           1 / sqrt(sigma^2 + 1)     VP and IDDPM
 *                                           1                         VE
 *
 * Gradient. Linear in x: dx = c_in dy. sigma is a constant of the training step and has none.
 *
 * Bound. sigma^2 and d^2 are rounded once each, then a sum, a square root, a division and the product with x.
 *
 * Source: EDM (Karras et al. 2022), Table 1.
 */
#include "bounded.h"
#include "op.h"

static hkd_bounded c_in(double sigma, hkd_precond kind, double sigma_data) {
    if (kind == HKD_PRECOND_VE) return hkd_exactly(1);
    const double d = kind == HKD_PRECOND_VP || kind == HKD_PRECOND_IDDPM ? 1 : sigma_data;
    const hkd_bounded s2 = {sigma * sigma, sigma * sigma}, d2 = {d * d, d * d};
    return hkd_quotient(hkd_exactly(1), hkd_root(hkd_sum2(s2, d2)));
}

void hkd_ref_precond_in(double *y, const double *x, const double *sigma, const hkd_precond_dims *d) {
    for (int64_t n = 0; n < d->n; n++) {
        const double c = c_in(sigma[n], d->kind, d->sigma_data).v;
        for (int64_t i = n * d->size; i < (n + 1) * d->size; i++) y[i] = c * x[i];
    }
}

void hkd_ref_precond_in_grad(double *dx, const double *dy, const double *sigma, const hkd_precond_dims *d) {
    for (int64_t n = 0; dx && n < d->n; n++) {
        const double c = c_in(sigma[n], d->kind, d->sigma_data).v;
        for (int64_t i = n * d->size; i < (n + 1) * d->size; i++) dx[i] += c * dy[i];
    }
}

void hkd_ref_precond_in_bound(double *ey, double *edx, const double *dy, const double *x, const double *sigma,
                              const hkd_precond_dims *d) {
    for (int64_t n = 0; n < d->n; n++) {
        const hkd_bounded c = c_in(sigma[n], d->kind, d->sigma_data);
        for (int64_t i = n * d->size; i < (n + 1) * d->size; i++) {
            if (ey) ey[i] = hkd_product(c, hkd_exactly(x[i])).e;
            if (edx) edx[i] = hkd_product(c, hkd_exactly(dy[i])).e;
        }
    }
}

/* ---- the row ---- */

enum { X, SIGMA };
enum { KIND, SIGMA_DATA };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[X].rank < 1 || in[SIGMA].rank != 1 || in[SIGMA].dim[0] != in[X].dim[0]) return "x must be [n, ...] and sigma [n]";
    if (p[KIND] < HKD_PRECOND_EDM || p[KIND] > HKD_PRECOND_DECODER_ONLY)
        return "kind must be 0 (edm), 1 (vp), 2 (ve), 3 (iddpm) or 4 (decoder_only)";
    if (!(p[SIGMA_DATA] > 0)) return "sigma_data must be positive";
    out[0] = in[X];
    return NULL;
}

static hkd_precond_dims dims(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = n ? hkd_count(&c->in_shape[X]) / n : 0;
    return (hkd_precond_dims){.n = n, .size = size, .kind = (hkd_precond)c->p[KIND], .sigma_data = c->p[SIGMA_DATA]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_in(c->out[0], c->in[X], c->in[SIGMA], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_in_grad(c->grad[X], c->up[0], c->in[SIGMA], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_precond_in_bound(c->out_bound[0], c->grad_bound[X], c->up[0], c->in[X], c->in[SIGMA], &d);
}

const hkd_op hkd_op_precond_in = {
    .name = "precond_in",
    .formula = "y = c_in(sigma) x",
    .source = "EDM (Karras et al. 2022), Table 1",
    .in = {"x", "sigma"},
    .out = {"y"},
    .param = {{"kind", 'i', HKD_PRECOND_EDM}, {"sigma_data", 'r', 0.5}},
    .no_grad = 1 << SIGMA,
    .reads_in = 1 << SIGMA,
    .in_place = 1 << 0,
    .not_exact = "c_in is a square root",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
