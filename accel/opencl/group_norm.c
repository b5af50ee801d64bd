/* group_norm on OpenCL, and the row that fuses silu. */
#include "opencl.h"

extern const hkd_op hkd_op_group_norm, hkd_op_group_norm_silu;

enum { X, GAMMA, BETA };
enum { GROUPS, EPS };
enum { TO_GAMMA, TO_BETA }; /* scratch [n, c]: what each sample adds */

typedef struct {
    int64_t n, c, area, groups, channels;
} dims;

static dims dims_of(const hkd_call *call) {
    const hkd_shape *x = &call->in[X].shape;
    const int64_t groups = (int64_t)call->p[GROUPS];
    return (dims){x->dim[0], x->dim[1], x->rank == 4 ? x->dim[2] * x->dim[3] : 1, groups, x->dim[1] / groups};
}

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    (void)cl;
    if (backward) bytes[TO_GAMMA] = bytes[TO_BETA] = (size_t)(d.n * d.c) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    return hkd_cl_rows(cl, "group_norm", d.n * d.groups, 3 * d.channels * d.area,
                       hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[X]), hkd_cl_tensor(&call->in[GAMMA]),
                       hkd_cl_tensor(&call->in[BETA]), hkd_cl_int(d.channels), hkd_cl_int(d.area), hkd_cl_int(d.groups),
                       hkd_cl_real(call->p[EPS]), hkd_cl_int(call->op == &hkd_op_group_norm_silu));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_buffer *to_gamma = cl->scratch[TO_GAMMA], *to_beta = cl->scratch[TO_BETA];
    hkd_status status = hkd_cl_rows(cl, "group_norm_grad", d.n * d.groups, 4 * d.channels * d.area,
                                    hkd_cl_tensor(&call->grad[X]), hkd_cl_memory(to_gamma), hkd_cl_memory(to_beta),
                                    hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[X]),
                                    hkd_cl_tensor(&call->in[GAMMA]), hkd_cl_tensor(&call->in[BETA]),
                                    hkd_cl_int(d.channels), hkd_cl_int(d.area), hkd_cl_int(d.groups), hkd_cl_real(call->p[EPS]),
                                    hkd_cl_int(call->op == &hkd_op_group_norm_silu), hkd_cl_int(call->accumulate[X]));
    if (!status && call->grad[GAMMA].buffer)
        status = hkd_cl_fold(cl, call->grad[GAMMA].buffer, to_gamma, d.n, d.c, HKD_CL_GROUP, call->accumulate[GAMMA]);
    if (!status && call->grad[BETA].buffer)
        status = hkd_cl_fold(cl, call->grad[BETA].buffer, to_beta, d.n, d.c, HKD_CL_GROUP, call->accumulate[BETA]);
    return status;
}

const hkd_cl_op hkd_cl_group_norm = {.op = &hkd_op_group_norm, .scratch = scratch, .forward = forward, .backward = backward};
const hkd_cl_op hkd_cl_group_norm_silu = {
    .op = &hkd_op_group_norm_silu, .scratch = scratch, .forward = forward, .backward = backward};
