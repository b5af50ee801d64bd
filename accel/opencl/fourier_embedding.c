/* fourier_embedding on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_fourier_embedding;

enum { C, FREQS };

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    (void)cl;
    if (backward) bytes[0] = (size_t)(call->in[C].shape.dim[0] * call->in[FREQS].shape.dim[0]) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t n = call->in[C].shape.dim[0], f = call->in[FREQS].shape.dim[0];
    return hkd_cl_items(cl, "fourier_embedding", n * f, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[C]),
                        hkd_cl_tensor(&call->in[FREQS]), hkd_cl_int(n * f), hkd_cl_int(f), hkd_cl_int(call->p[0] != 0));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t n = call->in[C].shape.dim[0], f = call->in[FREQS].shape.dim[0];
    if (!call->grad[C].buffer) return HKD_OK;
    const hkd_status status = hkd_cl_items(cl, "fourier_embedding_grad", n * f, hkd_cl_memory(cl->scratch[0]),
                                           hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[C]),
                                           hkd_cl_tensor(&call->in[FREQS]), hkd_cl_int(n * f), hkd_cl_int(f),
                                           hkd_cl_int(call->p[0] != 0));
    return status ? status : hkd_cl_sum_rows(cl, call->grad[C].buffer, cl->scratch[0], n, f, call->accumulate[C]);
}

const hkd_cl_op hkd_cl_fourier_embedding = {
    .op = &hkd_op_fourier_embedding, .scratch = scratch, .forward = forward, .backward = backward};
