/* resample2d on OpenCL: down gathers and its gradient spreads, up the other way round. */
#include "opencl.h"

extern const hkd_op hkd_op_resample2d;

enum { MODE, TAPS, PAD };

static hkd_status walk(hkd_cl *cl, const char *kernel, const hkd_tensor *to, const hkd_tensor *from, const double *p,
                       double gain, bool accumulate) {
    const int64_t *t = to->shape.dim, *f = from->shape.dim, rows = t[0] * t[1] * t[2];
    const double pad = p[PAD] < 0 ? p[TAPS] / 2 - 1 : p[PAD];
    return hkd_cl_deep_runs(cl, kernel, rows, t[3], (int64_t)(p[TAPS] * p[TAPS]), hkd_cl_tensor(to), hkd_cl_tensor(from),
                            hkd_cl_int(rows), hkd_cl_int(t[2]), hkd_cl_int(t[3]), hkd_cl_int(f[2]), hkd_cl_int(f[3]),
                            hkd_cl_int((int64_t)p[TAPS]), hkd_cl_int((int64_t)pad), hkd_cl_real(gain), hkd_cl_int(accumulate));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const bool up = call->p[MODE] == 1;
    return walk(cl, up ? "resample2d_spread" : "resample2d_gather", &call->out[0], &call->in[0], call->p, up ? 4 : 1, false);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const bool up = call->p[MODE] == 1;
    if (!call->grad[0].buffer) return HKD_OK;
    return walk(cl, up ? "resample2d_gather" : "resample2d_spread", &call->grad[0], &call->up[0], call->p, up ? 4 : 1,
                call->accumulate[0]);
}

const hkd_cl_op hkd_cl_resample2d = {.op = &hkd_op_resample2d, .forward = forward, .backward = backward};
