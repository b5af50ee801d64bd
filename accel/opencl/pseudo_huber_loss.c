/* pseudo_huber_loss on OpenCL. */
#include "loss.h"

extern const hkd_op hkd_op_pseudo_huber_loss;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss(cl, "pseudo_huber_loss", call, 0, call->p[0]);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss_grad(cl, "pseudo_huber_loss_grad", call, 0, call->p[0]);
}

const hkd_cl_op hkd_cl_pseudo_huber_loss = {.op = &hkd_op_pseudo_huber_loss, .forward = forward, .backward = backward};
