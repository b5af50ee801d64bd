/* add_channel - one number per channel, added at every pixel; per image, or the same for the whole batch.
 *
 *   y[n,c,i,j] = x[n,c,i,j] + b[n,c]          b [n, c], or [1, c] or [c] (a bias) for all images
 *
 * Gradient. y is linear with slope 1: dx = dy, and b[n,c] entered every pixel of its channel (and every image when b has one
 * row), so db collects dy there:  db[n,c] = sum over i, j (and n) of dy[n,c,i,j].
 *
 * Bound. One addition rounds once: E(y) = kappa(1) |x + b|. dx is a copy, E = 0. db sums m = h w (or n h w) terms:
 * E(db) = kappa(m) sum |dy|.
 *
 * Source: the embedding's shift and the bias of the fused down-convolution in EDM's U-Net (Karras et al. 2022).
 */
#include "op.h"

#include <math.h>

/* Row of b that image n reads. */
static int64_t row_of(const hkd_add_channel_dims *d, int64_t n) { return d->n_b == 1 ? 0 : n; }

void hkd_ref_add_channel(double *y, const double *x, const double *b, const hkd_add_channel_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++)
            for (int64_t i = 0; i < d->h * d->w; i++) {
                const int64_t at = (n * d->c + c) * d->h * d->w + i;
                y[at] = x[at] + b[row_of(d, n) * d->c + c];
            }
}

void hkd_ref_add_channel_grad(double *dx, double *db, const double *dy, const hkd_add_channel_dims *d) {
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++)
            for (int64_t i = 0; i < d->h * d->w; i++) {
                const int64_t at = (n * d->c + c) * d->h * d->w + i;
                if (dx) dx[at] += dy[at];
                if (db) db[row_of(d, n) * d->c + c] += dy[at];
            }
}

void hkd_ref_add_channel_bound(double *ey, double *edx, double *edb, const double *dy, const double *x, const double *b,
                               const hkd_add_channel_dims *d, hkd_kappa_rule kappa) {
    const int64_t area = d->h * d->w;
    const double db_kappa = hkd_kappa(kappa, (double)(d->n_b == 1 ? d->n * area : area));
    for (int64_t i = 0; edb && i < d->n_b * d->c; i++) edb[i] = 0;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t c = 0; c < d->c; c++)
            for (int64_t i = 0; i < area; i++) {
                const int64_t at = (n * d->c + c) * area + i, b_at = row_of(d, n) * d->c + c;
                if (ey) ey[at] = hkd_kappa(kappa, 1) * fabs(x[at] + b[b_at]);
                if (edx) edx[at] = 0;
                if (edb) edb[b_at] += db_kappa * fabs(dy[at]);
            }
}

/* ---- the row ---- */

enum { X, B };

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    (void)p;
    const int64_t *x = in[X].dim, *b = in[B].dim;
    if (in[X].rank != 4) return "x must be [n, c, h, w]";
    const bool bias = in[B].rank == 1 && b[0] == x[1];
    if (!bias && !(in[B].rank == 2 && b[1] == x[1] && (b[0] == x[0] || b[0] == 1)))
        return "b must be [n, c], [1, c] or [c] with the n and c of x";
    out[0] = in[X];
    return NULL;
}

static hkd_add_channel_dims dims(const hkd_ref_call *c) {
    const int64_t *x = c->in_shape[X].dim;
    return (hkd_add_channel_dims){x[0], x[1], x[2], x[3], c->in_shape[B].rank == 1 ? 1 : c->in_shape[B].dim[0]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_add_channel_dims d = dims(c);
    hkd_ref_add_channel(c->out[0], c->in[X], c->in[B], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_add_channel_dims d = dims(c);
    hkd_ref_add_channel_grad(c->grad[X], c->grad[B], c->up[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_add_channel_dims d = dims(c);
    hkd_ref_add_channel_bound(c->out_bound[0], c->grad_bound[X], c->grad_bound[B], c->up[0], c->in[X], c->in[B], &d, c->kappa);
}

const hkd_op hkd_op_add_channel = {
    .name = "add_channel",
    .formula = "y = x + b, b constant over the pixels of a channel",
    .source = "EDM (Karras et al. 2022), network",
    .in = {"x", "b"},
    .out = {"y"},
    .in_place = 1 << X,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
