/* ema on the cpu. */
#include "adam.h"
#include "ema.h"

extern const hkd_op hkd_op_ema;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *e = hkd_cpu_data(&call->in[0]), *p = hkd_cpu_data(&call->in[1]);
    float *e_new = hkd_cpu_data(&call->out[0]);
    const int64_t count = hkd_count(&call->in[0].shape);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t k = 0; k < hkd_stretches(count); k++) {
        const int64_t at = k * HKD_STRETCH;
        hkd_cpu_ema_stretch(e_new + at, e + at, p + at, hkd_stretch(count, k), call->p[0]);
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(ema) = {.op = &hkd_op_ema, .forward = forward};
