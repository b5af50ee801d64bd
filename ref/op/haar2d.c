/* haar2d - one level of the orthonormal Haar wavelet transform, every channel alone.
 *
 * The 2 x 2 pixels  p0 p1 / p2 p3  of channel c become one pixel of four bands, channels 4c .. 4c + 3:
 *   LL = (p0 + p1 + p2 + p3) / 2      low vertically, low horizontally (twice the mean)
 *   LH = (p0 - p1 + p2 - p3) / 2      low vertically, high horizontally
 *   HL = (p0 + p1 - p2 - p3) / 2      high vertically, low horizontally
 *   HH = (p0 - p1 - p2 + p3) / 2
 * Analysis (mode 0) makes [n,4c,h/2,w/2] of [n,c,h,w], synthesis (mode 1) takes it back. The 4 x 4 matrix is symmetric and
 * its own inverse, so both directions apply the same numbers and the sum of squares is kept.
 *
 * Gradient. An orthonormal map's transpose is its inverse: backward of analysis is synthesis of dy, and the reverse.
 *
 * Bound. Four terms with the exact factor 1/2: E = kappa(4) sum |terms| / 2.
 *
 * Source: Haar 1910; the resolution bands of the multiscale analyses.
 */
#include "op.h"

#include <math.h>

/* Of the four values v: band or pixel k. */
static double mix(const double *v, int k, bool absolute) {
    if (absolute) return (fabs(v[0]) + fabs(v[1]) + fabs(v[2]) + fabs(v[3])) / 2;
    const double h = k & 1 ? -1 : 1, u = k & 2 ? -1 : 1;
    return (v[0] + h * v[1] + u * v[2] + h * u * v[3]) / 2;
}

/* Where value k of quad (i, j) of channel c lies: among the pixels, or among the bands. */
static int64_t place(const hkd_haar2d_dims *d, bool bands, int64_t plane, int64_t i, int64_t j, int k) {
    if (bands) return ((plane * 4 + k) * d->h + i) * d->w + j;
    return (plane * 2 * d->h + 2 * i + k / 2) * 2 * d->w + 2 * j + k % 2;
}

/* to += gain times the transform of from, whose values are bands or pixels. */
static void transform(double *to, const double *from, bool from_bands, double gain, const hkd_haar2d_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h; i++)
            for (int64_t j = 0; j < d->w; j++) {
                double v[4];
                for (int k = 0; k < 4; k++) v[k] = from[place(d, from_bands, plane, i, j, k)];
                for (int k = 0; k < 4; k++) to[place(d, !from_bands, plane, i, j, k)] += gain * mix(v, k, absolute);
            }
}

static void clear(double *a, const hkd_haar2d_dims *d) {
    for (int64_t i = 0; a && i < d->n * d->c * 4 * d->h * d->w; i++) a[i] = 0;
}

void hkd_ref_haar2d(double *y, const double *x, const hkd_haar2d_dims *d) {
    clear(y, d);
    transform(y, x, d->synthesis, 1, d, false);
}

void hkd_ref_haar2d_grad(double *dx, const double *dy, const hkd_haar2d_dims *d) {
    if (dx) transform(dx, dy, !d->synthesis, 1, d, false);
}

void hkd_ref_haar2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_haar2d_dims *d,
                          hkd_kappa_rule kappa) {
    clear(ey, d);
    clear(edx, d);
    if (ey) transform(ey, x, d->synthesis, hkd_kappa(kappa, 4), d, true);
    if (edx) transform(edx, dy, !d->synthesis, hkd_kappa(kappa, 4), d, true);
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[0].dim;
    if (in[0].rank != 4) return "x must be [n, c, h, w]";
    if (p[0] != 0 && p[0] != 1) return "mode must be 0 (analysis) or 1 (synthesis)";
    if (p[0] == 0 && (x[2] % 2 || x[3] % 2)) return "analysis needs an even height and width";
    if (p[0] == 1 && x[1] % 4) return "synthesis needs four bands per channel";
    out[0] = p[0] == 0 ? hkd_shape_of(4, x[0], 4 * x[1], x[2] / 2, x[3] / 2)
                       : hkd_shape_of(4, x[0], x[1] / 4, 2 * x[2], 2 * x[3]);
    return NULL;
}

static hkd_haar2d_dims dims(const hkd_ref_call *c) {
    const bool synthesis = c->p[0] == 1;
    const int64_t *pixels = (synthesis ? c->out_shape : c->in_shape)[0].dim;
    return (hkd_haar2d_dims){pixels[0], pixels[1], pixels[2] / 2, pixels[3] / 2, synthesis};
}

static void forward(const hkd_ref_call *c) {
    const hkd_haar2d_dims d = dims(c);
    hkd_ref_haar2d(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_haar2d_dims d = dims(c);
    hkd_ref_haar2d_grad(c->grad[0], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_haar2d_dims d = dims(c);
    hkd_ref_haar2d_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_haar2d = {
    .name = "haar2d",
    .formula = "[LL, LH, HL, HH] = 1/2 [[1,1,1,1], [1,-1,1,-1], [1,1,-1,-1], [1,-1,-1,1]] of 2 x 2 pixels",
    .source = "Haar 1910",
    .in = {"x"},
    .out = {"y"},
    .param = {{"mode", 'i', 0}},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
