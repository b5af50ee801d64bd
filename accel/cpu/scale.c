/* scale on the cpu: flat arrays; the factor is rounded once to float. */
#include "cpu.h"

extern const hkd_op hkd_op_scale;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const float *x = hkd_cpu_data(&call->in[0]), s = (float)call->p[0];
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) y[i] = s * x[i];
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const float *dy = hkd_cpu_data(&call->up[0]), s = (float)call->p[0];
    float *dx = hkd_cpu_data(&call->grad[0]);
    const bool add = call->accumulate[0];
    (void)cpu;
    if (!dx) return HKD_OK;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) dx[i] = add ? dx[i] + s * dy[i] : s * dy[i];
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(scale) = {.op = &hkd_op_scale, .forward = forward, .backward = backward};
