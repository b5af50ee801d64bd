/* precond_in on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_precond_in;

enum { X, SIGMA };
enum { KIND, SIGMA_DATA };

static hkd_status run(hkd_cl *cl, const hkd_call *call, const hkd_tensor *y, const hkd_tensor *x, bool accumulate) {
    const int64_t n = x->shape.dim[0], size = n ? hkd_count(&x->shape) / n : 0;
    return hkd_cl_runs(cl, "precond_in", n, size, hkd_cl_tensor(y), hkd_cl_tensor(x), hkd_cl_tensor(&call->in[SIGMA]),
                        hkd_cl_int(n), hkd_cl_int(size), hkd_cl_int((int64_t)call->p[KIND]),
                        hkd_cl_real(call->p[SIGMA_DATA]), hkd_cl_int(accumulate));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) { return run(cl, call, &call->out[0], &call->in[X], false); }

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return call->grad[X].buffer ? run(cl, call, &call->grad[X], &call->up[0], call->accumulate[X]) : HKD_OK;
}

const hkd_cl_op hkd_cl_precond_in = {.op = &hkd_op_precond_in, .forward = forward, .backward = backward};
