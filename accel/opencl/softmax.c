/* softmax on OpenCL; backward reads y. */
#include "opencl.h"

extern const hkd_op hkd_op_softmax;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim;
    return hkd_cl_rows(cl, "softmax", x[0], x[1], hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]), hkd_cl_int(x[1]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim;
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_rows(cl, "softmax_grad", x[0], x[1], hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]),
                       hkd_cl_tensor(&call->out[0]), hkd_cl_int(x[1]), hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_softmax = {.op = &hkd_op_softmax, .forward = forward, .backward = backward};
