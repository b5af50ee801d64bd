/* max_pool2d on the cpu. Backward looks for the largest element again and sends dy there: a thread owns a block of one image's
 * channels, so no two threads write to the same place. */
#include "cpu.h"

extern const hkd_op hkd_op_max_pool2d;

enum { KERNEL, STRIDE, PAD };
enum { BLOCK = 16 };

typedef struct {
    int64_t n, c, h, w, kernel, stride, pad, h_out, w_out;
} dims;

static dims dims_of(const hkd_call *call, const hkd_shape *out) {
    const int64_t *x = call->in[0].shape.dim;
    return (dims){x[0], x[1], x[2], x[3], (int64_t)call->p[KERNEL], (int64_t)call->p[STRIDE], (int64_t)call->p[PAD],
                  out->dim[2], out->dim[3]};
}

/* best[k] and its pixel, first[k], in window (i, j) of one image, for `width` channels. */
static void largest(float *best, int64_t *first, const float *image, const dims *d, int64_t i, int64_t j, int64_t width) {
    bool none = true;
    for (int64_t p = 0; p < d->kernel; p++)
        for (int64_t q = 0; q < d->kernel; q++) {
            const int64_t row = i * d->stride - d->pad + p, col = j * d->stride - d->pad + q, pixel = row * d->w + col;
            if (row < 0 || row >= d->h || col < 0 || col >= d->w) continue;
            for (int64_t k = 0; k < width; k++) {
                const float v = image[pixel * d->c + k];
                const bool better = none || v > best[k] || (v != v && best[k] == best[k]);
                best[k] = better ? v : best[k];
                first[k] = better ? pixel : first[k];
            }
            none = false;
        }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call, &call->out[0].shape);
    const float *x = hkd_cpu_data(&call->in[0]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t pixel = 0; pixel < d.n * d.h_out * d.w_out; pixel++)
        for (int64_t c = 0; c < d.c; c += BLOCK) {
            const int64_t n = pixel / (d.h_out * d.w_out), width = d.c - c < BLOCK ? d.c - c : BLOCK;
            float best[BLOCK];
            int64_t first[BLOCK];
            largest(best, first, x + n * d.h * d.w * d.c + c, &d, pixel / d.w_out % d.h_out, pixel % d.w_out, width);
            for (int64_t k = 0; k < width; k++) y[pixel * d.c + c + k] = best[k];
        }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call, &call->up[0].shape);
    const float *x = hkd_cpu_data(&call->in[0]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[0]);
    const int64_t blocks = (d.c + BLOCK - 1) / BLOCK, area = d.h * d.w;
    const bool add = call->accumulate[0];
    (void)cpu;
    if (!dx) return HKD_OK;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t task = 0; task < d.n * blocks; task++) {
        const int64_t n = task / blocks, c = task % blocks * BLOCK, width = d.c - c < BLOCK ? d.c - c : BLOCK;
        float *g = dx + n * area * d.c + c, best[BLOCK];
        int64_t first[BLOCK];
        for (int64_t pixel = 0; pixel < area && !add; pixel++)
            for (int64_t k = 0; k < width; k++) g[pixel * d.c + k] = 0;
        for (int64_t i = 0; i < d.h_out; i++)
            for (int64_t j = 0; j < d.w_out; j++) {
                largest(best, first, x + n * area * d.c + c, &d, i, j, width);
                for (int64_t k = 0; k < width; k++)
                    g[first[k] * d.c + k] += dy[((n * d.h_out + i) * d.w_out + j) * d.c + c + k];
            }
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(max_pool2d) = {.op = &hkd_op_max_pool2d, .forward = forward, .backward = backward};
