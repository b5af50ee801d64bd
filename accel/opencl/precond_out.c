/* precond_out on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_precond_out;

enum { X, F, SIGMA };
enum { KIND, SIGMA_DATA };

static int64_t per_sample(const hkd_tensor *t) { return t->shape.dim[0] ? hkd_count(&t->shape) / t->shape.dim[0] : 0; }

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t n = call->in[X].shape.dim[0], size = per_sample(&call->in[X]);
    return hkd_cl_runs(cl, "precond_out", n, size, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[X]),
                        hkd_cl_tensor(&call->in[F]), hkd_cl_tensor(&call->in[SIGMA]), hkd_cl_int(n), hkd_cl_int(size),
                       hkd_cl_int(per_sample(&call->in[F])),
                        hkd_cl_int((int64_t)call->p[KIND]), hkd_cl_real(call->p[SIGMA_DATA]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    hkd_status status = HKD_OK;
    for (int i = X; !status && i <= F; i++) {
        const int64_t n = call->in[X].shape.dim[0], length = per_sample(&call->in[i]);
        if (call->grad[i].buffer)
            status = hkd_cl_runs(cl, "precond_out_grad", n, length, hkd_cl_tensor(&call->grad[i]), hkd_cl_tensor(&call->up[0]),
                                  hkd_cl_tensor(&call->in[SIGMA]), hkd_cl_int(n), hkd_cl_int(length),
                                 hkd_cl_int(per_sample(&call->in[X])), hkd_cl_int((int64_t)call->p[KIND]),
                                  hkd_cl_real(call->p[SIGMA_DATA]), hkd_cl_int(i == F), hkd_cl_int(call->accumulate[i]));
    }
    return status;
}

const hkd_cl_op hkd_cl_precond_out = {.op = &hkd_op_precond_out, .forward = forward, .backward = backward};
