/* positional_embedding - a number shown as cosines and sines of geometrically spaced frequencies.
 *
 *   y[n] = [cos(c[n] f) | sin(c[n] f)],    f_k = max_positions^(-k / (h - endpoint)),  k = 0 .. h-1,  h = dim/2
 *
 * The frequencies are float32 numbers, as EDM's network forms them also when it runs in float64: base, exponent and power
 * are each rounded once. Exact frequencies would move the outputs of a whole network by some 1e-8 of their size.
 *
 * f_0 = 1; with `endpoint` the last is 1/max_positions exactly, without it one step more. With `swap` the halves change
 * places, sines first, as EDM's network does.
 *
 * Gradient. dc[n] = sum_k f_k (cos(theta_k) dsin_k - sin(theta_k) dcos_k), theta_k = c[n] f_k.
 *
 * Bound. a float32 power errs by its last place, E(f) = f, so E(theta) = 2 |theta|; cos and sin as in bounded.h. The
 * gradient is a sum of dim products.
 *
 * Source: Vaswani et al. 2017; EDM (Karras et al. 2022), network.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

static double frequency(const hkd_positional_embedding_dims *d, int64_t k) {
    const float base = (float)(1 / d->max_positions), exponent = (float)k / (float)(d->dim / 2 - (d->endpoint ? 1 : 0));
    return k ? (double)(float)hkd_pow((double)base, (double)exponent) : 1;
}

/* Where sample n finds cosine and sine of frequency k. */
typedef struct {
    int64_t cos, sin;
} place;

static place place_of(const hkd_positional_embedding_dims *d, int64_t n, int64_t k) {
    const int64_t first = n * d->dim + k, second = first + d->dim / 2;
    return d->swap ? (place){second, first} : (place){first, second};
}

void hkd_ref_positional_embedding(double *y, const double *c, const hkd_positional_embedding_dims *d) {
    for (int64_t k = 0; k < d->dim / 2; k++) {
        const double f = frequency(d, k);
        for (int64_t n = 0; n < d->n; n++) {
            const place at = place_of(d, n, k);
            y[at.cos] = hkd_cos(c[n] * f);
            y[at.sin] = hkd_sin(c[n] * f);
        }
    }
}

void hkd_ref_positional_embedding_grad(double *dc, const double *dy, const double *c, const hkd_positional_embedding_dims *d) {
    for (int64_t k = 0; dc && k < d->dim / 2; k++) {
        const double f = frequency(d, k);
        for (int64_t n = 0; n < d->n; n++) {
            const place at = place_of(d, n, k);
            dc[n] += f * (hkd_cos(c[n] * f) * dy[at.sin] - hkd_sin(c[n] * f) * dy[at.cos]);
        }
    }
}

void hkd_ref_positional_embedding_bound(double *ey, double *edc, const double *dy, const double *c,
                                        const hkd_positional_embedding_dims *d, hkd_kappa_rule rule) {
    const double kappa = hkd_kappa(rule, (double)d->dim);
    for (int64_t n = 0; edc && n < d->n; n++) edc[n] = 0;
    for (int64_t k = 0; k < d->dim / 2; k++) {
        const hkd_bounded f = {frequency(d, k), frequency(d, k)};
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

enum { DIM, MAX_POSITIONS, ENDPOINT, SWAP };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank != 1) return "c must be [n]";
    if (p[DIM] < 2 || (int64_t)p[DIM] % 2) return "dim must be even and at least 2";
    if (!(p[MAX_POSITIONS] > 0)) return "max_positions must be positive";
    out[0] = hkd_shape_of(2, in[0].dim[0], (int64_t)p[DIM]);
    return NULL;
}

static hkd_positional_embedding_dims dims(const hkd_ref_call *c) {
    return (hkd_positional_embedding_dims){c->in_shape[0].dim[0], (int64_t)c->p[DIM], c->p[MAX_POSITIONS],
                                           c->p[ENDPOINT] != 0, c->p[SWAP] != 0};
}

static void forward(const hkd_ref_call *c) {
    const hkd_positional_embedding_dims d = dims(c);
    hkd_ref_positional_embedding(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_positional_embedding_dims d = dims(c);
    hkd_ref_positional_embedding_grad(c->grad[0], c->up[0], c->in[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_positional_embedding_dims d = dims(c);
    hkd_ref_positional_embedding_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_positional_embedding = {
    .name = "positional_embedding",
    .formula = "y = [cos(c f) | sin(c f)], f_k = max_positions^(-k/(dim/2 - endpoint))",
    .source = "Vaswani et al. 2017; EDM (Karras et al. 2022), network",
    .in = {"c"},
    .out = {"y"},
    .param = {{"dim", 'i', 128}, {"max_positions", 'r', 10000}, {"endpoint", 'i', 1}, {"swap", 'i', 1}},
    .reads_in = 1 << 0,
    .not_exact = "cos and sin of anything but 0 are irrational",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
