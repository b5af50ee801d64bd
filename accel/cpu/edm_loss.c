/* edm_loss on the cpu. Every scalar of a sample is formed in double. */
#include "loss.h"

extern const hkd_op hkd_op_edm_loss;

static double lambda(const hkd_call *call, int64_t k) {
    const double sigma = hkd_cpu_data(&call->in[2])[k], d = call->p[1];
    return call->p[0] == HKD_PRECOND_EDM ? (sigma * sigma + d * d) / (sigma * d * sigma * d) : 1 / (sigma * sigma);
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_cpu_samples s = hkd_cpu_samples_of(&call->in[0]);
    float *l = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < s.n; k++) l[k] = (float)(lambda(call, k) * hkd_cpu_squared_distance(call, k));
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_cpu_samples s = hkd_cpu_samples_of(&call->in[0]);
    const float *dl = hkd_cpu_data(&call->up[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < s.n; k++) hkd_cpu_along_difference(call, k, 2 * lambda(call, k) * (double)dl[k]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(edm_loss) = {.op = &hkd_op_edm_loss, .forward = forward, .backward = backward};
