/* resize_bilinear on the cpu. Forward mixes four pixels; in backward every source pixel collects from the results that read
 * it, so threads never meet. */
#include "cpu.h"
#include "pixels.h"

extern const hkd_op hkd_op_resize_bilinear;

enum { BLOCK = 64 };

/* The two places that result i reads along one axis. */
static void axis(hkd_tap *tap, int64_t i, int64_t in, int64_t out) {
    const int64_t lower = i * in / out;
    const float f = (float)(i * in % out) / (float)out;
    tap[0] = (hkd_tap){lower, 1 - f};
    tap[1] = (hkd_tap){lower + 1 < in ? lower + 1 : lower, f};
}

/* The weight with which result i reads place s. */
static float weight(int64_t i, int64_t s, int64_t in, int64_t out) {
    hkd_tap tap[2];
    axis(tap, i, in, out);
    return (tap[0].at == s ? tap[0].w : 0) + (tap[1].at == s ? tap[1].w : 0);
}

/* First result whose lower place is at least s. */
static int64_t first(int64_t s, int64_t in, int64_t out) { return s < 0 ? 0 : (s * out + in - 1) / in; }

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim, *y = call->out[0].shape.dim;
    const int64_t n = x[0], c = x[1], h = x[2], w = x[3], h_out = y[2], w_out = y[3];
    const float *from = hkd_cpu_data(&call->in[0]);
    float *to = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (n * h_out * w_out * c > HKD_SMALL)
    for (int64_t pixel = 0; pixel < n * h_out * w_out; pixel++) {
        hkd_tap v[2], u[2], tap[4];
        axis(v, pixel / w_out % h_out, h, h_out);
        axis(u, pixel % w_out, w, w_out);
        for (int k = 0; k < 4; k++) tap[k] = (hkd_tap){v[k / 2].at * w + u[k % 2].at, v[k / 2].w * u[k % 2].w};
        hkd_mix_pixels(to + pixel * c, from + pixel / (h_out * w_out) * h * w * c, tap, 4, c, false);
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const int64_t *x = call->in[0].shape.dim, *y = call->up[0].shape.dim;
    const int64_t n = x[0], c = x[1], h = x[2], w = x[3], h_out = y[2], w_out = y[3];
    const float *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[0]);
    const bool add = call->accumulate[0];
    (void)cpu;
    if (!dx) return HKD_OK;
    #pragma omp parallel for num_threads(cpu->threads) if (n * h_out * w_out * c > HKD_SMALL)
    for (int64_t pixel = 0; pixel < n * h * w; pixel++) {
        const int64_t row = pixel / w % h, col = pixel % w, image = pixel / (h * w) * h_out * w_out;
        for (int64_t b = 0; b < c; b += BLOCK) {
            const int64_t width = c - b < BLOCK ? c - b : BLOCK;
            float sum[BLOCK] = {0}, *g = dx + pixel * c + b;
            for (int64_t i = first(row - 1, h, h_out); i < first(row + 1, h, h_out); i++)
                for (int64_t j = first(col - 1, w, w_out); j < first(col + 1, w, w_out); j++) {
                    const float f = weight(i, row, h, h_out) * weight(j, col, w, w_out);
                    for (int64_t k = 0; k < width; k++) sum[k] += f * dy[(image + i * w_out + j) * c + b + k];
                }
            for (int64_t k = 0; k < width; k++) g[k] = (add ? g[k] : 0) + sum[k];
        }
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(resize_bilinear) = {.op = &hkd_op_resize_bilinear, .forward = forward, .backward = backward};
