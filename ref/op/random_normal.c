/* random_normal - unit normals of the shape of another array.
 *
 *   y[n,i] = normal(seed, purpose, index = first_index + n, draw, element i)        (ref/core/rng.h: Philox and Box-Muller)
 *
 * Each is computed in double and rounded once to float32, on the host, so every device gives the same bits: bound 0.
 * The input lends its shape and is not read. No gradient.
 *
 * Source: Box & Muller 1958; Salmon et al. 2011.
 */
#include "op.h"
#include "rng.h"

void hkd_ref_random_normal(double *y, int purpose, const hkd_random_dims *d) {
    for (int64_t n = 0; n < d->n; n++) {
        const hkd_stream s = {d->seed, (hkd_purpose)purpose, d->first_index + (uint32_t)n, d->draw};
        hkd_random_normals(y + n * d->size, 0, d->size, &s);
    }
}

void hkd_ref_random_normal_bound(double *ey, const hkd_random_dims *d) {
    for (int64_t i = 0; ey && i < d->n * d->size; i++) ey[i] = 0;
}

/* ---- the row ---- */

enum { SEED_LO, SEED_HI, FIRST_INDEX, DRAW, PURPOSE };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank < 1) return "like must be [n, ...]";
    for (int i = SEED_LO; i <= PURPOSE; i++)
        if (!(p[i] >= 0 && p[i] < 4294967296.0)) return "seed_lo, seed_hi, first_index, draw and purpose must be in [0, 2^32)";
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
    hkd_ref_random_normal(c->out[0], (int)c->p[PURPOSE], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_random_dims d = dims(c);
    hkd_ref_random_normal_bound(c->out_bound[0], &d);
}

const hkd_op hkd_op_random_normal = {
    .name = "random_normal",
    .formula = "y ~ N(0, 1), of the shape of `like`",
    .source = "Box & Muller 1958; Philox words as in rng.h",
    .in = {"like"},
    .out = {"y"},
    .param = {{"seed_lo", 'i', 0}, {"seed_hi", 'i', 0}, {"first_index", 'i', 0}, {"draw", 'i', 0}, {"purpose", 'i', 0}},
    .no_grad = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "logarithm, square root and cosine; rounded once, on the host: the same bits on every device, bound 0",
    .shape = shape,
    .forward = forward,
    .bound = bound,
};
