/* attention on OpenCL: matrix products by the contraction of contract.h, the softmax between them by attention.cl.
 *
 * With queries i and keys j, weights are kept transposed, w [j, i], so that products over j read rows of it; the two products
 * over i (dv and dk) read a transposed copy. Heads are taken in portions whose area^2 arrays fit into MOST_FLOATS. */
#include "opencl.h"

#include <math.h>

extern const hkd_op hkd_op_attention;

enum { Q, K, V };
enum { WEIGHTS, TO_WEIGHTS, TURNED }; /* scratch */
enum { MOST_FLOATS = 1 << 24 };

typedef struct {
    int64_t heads, width, area, portion; /* of all images together; channels of one; positions; heads taken at a time */
    double scale;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *qkv = call->in[0].shape.dim, heads = (int64_t)call->p[0];
    dims d = {.heads = qkv[0] * heads, .width = qkv[1] / 3 / heads, .area = qkv[2] * qkv[3]};
    const int64_t fit = d.area ? MOST_FLOATS / (d.area * d.area) : 1;
    d.portion = fit < 1 ? 1 : fit < d.heads ? fit : d.heads;
    d.scale = 1 / sqrt((double)d.width);
    return d;
}

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    (void)cl;
    bytes[WEIGHTS] = (size_t)(d.portion * d.area * d.area) * sizeof(float);
    if (backward) bytes[TO_WEIGHTS] = bytes[TURNED] = bytes[WEIGHTS];
}

/* The three kinds of operands: a part of qkv or of its gradient, y or dy, and weights; each [rows, area] within a head. */
typedef struct {
    hkd_buffer *data;
    int64_t start, row, head; /* first element; steps from row to row and from head to head */
} rows;

static rows part(const dims *d, hkd_buffer *qkv, int which, int64_t first) {
    const int64_t head = 3 * d->width * d->area;
    return (rows){qkv, first * head + which * d->area, 3 * d->area, head};
}
static rows picture(const dims *d, hkd_buffer *y, int64_t first) {
    return (rows){y, first * d->width * d->area, d->area, d->width * d->area};
}
static rows square(const dims *d, hkd_buffer *w) { return (rows){w, 0, d->area, d->area * d->area}; }

/* c[row, i] (+)= sum over k of a b[k, i], with a[row, k], or a[k, row] when a is to be read `down`. */
static hkd_status product(hkd_cl *cl, const dims *d, const rows *c, const rows *a, bool down, const rows *b, int64_t m,
                          int64_t terms, int64_t heads, bool accumulate) {
    const hkd_contract k = {
        .m = (int)m, .n = (int)d->area, .z0 = (int)heads, .z1 = 1, .r0 = (int)terms, .r1 = 1, .r2 = 1,
        .a = (int)a->start, .a_m = (int)(down ? 1 : a->row), .a_r0 = (int)(down ? a->row : 1),
        .a_z0 = (int)a->head, .b = (int)b->start, .b_r0 = (int)b->row, .b_z0 = (int)b->head, .c = (int)c->start,
        .c_m = (int)c->row, .c_z0 = (int)c->head, .n0 = (int)d->area, .n0_used = (int)d->area, .n1 = 1, .n1_used = 1,
        .c_n0 = 1, .accumulate = accumulate};
    return hkd_cl_contract(cl, c->data, a->data, b->data, NULL, NULL, &k);
}

static hkd_status turn(hkd_cl *cl, const dims *d, hkd_buffer *from, int64_t heads) {
    return hkd_cl_transpose(cl, cl->scratch[TURNED], from, heads, d->area, d->area);
}

/* w [j, i] of `heads` heads from `first` on */
static hkd_status weights(hkd_cl *cl, const hkd_call *call, const dims *d, int64_t first, int64_t heads) {
    hkd_buffer *qkv = call->in[0].buffer;
    const rows w = square(d, cl->scratch[WEIGHTS]), q = part(d, qkv, Q, first), k = part(d, qkv, K, first);
    const hkd_status status = product(cl, d, &w, &k, true, &q, d->area, d->width, heads, false);
    return status ? status
                  : hkd_cl_deep_runs(cl, "attention_softmax", heads, d->area, 3 * d->area, hkd_cl_memory(w.data),
                                 hkd_cl_int(heads), hkd_cl_int(d->area), hkd_cl_real(d->scale));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_status status = HKD_OK;
    for (int64_t first = 0; !status && first < d.heads; first += d.portion) {
        const int64_t heads = first + d.portion > d.heads ? d.heads - first : d.portion;
        const rows y = picture(&d, call->out[0].buffer, first), w = square(&d, cl->scratch[WEIGHTS]);
        const rows v = part(&d, call->in[0].buffer, V, first);
        status = weights(cl, call, &d, first, heads);
        if (!status) status = product(cl, &d, &y, &v, false, &w, d.width, d.area, heads, false);
    }
    return status;
}

static hkd_status to_portion(hkd_cl *cl, const hkd_call *call, const dims *d, int64_t first, int64_t heads) {
    hkd_buffer *qkv = call->in[0].buffer, *grad = call->grad[0].buffer;
    const rows w = square(d, cl->scratch[WEIGHTS]), dw = square(d, cl->scratch[TO_WEIGHTS]), t = square(d, cl->scratch[TURNED]);
    const rows dy = picture(d, call->up[0].buffer, first);
    const rows q = part(d, qkv, Q, first), k = part(d, qkv, K, first), v = part(d, qkv, V, first);
    const rows dq = part(d, grad, Q, first), dk = part(d, grad, K, first), dv = part(d, grad, V, first);
    const bool add = call->accumulate[0];
    hkd_status status = weights(cl, call, d, first, heads);
    if (!status) status = turn(cl, d, w.data, heads);
    if (!status) status = product(cl, d, &dv, &dy, false, &t, d->width, d->area, heads, add);
    if (!status) status = product(cl, d, &dw, &v, true, &dy, d->area, d->width, heads, false);
    if (!status)
        status = hkd_cl_deep_runs(cl, "attention_softmax_grad", heads, d->area, 4 * d->area,
                                  hkd_cl_memory(dw.data), hkd_cl_memory(w.data), hkd_cl_int(heads),
                                  hkd_cl_int(d->area), hkd_cl_real(d->scale));
    if (!status) status = product(cl, d, &dq, &k, false, &dw, d->width, d->area, heads, add);
    if (!status) status = turn(cl, d, dw.data, heads);
    return status ? status : product(cl, d, &dk, &q, false, &t, d->width, d->area, heads, add);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_status status = HKD_OK;
    for (int64_t first = 0; !status && call->grad[0].buffer && first < d.heads; first += d.portion)
        status = to_portion(cl, call, &d, first, first + d.portion > d.heads ? d.heads - first : d.portion);
    return status;
}

const hkd_cl_op hkd_cl_attention = {.op = &hkd_op_attention, .scratch = scratch, .forward = forward, .backward = backward};
