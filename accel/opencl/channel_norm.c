/* channel_norm on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_channel_norm;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim;
    return hkd_cl_deep_runs(cl, "channel_norm", x[0], x[2] * x[3], 2 * x[1],
                            hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]), hkd_cl_int(x[0]),
                            hkd_cl_int(x[2] * x[3]), hkd_cl_int(x[1]), hkd_cl_real(call->p[0]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim;
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_deep_runs(cl, "channel_norm_grad", x[0], x[2] * x[3], 3 * x[1],
                            hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[0]),
                            hkd_cl_int(x[0]), hkd_cl_int(x[2] * x[3]), hkd_cl_int(x[1]), hkd_cl_real(call->p[0]),
                            hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_channel_norm = {.op = &hkd_op_channel_norm, .forward = forward, .backward = backward};
