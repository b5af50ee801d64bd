/* gelu on the cpu: one pass over a flat array. */
#include "cpu.h"
#include "vmath.h"

extern const hkd_op hkd_op_gelu;

static const float SQRT_HALF = 0.70710678f, DENSITY_AT_0 = 0.39894228f; /* 1/sqrt(2 pi) */

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[0]);
    float *y = hkd_cpu_data(&call->out[0]);
    const int64_t count = hkd_count(&call->out[0].shape);
    (void)cpu;
    #pragma omp parallel for simd num_threads(cpu->threads) if (parallel : count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) y[i] = x[i] * (0.5f * (1 + hkd_v_erf(SQRT_HALF * x[i])));
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[0]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[0]);
    const int64_t count = hkd_count(&call->up[0].shape);
    const float add = call->accumulate[0] ? 1 : 0; /* a float: gcc turns no choice by a bool into vector code */
    (void)cpu;
    #pragma omp parallel for simd num_threads(cpu->threads) if (parallel : count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) {
        const float below = 0.5f * (1 + hkd_v_erf(SQRT_HALF * x[i]));
        const float density = DENSITY_AT_0 * hkd_v_exp_negative(-0.5f * x[i] * x[i]);
        const float before = dx[i];
        dx[i] = (add > 0 ? before : 0) + dy[i] * (below + x[i] * density);
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(gelu) = {.op = &hkd_op_gelu, .forward = forward, .backward = backward};
