/* max_pool2d on OpenCL. */
#include "pool.h"

extern const hkd_op hkd_op_max_pool2d;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const hkd_pool_shape d = hkd_cl_pool_of(&call->in[0].shape, &call->out[0].shape, call->p);
    const int64_t count = hkd_count(&call->out[0].shape);
    return hkd_cl_items(cl, "max_pool2d", count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]), hkd_cl_int(count),
                        {.size = sizeof d, .structure = &d});
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const hkd_pool_shape d = hkd_cl_pool_of(&call->in[0].shape, &call->up[0].shape, call->p);
    const int64_t count = hkd_count(&call->in[0].shape);
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_items(cl, "max_pool2d_grad", count, hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]),
                        hkd_cl_tensor(&call->in[0]), hkd_cl_int(count), {.size = sizeof d, .structure = &d},
                        hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_max_pool2d = {.op = &hkd_op_max_pool2d, .forward = forward, .backward = backward};
