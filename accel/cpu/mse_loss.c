/* mse_loss on the cpu. Every scalar of a sample is formed in double. */
#include "loss.h"

extern const hkd_op hkd_op_mse_loss;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_cpu_samples s = hkd_cpu_samples_of(&call->in[0]);
    float *l = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < s.n; k++) l[k] = (float)(hkd_cpu_squared_distance(call, k) / (double)s.size);
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_cpu_samples s = hkd_cpu_samples_of(&call->in[0]);
    const float *dl = hkd_cpu_data(&call->up[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < s.n; k++) hkd_cpu_along_difference(call, k, 2 * (double)dl[k] / (double)s.size);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(mse_loss) = {.op = &hkd_op_mse_loss, .forward = forward, .backward = backward};
