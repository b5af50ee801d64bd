/* ema - exponential moving average of the weights.
 *
 *   e' = decay e + (1 - decay) p,   computed as   e + (1 - decay)(p - e)   or, for decay < 1/2,   p + decay (e - p)
 *
 * Stability. In this form the two weights add up to 1 exactly, so an average of constant weights does not drift; decay = 0
 * copies p exactly (the first step of EDM's ramp). Not differentiable: it is no part of the loss.
 *
 * Bound. The difference is rounded once, the factor once, then the product and the sum.
 *
 * Source: Polyak & Juditsky 1992; EDM (Karras et al. 2022), decay = 0.5^(batch / half-life).
 */
#include "bounded.h"
#include "op.h"

static hkd_bounded average(double e, double p, double decay) {
    const double start = decay < 0.5 ? p : e, end = decay < 0.5 ? e : p, w = decay < 0.5 ? decay : 1 - decay;
    const hkd_bounded difference = {end - start, fabs(end - start)}, factor = {w, w};
    return hkd_sum2(hkd_exactly(start), hkd_product(factor, difference));
}

void hkd_ref_ema(double *e_new, const double *e, const double *p, int64_t n, double decay) {
    for (int64_t i = 0; i < n; i++) e_new[i] = average(e[i], p[i], decay).v;
}

void hkd_ref_ema_bound(double *ee, const double *e, const double *p, int64_t n, double decay) {
    for (int64_t i = 0; ee && i < n; i++) ee[i] = average(e[i], p[i], decay).e;
}

/* ---- the row ---- */

enum { E, P };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (!hkd_same_shape(&in[E], &in[P])) return "e and p must have one shape";
    if (!(p[0] >= 0 && p[0] <= 1)) return "decay must be in [0, 1]";
    out[0] = in[E];
    return NULL;
}

static void forward(const hkd_ref_call *c) {
    hkd_ref_ema(c->out[0], c->in[E], c->in[P], hkd_count(&c->in_shape[E]), c->p[0]);
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_ema_bound(c->out_bound[0], c->in[E], c->in[P], hkd_count(&c->in_shape[E]), c->p[0]);
}

const hkd_op hkd_op_ema = {
    .name = "ema",
    .formula = "e' = decay e + (1 - decay) p",
    .source = "EDM (Karras et al. 2022), training",
    .in = {"e", "p"},
    .out = {"e_new"},
    .param = {{"decay", 'r', 0.9999}},
    .no_grad = 1 << E | 1 << P,
    .in_place = 1 << 0,
    .shape = shape,
    .forward = forward,
    .bound = bound,
};
