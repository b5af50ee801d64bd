/* koopman_evolve - move every latent through time by its own linear operator.
 *
 *   y(n,i,j) = exp(dt[n] A(i,j)) z(n,i,j),    A(i,j) = diag of 2x2 blocks [[alpha_k, beta_k], [-beta_k, alpha_k]].
 *
 * For the pair (z0, z1) = channels (2k, 2k+1), with g = exp(alpha dt), c = cos(beta dt), s = sin(beta dt):
 *   y0 = g ( c z0 + s z1),      y1 = g (-s z0 + c z1).
 * exp(a A) exp(b A) = exp((a+b) A), and dt = 0 is the identity. Denoising runs with dt < 0 (from tau = 1 down to 0).
 *
 * Gradient. The map is linear in z with the matrix g R(beta dt), so dz = g R^T dy; and d/dt exp(dt A) z = A y, so
 *   dz0 = g (c dy0 - s dy1),     dz1 = g (s dy0 + c dy1)
 *   dalpha = dt (y0 dy0 + y1 dy1)        dbeta = dt (y1 dy0 - y0 dy1)        summed over n (and positions when A is shared)
 *   ddt[n] = sum over pairs of  alpha (y0 dy0 + y1 dy1) + beta (y1 dy0 - y0 dy1).
 * At A = 0 none of these vanishes, so zero is a sound start.
 *
 * Bound. theta = beta dt and x = alpha dt are each rounded once: E(x) = |x|, E(theta) = |theta|. Then
 *   E(g) = (|x| + C_EXP) g,    E(c) = |theta s| + C_COS |c|,    E(s) = |theta c| + C_SIN |s|,
 * and a product of two or a sum of two products rounds once per operation: E(uv) = |u|E(v) + |v|E(u) + |uv|.
 * Sums over n, positions or pairs: kappa(terms) * sum|terms| + sum E(term).
 *
 * Source: Hierarchical Koopman Diffusion (Bai, Ding, Zou 2025), Eq. 4 and 5; parameters [alpha | beta] as in D.4.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

#include <math.h>

/* g cos(beta dt) and g sin(beta dt). */
typedef struct {
    hkd_bounded gc, gs;
} turn;

static turn turn_of(double alpha, double beta, double dt) {
    const double x = alpha * dt, theta = beta * dt;
    const double g = hkd_exp(x), c = hkd_cos(theta), s = hkd_sin(theta);
    const hkd_bounded rx = {x, fabs(x)}, rtheta = {theta, fabs(theta)};
    const hkd_bounded eg = hkd_function(g, g, rx, HKD_C_EXP);
    const hkd_bounded ec = hkd_function(c, s, rtheta, HKD_C_COS), es = hkd_function(s, c, rtheta, HKD_C_SIN);
    return (turn){hkd_product(eg, ec), hkd_product(eg, es)};
}

/* Where pair k at position s of sample n finds its two latents and its alpha and beta. */
typedef struct {
    int64_t z0, z1, alpha, beta;
} place;

static place place_of(const hkd_koopman_dims *d, int64_t n, int64_t k, int64_t s) {
    const int64_t area = d->h * d->w, a_area = d->ah * d->aw, at = a_area == 1 ? 0 : s;
    const int64_t z0 = (n * d->d + 2 * k) * area + s;
    return (place){z0, z0 + area, k * a_area + at, (d->d / 2 + k) * a_area + at};
}

void hkd_ref_koopman_evolve(double *y, const double *z, const double *a, const double *dt, const hkd_koopman_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t k = 0; k < d->d / 2; k++)
            for (int64_t s = 0; s < d->h * d->w; s++) {
                const place at = place_of(d, n, k, s);
                const turn t = turn_of(a[at.alpha], a[at.beta], dt[n]);
                const double z0 = z[at.z0], z1 = z[at.z1]; /* y may be z */
                y[at.z0] = t.gc.v * z0 + t.gs.v * z1;
                y[at.z1] = t.gc.v * z1 - t.gs.v * z0;
            }
}

void hkd_ref_koopman_evolve_grad(double *dz, double *da, double *ddt, const double *dy, const double *z, const double *a,
                                 const double *dt, const hkd_koopman_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t k = 0; k < d->d / 2; k++)
            for (int64_t s = 0; s < d->h * d->w; s++) {
                const place at = place_of(d, n, k, s);
                const turn t = turn_of(a[at.alpha], a[at.beta], dt[n]);
                const double y0 = t.gc.v * z[at.z0] + t.gs.v * z[at.z1], y1 = t.gc.v * z[at.z1] - t.gs.v * z[at.z0];
                const double along = y0 * dy[at.z0] + y1 * dy[at.z1], across = y1 * dy[at.z0] - y0 * dy[at.z1];
                if (dz) {
                    dz[at.z0] += t.gc.v * dy[at.z0] - t.gs.v * dy[at.z1];
                    dz[at.z1] += t.gs.v * dy[at.z0] + t.gc.v * dy[at.z1];
                }
                if (da) {
                    da[at.alpha] += dt[n] * along;
                    da[at.beta] += dt[n] * across;
                }
                if (ddt) ddt[n] += a[at.alpha] * along + a[at.beta] * across;
            }
}

void hkd_ref_koopman_evolve_bound(double *ey, double *edz, double *eda, double *eddt, const double *dy, const double *z,
                                  const double *a, const double *dt, const hkd_koopman_dims *d, hkd_kappa_rule kappa) {
    const int64_t area = d->h * d->w, a_area = d->ah * d->aw;
    const double a_kappa = hkd_kappa(kappa, (double)(a_area == 1 ? d->n * area : d->n));
    const double dt_kappa = hkd_kappa(kappa, (double)(d->d * area));
    for (int64_t i = 0; eda && i < d->d * a_area; i++) eda[i] = 0;
    for (int64_t n = 0; eddt && n < d->n; n++) eddt[n] = 0;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t k = 0; k < d->d / 2; k++)
            for (int64_t s = 0; s < area; s++) {
                const place at = place_of(d, n, k, s);
                const turn t = turn_of(a[at.alpha], a[at.beta], dt[n]);
                const hkd_bounded z0 = hkd_exactly(z[at.z0]), z1 = hkd_exactly(z[at.z1]);
                const hkd_bounded y0 = hkd_sum2(hkd_product(t.gc, z0), hkd_product(t.gs, z1));
                const hkd_bounded y1 = hkd_sum2(hkd_product(t.gc, z1), hkd_negative(hkd_product(t.gs, z0)));
                if (ey) {
                    ey[at.z0] = y0.e;
                    ey[at.z1] = y1.e;
                }
                if (!dy) continue;
                const hkd_bounded dy0 = hkd_exactly(dy[at.z0]), dy1 = hkd_exactly(dy[at.z1]);
                if (edz) {
                    edz[at.z0] = hkd_sum2(hkd_product(t.gc, dy0), hkd_negative(hkd_product(t.gs, dy1))).e;
                    edz[at.z1] = hkd_sum2(hkd_product(t.gs, dy0), hkd_product(t.gc, dy1)).e;
                }
                const hkd_bounded along = hkd_sum2(hkd_product(y0, dy0), hkd_product(y1, dy1));
                const hkd_bounded across = hkd_sum2(hkd_product(y1, dy0), hkd_negative(hkd_product(y0, dy1)));
                const hkd_bounded to_alpha = hkd_product(hkd_exactly(dt[n]), along),
                                  to_beta = hkd_product(hkd_exactly(dt[n]), across);
                if (eda) {
                    eda[at.alpha] += a_kappa * fabs(to_alpha.v) + to_alpha.e;
                    eda[at.beta] += a_kappa * fabs(to_beta.v) + to_beta.e;
                }
                const hkd_bounded by_alpha = hkd_product(hkd_exactly(a[at.alpha]), along),
                                  by_beta = hkd_product(hkd_exactly(a[at.beta]), across);
                if (eddt) eddt[n] += dt_kappa * (fabs(by_alpha.v) + fabs(by_beta.v)) + by_alpha.e + by_beta.e;
            }
}

/* ---- the row ---- */

enum { Z, A, DT };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    const int64_t *z = in[Z].dim, *a = in[A].dim;
    if (in[Z].rank != 4 || in[A].rank != 3 || in[DT].rank != 1) return "z must be [n, d, h, w], a [d, h, w] and dt [n]";
    if (z[1] % 2) return "the number of channels d must be even: they turn in pairs";
    if (a[0] != z[1] || in[DT].dim[0] != z[0]) return "d and n must agree between z, a and dt";
    if (!((a[1] == z[2] && a[2] == z[3]) || (a[1] == 1 && a[2] == 1))) return "a must be [d, h, w] as z, or [d, 1, 1]";
    out[0] = in[Z];
    return NULL;
}

static hkd_koopman_dims dims(const hkd_ref_call *c) {
    const int64_t *z = c->in_shape[Z].dim, *a = c->in_shape[A].dim;
    return (hkd_koopman_dims){z[0], z[1], z[2], z[3], a[1], a[2]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_koopman_dims d = dims(c);
    hkd_ref_koopman_evolve(c->out[0], c->in[Z], c->in[A], c->in[DT], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_koopman_dims d = dims(c);
    hkd_ref_koopman_evolve_grad(c->grad[Z], c->grad[A], c->grad[DT], c->up[0], c->in[Z], c->in[A], c->in[DT], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_koopman_dims d = dims(c);
    hkd_ref_koopman_evolve_bound(c->out_bound[0], c->grad_bound[Z], c->grad_bound[A], c->grad_bound[DT], c->up[0], c->in[Z],
                                 c->in[A], c->in[DT], &d, c->kappa);
}

const hkd_op hkd_op_koopman_evolve = {
    .name = "koopman_evolve",
    .formula = "y = exp(dt A) z, A = diag [[alpha, beta], [-beta, alpha]]",
    .source = "HKD (Bai, Ding, Zou 2025), Eq. 4, 5",
    .in = {"z", "a", "dt"},
    .out = {"y"},
    .reads_in = 1 << Z | 1 << A | 1 << DT,
    .weights = 1 << A,
    .in_place = 1 << 0,
    .not_exact = "exp, sin and cos of anything but 0 are irrational",
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
