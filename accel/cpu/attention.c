/* attention on the cpu: for blocks of queries, three matrix products around a softmax; in backward five more.
 *
 * q, k and v of a head are first taken apart. Threads share out heads and, forward, blocks of queries; a head's gradients are
 * summed by one thread, block after block, so their order is always the same. */
#include "gemm.h"
#include "vmath.h"

#include <math.h>

extern const hkd_op hkd_op_attention;

enum { QUERIES = 32 }; /* of a block; a multiple of HKD_PANEL */
enum { Q, K, V, PARTS };

typedef struct {
    int64_t n, c, area, heads, width, blocks; /* width: channels of a head */
    float scale;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *qkv = call->in[0].shape.dim, area = qkv[2] * qkv[3], heads = (int64_t)call->p[0], c = qkv[1] / 3;
    return (dims){qkv[0], c, area, heads, c / heads, (area + QUERIES - 1) / QUERIES, (float)(1 / sqrt((double)(c / heads)))};
}

/* A factor b[k, n] as the register tile reads it: panels of columns; its rows begin .. end - 1. Element (l, j) lies at
 * from[l * row + j * col]. */
static void pack_rows(float *to, const float *from, int64_t row, int64_t col, int64_t k, int64_t n, int64_t begin,
                      int64_t end) {
    for (int64_t panel = 0; panel < hkd_panels(n); panel++) {
        const int64_t cols = hkd_panel_cols(n, panel), width = hkd_panel_width(cols);
        float *at = to + panel * HKD_PANEL * k + begin * width;
        for (int64_t l = begin; l < end; l++, at += width)
            for (int64_t j = 0; j < width; j++) at[j] = j < cols ? from[l * row + (panel * HKD_PANEL + j) * col] : 0;
    }
}

static void pack(float *to, const float *from, int64_t row, int64_t col, int64_t k, int64_t n) {
    pack_rows(to, from, row, col, k, n, 0, k);
}

/* out[m, n] (+)= a[m, k] b[k, n], b packed. Element (i, l) of a lies at a[i * a_row + l * a_col], one of the two being 1. */
static void multiply(float *out, int64_t out_row, const float *a, int64_t a_row, int64_t a_col, const float *b, int64_t m,
                     int64_t n, int64_t k, bool add) {
    const hkd_segment all = {0, 0, k};
    for (int64_t panel = 0; panel < hkd_panels(n); panel++)
        hkd_gemm_run(&(hkd_gemm){.a = a, .a_row = a_row, .a_k = a_col, .b = b + panel * HKD_PANEL * k, .segment = &all,
                                 .segments = 1, .c = out + panel * HKD_PANEL, .c_row = out_row, .rows = m,
                                 .cols = hkd_panel_cols(n, panel), .accumulate = add});
}

/* One head taken apart: q scaled, as rows [area, width]; k, its transpose, v and its transpose packed as second factors. */
enum { ROWS_Q, PACKED_K, PACKED_V, TURNED_K, TURNED_V, FORMS };

static int64_t form_floats(const dims *d) {
    const int64_t rows = d->area * hkd_packed_cols(d->width), columns = d->width * hkd_packed_cols(d->area);
    return rows > columns ? rows : columns;
}

static const float *head_of(const float *qkv, const dims *d, int64_t index) {
    return qkv + (index / d->heads * d->area * d->c + index % d->heads * d->width) * 3;
}

/* What forward needs of the pixels begin .. end - 1; begin is a multiple of HKD_PANEL. */
static void take_pixels(float *to, const float *from, const dims *d, int64_t begin, int64_t end) {
    const int64_t size = form_floats(d), pixel = 3 * d->c, width = d->width;
    for (int64_t p = begin; p < end; p++)
        for (int64_t c = 0; c < width; c++) to[ROWS_Q * size + p * width + c] = from[p * pixel + 3 * c + Q] * d->scale;
    pack(to + TURNED_K * size + begin * width, from + begin * pixel + K, 3, pixel, width, end - begin);
    pack_rows(to + PACKED_V * size, from + V, pixel, 3, d->area, width, begin, end);
}

static void take_apart(float *to, const float *from, const dims *d) {
    const int64_t size = form_floats(d), pixel = 3 * d->c;
    take_pixels(to, from, d, 0, d->area);
    pack(to + PACKED_K * size, from + K, pixel, 3, d->area, d->width);
    pack(to + TURNED_V * size, from + V, 3, pixel, d->width, d->area);
}

/* Sums and the largest of many numbers, in lanes that the compiler can keep in vectors. */
enum { LANES = 16 };

static float sum_of_products(const float *a, const float *b, int64_t count) {
    float lane[LANES] = {0}, sum = 0;
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += a[j + k] * b[j + k];
    for (; j < count; j++) sum += a[j] * b[j];
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

/* w = exp(w - largest), returns the sum. */
static float exponentials(float *w, int64_t count) {
    float lane[LANES], largest = w[0], sum = 0;
    int64_t j = 0;
    for (int k = 0; k < LANES; k++) lane[k] = w[0];
    for (; j + LANES <= count; j += LANES)
        for (int k = 0; k < LANES; k++) lane[k] = w[j + k] > lane[k] ? w[j + k] : lane[k];
    for (; j < count; j++) largest = w[j] > largest ? w[j] : largest;
    for (int k = 0; k < LANES; k++) largest = lane[k] > largest ? lane[k] : largest;
    for (j = 0; j < count; j++) w[j] = hkd_v_exp_negative(w[j] - largest);
    for (int k = 0; k < LANES; k++) lane[k] = 0;
    for (j = 0; j + LANES <= count; j += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += w[j + k];
    for (; j < count; j++) sum += w[j];
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

/* w = softmax of the rows of logits, in place. */
static void softmax(float *w, int64_t rows, int64_t count) {
    for (int64_t i = 0; i < rows; i++, w += count) {
        const float share = 1 / exponentials(w, count);
        for (int64_t j = 0; j < count; j++) w[j] *= share;
    }
}

/* The weights of `rows` queries from `first`. */
static void weights(float *w, const float *forms, const dims *d, int64_t first, int64_t rows) {
    const int64_t size = form_floats(d);
    multiply(w, d->area, forms + ROWS_Q * size + first * d->width, d->width, 1, forms + TURNED_K * size, rows, d->area,
             d->width, false);
    softmax(w, rows, d->area);
}

static int64_t block_rows(const dims *d, int64_t block) {
    return d->area - block * QUERIES < QUERIES ? d->area - block * QUERIES : QUERIES;
}

/* Where a head's part of an image of c channels begins. */
static int64_t head_at(const dims *d, int64_t index) {
    return index / d->heads * d->area * d->c + index % d->heads * d->width;
}

/* Floats that every thread needs for itself: two blocks of weights, and in backward a head's forms and its gradients. */
static int64_t floats_per_thread(const dims *d, bool backward) {
    const int64_t block = QUERIES * hkd_packed_cols(d->width);
    return 2 * QUERIES * d->area + (backward ? block + FORMS * form_floats(d) + PARTS * d->area * d->width : 0);
}

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    const dims d = dims_of(call);
    const int64_t shared = backward ? 0 : d.n * d.heads * FORMS * form_floats(&d);
    return (size_t)(shared + cpu->threads * floats_per_thread(&d, backward)) * sizeof(float);
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *qkv = hkd_cpu_data(&call->in[0]);
    const int64_t heads = d.n * d.heads, size = form_floats(&d);
    float *scratch, *y = hkd_cpu_data(&call->out[0]);
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, workspace(cpu, call, false));
    if (status) return status;
    #pragma omp parallel num_threads(cpu->threads) if (d.n * d.c * d.area > HKD_SMALL)
    {
        float *w = scratch + heads * FORMS * size + hkd_cpu_thread() * floats_per_thread(&d, false);
        #pragma omp for
        for (int64_t i = 0; i < heads * d.blocks; i++) {
            const int64_t index = i / d.blocks, first = i % d.blocks * QUERIES;
            take_pixels(scratch + index * FORMS * size, head_of(qkv, &d, index), &d, first,
                        first + block_rows(&d, i % d.blocks));
        }
        #pragma omp for nowait
        for (int64_t i = 0; i < heads * d.blocks; i++) {
            const int64_t index = i / d.blocks, first = i % d.blocks * QUERIES, rows = block_rows(&d, i % d.blocks);
            const float *forms = scratch + index * FORMS * size;
            weights(w, forms, &d, first, rows);
            multiply(y + head_at(&d, index) + first * d.c, d.c, w, d.area, 1, forms + PACKED_V * size, rows, d.width,
                     d.area, false);
        }
    }
    return HKD_OK;
}

/* dl = w (dw - sum of w dw), in place of dw. */
static void softmax_gradient(float *dw, const float *w, int64_t rows, int64_t count) {
    for (int64_t i = 0; i < rows; i++, dw += count, w += count) {
        const float mean = sum_of_products(w, dw, count);
        for (int64_t j = 0; j < count; j++) dw[j] = w[j] * (dw[j] - mean);
    }
}

static void head_gradient(float *dqkv, const float *dy, const float *qkv, const dims *d, int64_t index, bool add,
                          float *scratch) {
    const int64_t size = d->area * d->width, width = d->width, area = d->area, head = index % d->heads, form = form_floats(d);
    float *w = scratch, *dl = w + QUERIES * area, *packed = dl + QUERIES * area;
    float *forms = packed + QUERIES * hkd_packed_cols(width), *grad = forms + FORMS * form;
    take_apart(forms, head_of(qkv, d, index), d);
    for (int64_t i = 0; i < PARTS * size; i++) grad[i] = 0;
    for (int64_t block = 0; block < d->blocks; block++) {
        const int64_t first = block * QUERIES, rows = block_rows(d, block);
        const float *up = dy + head_at(d, index) + first * d->c, *q = forms + ROWS_Q * form + first * width;
        weights(w, forms, d, first, rows);
        multiply(dl, area, up, d->c, 1, forms + TURNED_V * form, rows, area, width, false);
        softmax_gradient(dl, w, rows, area);
        pack(packed, up, d->c, 1, rows, width);
        multiply(grad + V * size, width, w, 1, area, packed, area, width, rows, true);
        pack(packed, q, width, 1, rows, width);
        multiply(grad + K * size, width, dl, 1, area, packed, area, width, rows, true);
        multiply(grad + Q * size + first * width, width, dl, area, 1, forms + PACKED_K * form, rows, width, area, false);
    }
    for (int64_t p = 0; p < area; p++) {
        float *to = dqkv + ((index / d->heads * area + p) * d->c + head * width) * 3;
        for (int64_t c = 0; c < width; c++) {
            to[3 * c + Q] = (add ? to[3 * c + Q] : 0) + grad[Q * size + p * width + c] * d->scale;
            to[3 * c + K] = (add ? to[3 * c + K] : 0) + grad[K * size + p * width + c];
            to[3 * c + V] = (add ? to[3 * c + V] : 0) + grad[V * size + p * width + c];
        }
    }
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *qkv = hkd_cpu_data(&call->in[0]), *dy = hkd_cpu_data(&call->up[0]);
    float *scratch, *dqkv = hkd_cpu_data(&call->grad[0]);
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, workspace(cpu, call, true));
    if (status || !dqkv) return status;
    #pragma omp parallel for num_threads(cpu->threads) if (d.n * d.c * d.area > HKD_SMALL)
    for (int64_t i = 0; i < d.n * d.heads; i++)
        head_gradient(dqkv, dy, qkv, &d, i, call->accumulate[0], scratch + hkd_cpu_thread() * floats_per_thread(&d, true));
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(attention) = {
    .op = &hkd_op_attention, .workspace = workspace, .forward = forward, .backward = backward};
