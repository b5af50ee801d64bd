/* loss.h - the losses have one prototype: NAME(l, x, y, sigma, size, kind, setting) and NAME_grad(dx, dy, dl, x, y, ...). */
#ifndef HKD_CL_LOSS_H
#define HKD_CL_LOSS_H

#include "opencl.h"

/* in: x, y and for some sigma; kind and setting are what the loss makes of them */
hkd_status hkd_cl_loss(hkd_cl *cl, const char *kernel, const hkd_call *call, double kind, double setting);
hkd_status hkd_cl_loss_grad(hkd_cl *cl, const char *kernel, const hkd_call *call, double kind, double setting);

#endif
