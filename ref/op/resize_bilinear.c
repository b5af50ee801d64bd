/* resize_bilinear - a picture of another size by linear interpolation, without half-pixel offset or smoothing.
 *
 * Per axis, result i of `out` lies at the source coordinate i in/out (TensorFlow 1): with l = floor(i in / out),
 *   f = (i in mod out) / out,      u = min(l + 1, in - 1),      y[i] = (1 - f) x[l] + f x[u],
 * on rows and columns. l and the numerator of f are whole numbers: no float coordinate can fall on the wrong side.
 *
 * Gradient. Linear: every dy is sent to its four pixels with the same weights.
 *
 * Bound. f is one division, 1 - f one subtraction more, a weight w their product: E(f) = C_DIV f, E(1 - f) = C_DIV f + (1 - f)
 * and the product rule give E(w), and  E = sum (kappa(terms) w + E(w)) |x|,  with 4 terms in y and the product over both axes
 * of 2 (out/in + 1) in dx. Where in/out is dyadic everything is exact in float32 (kappa = 0).
 *
 * Source: tf.image.resize_bilinear (align_corners = half_pixel_centers = false), the input of the FID network.
 */
#include "bounded.h"
#include "op.h"

#include <math.h>

/* The two source places of one result, and the weight of each with its error. */
typedef struct {
    int64_t at[2];
    hkd_bounded w[2];
} pair;

static pair pair_of(int64_t i, int64_t in, int64_t out) {
    const int64_t lower = i * in / out;
    const double f = (double)(i * in % out) / (double)out;
    const hkd_bounded w0 = {1 - f, HKD_C_DIV * f + (f > 0 ? 1 - f : 0)}, w1 = {f, HKD_C_DIV * f};
    return (pair){{lower, lower + 1 < in ? lower + 1 : lower}, {w0, w1}};
}

/* Weight of a pixel; with a kappa instead the weight of its error: kappa w + E(w). */
static double weight(hkd_bounded v, hkd_bounded h, double kappa, bool absolute) {
    const hkd_bounded w = hkd_product(v, h);
    return absolute ? kappa * w.v + (kappa > 0 ? w.e : 0) : w.v;
}

/* y = x resampled, or with `absolute` the error of that. */
static void gather(double *y, const double *x, double kappa, const hkd_resize_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++) {
                const pair v = pair_of(i, d->h, d->h_out), h = pair_of(j, d->w, d->w_out);
                double sum = 0;
                for (int k = 0; k < 4; k++) {
                    const double value = x[(plane * d->h + v.at[k / 2]) * d->w + h.at[k % 2]];
                    sum += weight(v.w[k / 2], h.w[k % 2], kappa, absolute) * (absolute ? fabs(value) : value);
                }
                y[(plane * d->h_out + i) * d->w_out + j] = sum;
            }
}

/* dx += the transposed map of dy. */
static void spread(double *dx, const double *dy, double kappa, const hkd_resize_dims *d, bool absolute) {
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < d->h_out; i++)
            for (int64_t j = 0; j < d->w_out; j++) {
                const pair v = pair_of(i, d->h, d->h_out), h = pair_of(j, d->w, d->w_out);
                const double g = dy[(plane * d->h_out + i) * d->w_out + j];
                for (int k = 0; k < 4; k++)
                    dx[(plane * d->h + v.at[k / 2]) * d->w + h.at[k % 2]] +=
                        weight(v.w[k / 2], h.w[k % 2], kappa, absolute) * (absolute ? fabs(g) : g);
            }
}

void hkd_ref_resize_bilinear(double *y, const double *x, const hkd_resize_dims *d) { gather(y, x, 0, d, false); }

void hkd_ref_resize_bilinear_grad(double *dx, const double *dy, const hkd_resize_dims *d) {
    if (dx) spread(dx, dy, 0, d, false);
}

/* Results that read one source place along an axis, at most: those in the two intervals that it ends. */
static double readers(int64_t in, int64_t out) { return 2.0 * (double)(out / (in > 0 ? in : 1) + 1); }

void hkd_ref_resize_bilinear_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_resize_dims *d,
                                   hkd_kappa_rule kappa) {
    if (ey) gather(ey, x, hkd_kappa(kappa, 4), d, true);
    for (int64_t i = 0; edx && i < d->n * d->c * d->h * d->w; i++) edx[i] = 0;
    if (edx) spread(edx, dy, hkd_kappa(kappa, readers(d->h, d->h_out) * readers(d->w, d->w_out)), d, true);
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[0].dim;
    if (in[0].rank != 4 || x[2] < 1 || x[3] < 1) return "x must be [n, c, h, w] with at least one pixel";
    if (p[0] < 1 || p[1] < 1 || p[0] > 65536 || p[1] > 65536 || x[2] > 65536 || x[3] > 65536)
        return "out_h, out_w and the picture's sides must be between 1 and 65536";
    out[0] = hkd_shape_of(4, x[0], x[1], (int64_t)p[0], (int64_t)p[1]);
    return NULL;
}

static hkd_resize_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[0].dim, *y = c->out_shape[0].dim;
    return (hkd_resize_dims){x[0], x[1], x[2], x[3], y[2], y[3]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_resize_dims d = dims(c);
    hkd_ref_resize_bilinear(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_resize_dims d = dims(c);
    hkd_ref_resize_bilinear_grad(c->grad[0], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_resize_dims d = dims(c);
    hkd_ref_resize_bilinear_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_resize_bilinear = {
    .name = "resize_bilinear",
    .formula = "y[i] = x at the source coordinate i in/out, interpolated on both axes",
    .source = "tf.image.resize_bilinear of TensorFlow 1",
    .in = {"x"},
    .out = {"y"},
    .param = {{"out_h", 'i', 1}, {"out_w", 'i', 1}},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
