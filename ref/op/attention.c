/* attention - every position of a picture gathers from all others, weighted by how well its query fits their keys.
 *
 *   l[i,j] = s sum_c q[c,i] k[c,j],  s = 1/sqrt(c/heads),    w[i,:] = softmax over j of l[i,:],    y[c,i] = sum_j w[i,j] v[c,j]
 *
 * within each head and sample. q, k and v arrive interleaved: channel head (3 c/heads) + 3 c' holds q of c', then k, then v.
 *
 * Gradient. With dw[i,j] = sum_c dy[c,i] v[c,j] and the softmax rule dl = w (dw - D),  D[i] = sum_j w[i,j] dw[i,j]:
 *   dv[c,j] = sum_i w[i,j] dy[c,i],     dq[c,i] = s sum_j dl[i,j] k[c,j],     dk[c,j] = s sum_i dl[i,j] q[c,i].
 *
 * Stability. The largest logit of a row is subtracted first: w does not change, and exp cannot overflow. Nothing of size
 * area^2 is kept: the rows of w are formed again where they are needed.
 *
 * Bound. E(l) = s (kappa(c/heads) + 2) sum_c |q k|. A row's common error cancels in the quotient, so with the relative error
 * of exp(l - max), r = E(l) + |l - max| + C_EXP,
 *   E(w) = w (r + sum_j w r + kappa(area) + 1 + C_DIV) + underflow.
 * With A = sum_c |dy v|: E(dw) = kappa(c/heads) A, and D may be formed as sum_j w dw or as sum_c dy y:
 *   E(D) = sum_j (w A (kappa(area) + kappa(c/heads) + 1) + E(w) A).
 * The rest is sums and products of bounded values; a sum over positions costs kappa(area).
 *
 * Source: Vaswani et al. 2017; layout and scale: EDM (Karras et al. 2022), network.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

#include <math.h>

/* One head of one sample: row 3 c + j of qkv holds q, k or v of channel c, row c of y its result. */
typedef struct {
    int64_t width, area, qkv, y; /* channels of the head, positions, where the head begins in qkv and in y */
    double scale;
} head;

static head head_of(const hkd_attention_dims *d, int64_t index) {
    const int64_t width = d->c / d->heads;
    return (head){width, d->area, index * 3 * width * d->area, index * width * d->area, 1 / sqrt((double)width)};
}

enum { Q, K, V };

static int64_t at(const head *h, int64_t c, int part, int64_t position) {
    return h->qkv + (3 * c + part) * h->area + position;
}

static double logit(const head *h, const double *qkv, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t c = 0; c < h->width; c++) sum += qkv[at(h, c, Q, i)] * qkv[at(h, c, K, j)];
    return h->scale * sum;
}

static double largest_logit(const head *h, const double *qkv, int64_t i) {
    double largest = logit(h, qkv, i, 0);
    for (int64_t j = 1; j < h->area; j++) largest = fmax(largest, logit(h, qkv, i, j));
    return largest;
}

/* dw[i,j]: how much the loss wants of value j at position i. */
static double wanted(const head *h, const double *dy, const double *qkv, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t c = 0; c < h->width; c++) sum += dy[h->y + c * h->area + i] * qkv[at(h, c, V, j)];
    return sum;
}

void hkd_ref_attention(double *y, const double *qkv, const hkd_attention_dims *d) {
    for (int64_t index = 0; index < d->n * d->heads; index++) {
        const head h = head_of(d, index);
        for (int64_t i = 0; i < h.area; i++) {
            const double largest = largest_logit(&h, qkv, i);
            double total = 0;
            for (int64_t c = 0; c < h.width; c++) y[h.y + c * h.area + i] = 0;
            for (int64_t j = 0; j < h.area; j++) {
                const double e = hkd_exp(logit(&h, qkv, i, j) - largest);
                total += e;
                for (int64_t c = 0; c < h.width; c++) y[h.y + c * h.area + i] += e * qkv[at(&h, c, V, j)];
            }
            for (int64_t c = 0; c < h.width; c++) y[h.y + c * h.area + i] /= total;
        }
    }
}

void hkd_ref_attention_grad(double *dqkv, const double *dy, const double *qkv, const hkd_attention_dims *d) {
    for (int64_t index = 0; dqkv && index < d->n * d->heads; index++) {
        const head h = head_of(d, index);
        for (int64_t i = 0; i < h.area; i++) {
            const double largest = largest_logit(&h, qkv, i);
            double total = 0, mean = 0; /* mean becomes D[i] */
            for (int64_t j = 0; j < h.area; j++) {
                const double e = hkd_exp(logit(&h, qkv, i, j) - largest);
                total += e;
                mean += e * wanted(&h, dy, qkv, i, j);
            }
            mean /= total;
            for (int64_t j = 0; j < h.area; j++) {
                const double w = hkd_exp(logit(&h, qkv, i, j) - largest) / total;
                const double dl = h.scale * w * (wanted(&h, dy, qkv, i, j) - mean);
                for (int64_t c = 0; c < h.width; c++) {
                    dqkv[at(&h, c, Q, i)] += dl * qkv[at(&h, c, K, j)];
                    dqkv[at(&h, c, K, j)] += dl * qkv[at(&h, c, Q, i)];
                    dqkv[at(&h, c, V, j)] += w * dy[h.y + c * h.area + i];
                }
            }
        }
    }
}

typedef struct { /* what the bound needs of a row of weights: largest logit, sum of exp, sum of w r */
    double largest, total, error, kappa_width, kappa_area;
} row;

/* exp(l - largest), not yet divided, and its relative error. */
static hkd_bounded weight_of(const head *h, const double *qkv, int64_t i, int64_t j, const row *r) {
    double size = 0;
    for (int64_t c = 0; c < h->width; c++) size += fabs(qkv[at(h, c, Q, i)] * qkv[at(h, c, K, j)]);
    const double l = logit(h, qkv, i, j) - r->largest;
    return (hkd_bounded){hkd_exp(l), h->scale * (r->kappa_width + 2) * size + fabs(l) + HKD_C_EXP};
}

static row row_of(const head *h, const double *qkv, int64_t i, hkd_kappa_rule rule) {
    row r = {largest_logit(h, qkv, i), 0, 0, hkd_kappa(rule, (double)h->width), hkd_kappa(rule, (double)h->area)};
    for (int64_t j = 0; j < h->area; j++) {
        const hkd_bounded e = weight_of(h, qkv, i, j, &r);
        r.total += e.v;
        r.error += e.v * e.e;
    }
    r.error /= r.total;
    return r;
}

static hkd_bounded normalised(hkd_bounded e, const row *r) {
    const double w = e.v / r->total;
    return (hkd_bounded){w, w * (e.e + r->error + r->kappa_area + 1 + HKD_C_DIV) + HKD_UNDERFLOW};
}

static void add(double *e, hkd_bounded term, double kappa) { *e += kappa * fabs(term.v) + term.e; }

static void grad_bound_of_row(double *edqkv, const double *dy, const double *qkv, const head *h, int64_t i, const row *r) {
    hkd_bounded mean = {0, 0}; /* D[i]; complete after the first of two rounds */
    for (int round = 0; round < 2; round++)
        for (int64_t j = 0; j < h->area; j++) {
            const hkd_bounded w = normalised(weight_of(h, qkv, i, j, r), r);
            double size = 0; /* A */
            for (int64_t c = 0; c < h->width; c++) size += fabs(dy[h->y + c * h->area + i] * qkv[at(h, c, V, j)]);
            const hkd_bounded dw = {wanted(h, dy, qkv, i, j), r->kappa_width * size}, scale = {h->scale, h->scale};
            if (round == 0) {
                mean.v += w.v * dw.v;
                mean.e += size * (w.v * (r->kappa_area + r->kappa_width + 1) + w.e);
                continue;
            }
            const hkd_bounded dl = hkd_product(scale, hkd_product(w, hkd_sum2(dw, hkd_negative(mean))));
            for (int64_t c = 0; c < h->width; c++) {
                const int64_t q = at(h, c, Q, i), k = at(h, c, K, j), v = at(h, c, V, j);
                add(&edqkv[q], hkd_product(dl, hkd_exactly(qkv[k])), r->kappa_area);
                add(&edqkv[k], hkd_product(dl, hkd_exactly(qkv[q])), r->kappa_area);
                add(&edqkv[v], hkd_product(w, hkd_exactly(dy[h->y + c * h->area + i])), r->kappa_area);
            }
        }
}

void hkd_ref_attention_bound(double *ey, double *edqkv, const double *dy, const double *qkv, const hkd_attention_dims *d,
                             hkd_kappa_rule rule) {
    for (int64_t i = 0; edqkv && i < d->n * 3 * d->c * d->area; i++) edqkv[i] = 0;
    for (int64_t i = 0; ey && i < d->n * d->c * d->area; i++) ey[i] = 0;
    for (int64_t index = 0; index < d->n * d->heads; index++) {
        const head h = head_of(d, index);
        for (int64_t i = 0; i < h.area; i++) {
            const row r = row_of(&h, qkv, i, rule);
            for (int64_t j = 0; ey && j < h.area; j++) {
                const hkd_bounded w = normalised(weight_of(&h, qkv, i, j, &r), &r);
                for (int64_t c = 0; c < h.width; c++)
                    add(&ey[h.y + c * h.area + i], hkd_product(w, hkd_exactly(qkv[at(&h, c, V, j)])), r.kappa_area);
            }
            if (edqkv) grad_bound_of_row(edqkv, dy, qkv, &h, i, &r);
        }
    }
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank != 4 || in[0].dim[1] % 3) return "qkv must be [n, 3 c, h, w]";
    const int64_t c = in[0].dim[1] / 3;
    if (p[0] < 1 || c % (int64_t)p[0]) return "heads must divide the number of channels";
    out[0] = hkd_shape_of(4, in[0].dim[0], c, in[0].dim[2], in[0].dim[3]);
    return NULL;
}

static hkd_attention_dims dims(const hkd_ref_call *c) {
    const int64_t *qkv = c->in_shape[0].dim;
    return (hkd_attention_dims){qkv[0], qkv[1] / 3, qkv[2] * qkv[3], (int64_t)c->p[0]};
}

static void forward(const hkd_ref_call *c) {
    const hkd_attention_dims d = dims(c);
    hkd_ref_attention(c->out[0], c->in[0], &d);
}

static void backward(const hkd_ref_call *c) {
    const hkd_attention_dims d = dims(c);
    hkd_ref_attention_grad(c->grad[0], c->up[0], c->in[0], &d);
}

static void bound(const hkd_ref_call *c) {
    const hkd_attention_dims d = dims(c);
    hkd_ref_attention_bound(c->out_bound[0], c->grad_bound[0], c->up[0], c->in[0], &d, c->kappa);
}

const hkd_op hkd_op_attention = {
    .name = "attention",
    .formula = "y = softmax(q k / sqrt(c/heads)) v, channels interleaved q, k, v",
    .source = "Vaswani et al. 2017; EDM (Karras et al. 2022), network",
    .in = {"qkv"},
    .out = {"y"},
    .param = {{"heads", 'i', 1}},
    .reads_in = 1 << 0,
    .not_exact = "exp of anything but 0 is irrational",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .bound = bound,
};
