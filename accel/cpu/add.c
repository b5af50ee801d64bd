/* add on the cpu: flat arrays. */
#include "cpu.h"

extern const hkd_op hkd_op_add;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const float *a = hkd_cpu_data(&call->in[0]), *b = hkd_cpu_data(&call->in[1]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    const float *dy = hkd_cpu_data(&call->up[0]);
    (void)cpu;
    for (int k = 0; k < 2; k++) {
        float *g = hkd_cpu_data(&call->grad[k]);
        const bool add = call->accumulate[k];
        if (!g) continue;
        #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
        for (int64_t i = 0; i < count; i++) g[i] = add ? g[i] + dy[i] : dy[i];
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(add) = {.op = &hkd_op_add, .forward = forward, .backward = backward};
