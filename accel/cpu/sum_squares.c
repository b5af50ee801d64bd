/* sum_squares on the cpu: blocks of fixed length are summed lane by lane, and the blocks' sums added in order, so that the
 * result does not depend on the number of threads. */
#include "cpu.h"

extern const hkd_op hkd_op_sum_squares;

enum { BLOCK = 4096, LANES = 16 };

static float block_sum(const float *x, int64_t n) {
    float lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += x[i + k] * x[i + k];
    for (; i < n; i++) sum += x[i] * x[i];
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    (void)cpu;
    return backward ? 0 : (size_t)(hkd_count(&call->in[0].shape) / BLOCK + 1) * sizeof(float);
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[0]);
    const int64_t n = hkd_count(&call->in[0].shape), blocks = (n + BLOCK - 1) / BLOCK;
    float *partial;
    const hkd_status status = hkd_cpu_scratch(cpu, &partial, workspace(cpu, call, false));
    if (status) return status;
    #pragma omp parallel for num_threads(cpu->threads) if (n > HKD_SMALL)
    for (int64_t b = 0; b < blocks; b++) partial[b] = block_sum(x + b * BLOCK, n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK);
    float *y = hkd_cpu_data(&call->out[0]);
    y[0] = 0;
    for (int64_t b = 0; b < blocks; b++) y[0] += partial[b];
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[0]), dy = hkd_cpu_data(&call->up[0])[0];
    float *dx = hkd_cpu_data(&call->grad[0]);
    const int64_t n = hkd_count(&call->in[0].shape);
    const bool accumulate = call->accumulate[0];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (n > HKD_SMALL)
    for (int64_t i = 0; i < n; i++) dx[i] = (accumulate ? dx[i] : 0) + 2 * x[i] * dy;
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(sum_squares) = {
    .op = &hkd_op_sum_squares, .workspace = workspace, .forward = forward, .backward = backward};
