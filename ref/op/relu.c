/* relu - the positive part of every element.
 *
 *   y = x where x > 0, else 0          (NaN stays NaN)
 *
 * Gradient. The slope is 1 where x > 0 and 0 elsewhere, relu'(0) = 0 by convention; x > 0 exactly where y > 0, so backward
 * reads y and the result may be written over x:  dx = dy where y > 0.
 *
 * Bound. Copies and zeros do not round: E = 0.
 *
 * Source: VGG16 and Inception v3, the networks behind LPIPS and FID.
 */
#include "op.h"

void hkd_ref_relu(double *y, const double *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

void hkd_ref_relu_grad(double *dx, const double *dy, const double *y, int64_t count) {
    for (int64_t i = 0; dx && i < count; i++) dx[i] += y[i] > 0 ? dy[i] : 0;
}

void hkd_ref_relu_bound(double *ey, double *edx, int64_t count) {
    for (int64_t i = 0; ey && i < count; i++) ey[i] = 0;
    for (int64_t i = 0; edx && i < count; i++) edx[i] = 0;
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) { hkd_ref_relu(c->out[0], c->in[0], hkd_count(&c->in_shape[0])); }

static void backward(const hkd_ref_call *c) {
    hkd_ref_relu_grad(c->grad[0], c->up[0], c->out[0], hkd_count(&c->in_shape[0]));
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_relu_bound(c->out_bound[0], c->grad_bound[0], hkd_count(&c->in_shape[0]));
}

const hkd_op hkd_op_relu = {
    .name = "relu",
    .formula = "y = max(x, 0)",
    .source = "VGG16 (Simonyan & Zisserman 2015), Inception v3 (Szegedy et al. 2016)",
    .in = {"x"},
    .out = {"y"},
    .reads_out = 1 << 0,
    .in_place = 1 << 0,
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
