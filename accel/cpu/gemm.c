/* The register tile of gemm.h, once for every number of rows; the compiler unrolls and keeps `acc` in registers. */
#include "gemm.h"

/* y [rows, vectors] = the sums. `rows`, `vectors` and `down` are constants wherever this is inlined. Terms of a lie side by
 * side, or (down) its rows do. Rows far apart are addressed three from one pointer: a pointer each would not fit the general
 * registers. */
HKD_INLINE void tile(const hkd_gemm *g, float *y, int64_t y_row, const float *a0, const float *next, int64_t next_step,
                     const int rows, const int vectors, const bool down) {
    const int64_t a_row = down ? 1 : g->a_row, a_k = down ? g->a_k : 1;
    hkd_vec acc[HKD_ROWS][2];
    HKD_UNROLL
    for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = (hkd_vec){0};
    if (g->resume) {
        HKD_UNROLL
        for (int r = 0; r < rows; r++) {
            acc[r][0] = hkd_load(y + r * y_row);
            if (vectors > 1) acc[r][1] = hkd_load(y + r * y_row + HKD_V);
        }
    }
    for (int64_t s = 0; s < g->segments; s++) {
        const float *b = g->b + g->segment[s].b * vectors * HKD_V;
        const float *a = a0 + g->segment[s].a, *a3 = a + 3 * a_row, *a6 = a + 6 * a_row, *a9 = a + 9 * a_row;
        HKD_UNROLL_4
        for (int64_t k = g->segment[s].depth; k > 0; k--) {
            const hkd_vec b0 = hkd_load(b), b1 = vectors > 1 ? hkd_load(b + HKD_V) : b0;
            HKD_UNROLL
            for (int r = 0; r < rows; r++) {
                const float ar = down ? a[r] : (r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9)[r % 3 * a_row];
                acc[r][0] += ar * b0;
                if (vectors > 1) acc[r][1] += ar * b1;
            }
            hkd_prefetch(next);
            next += next_step;
            a += a_k, a3 += a_k, a6 += a_k, a9 += a_k;
            b += vectors * HKD_V;
        }
    }
    HKD_UNROLL
    for (int r = 0; r < rows; r++) {
        hkd_store(y + r * y_row, acc[r][0]);
        if (vectors > 1) hkd_store(y + r * y_row + HKD_V, acc[r][1]);
    }
}

HKD_INLINE void tile_of(const hkd_gemm *g, float *y, int64_t y_row, const float *a, const float *next, int64_t next_step,
                        const int rows, const int vectors) {
    if (g->a_k == 1) tile(g, y, y_row, a, next, next_step, rows, vectors, false);
    else tile(g, y, y_row, a, next, next_step, rows, vectors, true);
}

static void narrow(const hkd_gemm *g, float *y, int64_t y_row, const float *a, const float *next, int64_t next_step,
                   int64_t rows) {
    switch (rows) {
    #define ROWS(n) case n: tile_of(g, y, y_row, a, next, next_step, n, 1); break;
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
    #if HKD_VECTOR_BYTES == 64
    ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
    #endif
    }
}

static void wide(const hkd_gemm *g, float *y, int64_t y_row, const float *a, const float *next, int64_t next_step,
                 int64_t rows) {
    switch (rows) {
    #define WIDE(n) case n: tile_of(g, y, y_row, a, next, next_step, n, 2); break;
    WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6)
    #if HKD_VECTOR_BYTES == 64
    WIDE(7) WIDE(8) WIDE(9) WIDE(10) WIDE(11) WIDE(12)
    #endif
    }
}

/* What tile() cannot write to c itself. Not in tile(): unrolled into every tile, these branches made gcc write 0.7 MB of code
 * in most of a minute. */
static void finish(const hkd_gemm *g, float *c, const float *residual, const float *y, int64_t rows) {
    for (int64_t o = 0; o < g->cols; o += HKD_V) {
        const int64_t count = g->cols - o;
        hkd_vec bias = {0}, more = {0};
        if (g->bias) bias = hkd_load_up_to(g->bias + o, count);
        if (g->more) more = hkd_load_up_to(g->more + o, count);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t at = r * g->c_row + o;
            hkd_deliver(c + at, hkd_load(y + r * HKD_PANEL + o) + bias + more, residual ? residual + at : NULL, g->scale,
                        g->accumulate, count);
        }
    }
}

void hkd_gemm_run(const hkd_gemm *g) {
    const int64_t tiles = (g->rows + HKD_ROWS - 1) / HKD_ROWS;
    static const float nowhere = 0;
    const float *next = g->next ? g->next : &nowhere;
    const bool plain = g->cols % HKD_V == 0 && !g->bias && !g->more && !g->residual && !g->accumulate;
    int64_t terms = 0;
    for (int64_t s = 0; s < g->segments; s++) terms += g->segment[s].depth;
    if (!tiles) return;
    const int64_t next_step = terms ? g->next_floats / (tiles * terms) : 0;
    const int64_t least = g->rows / tiles, longer = g->rows % tiles; /* rows are dealt evenly: 32 = 11 + 11 + 10 */
    const float *a = g->a;
    float y[HKD_ROWS * HKD_PANEL], *c = g->c;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t rows = least + (t < longer);
        for (int64_t r = 0; r < rows; r++) /* written at the end, fetched meanwhile */
            for (int64_t o = 0; o < g->cols; o += HKD_V) hkd_prefetch_write(c + r * g->c_row + o);
        (g->cols > HKD_V ? wide : narrow)(g, plain ? c : y, plain ? g->c_row : HKD_PANEL, a, next, next_step, rows);
        if (!plain) finish(g, c, g->residual ? g->residual + (c - g->c) : NULL, y, rows);
        a += rows * g->a_row, c += rows * g->c_row, next += next_step * terms;
    }
}
