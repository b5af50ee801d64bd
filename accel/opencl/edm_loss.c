/* edm_loss on OpenCL. */
#include "loss.h"

extern const hkd_op hkd_op_edm_loss;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss(cl, "edm_loss", call, call->p[0], call->p[1]);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return hkd_cl_loss_grad(cl, "edm_loss_grad", call, call->p[0], call->p[1]);
}

const hkd_cl_op hkd_cl_edm_loss = {.op = &hkd_op_edm_loss, .forward = forward, .backward = backward};
