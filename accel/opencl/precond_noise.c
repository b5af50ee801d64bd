/* precond_noise on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_precond_noise;

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    (void)cl, (void)backward;
    if (call->p[0] == HKD_PRECOND_IDDPM) bytes[0] = (HKD_IDDPM_STEPS + 1) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const bool iddpm = call->p[0] == HKD_PRECOND_IDDPM;
    hkd_status status = HKD_OK;
    if (iddpm) {
        const hkd_tensor levels = {hkd_shape_of(1, (int64_t)HKD_IDDPM_STEPS + 1), cl->scratch[0]};
        double u[HKD_IDDPM_STEPS + 1];
        hkd_ref_iddpm_levels(u);
        status = cl->base.upload(&cl->base, &levels, u, HKD_F64);
    }
    return status ? status
                  : hkd_cl_items(cl, "precond_noise", count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                                 hkd_cl_memory(iddpm ? cl->scratch[0] : NULL), hkd_cl_int(count),
                                 hkd_cl_int((int64_t)call->p[0]));
}

const hkd_cl_op hkd_cl_precond_noise = {.op = &hkd_op_precond_noise, .scratch = scratch, .forward = forward};
