/* group_norm on the cpu. Channels are innermost, so every loop runs over the channels of a pixel.
 *
 * Statistics are taken per channel over blocks of pixels that stay in cache: the block's mean first, then sums of deviations
 * from it and of their squares, which no offset of the data spoils. Blocks and channels of a group are joined in double
 * (Chan, Golub, LeVeque 1979). The blocks are the same for any number of threads, and so are the bits.
 *
 * The row that fuses silu keeps no normalised x for the way back: z = gamma h + beta is made again wherever dz is needed. */
#include "cpu.h"
#include "vmath.h"

#include <math.h>

extern const hkd_op hkd_op_group_norm, hkd_op_group_norm_silu;

enum { X, GAMMA, BETA };
enum { GROUPS, EPS };
enum { PIXELS = 64 };                   /* of a block */
enum { SHIFT, REST, SQUARES, BLOCK_ROWS }; /* of channels, per block; in backward then: */
enum { DY, DY_H };
enum { MEAN, R, MEAN_G, MEAN_GH, IMAGE_ROWS }; /* of channels, per image */

typedef struct {
    int64_t n, c, area, groups, blocks;
    float *block, *image, *sum; /* scratch: [n, blocks, BLOCK_ROWS, c], [n, IMAGE_ROWS, c], [c], and */
    float *rows;                /* [threads, c] */
} work;

static work work_of(const hkd_call *call) {
    const hkd_shape *x = &call->in[X].shape;
    const int64_t area = x->rank == 4 ? x->dim[2] * x->dim[3] : 1;
    return (work){.n = x->dim[0], .c = x->dim[1], .area = area, .groups = (int64_t)call->p[GROUPS],
                  .blocks = (area + PIXELS - 1) / PIXELS};
}

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    const work w = work_of(call);
    (void)backward;
    return (size_t)(w.n * w.blocks * BLOCK_ROWS + w.n * IMAGE_ROWS + 1 + cpu->threads) * (size_t)w.c * sizeof(float);
}

static float *block_row(const work *w, int64_t n, int64_t b, int row) {
    return w->block + ((n * w->blocks + b) * BLOCK_ROWS + row) * w->c;
}

static float *image_row(const work *w, int64_t n, int row) { return w->image + (n * IMAGE_ROWS + row) * w->c; }

static int64_t block_pixels(const work *w, int64_t b) { return b + 1 < w->blocks ? PIXELS : w->area - b * PIXELS; }

static void block_statistics(const work *w, const float *x, int64_t n, int64_t b) {
    const int64_t pixels = block_pixels(w, b), count = w->c;
    float *shift = block_row(w, n, b, SHIFT), *rest = block_row(w, n, b, REST), *squares = block_row(w, n, b, SQUARES);
    const float *xs = x + (n * w->area + b * PIXELS) * count, scale = 1 / (float)pixels;
    for (int64_t c = 0; c < count; c++) shift[c] = rest[c] = squares[c] = 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < count; c++) shift[c] += xs[p * count + c];
    for (int64_t c = 0; c < count; c++) shift[c] *= scale;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < count; c++) {
            const float d = xs[p * count + c] - shift[c];
            rest[c] += d;
            squares[c] += d * d;
        }
}

/* Mean and 1/sqrt(var + eps) of group g of image n, spread over its channels. */
static void group_statistics(const work *w, int64_t n, int64_t g, double eps) {
    const int64_t width = w->c / w->groups, first = g * width;
    const double m = (double)(width * w->area);
    double sum = 0, squares = 0;
    for (int64_t b = 0; b < w->blocks; b++) {
        const float *shift = block_row(w, n, b, SHIFT), *rest = block_row(w, n, b, REST);
        for (int64_t c = first; c < first + width; c++) sum += (double)shift[c] * (double)block_pixels(w, b) + (double)rest[c];
    }
    const double mean = sum / m;
    for (int64_t b = 0; b < w->blocks; b++) {
        const float *shift = block_row(w, n, b, SHIFT), *rest = block_row(w, n, b, REST);
        const float *squared = block_row(w, n, b, SQUARES);
        const double pixels = (double)block_pixels(w, b);
        for (int64_t c = first; c < first + width; c++) {
            const double off = (double)shift[c] - mean;
            squares += (double)squared[c] + off * (2 * (double)rest[c] + off * pixels);
        }
    }
    for (int64_t c = first; c < first + width; c++) {
        image_row(w, n, MEAN)[c] = (float)mean;
        image_row(w, n, R)[c] = (float)(1 / sqrt(squares / m + eps));
    }
}

static hkd_status statistics(hkd_cpu *cpu, const hkd_call *call, work *w) {
    const float *x = hkd_cpu_data(&call->in[X]);
    const hkd_status status = hkd_cpu_scratch(cpu, &w->block, workspace(cpu, call, false));
    if (status) return status;
    w->image = w->block + w->n * w->blocks * BLOCK_ROWS * w->c;
    w->sum = w->image + w->n * IMAGE_ROWS * w->c;
    w->rows = w->sum + w->c;
    #pragma omp parallel num_threads(cpu->threads) if (w->n * w->area * w->c > HKD_SMALL)
    {
        #pragma omp for
        for (int64_t i = 0; i < w->n * w->blocks; i++) block_statistics(w, x, i / w->blocks, i % w->blocks);
        #pragma omp for
        for (int64_t i = 0; i < w->n * w->groups; i++) group_statistics(w, i / w->groups, i % w->groups, call->p[EPS]);
    }
    return HKD_OK;
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[X]), *gamma = hkd_cpu_data(&call->in[GAMMA]), *beta = hkd_cpu_data(&call->in[BETA]);
    float *y = hkd_cpu_data(&call->out[0]);
    const bool silu = call->op == &hkd_op_group_norm_silu;
    work w = work_of(call);
    const hkd_status status = statistics(cpu, call, &w);
    if (status) return status;
    #pragma omp parallel for num_threads(cpu->threads) if (w.n * w.area * w.c > HKD_SMALL)
    for (int64_t i = 0; i < w.n * w.area; i++) {
        const float *mean = image_row(&w, i / w.area, MEAN), *r = image_row(&w, i / w.area, R);
        #pragma omp simd
        for (int64_t c = 0; c < w.c; c++) y[i * w.c + c] = (x[i * w.c + c] - mean[c]) * r[c] * gamma[c] + beta[c];
        if (!silu) continue;
        #pragma omp simd
        for (int64_t c = 0; c < w.c; c++) y[i * w.c + c] *= hkd_v_sigmoid(y[i * w.c + c]);
    }
    return HKD_OK;
}

/* The gradient that reaches the normalised values of one pixel: dy itself, or behind silu made in `row`. */
static const float *upstream(float *row, const work *w, const hkd_call *call, int64_t pixel) {
    const float *x = hkd_cpu_data(&call->in[X]) + pixel * w->c, *dy = hkd_cpu_data(&call->up[0]) + pixel * w->c;
    const float *gamma = hkd_cpu_data(&call->in[GAMMA]), *beta = hkd_cpu_data(&call->in[BETA]);
    const float *mean = image_row(w, pixel / w->area, MEAN), *r = image_row(w, pixel / w->area, R);
    if (call->op != &hkd_op_group_norm_silu) return dy;
    #pragma omp simd
    for (int64_t c = 0; c < w->c; c++) {
        const float z = (x[c] - mean[c]) * r[c] * gamma[c] + beta[c], s = hkd_v_sigmoid(z);
        row[c] = dy[c] * (s + z * s * (1 - s));
    }
    return row;
}

/* sum dy and sum dy h of a block, by channel. */
static void block_gradients(float *row, const work *w, const hkd_call *call, int64_t n, int64_t b) {
    const int64_t first = n * w->area + b * PIXELS;
    const float *mean = image_row(w, n, MEAN), *r = image_row(w, n, R);
    float *sum = block_row(w, n, b, DY), *sum_h = block_row(w, n, b, DY_H);
    for (int64_t c = 0; c < w->c; c++) sum[c] = sum_h[c] = 0;
    for (int64_t pixel = first; pixel < first + block_pixels(w, b); pixel++) {
        const float *dy = upstream(row, w, call, pixel), *x = hkd_cpu_data(&call->in[X]) + pixel * w->c;
        for (int64_t c = 0; c < w->c; c++) {
            sum[c] += dy[c];
            sum_h[c] += dy[c] * ((x[c] - mean[c]) * r[c]);
        }
    }
}

/* Means of g and g h over a group, g = gamma dy. */
static void group_gradients(const work *w, const float *gamma, int64_t n, int64_t g) {
    const int64_t width = w->c / w->groups, first = g * width;
    double sum = 0, sum_h = 0;
    for (int64_t b = 0; b < w->blocks; b++)
        for (int64_t c = first; c < first + width; c++) {
            sum += (double)gamma[c] * (double)block_row(w, n, b, DY)[c];
            sum_h += (double)gamma[c] * (double)block_row(w, n, b, DY_H)[c];
        }
    for (int64_t c = first; c < first + width; c++) {
        image_row(w, n, MEAN_G)[c] = (float)(sum / (double)(width * w->area));
        image_row(w, n, MEAN_GH)[c] = (float)(sum_h / (double)(width * w->area));
    }
}

/* The gradient of gamma or beta: blocks of HKD_GROUP images summed, the sums added in order. */
static void channel_gradient(const work *w, float *grad, int row, bool accumulate) {
    for (int64_t c = 0; c < w->c && !accumulate; c++) grad[c] = 0;
    for (int64_t first = 0; first < w->n; first += HKD_GROUP) {
        for (int64_t c = 0; c < w->c; c++) w->sum[c] = 0;
        for (int64_t n = first; n < w->n && n < first + HKD_GROUP; n++)
            for (int64_t b = 0; b < w->blocks; b++)
                for (int64_t c = 0; c < w->c; c++) w->sum[c] += block_row(w, n, b, row)[c];
        for (int64_t c = 0; c < w->c; c++) grad[c] += w->sum[c];
    }
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[X]), *gamma = hkd_cpu_data(&call->in[GAMMA]);
    float *dx = hkd_cpu_data(&call->grad[X]), *dgamma = hkd_cpu_data(&call->grad[GAMMA]);
    float *dbeta = hkd_cpu_data(&call->grad[BETA]);
    const bool add = call->accumulate[X];
    work w = work_of(call);
    const hkd_status status = statistics(cpu, call, &w);
    if (status) return status;
    #pragma omp parallel num_threads(cpu->threads) if (w.n * w.area * w.c > HKD_SMALL)
    {
        float *row = w.rows + hkd_cpu_thread() * w.c;
        #pragma omp for
        for (int64_t i = 0; i < w.n * w.blocks; i++) block_gradients(row, &w, call, i / w.blocks, i % w.blocks);
        #pragma omp for
        for (int64_t i = 0; i < w.n * w.groups; i++) group_gradients(&w, gamma, i / w.groups, i % w.groups);
        #pragma omp for
        for (int64_t i = 0; i < (dx ? w.n * w.area : 0); i++) {
            const float *mean = image_row(&w, i / w.area, MEAN), *mean_g = image_row(&w, i / w.area, MEAN_G);
            const float *r = image_row(&w, i / w.area, R), *mean_gh = image_row(&w, i / w.area, MEAN_GH);
            const float *dy = upstream(row, &w, call, i);
            for (int64_t c = 0; c < w.c; c++) {
                const int64_t at = i * w.c + c;
                const float h = (x[at] - mean[c]) * r[c], g = gamma[c] * dy[c];
                dx[at] = (add ? dx[at] : 0) + r[c] * (g - mean_g[c] - h * mean_gh[c]);
            }
        }
    }
    if (dgamma) channel_gradient(&w, dgamma, DY_H, call->accumulate[GAMMA]);
    if (dbeta) channel_gradient(&w, dbeta, DY, call->accumulate[BETA]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(group_norm) = {
    .op = &hkd_op_group_norm, .workspace = workspace, .forward = forward, .backward = backward};

const hkd_cpu_op HKD_CPU(group_norm_silu) = {
    .op = &hkd_op_group_norm_silu, .workspace = workspace, .forward = forward, .backward = backward};
