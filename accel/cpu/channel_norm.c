/* channel_norm on the cpu: a pixel's channels lie side by side. */
#include "cpu.h"

#include <math.h>

extern const hkd_op hkd_op_channel_norm;

static float inner(const float *a, const float *b, int64_t count) {
    float sum = 0;
    #pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t *dim = call->in[0].shape.dim, channels = dim[1], pixels = dim[0] * dim[2] * dim[3];
    const float *x = hkd_cpu_data(&call->in[0]), eps = (float)call->p[0];
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (pixels * channels > HKD_SMALL)
    for (int64_t i = 0; i < pixels; i++) {
        const float *v = x + i * channels, q = sqrtf(inner(v, v, channels)) + eps;
        for (int64_t c = 0; c < channels; c++) y[i * channels + c] = v[c] / q;
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t *dim = call->in[0].shape.dim, channels = dim[1], pixels = dim[0] * dim[2] * dim[3];
    const float *x = hkd_cpu_data(&call->in[0]), *dy = hkd_cpu_data(&call->up[0]), eps = (float)call->p[0];
    float *dx = hkd_cpu_data(&call->grad[0]);
    const bool add = call->accumulate[0];
    (void)cpu;
    if (!dx) return HKD_OK;
    #pragma omp parallel for num_threads(cpu->threads) if (pixels * channels > HKD_SMALL)
    for (int64_t i = 0; i < pixels; i++) {
        const float *v = x + i * channels, *up = dy + i * channels;
        const float r = sqrtf(inner(v, v, channels)), q = r + eps, along = inner(up, v, channels) / q, safe = r > 0 ? r : 1;
        float *g = dx + i * channels;
        for (int64_t c = 0; c < channels; c++) g[c] = (add ? g[c] : 0) + (up[c] - v[c] / safe * along) / q;
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(channel_norm) = {.op = &hkd_op_channel_norm, .forward = forward, .backward = backward};
