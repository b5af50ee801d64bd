/* haar2d on the cpu: the four bands of a channel lie side by side, its four pixels in two rows. */
#include "cpu.h"

extern const hkd_op hkd_op_haar2d;

/* Between pixels [n, 2h, 2w, c] and bands [n, h, w, 4c]; the same four sums in both directions. */
static void transform(const hkd_cpu *cpu, float *to, const float *from, const hkd_shape *pixels, bool from_bands, bool add) {
    const int64_t c = pixels->dim[1], h = pixels->dim[2] / 2, w = pixels->dim[3] / 2;
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(pixels) > HKD_SMALL)
    for (int64_t quad = 0; quad < pixels->dim[0] * h * w; quad++) {
        const int64_t top = (quad / w * 2 * 2 * w + quad % w * 2) * c, bands = quad * 4 * c;
        const int64_t at[4] = {top, top + c, top + 2 * w * c, top + 2 * w * c + c};
        for (int64_t k = 0; k < c; k++) {
            float v[4], r[4];
            for (int b = 0; b < 4; b++) v[b] = from_bands ? from[bands + 4 * k + b] : from[at[b] + k];
            const float s0 = v[0] + v[1], d0 = v[0] - v[1], s1 = v[2] + v[3], d1 = v[2] - v[3];
            r[0] = 0.5f * (s0 + s1), r[1] = 0.5f * (d0 + d1), r[2] = 0.5f * (s0 - s1), r[3] = 0.5f * (d0 - d1);
            for (int b = 0; b < 4; b++) {
                float *y = from_bands ? &to[at[b] + k] : &to[bands + 4 * k + b];
                *y = (add ? *y : 0) + r[b];
            }
        }
    }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const bool synthesis = call->p[0] == 1;
    const hkd_shape *pixels = synthesis ? &call->out[0].shape : &call->in[0].shape;
    transform(cpu, hkd_cpu_data(&call->out[0]), hkd_cpu_data(&call->in[0]), pixels, synthesis, false);
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const bool synthesis = call->p[0] == 1;
    const hkd_shape *pixels = synthesis ? &call->up[0].shape : &call->in[0].shape;
    if (call->grad[0].buffer)
        transform(cpu, hkd_cpu_data(&call->grad[0]), hkd_cpu_data(&call->up[0]), pixels, !synthesis, call->accumulate[0]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(haar2d) = {.op = &hkd_op_haar2d, .forward = forward, .backward = backward};
