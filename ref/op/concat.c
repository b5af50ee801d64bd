/* concat - two arrays side by side along the channel axis: [n, c_a, ...] and [n, c_b, ...] give [n, c_a + c_b, ...].
 *
 *   y[n, c] = a[n, c]  for c < c_a,   b[n, c - c_a]  otherwise
 *
 * Gradient. Every element is copied to one place, so dy is cut at channel c_a and its parts are copied back.
 *
 * Bound. Copies do not round: E = 0 everywhere.
 *
 * Source: the skip connections of EDM's U-Net (Karras et al. 2022): [x, skip].
 */
#include "op.h"

void hkd_ref_concat(double *y, const double *a, const double *b, const hkd_concat_dims *d) {
    const int64_t a_size = d->c_a * d->area, b_size = d->c_b * d->area;
    for (int64_t n = 0; n < d->n; n++) {
        double *ys = y + n * (a_size + b_size);
        for (int64_t i = 0; i < a_size; i++) ys[i] = a[n * a_size + i];
        for (int64_t i = 0; i < b_size; i++) ys[a_size + i] = b[n * b_size + i];
    }
}

void hkd_ref_concat_grad(double *da, double *db, const double *dy, const hkd_concat_dims *d) {
    const int64_t a_size = d->c_a * d->area, b_size = d->c_b * d->area;
    for (int64_t n = 0; n < d->n; n++) {
        const double *dys = dy + n * (a_size + b_size);
        for (int64_t i = 0; da && i < a_size; i++) da[n * a_size + i] += dys[i];
        for (int64_t i = 0; db && i < b_size; i++) db[n * b_size + i] += dys[a_size + i];
    }
}

void hkd_ref_concat_bound(double *ey, double *eda, double *edb, const hkd_concat_dims *d) {
    const int64_t a_count = d->n * d->c_a * d->area, b_count = d->n * d->c_b * d->area;
    for (int64_t i = 0; ey && i < a_count + b_count; i++) ey[i] = 0;
    for (int64_t i = 0; eda && i < a_count; i++) eda[i] = 0;
    for (int64_t i = 0; edb && i < b_count; i++) edb[i] = 0;
}

/* ---- the row ---- */

enum { A, B };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    const int64_t *a = in[A].dim, *b = in[B].dim;
    if (in[A].rank != in[B].rank || (in[A].rank != 2 && in[A].rank != 4)) return "a and b must both be [n, c] or [n, c, h, w]";
    for (int i = 0; i < in[A].rank; i++)
        if (i != 1 && a[i] != b[i]) return "a and b may differ in their channels only";
    out[0] = in[A];
    out[0].dim[1] = a[1] + b[1];
    return NULL;
}

static hkd_concat_dims dims(const hkd_ref_call *c) {
    const int64_t *a = c->in_shape[A].dim, *b = c->in_shape[B].dim;
    return (hkd_concat_dims){a[0], a[1], b[1], c->in_shape[A].rank == 4 ? a[2] * a[3] : 1};
}

static void forward(const hkd_ref_call *c) {
    const hkd_concat_dims d = dims(c);
    hkd_ref_concat(c->out[0], c->in[A], c->in[B], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_concat_dims d = dims(c);
    hkd_ref_concat_grad(c->grad[A], c->grad[B], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_concat_dims d = dims(c);
    hkd_ref_concat_bound(c->out_bound[0], c->grad_bound[A], c->grad_bound[B], &d);
}

const hkd_op hkd_op_concat = {
    .name = "concat",
    .formula = "y = [a, b] along the channels",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"a", "b"},
    .out = {"y"},
    .cheap = true,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
