/* fourier_embedding on the cpu: one pass over samples and frequencies. */
#include "cpu.h"
#include "vmath.h"

extern const hkd_op hkd_op_fourier_embedding;

enum { C, FREQS };
static const float TWO_PI = 6.28318531f;

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *c = hkd_cpu_data(&call->in[C]), *b = hkd_cpu_data(&call->in[FREQS]);
    const int64_t half = call->in[FREQS].shape.dim[0];
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    for (int64_t n = 0; n < call->in[C].shape.dim[0]; n++) {
        float *first = y + 2 * n * half, *second = first + half;
        float *cosine = call->p[0] != 0 ? second : first, *sine = call->p[0] != 0 ? first : second;
        for (int64_t k = 0; k < half; k++) hkd_v_cos_sin(&cosine[k], &sine[k], TWO_PI * b[k] * c[n]);
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *c = hkd_cpu_data(&call->in[C]), *b = hkd_cpu_data(&call->in[FREQS]), *dy = hkd_cpu_data(&call->up[0]);
    const int64_t half = call->in[FREQS].shape.dim[0];
    float *dc = hkd_cpu_data(&call->grad[C]);
    (void)cpu;
    for (int64_t n = 0; dc && n < call->in[C].shape.dim[0]; n++) {
        const float *first = dy + 2 * n * half, *second = first + half;
        const float *dcos = call->p[0] != 0 ? second : first, *dsin = call->p[0] != 0 ? first : second;
        float sum = 0;
        for (int64_t k = 0; k < half; k++) {
            float cosine, sine;
            hkd_v_cos_sin(&cosine, &sine, TWO_PI * b[k] * c[n]);
            sum += TWO_PI * b[k] * (cosine * dsin[k] - sine * dcos[k]);
        }
        dc[n] = (call->accumulate[C] ? dc[n] : 0) + sum;
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(fourier_embedding) = {.op = &hkd_op_fourier_embedding, .forward = forward, .backward = backward};
