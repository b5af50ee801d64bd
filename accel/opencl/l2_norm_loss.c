/* l2_norm_loss on OpenCL. */
#include "loss.h"

extern const hkd_op hkd_op_l2_norm_loss;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss(cl, "l2_norm_loss", call, 0, 0);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss_grad(cl, "l2_norm_loss_grad", call, 0, 0);
}

const hkd_cl_op hkd_cl_l2_norm_loss = {.op = &hkd_op_l2_norm_loss, .forward = forward, .backward = backward};
