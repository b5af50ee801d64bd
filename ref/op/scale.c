/* scale - an array of any rank times one number.
 *
 *   y = s x
 *
 * Gradient. y is linear in x: dx = s dy. s is a constant of the call.
 *
 * Bound. s is rounded once to float32 and the product once: E(y) = kappa(2) |s x|, E(dx) = kappa(2) |s dy|.
 *
 * Source: the factor sqrt(1/2) after the residual sums of EDM's U-Net (Karras et al. 2022).
 */
#include "op.h"

#include <math.h>

void hkd_ref_scale(double *y, const double *x, double s, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = s * x[i];
}

void hkd_ref_scale_grad(double *dx, const double *dy, double s, int64_t count) {
    for (int64_t i = 0; dx && i < count; i++) dx[i] += s * dy[i];
}

void hkd_ref_scale_bound(double *ey, double *edx, const double *dy, const double *x, double s, int64_t count,
                         hkd_kappa_rule kappa) {
    for (int64_t i = 0; ey && i < count; i++) ey[i] = hkd_kappa(kappa, 2) * fabs(s * x[i]);
    for (int64_t i = 0; edx && i < count; i++) edx[i] = hkd_kappa(kappa, 2) * fabs(s * dy[i]);
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_scale(c->out[0], c->in[0], c->p[0], hkd_count(&c->in_shape[0])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_scale_grad(c->grad[0], c->up[0], c->p[0], hkd_count(&c->in_shape[0]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_scale_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], c->p[0], hkd_count(&c->in_shape[0]), c->kappa);
}

const hkd_op hkd_op_scale = {
    .name = "scale",
    .formula = "y = s x",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"x"},
    .out = {"y"},
    .param = {{"s", 'r', 1}},
    .in_place = 1 << 0,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
