/* radam - Adam whose adaptive step waits until the variance of the gradient is known well enough.
 *
 *   m', v', mhat as in adam, and with  rho_inf = 2 / (1 - beta2) - 1,   rho = rho_inf - 2 t beta2^t / (1 - beta2^t):
 *   rho > 5:   p' = p - lr r mhat sqrt(1 - beta2^t) / (sqrt(v') + eps),
 *              r = sqrt( (rho - 4)(rho - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho) )
 *   else:      p' = p - lr mhat                              (plain momentum; with beta2 = 0.999 the first 5 steps)
 *
 * Only scalars differ from adam, so the arrays see adam's pass: root = 1 in the first case; root = 0 and eps = 1, a divisor
 * of exactly 1, in the second. Not differentiable.
 *
 * Bound. That of adam's pass with these scalars.
 *
 * Source: Liu et al. 2020, Algorithm 2, with its threshold 5 and eps where today's implementations have them.
 */
#include "exact.h"
#include "op.h"

#include <math.h>

hkd_adam_scalars hkd_ref_radam_scalars(const hkd_adam_settings *s) {
    hkd_adam_scalars a = hkd_ref_adam_scalars(s);
    const double t = (double)s->t, power = hkd_pow(s->beta2, t);
    const double rho_inf = 2 / (1 - s->beta2) - 1, rho = rho_inf - 2 * t * power / (1 - power);
    a.root = rho > 5;
    if (rho > 5)
        a.step *= sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) * sqrt(1 - power);
    else
        a.eps = 1;
    return a;
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
    return hkd_ref_radam_scalars(&s);
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

const hkd_op hkd_op_radam = {
    .name = "radam",
    .formula = "p' = p - lr r(t) mhat / (sqrt(vhat) + eps), or p - lr mhat while r(t) is undefined",
    .source = "Liu et al. 2020, Algorithm 2",
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
