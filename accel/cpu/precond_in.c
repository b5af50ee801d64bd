/* precond_in on the cpu: one factor per image, formed in double. */
#include "cpu.h"

#include <math.h>

extern const hkd_op hkd_op_precond_in;

enum { X, SIGMA };
enum { KIND, SIGMA_DATA };

static float c_in(const hkd_call *call, int64_t n) {
    const double sigma = hkd_cpu_data(&call->in[SIGMA])[n], kind = call->p[KIND];
    const double d = kind == HKD_PRECOND_VP || kind == HKD_PRECOND_IDDPM ? 1 : call->p[SIGMA_DATA];
    return kind == HKD_PRECOND_VE ? 1 : (float)(1 / sqrt(sigma * sigma + d * d));
}

static void scale(const hkd_cpu *cpu, const hkd_call *call, const hkd_tensor *to, const hkd_tensor *from, bool accumulate) {
    const int64_t n = from->shape.dim[0], size = n ? hkd_count(&from->shape) / n : 0;
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < n; k++) {
        const float c = c_in(call, k), *x = hkd_cpu_data(from) + k * size;
        float *y = hkd_cpu_data(to) + k * size;
        for (int64_t i = 0; i < size; i++) y[i] = (accumulate ? y[i] : 0) + c * x[i];
    }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    scale(cpu, call, &call->out[0], &call->in[X], false);
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    if (call->grad[X].buffer) scale(cpu, call, &call->grad[X], &call->up[0], call->accumulate[X]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(precond_in) = {.op = &hkd_op_precond_in, .forward = forward, .backward = backward};
