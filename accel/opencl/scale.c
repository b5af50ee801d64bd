/* scale on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_scale;

hkd_status hkd_cl_scaled(hkd_cl *cl, const hkd_tensor *to, const hkd_tensor *x, double s, bool accumulate) {
    const int64_t count = hkd_count(&x->shape);
    return hkd_cl_runs(cl, "scale", 1, count, hkd_cl_tensor(to), hkd_cl_tensor(x), hkd_cl_int(1), hkd_cl_int(count),
                        hkd_cl_real(s), hkd_cl_int(accumulate));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_scaled(cl, &call->out[0], &call->in[0], call->p[0], false);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return call->grad[0].buffer ? hkd_cl_scaled(cl, &call->grad[0], &call->up[0], call->p[0], call->accumulate[0]) : HKD_OK;
}

const hkd_cl_op hkd_cl_scale = {.op = &hkd_op_scale, .forward = forward, .backward = backward};
