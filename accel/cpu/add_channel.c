/* add_channel on the cpu: channels are innermost, so a pixel adds the whole row of b.
 *
 * db is a sum over pixels: threads share out images (groups of HKD_GROUP when one row serves the batch) and blocks of channels,
 * and every block is one vector of running sums. */
#include "cpu.h"

extern const hkd_op hkd_op_add_channel;

enum { X, B };
enum { BLOCK = 64 };

typedef struct {
    int64_t n, c, area, n_b;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim;
    return (dims){x[0], x[1], x[2] * x[3], call->in[B].shape.rank == 1 ? 1 : call->in[B].shape.dim[0]};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *b = hkd_cpu_data(&call->in[B]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (d.n * d.area * d.c > HKD_SMALL)
    for (int64_t i = 0; i < d.n * d.area; i++) {
        const float *row = b + (d.n_b == 1 ? 0 : i / d.area * d.c);
        for (int64_t c = 0; c < d.c; c++) y[i * d.c + c] = x[i * d.c + c] + row[c];
    }
    return HKD_OK;
}

/* sum[0..count) = the sum over the pixels of images first .. last-1, channels from c. */
static void pixel_sum(float *sum, const float *dy, const dims *d, int64_t first, int64_t last, int64_t c, int64_t count) {
    for (int64_t k = 0; k < count; k++) sum[k] = 0;
    for (int64_t i = first * d->area; i < last * d->area; i++)
        for (int64_t k = 0; k < count; k++) sum[k] += dy[i * d->c + c + k];
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[X]), *db = hkd_cpu_data(&call->grad[B]);
    const bool add_x = call->accumulate[X], add_b = call->accumulate[B];
    const int64_t count = d.n * d.area * d.c, blocks = (d.c + BLOCK - 1) / BLOCK;
    (void)cpu;
    if (dx) {
        #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
        for (int64_t i = 0; i < count; i++) dx[i] = (add_x ? dx[i] : 0) + dy[i];
    }
    if (!db) return HKD_OK;
    #pragma omp parallel for collapse(2) num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t row = 0; row < d.n_b; row++)
        for (int64_t block = 0; block < blocks; block++) {
            const int64_t c = block * BLOCK, width = d.c - c < BLOCK ? d.c - c : BLOCK;
            const int64_t from = d.n_b == 1 ? 0 : row, to = d.n_b == 1 ? d.n : row + 1;
            float *g = db + row * d.c + c, sum[BLOCK];
            for (int64_t k = 0; k < width && !add_b; k++) g[k] = 0;
            for (int64_t n = from; n < to; n += HKD_GROUP) {
                pixel_sum(sum, dy, &d, n, n + HKD_GROUP < to ? n + HKD_GROUP : to, c, width);
                for (int64_t k = 0; k < width; k++) g[k] += sum[k];
            }
        }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(add_channel) = {.op = &hkd_op_add_channel, .forward = forward, .backward = backward};
