/* add on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_add;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->out[0].shape);
    return hkd_cl_runs(cl, "add", 1, count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                        hkd_cl_tensor(&call->in[1]), hkd_cl_int(1), hkd_cl_int(count));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < 2; i++)
        if (call->grad[i].buffer) status = hkd_cl_scaled(cl, &call->grad[i], &call->up[0], 1, call->accumulate[i]);
    return status;
}

const hkd_cl_op hkd_cl_add = {.op = &hkd_op_add, .forward = forward, .backward = backward};
