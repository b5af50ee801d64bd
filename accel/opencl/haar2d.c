/* haar2d on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_haar2d;

static hkd_status run(hkd_cl *cl, const hkd_tensor *to, const hkd_tensor *from, bool from_bands, bool accumulate) {
    const int64_t *bands = (from_bands ? from : to)->shape.dim, count = hkd_count(&to->shape) / 4;
    return hkd_cl_items(cl, "haar2d", count, hkd_cl_tensor(to), hkd_cl_tensor(from), hkd_cl_int(count), hkd_cl_int(bands[2]),
                        hkd_cl_int(bands[3]), hkd_cl_int(from_bands), hkd_cl_int(accumulate));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    return run(cl, &call->out[0], &call->in[0], call->p[0] == 1, false);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return call->grad[0].buffer ? run(cl, &call->grad[0], &call->up[0], call->p[0] == 0, call->accumulate[0]) : HKD_OK;
}

const hkd_cl_op hkd_cl_haar2d = {.op = &hkd_op_haar2d, .forward = forward, .backward = backward};
