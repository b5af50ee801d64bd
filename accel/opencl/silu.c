/* silu on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_silu;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    return hkd_cl_runs(cl, "silu", 1, count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]), hkd_cl_int(1),
                       hkd_cl_int(count));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_runs(cl, "silu_grad", 1, count, hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]),
                        hkd_cl_tensor(&call->in[0]), hkd_cl_int(1), hkd_cl_int(count), hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_silu = {.op = &hkd_op_silu, .forward = forward, .backward = backward};
