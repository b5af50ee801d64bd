/* ema on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_ema;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const double decay = call->p[0];
    return hkd_cl_runs(cl, "ema", 1, count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                       hkd_cl_tensor(&call->in[1]), hkd_cl_int(1), hkd_cl_int(count), hkd_cl_int(decay < 0.5),
                       hkd_cl_real(decay < 0.5 ? decay : 1 - decay));
}

const hkd_cl_op hkd_cl_ema = {.op = &hkd_op_ema, .forward = forward};
