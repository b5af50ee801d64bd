/* precond_noise on the cpu: one number per image, formed in double. */
#include "cpu.h"

extern const hkd_op hkd_op_precond_noise;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *sigma = hkd_cpu_data(&call->in[0]);
    float *c = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    for (int64_t n = 0; n < call->in[0].shape.dim[0]; n++) {
        const double s = sigma[n];
        double noise;
        hkd_ref_precond_noise(&noise, &s, 1, (hkd_precond)call->p[0]);
        c[n] = (float)noise;
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(precond_noise) = {.op = &hkd_op_precond_noise, .forward = forward};
