/* softmax on the cpu: rows are shared out, each is three passes over contiguous memory. */
#include "cpu.h"
#include "vmath.h"

#include <math.h>

extern const hkd_op hkd_op_softmax;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[0]);
    float *y = hkd_cpu_data(&call->out[0]);
    const int64_t n = call->out[0].shape.dim[0], c = call->out[0].shape.dim[1];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (n * c > HKD_SMALL)
    for (int64_t i = 0; i < n; i++) {
        const float *xs = x + i * c;
        float *ys = y + i * c, largest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < c; j++) largest = xs[j] > largest ? xs[j] : largest;
        for (int64_t j = 0; j < c; j++) ys[j] = hkd_v_exp_negative(xs[j] - largest);
        for (int64_t j = 0; j < c; j++) sum += ys[j];
        for (int64_t j = 0; j < c; j++) ys[j] /= sum;
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *y = hkd_cpu_data(&call->out[0]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[0]);
    const int64_t n = call->up[0].shape.dim[0], c = call->up[0].shape.dim[1];
    const bool add = call->accumulate[0];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (n * c > HKD_SMALL)
    for (int64_t i = 0; i < n; i++) {
        const float *ys = y + i * c, *dys = dy + i * c;
        float *dxs = dx + i * c, mean = 0;
        for (int64_t j = 0; j < c; j++) mean += ys[j] * dys[j];
        for (int64_t j = 0; j < c; j++) dxs[j] = (add ? dxs[j] : 0) + ys[j] * (dys[j] - mean);
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(softmax) = {.op = &hkd_op_softmax, .forward = forward, .backward = backward};
