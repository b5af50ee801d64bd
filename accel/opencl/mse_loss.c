/* mse_loss on OpenCL, and the launches that all losses share. */
#include "loss.h"

extern const hkd_op hkd_op_mse_loss;

enum { X, Y, SIGMA };

static int64_t size_of(const hkd_call *call) {
    const int64_t n = call->in[X].shape.dim[0];
    return n ? hkd_count(&call->in[X].shape) / n : 0;
}

hkd_status hkd_cl_loss(hkd_cl *cl, const char *kernel, const hkd_call *call, double kind, double setting) {
    const int64_t n = call->in[X].shape.dim[0], size = size_of(call);
    return hkd_cl_rows(cl, kernel, n, 2 * size, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[X]),
                       hkd_cl_tensor(&call->in[Y]), hkd_cl_tensor(&call->in[SIGMA]), hkd_cl_int(size),
                       hkd_cl_int((int64_t)kind), hkd_cl_real(setting));
}

hkd_status hkd_cl_loss_grad(hkd_cl *cl, const char *kernel, const hkd_call *call, double kind, double setting) {
    const int64_t n = call->in[X].shape.dim[0], size = size_of(call);
    return hkd_cl_rows(cl, kernel, n, 4 * size, hkd_cl_tensor(&call->grad[X]), hkd_cl_tensor(&call->grad[Y]),
                       hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[X]), hkd_cl_tensor(&call->in[Y]),
                       hkd_cl_tensor(&call->in[SIGMA]), hkd_cl_int(size), hkd_cl_int((int64_t)kind),
                       hkd_cl_real(setting), hkd_cl_int(call->accumulate[X]), hkd_cl_int(call->accumulate[Y]));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) { return hkd_cl_loss(cl, "mse_loss", call, 0, 0); }
static hkd_status backward(hkd_cl *cl, const hkd_call *call) { return hkd_cl_loss_grad(cl, "mse_loss_grad", call, 0, 0); }

const hkd_cl_op hkd_cl_mse_loss = {.op = &hkd_op_mse_loss, .forward = forward, .backward = backward};
