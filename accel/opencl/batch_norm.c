/* batch_norm on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_batch_norm;

enum { X, GAMMA, BETA, MEAN, VAR };
enum { TO_GAMMA, TO_BETA }; /* scratch [n, c]: what each image adds */

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const int64_t *x = call->in[X].shape.dim;
    (void)cl;
    if (backward) bytes[TO_GAMMA] = bytes[TO_BETA] = (size_t)(x[0] * x[1]) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim, count = hkd_count(&call->in[X].shape);
    return hkd_cl_items(cl, "batch_norm", count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[X]),
                        hkd_cl_tensor(&call->in[GAMMA]), hkd_cl_tensor(&call->in[BETA]), hkd_cl_tensor(&call->in[MEAN]),
                        hkd_cl_tensor(&call->in[VAR]), hkd_cl_int(count), hkd_cl_int(x[1]), hkd_cl_int(x[2] * x[3]),
                        hkd_cl_real(call->p[0]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim;
    hkd_buffer *to_gamma = cl->scratch[TO_GAMMA], *to_beta = cl->scratch[TO_BETA];
    hkd_status status = hkd_cl_rows(cl, "batch_norm_grad", x[0] * x[1], x[2] * x[3],
                                    hkd_cl_tensor(&call->grad[X]), hkd_cl_memory(to_gamma), hkd_cl_memory(to_beta),
                                    hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[X]),
                                    hkd_cl_tensor(&call->in[GAMMA]), hkd_cl_tensor(&call->in[MEAN]),
                                    hkd_cl_tensor(&call->in[VAR]), hkd_cl_int(x[1]), hkd_cl_int(x[2] * x[3]),
                                    hkd_cl_real(call->p[0]), hkd_cl_int(call->accumulate[X]));
    if (!status && call->grad[GAMMA].buffer)
        status = hkd_cl_fold(cl, call->grad[GAMMA].buffer, to_gamma, x[0], x[1], HKD_CL_GROUP, call->accumulate[GAMMA]);
    if (!status && call->grad[BETA].buffer)
        status = hkd_cl_fold(cl, call->grad[BETA].buffer, to_beta, x[0], x[1], HKD_CL_GROUP, call->accumulate[BETA]);
    return status;
}

const hkd_cl_op hkd_cl_batch_norm = {.op = &hkd_op_batch_norm, .scratch = scratch, .forward = forward, .backward = backward};
