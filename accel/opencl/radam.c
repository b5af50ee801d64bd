/* radam on OpenCL: adam's pass with other scalars. */
#include "adam.h"

extern const hkd_op hkd_op_radam;

static hkd_status forward(hkd_cl *cl, const hkd_call *call) { return hkd_cl_adam_pass(cl, call, hkd_ref_radam_scalars); }

const hkd_cl_op hkd_cl_radam = {.op = &hkd_op_radam, .forward = forward};
