/* linear on OpenCL, by the contraction of contract.h: y with m = row of x, n = output (weights transposed), or, where there are
 * fewer rows than outputs, m = output, n = row (x transposed); dx with m = row, n = input; dw with m = output, n = input, over
 * groups of rows. */
#include "opencl.h"

extern const hkd_op hkd_op_linear;

enum { X, W, B };

typedef struct {
    int64_t n, in, out;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *w = call->in[W].shape.dim, n = call->in[X].shape.dim[0];
    return (dims){n, w[1], w[0]};
}

/* The smaller of x and the weights is transposed, as long as the outputs fill a work-group. */
static bool turns_weights(const hkd_cl *cl, const dims *d) { return d->n > d->out && d->out >= cl->lanes * cl->tile_n; }

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    if (!backward) bytes[0] = (size_t)((turns_weights(cl, &d) ? d.out : d.n) * d.in) * sizeof(float);
}

static hkd_contract matrix(int64_t m, int64_t n, int64_t terms) {
    return (hkd_contract){.m = (int)m, .n = (int)n, .z0 = 1, .z1 = 1, .r0 = (int)terms, .r1 = 1, .r2 = 1, .n0 = (int)n,
                          .n0_used = (int)n, .n1 = 1, .n1_used = 1, .c_n0 = 1};
}

static hkd_status by_rows(hkd_cl *cl, const hkd_call *call, const dims *d) {
    /* Of a transposed row a CPU reads a tile's columns only: they get lines of their own, [panel, in, tile]. */
    const int64_t panel = cl->lanes == 1 && d->out % cl->tile_n == 0 ? cl->tile_n : d->out;
    hkd_contract k = matrix(d->n, d->out, d->in);
    k.a_m = (int)d->in;
    k.a_r0 = 1;
    k.b_r0 = (int)panel;
    k.c_m = (int)d->out;
    k.bias_by_n = 1;
    if (panel < d->out) {
        k.n0 = k.n0_used = k.c_n1 = (int)panel;
        k.n1 = k.n1_used = (int)(d->out / panel);
        k.b_n1 = (int)(d->in * panel);
    }
    const hkd_status status = hkd_cl_transpose(cl, cl->scratch[0], call->in[W].buffer, d->out / panel, panel, d->in);
    return status ? status
                  : hkd_cl_contract(cl, call->out[0].buffer, call->in[X].buffer, cl->scratch[0], call->in[B].buffer, NULL, &k);
}

static hkd_status by_outputs(hkd_cl *cl, const hkd_call *call, const dims *d) {
    hkd_contract k = matrix(d->out, d->n, d->in);
    k.a_m = (int)d->in;
    k.a_r0 = 1;
    k.b_r0 = (int)d->n;
    k.c_m = 1;
    k.c_n0 = (int)d->out;
    const hkd_status status = hkd_cl_transpose(cl, cl->scratch[0], call->in[X].buffer, 1, d->n, d->in);
    return status ? status
                  : hkd_cl_contract(cl, call->out[0].buffer, call->in[W].buffer, cl->scratch[0], call->in[B].buffer, NULL, &k);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    return turns_weights(cl, &d) ? by_rows(cl, call, &d) : by_outputs(cl, call, &d);
}

static hkd_status to_x(hkd_cl *cl, const hkd_call *call, const dims *d) {
    hkd_contract k = matrix(d->n, d->in, d->out);
    k.a_m = (int)d->out;
    k.a_r0 = 1;
    k.b_r0 = k.c_m = (int)d->in;
    k.accumulate = call->accumulate[X];
    return hkd_cl_contract(cl, call->grad[X].buffer, call->up[0].buffer, call->in[W].buffer, NULL, NULL, &k);
}

static hkd_status to_w(hkd_cl *cl, const hkd_call *call, const dims *d) {
    hkd_contract k = matrix(d->out, d->in, d->n);
    k.group = HKD_CL_GROUP;
    k.a_m = 1;
    k.a_r0 = (int)d->out;
    k.b_r0 = k.c_m = (int)d->in;
    k.accumulate = call->accumulate[W];
    return hkd_cl_contract(cl, call->grad[W].buffer, call->up[0].buffer, call->in[X].buffer, NULL, NULL, &k);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_status status = HKD_OK;
    if (call->grad[X].buffer) status = to_x(cl, call, &d);
    if (!status && call->grad[W].buffer) status = to_w(cl, call, &d);
    if (!status && call->grad[B].buffer)
        status = hkd_cl_fold(cl, call->grad[B].buffer, call->up[0].buffer, d.n, d.out, HKD_CL_GROUP, call->accumulate[B]);
    return status;
}

const hkd_cl_op hkd_cl_linear = {.op = &hkd_op_linear, .scratch = scratch, .forward = forward, .backward = backward};
