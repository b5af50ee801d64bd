/* resample2d - halve or double a picture with a small binomial filter, every channel alone.
 *
 * r = [1,1] or [1,3,3,1], R = its sum, t = its length, f = outer(r, r) / R^2. Both directions walk the same pairs of a fine
 * pixel (2i - pad + p, 2j - pad + q) and a coarse pixel (i, j), 0 <= p, q < t; fine pixels outside the picture count as 0:
 *   down:  y[i,j]                     = sum over p, q of  f[p,q] x[2i - pad + p, 2j - pad + q]         (stride 2)
 *   up:    y[2i - pad + p, ...]      += 4 f[p,q] x[i,j]                                   (the transposed map times 4)
 * pad = t/2 - 1 makes the sizes h/2 and 2h. Two taps: the mean of 2 x 2 pixels, and nearest-neighbour doubling. Four taps,
 * per axis: [1,3,3,1]/8, and y[2i] = (x[i-1] + 3 x[i])/4, y[2i+1] = (3 x[i] + x[i+1])/4; borders are not renormalised.
 * Down with four taps and pad 0 ends a fused convolution: conv2d with one more pixel of padding, this, then the bias.
 *
 * Gradient. Up is 4 times the transpose of down, so each one's gradient is the other's walk:
 *   down:  dx = spread(dy) with gain 1,        up:  dx = gather(dy) with gain 4.
 *
 * Bound. Linear with positive weights, exact in float32: E = kappa(terms) times the same walk over absolute values, with t^2
 * terms in a gather and t^2/4 in a spread. It also covers the two-pass form: t roundings an axis in a gather, 2 in a spread.
 *
 * Source: EDM (Karras et al. 2022), Conv2d with resample_filter [1,1] (DDPM++) or [1,3,3,1] (NCSN++).
 */
#include "op.h"

#include <math.h>

/* Weight of tap p: r[p] / R. */
static double filter(const hkd_resample2d_dims *d, int64_t p) {
    if (d->taps == 2) return 0.5;
    return p == 0 || p == 3 ? 0.125 : 0.375;
}

/* The two pictures of a call: height and width, fine and coarse. */
typedef struct {
    int64_t fh, fw, ch, cw;
} grids;

static grids grids_of(const hkd_resample2d_dims *d) {
    return d->up ? (grids){d->h_out, d->w_out, d->h, d->w} : (grids){d->h, d->w, d->h_out, d->w_out};
}

/* coarse += gain f fine */
static void gather(double *coarse, const double *fine, double gain, const hkd_resample2d_dims *d, bool absolute) {
    const grids g = grids_of(d);
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < g.ch; i++)
            for (int64_t j = 0; j < g.cw; j++)
                for (int64_t p = 0; p < d->taps; p++)
                    for (int64_t q = 0; q < d->taps; q++) {
                        const int64_t row = 2 * i - d->pad + p, col = 2 * j - d->pad + q;
                        if (row < 0 || row >= g.fh || col < 0 || col >= g.fw) continue;
                        const double v = fine[(plane * g.fh + row) * g.fw + col], f = gain * filter(d, p) * filter(d, q);
                        coarse[(plane * g.ch + i) * g.cw + j] += f * (absolute ? fabs(v) : v);
                    }
}

/* fine += gain f coarse, over the same pairs */
static void spread(double *fine, const double *coarse, double gain, const hkd_resample2d_dims *d, bool absolute) {
    const grids g = grids_of(d);
    for (int64_t plane = 0; plane < d->n * d->c; plane++)
        for (int64_t i = 0; i < g.ch; i++)
            for (int64_t j = 0; j < g.cw; j++)
                for (int64_t p = 0; p < d->taps; p++)
                    for (int64_t q = 0; q < d->taps; q++) {
                        const int64_t row = 2 * i - d->pad + p, col = 2 * j - d->pad + q;
                        if (row < 0 || row >= g.fh || col < 0 || col >= g.fw) continue;
                        const double v = coarse[(plane * g.ch + i) * g.cw + j], f = gain * filter(d, p) * filter(d, q);
                        fine[(plane * g.fh + row) * g.fw + col] += f * (absolute ? fabs(v) : v);
                    }
}

static void clear(double *a, int64_t count) {
    for (int64_t i = 0; a && i < count; i++) a[i] = 0;
}

static int64_t inputs(const hkd_resample2d_dims *d) { return d->n * d->c * d->h * d->w; }
static int64_t outputs(const hkd_resample2d_dims *d) { return d->n * d->c * d->h_out * d->w_out; }

void hkd_ref_resample2d(double *y, const double *x, const hkd_resample2d_dims *d) {
    clear(y, outputs(d));
    if (d->up) spread(y, x, 4, d, false);
    else gather(y, x, 1, d, false);
}

void hkd_ref_resample2d_grad(double *dx, const double *dy, const hkd_resample2d_dims *d) {
    if (!dx) return;
    if (d->up) gather(dx, dy, 4, d, false);
    else spread(dx, dy, 1, d, false);
}

void hkd_ref_resample2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_resample2d_dims *d,
                              hkd_kappa_rule kappa) {
    const double in_gather = hkd_kappa(kappa, (double)(d->taps * d->taps)), in_spread = in_gather / 4;
    clear(ey, outputs(d));
    clear(edx, inputs(d));
    if (ey && d->up) spread(ey, x, 4 * in_spread, d, true);
    if (ey && !d->up) gather(ey, x, in_gather, d, true);
    if (edx && d->up) gather(edx, dy, 4 * in_gather, d, true);
    if (edx && !d->up) spread(edx, dy, in_spread, d, true);
}

/* ---- the row ---- */

enum { MODE, TAPS, PAD };

static int64_t pad_of(const double *p) { return p[PAD] < 0 ? (int64_t)p[TAPS] / 2 - 1 : (int64_t)p[PAD]; }

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const int64_t *x = in[0].dim, taps = (int64_t)p[TAPS], pad = pad_of(p);
    if (in[0].rank != 4) return "x must be [n, c, h, w]";
    if (p[MODE] != 0 && p[MODE] != 1) return "mode must be 0 (down) or 1 (up)";
    if (taps != 2 && taps != 4) return "taps must be 2 or 4";
    if (p[PAD] < -1 || pad >= taps) return "pad must be less than taps, or -1 for taps/2 - 1";
    if (p[MODE] == 1 && pad != taps / 2 - 1) return "up has no padding other than taps/2 - 1";
    if (p[MODE] == 0 && (x[2] + 2 * pad < taps || x[3] + 2 * pad < taps)) return "the filter is larger than the padded picture";
    out[0] = p[MODE] == 1 ? hkd_shape_of(4, x[0], x[1], 2 * x[2], 2 * x[3])
                          : hkd_shape_of(4, x[0], x[1], (x[2] + 2 * pad - taps) / 2 + 1, (x[3] + 2 * pad - taps) / 2 + 1);
    return NULL;
}

static hkd_resample2d_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[0].dim, *y = c->out_shape[0].dim;
    return (hkd_resample2d_dims){x[0], x[1], x[2], x[3], c->p[MODE] == 1, (int64_t)c->p[TAPS], pad_of(c->p), y[2], y[3]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_resample2d_dims d = dims(c);
    hkd_ref_resample2d(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_resample2d_dims d = dims(c);
    hkd_ref_resample2d_grad(c->grad[0], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_resample2d_dims d = dims(c);
    hkd_ref_resample2d_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_resample2d = {
    .name = "resample2d",
    .formula = "y = f * x, every second pixel (down), or its transpose times 4 (up)",
    .source = "EDM (Karras et al. 2022), Conv2d with resample_filter",
    .in = {"x"},
    .out = {"y"},
    .param = {{"mode", 'i', 0}, {"taps", 'i', 2}, {"pad", 'i', -1}},
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
