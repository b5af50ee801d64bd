/* fourier_embedding - a number shown as cosines and sines of given, random frequencies.
 *
 *   y[n] = [cos(2 pi b c[n]) | sin(2 pi b c[n])],    b = freqs [f]
 *
 * With `swap` the halves change places, sines first, as EDM's network does. The frequencies are drawn once and stored with the
 * network; they have no gradient.
 *
 * Gradient. dc[n] = sum_k 2 pi b_k (cos(theta_k) dsin_k - sin(theta_k) dcos_k), theta_k = 2 pi b_k c[n].
 *
 * Bound. 2 pi is rounded and multiplied twice: E(theta) = 3 |theta|; cos and sin as in bounded.h. With b of standard deviation
 * 16 an angle of 200 is ordinary: float32 then knows y to 200 * 3 * 2^-24 = 4e-5 and no better, whoever computes it.
 *
 * Source: Tancik et al. 2020; EDM (Karras et al. 2022), network of the kind ncsnpp.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

static const double TWO_PI = 6.28318530717958647693;

/* Where sample n finds cosine and sine of frequency k. */
typedef struct {
    int64_t cos, sin;
} place;

static place place_of(const hkd_fourier_embedding_dims *d, int64_t n, int64_t k) {
    const int64_t first = n * 2 * d->f + k, second = first + d->f;
    return d->swap ? (place){second, first} : (place){first, second};
}

void hkd_ref_fourier_embedding(double *y, const double *c, const double *freqs, const hkd_fourier_embedding_dims *d) {
    for (int64_t k = 0; k < d->f; k++) {
        const double f = TWO_PI * freqs[k];
        for (int64_t n = 0; n < d->n; n++) {
            const place at = place_of(d, n, k);
            y[at.cos] = hkd_cos(c[n] * f);
            y[at.sin] = hkd_sin(c[n] * f);
        }
    }
}

void hkd_ref_fourier_embedding_grad(double *dc, const double *dy, const double *c, const double *freqs,
                                    const hkd_fourier_embedding_dims *d) {
    for (int64_t k = 0; dc && k < d->f; k++) {
        const double f = TWO_PI * freqs[k];
        for (int64_t n = 0; n < d->n; n++) {
            const place at = place_of(d, n, k);
            dc[n] += f * (hkd_cos(c[n] * f) * dy[at.sin] - hkd_sin(c[n] * f) * dy[at.cos]);
        }
    }
}

void hkd_ref_fourier_embedding_bound(double *ey, double *edc, const double *dy, const double *c, const double *freqs,
                                     const hkd_fourier_embedding_dims *d, hkd_kappa_rule rule) {
    const double kappa = hkd_kappa(rule, (double)(2 * d->f));
    for (int64_t n = 0; edc && n < d->n; n++) edc[n] = 0;
    for (int64_t k = 0; k < d->f; k++) {
        const hkd_bounded f = {TWO_PI * freqs[k], 2 * fabs(TWO_PI * freqs[k])};
        for (int64_t n = 0; n < d->n; n++) {
            const place at = place_of(d, n, k);
            const hkd_bounded theta = hkd_product(hkd_exactly(c[n]), f);
            const double cosine = hkd_cos(theta.v), sine = hkd_sin(theta.v);
            const hkd_bounded bc = hkd_turn(cosine, sine, theta, HKD_C_COS), bs = hkd_turn(sine, cosine, theta, HKD_C_SIN);
            if (ey) {
                ey[at.cos] = bc.e;
                ey[at.sin] = bs.e;
            }
            if (!edc) continue;
            const hkd_bounded by_sin = hkd_product(f, hkd_product(bc, hkd_exactly(dy[at.sin])));
            const hkd_bounded by_cos = hkd_product(f, hkd_product(bs, hkd_exactly(dy[at.cos])));
            edc[n] += kappa * (fabs(by_sin.v) + fabs(by_cos.v)) + by_sin.e + by_cos.e;
        }
    }
}

/* ---- the row ---- */

enum { C, FREQS };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    if (in[C].rank != 1 || in[FREQS].rank != 1) return "c must be [n] and freqs [f]";
    out[0] = hkd_shape_of(2, in[C].dim[0], 2 * in[FREQS].dim[0]);
    return NULL;
}

static hkd_fourier_embedding_dims dims(const hkd_ref_call *c) {
    return (hkd_fourier_embedding_dims){c->in_shape[C].dim[0], c->in_shape[FREQS].dim[0], c->p[0] != 0};
}

static void forward(const hkd_ref_call *c) {
    const hkd_fourier_embedding_dims d = dims(c);
    hkd_ref_fourier_embedding(c->out[0], c->in[C], c->in[FREQS], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_fourier_embedding_dims d = dims(c);
    hkd_ref_fourier_embedding_grad(c->grad[C], c->up[0], c->in[C], c->in[FREQS], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_fourier_embedding_dims d = dims(c);
    hkd_ref_fourier_embedding_bound(c->out_bound[0], c->grad_bound[C], c->up[0], c->in[C], c->in[FREQS], &d, c->kappa);
}

const hkd_op hkd_op_fourier_embedding = {
    .name = "fourier_embedding",
    .formula = "y = [cos(2 pi freqs c) | sin(2 pi freqs c)]",
    .source = "Tancik et al. 2020; EDM (Karras et al. 2022), network",
    .in = {"c", "freqs"},
    .out = {"y"},
    .param = {{"swap", 'i', 1}},
    .no_grad = 1 << FREQS,
    .reads_in = 1 << C | 1 << FREQS,
    .not_exact = "cos and sin of anything but 0 are irrational",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
