/* edm_loss - squared error of a denoiser, weighted by the noise level.
 *
 *   l[n] = lambda(sigma[n]) sum over i of (x[n,i] - y[n,i])^2        x = D(y + noise; sigma), y = the clean picture
 *
 *   lambda = (sigma^2 + d^2) / (sigma d)^2 = 1 / c_out^2   EDM, d = sigma_data
 *            1 / sigma^2                                   VP and VE
 *
 * Summed, not averaged, over a sample's elements. With this lambda the network's own target has unit variance at every sigma.
 *
 * Gradient. dl/dx_i = 2 lambda (x_i - y_i), and dl/dy_i is its negative. sigma is drawn, it has none.
 *
 * Bound. E(S) = (kappa(size) + 3) S for the sum; lambda by its formula; one product. In the gradient the factor 2 lambda dl,
 * the difference and their product.
 *
 * Source: EDM (Karras et al. 2022), Eq. 8 and Table 1.
 */
#include "bounded.h"
#include "op.h"

static hkd_bounded lambda(double sigma, const hkd_precond_dims *d) {
    const double data = d->sigma_data;
    const hkd_bounded s2 = {sigma * sigma, sigma * sigma}, d2 = {data * data, data * data};
    if (d->kind != HKD_PRECOND_EDM) return hkd_quotient(hkd_exactly(1), s2);
    const hkd_bounded product = hkd_product(hkd_exactly(sigma), (hkd_bounded){data, data});
    return hkd_quotient(hkd_sum2(s2, d2), hkd_product(product, product));
}

void hkd_ref_edm_loss(double *l, const double *x, const double *y, const double *sigma, const hkd_precond_dims *d) {
    for (int64_t k = 0; k < d->n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * d->size, y + k * d->size, d->size, HKD_KAPPA_EXACT);
        l[k] = hkd_product(lambda(sigma[k], d), s).v;
    }
}

void hkd_ref_edm_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y,
                           const double *sigma, const hkd_precond_dims *d) {
    for (int64_t k = 0; k < d->n; k++) {
        const double factor = 2 * dl[k] * lambda(sigma[k], d).v;
        for (int64_t i = k * d->size; i < (k + 1) * d->size; i++) {
            if (dx) dx[i] += factor * (x[i] - y[i]);
            if (dy) dy[i] -= factor * (x[i] - y[i]);
        }
    }
}

void hkd_ref_edm_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                            const double *sigma, const hkd_precond_dims *d, hkd_kappa_rule kappa) {
    for (int64_t k = 0; k < d->n; k++) {
        const hkd_bounded s = hkd_squared_distance(x + k * d->size, y + k * d->size, d->size, kappa);
        if (el) el[k] = hkd_product(lambda(sigma[k], d), s).e;
        if (!dl) continue;
        const hkd_bounded factor = hkd_product(hkd_exactly(dl[k]), hkd_product(hkd_exactly(2), lambda(sigma[k], d)));
        for (int64_t i = k * d->size; i < (k + 1) * d->size; i++) {
            const double e = hkd_product(factor, (hkd_bounded){x[i] - y[i], fabs(x[i] - y[i])}).e;
            if (edx) edx[i] = e;
            if (edy) edy[i] = e;
        }
    }
}

/* ---- the row ---- */

enum { X, Y, SIGMA };
enum { KIND, SIGMA_DATA };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[X].rank < 1 || !hkd_same_shape(&in[X], &in[Y])) return "x and y must be [n, ...] of one shape";
    if (in[SIGMA].rank != 1 || in[SIGMA].dim[0] != in[X].dim[0]) return "sigma must be [n]";
    if (p[KIND] < HKD_PRECOND_EDM || p[KIND] > HKD_PRECOND_VE) return "kind must be 0 (edm), 1 (vp) or 2 (ve)";
    if (!(p[SIGMA_DATA] > 0)) return "sigma_data must be positive";
    out[0] = hkd_shape_of(1, in[X].dim[0]);
    return NULL;
}

static hkd_precond_dims dims(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[X].dim[0], size = n ? hkd_count(&c->in_shape[X]) / n : 0;
    return (hkd_precond_dims){.n = n, .size = size, .kind = (hkd_precond)c->p[KIND], .sigma_data = c->p[SIGMA_DATA]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_edm_loss(c->out[0], c->in[X], c->in[Y], c->in[SIGMA], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_edm_loss_grad(c->grad[X], c->grad[Y], c->up[0], c->in[X], c->in[Y], c->in[SIGMA], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_precond_dims d = dims(c);
    hkd_ref_edm_loss_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[Y], c->up[0], c->in[X], c->in[Y],
                           c->in[SIGMA], &d, c->kappa);
}

const hkd_op hkd_op_edm_loss = {
    .name = "edm_loss",
    .formula = "l = lambda(sigma) |x - y|^2 per sample",
    .source = "EDM (Karras et al. 2022), Eq. 8",
    .in = {"x", "y", "sigma"},
    .out = {"l"},
    .param = {{"kind", 'i', HKD_PRECOND_EDM}, {"sigma_data", 'r', 0.5}},
    .no_grad = 1 << SIGMA,
    .reads_in = 1 << X | 1 << Y | 1 << SIGMA,
    .not_exact = "lambda divides",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
