/* positional_embedding on the cpu: frequencies in double once per call, then a pass over samples and frequencies. */
#include "cpu.h"
#include "exact.h"
#include "vmath.h"

extern const hkd_op hkd_op_positional_embedding;

enum { DIM, MAX_POSITIONS, ENDPOINT, SWAP };

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    (void)cpu, (void)backward;
    return (size_t)call->p[DIM] / 2 * sizeof(float);
}

static hkd_status frequencies(hkd_cpu *cpu, const hkd_call *call, float **f) {
    const hkd_status status = hkd_cpu_scratch(cpu, f, workspace(cpu, call, false));
    if (status) return status;
    const int64_t half = (int64_t)call->p[DIM] / 2;
    const float base = (float)(1 / call->p[MAX_POSITIONS]), last = (float)(half - (call->p[ENDPOINT] != 0 ? 1 : 0));
    for (int64_t k = 0; k < half; k++) (*f)[k] = k ? (float)hkd_pow((double)base, (double)((float)k / last)) : 1;
    return HKD_OK;
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *c = hkd_cpu_data(&call->in[0]);
    const int64_t half = (int64_t)call->p[DIM] / 2;
    float *f, *y = hkd_cpu_data(&call->out[0]);
    const hkd_status status = frequencies(cpu, call, &f);
    if (status) return status;
    for (int64_t n = 0; n < call->in[0].shape.dim[0]; n++) {
        float *first = y + 2 * n * half, *second = first + half;
        float *cosine = call->p[SWAP] != 0 ? second : first, *sine = call->p[SWAP] != 0 ? first : second;
        for (int64_t k = 0; k < half; k++) hkd_v_cos_sin(&cosine[k], &sine[k], c[n] * f[k]);
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *c = hkd_cpu_data(&call->in[0]), *dy = hkd_cpu_data(&call->up[0]);
    const int64_t half = (int64_t)call->p[DIM] / 2;
    float *f, *dc = hkd_cpu_data(&call->grad[0]);
    const hkd_status status = frequencies(cpu, call, &f);
    if (status || !dc) return status;
    for (int64_t n = 0; n < call->in[0].shape.dim[0]; n++) {
        const float *first = dy + 2 * n * half, *second = first + half;
        const float *dcos = call->p[SWAP] != 0 ? second : first, *dsin = call->p[SWAP] != 0 ? first : second;
        float sum = 0;
        for (int64_t k = 0; k < half; k++) {
            float cosine, sine;
            hkd_v_cos_sin(&cosine, &sine, c[n] * f[k]);
            sum += f[k] * (cosine * dsin[k] - sine * dcos[k]);
        }
        dc[n] = (call->accumulate[0] ? dc[n] : 0) + sum;
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(positional_embedding) = {
    .op = &hkd_op_positional_embedding, .workspace = workspace, .forward = forward, .backward = backward};
