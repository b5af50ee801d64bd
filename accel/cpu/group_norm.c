/* group_norm on the cpu. Channels are innermost, so every loop runs over the channels of a pixel.
 *
 * Statistics are taken per channel over blocks of pixels that stay in cache: the block's mean first, then sums of deviations
 * from it and of their squares, which no offset of the data spoils. Blocks and channels of a group are joined in double
 * (Chan, Golub, LeVeque 1979). The blocks are the same for any number of threads, and so are the bits.
 *
 * The row that fuses silu keeps no normalised x for the way back: z = gamma h + beta is made again wherever dz is needed. */
#include "cpu.h"
#include "vector.h"
#include "vmath.h"

#include <math.h>

extern const hkd_op hkd_op_group_norm, hkd_op_group_norm_silu;

enum { X, GAMMA, BETA };
enum { GROUPS, EPS };
enum { PIXELS = 64 };                   /* of a block */
enum { FOUR = 4 * HKD_V };              /* vectors of channels, so that sums need not wait for each other */
enum { SHIFT, REST, SQUARES, BLOCK_ROWS }; /* of channels, per block; in backward then: */
enum { DY, DY_H };
enum { MEAN, R, MEAN_G, MEAN_GH, IMAGE_ROWS }; /* of channels, per image */

typedef struct {
    int64_t n, c, area, groups, blocks;
    bool large, together;       /* worth the threads; all threads work on each image, or one on each */
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

/* `count` channels over a block, in registers. */
HKD_INLINE void channel_statistics(float *shift, float *rest, float *squares, const float *x, int64_t pixels, int64_t step,
                                   const int64_t count) {
    const float scale = 1 / (float)pixels;
    float mean[FOUR] = {0}, sum[FOUR] = {0}, square[FOUR] = {0};
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < count; c++) mean[c] += x[p * step + c];
    for (int64_t c = 0; c < count; c++) mean[c] *= scale;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < count; c++) {
            const float d = x[p * step + c] - mean[c];
            sum[c] += d;
            square[c] += d * d;
        }
    for (int64_t c = 0; c < count; c++) shift[c] = mean[c], rest[c] = sum[c], squares[c] = square[c];
}

static void block_statistics(const work *w, const float *x, int64_t n, int64_t b) {
    float *shift = block_row(w, n, b, SHIFT), *rest = block_row(w, n, b, REST), *squares = block_row(w, n, b, SQUARES);
    const float *from = x + (n * w->area + b * PIXELS) * w->c;
    const int64_t pixels = block_pixels(w, b);
    for (int64_t c = 0; c < w->c; c += FOUR) {
        const int64_t count = w->c - c < FOUR ? w->c - c : FOUR;
        if (count == FOUR) channel_statistics(shift + c, rest + c, squares + c, from + c, pixels, w->c, FOUR);
        else channel_statistics(shift + c, rest + c, squares + c, from + c, pixels, w->c, count);
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

/* Scratch for a call. */
static hkd_status begin(hkd_cpu *cpu, const hkd_call *call, work *w) {
    *w = work_of(call);
    const hkd_status status = hkd_cpu_scratch(cpu, &w->block, workspace(cpu, call, false));
    w->image = w->block + w->n * w->blocks * BLOCK_ROWS * w->c;
    w->sum = w->image + w->n * IMAGE_ROWS * w->c;
    w->rows = w->sum + w->c;
    w->large = w->n * w->area * w->c > HKD_SMALL;
    w->together = w->n % cpu->threads != 0 && w->n < 4 * cpu->threads;
    return status;
}

/* One image, by the whole team (then within a parallel region) or by the thread that calls. Each phase needs all of the one
 * before; where a thread has an image to itself, the image stays in its cache from phase to phase. */
static void image_statistics(const work *w, const hkd_call *call, int64_t n) {
    const float *x = hkd_cpu_data(&call->in[X]);
    for (int64_t b = 0; b < w->blocks; b++) block_statistics(w, x, n, b);
    for (int64_t g = 0; g < w->groups; g++) group_statistics(w, n, g, call->p[EPS]);
}

static void shared_statistics(const work *w, const hkd_call *call) {
    const float *x = hkd_cpu_data(&call->in[X]);
    #pragma omp for
    for (int64_t i = 0; i < w->n * w->blocks; i++) block_statistics(w, x, i / w->blocks, i % w->blocks);
    #pragma omp for
    for (int64_t i = 0; i < w->n * w->groups; i++) group_statistics(w, i / w->groups, i % w->groups, call->p[EPS]);
}

/* y of one pixel. */
static void pixel(const work *w, const hkd_call *call, int64_t i) {
    const float *x = hkd_cpu_data(&call->in[X]) + i * w->c, *gamma = hkd_cpu_data(&call->in[GAMMA]);
    const float *beta = hkd_cpu_data(&call->in[BETA]);
    const float *mean = image_row(w, i / w->area, MEAN), *r = image_row(w, i / w->area, R);
    float *y = hkd_cpu_data(&call->out[0]) + i * w->c;
    #pragma omp simd
    for (int64_t c = 0; c < w->c; c++) y[c] = (x[c] - mean[c]) * r[c] * gamma[c] + beta[c];
    if (call->op != &hkd_op_group_norm_silu) return;
    #pragma omp simd
    for (int64_t c = 0; c < w->c; c++) y[c] *= hkd_v_sigmoid(y[c]);
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    work w;
    const hkd_status status = begin(cpu, call, &w);
    if (status) return status;
    #pragma omp parallel num_threads(cpu->threads) if (w.large)
    if (w.together) {
        shared_statistics(&w, call);
        #pragma omp for nowait
        for (int64_t i = 0; i < w.n * w.area; i++) pixel(&w, call, i);
    } else {
        #pragma omp for nowait
        for (int64_t n = 0; n < w.n; n++) {
            image_statistics(&w, call, n);
            for (int64_t i = n * w.area; i < (n + 1) * w.area; i++) pixel(&w, call, i);
        }
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

/* Where upstream() makes a pixel's gradient: where dx will stand, if that is still free, so that it need not be made twice. */
static float *room(float *row, const work *w, const hkd_call *call, int64_t pixel) {
    const bool kept = call->op == &hkd_op_group_norm_silu && call->grad[X].buffer && !call->accumulate[X];
    return kept ? hkd_cpu_data(&call->grad[X]) + pixel * w->c : row;
}

/* sum dy and sum dy h of a block, by channel. */
static void block_gradients(float *row, const work *w, const hkd_call *call, int64_t n, int64_t b) {
    const int64_t first = n * w->area + b * PIXELS;
    const float *mean = image_row(w, n, MEAN), *r = image_row(w, n, R);
    float *sum = block_row(w, n, b, DY), *sum_h = block_row(w, n, b, DY_H);
    for (int64_t c = 0; c < w->c; c++) sum[c] = sum_h[c] = 0;
    for (int64_t pixel = first; pixel < first + block_pixels(w, b); pixel++) {
        const float *dy = upstream(room(row, w, call, pixel), w, call, pixel), *x = hkd_cpu_data(&call->in[X]) + pixel * w->c;
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

/* dx of one pixel. */
static void pixel_gradient(float *row, const work *w, const hkd_call *call, int64_t i) {
    const float *x = hkd_cpu_data(&call->in[X]) + i * w->c, *gamma = hkd_cpu_data(&call->in[GAMMA]);
    const float *mean = image_row(w, i / w->area, MEAN), *mean_g = image_row(w, i / w->area, MEAN_G);
    const float *r = image_row(w, i / w->area, R), *mean_gh = image_row(w, i / w->area, MEAN_GH);
    const float *made = room(row, w, call, i), *dy = made == row ? upstream(row, w, call, i) : made;
    const bool add = call->accumulate[X];
    float *dx = hkd_cpu_data(&call->grad[X]) + i * w->c;
    #pragma omp simd
    for (int64_t c = 0; c < w->c; c++) {
        const float h = (x[c] - mean[c]) * r[c], g = gamma[c] * dy[c];
        dx[c] = (add ? dx[c] : 0) + r[c] * (g - mean_g[c] - h * mean_gh[c]);
    }
}

static void shared_gradients(float *row, const work *w, const hkd_call *call) {
    const float *gamma = hkd_cpu_data(&call->in[GAMMA]);
    const int64_t pixels = call->grad[X].buffer ? w->n * w->area : 0;
    #pragma omp for
    for (int64_t i = 0; i < w->n * w->blocks; i++) block_gradients(row, w, call, i / w->blocks, i % w->blocks);
    #pragma omp for
    for (int64_t i = 0; i < w->n * w->groups; i++) group_gradients(w, gamma, i / w->groups, i % w->groups);
    #pragma omp for nowait
    for (int64_t i = 0; i < pixels; i++) pixel_gradient(row, w, call, i);
}

static void image_gradients(float *row, const work *w, const hkd_call *call, int64_t n) {
    const float *gamma = hkd_cpu_data(&call->in[GAMMA]);
    const int64_t pixels = call->grad[X].buffer ? w->area : 0;
    for (int64_t b = 0; b < w->blocks; b++) block_gradients(row, w, call, n, b);
    for (int64_t g = 0; g < w->groups; g++) group_gradients(w, gamma, n, g);
    for (int64_t i = n * w->area; i < n * w->area + pixels; i++) pixel_gradient(row, w, call, i);
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    float *dgamma = hkd_cpu_data(&call->grad[GAMMA]), *dbeta = hkd_cpu_data(&call->grad[BETA]);
    work w;
    const hkd_status status = begin(cpu, call, &w);
    if (status) return status;
    #pragma omp parallel num_threads(cpu->threads) if (w.large)
    {
        float *row = w.rows + hkd_cpu_thread() * w.c;
        if (w.together) {
            shared_statistics(&w, call);
            shared_gradients(row, &w, call);
        } else {
            #pragma omp for nowait
            for (int64_t n = 0; n < w.n; n++) {
                image_statistics(&w, call, n);
                image_gradients(row, &w, call, n);
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
