/* adam.h - the pass that adam and radam share. */
#ifndef HKD_CL_ADAM_H
#define HKD_CL_ADAM_H

#include "opencl.h"

hkd_status hkd_cl_adam_pass(hkd_cl *cl, const hkd_call *call, hkd_adam_scalars (*scalars)(const hkd_adam_settings *));

#endif
