/* dropout - set each element to 0 with probability p and scale the others so that the mean stays.
 *
 *   y[n,i] = x[n,i] / (1 - p)   if word(seed, index = first_index + n, draw, element i) >= p 2^32,   else 0
 *
 * The mask is a function of the stream alone (ref/core/rng.h): it does not depend on the batch that a sample happens to be in,
 * on threads or on the device, and a second call with the same parameters repeats it. `draw` must differ between layers.
 *
 * Gradient. Linear in x with a diagonal matrix: dx = dy / (1 - p) where kept, else 0. Nothing needs to be saved.
 *
 * Bound. 1 / (1 - p) is rounded once, the product once. Which elements are kept is decided in integers, without error.
 *
 * Source: Srivastava et al. 2014; EDM network, between silu and the second convolution of a block.
 */
#include "bounded.h"
#include "op.h"
#include "rng.h"

static bool kept(const hkd_random_dims *d, double p, int64_t n, int64_t i) {
    const hkd_stream s = {d->seed, HKD_FOR_DROPOUT, d->first_index + (uint32_t)n, d->draw};
    return p == 0 || hkd_random_word(&s, (uint64_t)i) >= p * 4294967296.0;
}

void hkd_ref_dropout(double *y, const double *x, double p, const hkd_random_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t i = 0; i < d->size; i++)
            y[n * d->size + i] = kept(d, p, n, i) ? x[n * d->size + i] * (1 / (1 - p)) : 0;
}

void hkd_ref_dropout_grad(double *dx, const double *dy, double p, const hkd_random_dims *d) {
    for (int64_t n = 0; dx && n < d->n; n++)
        for (int64_t i = 0; i < d->size; i++)
            if (kept(d, p, n, i)) dx[n * d->size + i] += dy[n * d->size + i] * (1 / (1 - p));
}

void hkd_ref_dropout_bound(double *ey, double *edx, const double *dy, const double *x, double p, const hkd_random_dims *d) {
    const hkd_bounded scale = {1 / (1 - p), p == 0 ? 0 : 1 / (1 - p)};
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t i = 0; i < d->size; i++) {
            const int64_t at = n * d->size + i;
            const bool keep = kept(d, p, n, i);
            if (ey) ey[at] = keep ? hkd_product(scale, hkd_exactly(x[at])).e : 0;
            if (edx) edx[at] = keep ? hkd_product(scale, hkd_exactly(dy[at])).e : 0;
        }
}

/* ---- the row ---- */

enum { P, SEED_LO, SEED_HI, FIRST_INDEX, DRAW };

static bool is_word(double v) { return v >= 0 && v < 4294967296.0; }

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank < 1) return "x must be [n, ...]";
    if (!(p[P] >= 0 && p[P] < 1)) return "p must be in [0, 1)";
    if (!is_word(p[SEED_LO]) || !is_word(p[SEED_HI]) || !is_word(p[FIRST_INDEX]) || !is_word(p[DRAW]))
        return "seed_lo, seed_hi, first_index and draw must be in [0, 2^32)";
    out[0] = in[0];
    return NULL;
}

static hkd_random_dims dims(const hkd_ref_call *c) {
    const int64_t n = c->in_shape[0].dim[0];
    return (hkd_random_dims){n, n ? hkd_count(&c->in_shape[0]) / n : 0, (uint64_t)c->p[SEED_HI] << 32 | (uint64_t)c->p[SEED_LO],
                             (uint32_t)c->p[FIRST_INDEX], (uint32_t)c->p[DRAW]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_random_dims d = dims(c);
    hkd_ref_dropout(c->out[0], c->in[0], c->p[P], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_random_dims d = dims(c);
    hkd_ref_dropout_grad(c->grad[0], c->up[0], c->p[P], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_random_dims d = dims(c);
    hkd_ref_dropout_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], c->p[P], &d);
}

const hkd_op hkd_op_dropout = {
    .name = "dropout",
    .formula = "y = x / (1 - p) where word >= p 2^32, else 0",
    .source = "Srivastava et al. 2014; Philox words as in rng.h",
    .in = {"x"},
    .out = {"y"},
    .param = {{"p", 'r', 0}, {"seed_lo", 'i', 0}, {"seed_hi", 'i', 0}, {"first_index", 'i', 0}, {"draw", 'i', 0}},
    .in_place = 1 << 0,
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
