/* adam - one step of Adam on one array of weights.
 *
 *   g' = g + weight_decay p                                  (decoupled: g' = g, and p shrinks by lr weight_decay instead)
 *   m' = beta1 m + (1 - beta1) g'                            running mean of the gradient
 *   v' = beta2 v + (1 - beta2) g'^2                          running mean of its square
 *   p' = p - lr mhat / (sqrt(vhat) + eps)                    mhat = m' / (1 - beta1^t),  vhat = v' / (1 - beta2^t)
 *
 * Every scalar is formed once in double (hkd_ref_adam_scalars) and the arrays see one pass,
 *   p' = shrink p - step m' / (root sqrt(v') + eps),   step = lr / (1 - beta1^t),   root = 1 / sqrt(1 - beta2^t),
 * which radam shares. With 1 - beta2 formed in float32 instead, v' would be wrong by 1e-5. Not differentiable.
 *
 * Bound. Each scalar is rounded once, then the running error of the pass: products, sums, one square root, one division.
 *
 * Source: Kingma & Ba 2015, Algorithm 1; decoupled: Loshchilov & Hutter 2019.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

hkd_adam_scalars hkd_ref_adam_scalars(const hkd_adam_settings *s) {
    const double t = (double)s->t;
    return (hkd_adam_scalars){
        .keep_m = s->beta1, .take_m = 1 - s->beta1, .keep_v = s->beta2, .take_v = 1 - s->beta2,
        .step = s->lr / (1 - hkd_pow(s->beta1, t)),
        .root = 1 / sqrt(1 - hkd_pow(s->beta2, t)),
        .eps = s->eps,
        .l2 = s->decoupled ? 0 : s->weight_decay,
        .shrink = s->decoupled ? 1 - s->lr * s->weight_decay : 1,
    };
}

typedef struct {
    hkd_bounded p, m, v;
} state;

static hkd_bounded rounded(double scalar) { return (hkd_bounded){scalar, fabs(scalar)}; }

static state step(double p, double m, double v, double g, const hkd_adam_scalars *s) {
    const hkd_bounded g1 = s->l2 == 0 ? hkd_exactly(g) : hkd_sum2(hkd_exactly(g), hkd_product(rounded(s->l2), hkd_exactly(p)));
    const hkd_bounded m1 = hkd_sum2(hkd_product(rounded(s->keep_m), hkd_exactly(m)), hkd_product(rounded(s->take_m), g1));
    const hkd_bounded v1 = hkd_sum2(hkd_product(rounded(s->keep_v), hkd_exactly(v)),
                                    hkd_product(rounded(s->take_v), hkd_product(g1, g1)));
    const hkd_bounded below = hkd_sum2(hkd_product(rounded(s->root), hkd_root(v1)), rounded(s->eps));
    const hkd_bounded move = hkd_product(rounded(s->step), hkd_quotient(m1, below));
    const hkd_bounded start = s->shrink == 1 ? hkd_exactly(p) : hkd_product(rounded(s->shrink), hkd_exactly(p));
    return (state){hkd_sum2(start, hkd_negative(move)), m1, v1};
}

void hkd_ref_adam(double *p_new, double *m_new, double *v_new, const double *p, const double *m, const double *v,
                  const double *g, int64_t n, const hkd_adam_scalars *s) {
    for (int64_t i = 0; i < n; i++) {
        const state next = step(p[i], m[i], v[i], g[i], s);
        p_new[i] = next.p.v;
        m_new[i] = next.m.v;
        v_new[i] = next.v.v;
    }
}

void hkd_ref_adam_bound(double *ep, double *em, double *ev, const double *p, const double *m, const double *v, const double *g,
                        int64_t n, const hkd_adam_scalars *s) {
    for (int64_t i = 0; i < n; i++) {
        const state next = step(p[i], m[i], v[i], g[i], s);
        if (ep) ep[i] = next.p.e;
        if (em) em[i] = next.m.e;
        if (ev) ev[i] = next.v.e;
    }
}

/* ---- the row ---- */

enum { P, M, V, G };
enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, DECOUPLED, T };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    for (int i = M; i <= G; i++)
        if (!hkd_same_shape(&in[P], &in[i])) return "p, m, v and g must have one shape";
    if (!(p[BETA1] > 0 && p[BETA1] < 1 && p[BETA2] > 0 && p[BETA2] < 1)) return "beta1 and beta2 must be in (0, 1)";
    if (!(p[EPS] > 0 && p[T] >= 1)) return "eps must be positive and t at least 1";
    out[P] = out[M] = out[V] = in[P];
    return NULL;
}

static hkd_adam_scalars scalars(const double *p) {
    const hkd_adam_settings s = {p[LR], p[BETA1], p[BETA2], p[EPS], p[WEIGHT_DECAY], p[DECOUPLED] != 0, (int64_t)p[T]};
    return hkd_ref_adam_scalars(&s);
}

static void forward(const hkd_ref_call *c) {
    const hkd_adam_scalars s = scalars(c->p);
    hkd_ref_adam(c->out[P], c->out[M], c->out[V], c->in[P], c->in[M], c->in[V], c->in[G], hkd_count(&c->in_shape[P]), &s);
}

static void bound(const hkd_ref_call *c) {
    const hkd_adam_scalars s = scalars(c->p);
    hkd_ref_adam_bound(c->out_bound[P], c->out_bound[M], c->out_bound[V], c->in[P], c->in[M], c->in[V], c->in[G],
                       hkd_count(&c->in_shape[P]), &s);
}

const hkd_op hkd_op_adam = {
    .name = "adam",
    .formula = "p' = p - lr mhat / (sqrt(vhat) + eps)",
    .source = "Kingma & Ba 2015, Algorithm 1",
    .in = {"p", "m", "v", "g"},
    .out = {"p_new", "m_new", "v_new"},
    .param = {{"lr", 'r', 1e-3}, {"beta1", 'r', 0.9}, {"beta2", 'r', 0.999}, {"eps", 'r', 1e-8}, {"weight_decay", 'r', 0},
              {"decoupled", 'i', 0}, {"t", 'i', 1}},
    .no_grad = 1 << P | 1 << M | 1 << V | 1 << G,
    .in_place = 1 << P | 1 << M | 1 << V,
    .not_exact = "square root and division",
    .shape = shape,
    .forward = forward,
    .bound = bound,
};
