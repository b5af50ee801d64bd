/* ema on the cpu. */
#include "cpu.h"

extern const hkd_op hkd_op_ema;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const bool near_p = call->p[0] < 0.5;
    const float *start = hkd_cpu_data(&call->in[near_p]), *end = hkd_cpu_data(&call->in[!near_p]);
    float *e_new = hkd_cpu_data(&call->out[0]);
    const float w = (float)(near_p ? call->p[0] : 1 - call->p[0]);
    const int64_t count = hkd_count(&call->in[0].shape);
    (void)cpu;
    #pragma omp parallel for simd num_threads(cpu->threads) if (parallel : count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) e_new[i] = start[i] + w * (end[i] - start[i]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(ema) = {.op = &hkd_op_ema, .forward = forward};
