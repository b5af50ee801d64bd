/* batch_norm on the cpu: a block of channels at a time, its factors formed once for many pixels.
 *
 * dgamma and dbeta are summed over canonical groups of HKD_GROUP images, the groups added in order. */
#include "cpu.h"

#include <math.h>

extern const hkd_op hkd_op_batch_norm;

enum { X, GAMMA, BETA, MEAN, VAR };
enum { BLOCK = 16, ROWS = 64 };

typedef struct {
    int64_t n, c, area;
    float eps;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim;
    return (dims){x[0], x[1], x[2] * x[3], (float)call->p[0]};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *gamma = hkd_cpu_data(&call->in[GAMMA]), *beta = hkd_cpu_data(&call->in[BETA]);
    const float *mean = hkd_cpu_data(&call->in[MEAN]), *var = hkd_cpu_data(&call->in[VAR]);
    float *y = hkd_cpu_data(&call->out[0]);
    const int64_t pixels = d.n * d.area;
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (pixels * d.c > HKD_SMALL)
    for (int64_t first = 0; first < pixels; first += ROWS) {
        const int64_t last = first + ROWS < pixels ? first + ROWS : pixels;
        for (int64_t c = 0; c < d.c; c += BLOCK) {
            const int64_t width = d.c - c < BLOCK ? d.c - c : BLOCK;
            float g[BLOCK];
            for (int64_t k = 0; k < width; k++) g[k] = gamma[c + k] / sqrtf(var[c + k] + d.eps);
            for (int64_t i = first; i < last; i++)
                for (int64_t k = 0; k < width; k++) {
                    const int64_t at = i * d.c + c + k;
                    y[at] = g[k] * (x[at] - mean[c + k]) + beta[c + k];
                }
        }
    }
    return HKD_OK;
}

/* Of channels c .. c + width - 1. Sums start from what is there when `add`. */
static void to_parameters(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean, const float *s,
                          const dims *d, int64_t c, int64_t width, const bool *add) {
    for (int64_t k = 0; k < width; k++) {
        if (dgamma && !add[GAMMA]) dgamma[c + k] = 0;
        if (dbeta && !add[BETA]) dbeta[c + k] = 0;
    }
    for (int64_t n = 0; n < d->n; n += HKD_GROUP) {
        const int64_t last = n + HKD_GROUP < d->n ? n + HKD_GROUP : d->n;
        float scaled[BLOCK] = {0}, plain[BLOCK] = {0};
        for (int64_t i = n * d->area; i < last * d->area; i++)
            for (int64_t k = 0; k < width; k++) {
                const int64_t at = i * d->c + c + k;
                scaled[k] += dy[at] * (x[at] - mean[c + k]);
                plain[k] += dy[at];
            }
        for (int64_t k = 0; dgamma && k < width; k++) dgamma[c + k] += scaled[k] / s[k];
        for (int64_t k = 0; dbeta && k < width; k++) dbeta[c + k] += plain[k];
    }
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *gamma = hkd_cpu_data(&call->in[GAMMA]), *dy = hkd_cpu_data(&call->up[0]);
    const float *mean = hkd_cpu_data(&call->in[MEAN]), *var = hkd_cpu_data(&call->in[VAR]);
    float *dx = hkd_cpu_data(&call->grad[X]), *dgamma = hkd_cpu_data(&call->grad[GAMMA]);
    float *dbeta = hkd_cpu_data(&call->grad[BETA]);
    const int64_t blocks = (d.c + BLOCK - 1) / BLOCK;
    const bool *add = call->accumulate;
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (d.n * d.area * d.c > HKD_SMALL)
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t c = block * BLOCK, width = d.c - c < BLOCK ? d.c - c : BLOCK;
        float s[BLOCK], g[BLOCK];
        for (int64_t k = 0; k < width; k++) {
            s[k] = sqrtf(var[c + k] + d.eps);
            g[k] = gamma[c + k] / s[k];
        }
        if (dgamma || dbeta) to_parameters(dgamma, dbeta, dy, x, mean, s, &d, c, width, add);
        for (int64_t i = 0; dx && i < d.n * d.area; i++)
            for (int64_t k = 0; k < width; k++) {
                const int64_t at = i * d.c + c + k;
                dx[at] = (add[X] ? dx[at] : 0) + g[k] * dy[at];
            }
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(batch_norm) = {.op = &hkd_op_batch_norm, .forward = forward, .backward = backward};
