/* add - the sum of two arrays of the same shape, of any rank.
 *
 *   y = a + b
 *
 * Gradient. y is linear in both with slope 1: da = dy, db = dy.
 *
 * Bound. One addition rounds once: E(y) = kappa(1) |a + b|. The gradients are copies: E = 0.
 *
 * Source: the residual sums of EDM's U-Net (Karras et al. 2022).
 */
#include "op.h"

#include <math.h>

void hkd_ref_add(double *y, const double *a, const double *b, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

void hkd_ref_add_grad(double *da, double *db, const double *dy, int64_t count) {
    for (int64_t i = 0; da && i < count; i++) da[i] += dy[i];
    for (int64_t i = 0; db && i < count; i++) db[i] += dy[i];
}

void hkd_ref_add_bound(double *ey, double *eda, double *edb, const double *a, const double *b, int64_t count,
                       hkd_kappa_rule kappa) {
    for (int64_t i = 0; ey && i < count; i++) ey[i] = hkd_kappa(kappa, 1) * fabs(a[i] + b[i]);
    for (int64_t i = 0; eda && i < count; i++) eda[i] = 0;
    for (int64_t i = 0; edb && i < count; i++) edb[i] = 0;
}

/* ---- the row ---- */

enum { A, B };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    if (!hkd_same_shape(&in[A], &in[B])) return "a and b must have the same shape";
    out[0] = in[A];
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_add(c->out[0], c->in[A], c->in[B], hkd_count(&c->in_shape[A])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_add_grad(c->grad[A], c->grad[B], c->up[0], hkd_count(&c->in_shape[A]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_add_bound(c->out_bound[0], c->grad_bound[A], c->grad_bound[B], c->in[A], c->in[B], hkd_count(&c->in_shape[A]),
                      c->kappa);
}

const hkd_op hkd_op_add = {
    .name = "add",
    .formula = "y = a + b",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"a", "b"},
    .out = {"y"},
    .in_place = 1 << A,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
