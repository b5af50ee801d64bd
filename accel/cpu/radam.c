/* radam on the cpu: scalars in double, then one vectorised pass (adam.h). */
#include "adam.h"

extern const hkd_op hkd_op_radam;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_adam_settings settings = hkd_cpu_adam_settings(call->p);
    const hkd_adam_scalars scalars = hkd_ref_radam_scalars(&settings);
    hkd_cpu_adam_pass(cpu, call, &scalars);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(radam) = {.op = &hkd_op_radam, .forward = forward};
