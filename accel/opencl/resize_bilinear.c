/* resize_bilinear on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_resize_bilinear;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim, *y = call->out[0].shape.dim, count = hkd_count(&call->out[0].shape);
    return hkd_cl_items(cl, "resize_bilinear", count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                        hkd_cl_int(count), hkd_cl_int(x[2]), hkd_cl_int(x[3]), hkd_cl_int(y[2]), hkd_cl_int(y[3]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim, *y = call->up[0].shape.dim, count = hkd_count(&call->in[0].shape);
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_items(cl, "resize_bilinear_grad", count, hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]),
                        hkd_cl_int(count), hkd_cl_int(x[2]), hkd_cl_int(x[3]), hkd_cl_int(y[2]), hkd_cl_int(y[3]),
                        hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_resize_bilinear = {.op = &hkd_op_resize_bilinear, .forward = forward, .backward = backward};
