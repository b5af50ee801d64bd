/* Winograd's F(4x4, 3x3), forward, where a call has four tiles (an 8x8 picture alone) and the weights are frozen.
 *
 * Four tiles meet all of the weights, so what takes time is to fetch these from memory and to transform them. U is never
 * stored: a row of it, six positions of a vector of columns, is made in registers and multiplied there,
 *
 *   taps [9][channel][panel]  --G g G^T-->  u[6]  x  V [36][tile][channel], a float at a time  -->  M [36][tile][panel]
 *   the frozen form                     (registers)   each thread has its own              6 x 4 sums of a row in registers
 *
 * which takes 24 multiply-adds and some 18 operations of the transform for 33 loads. A panel goes by DEPTH channels, whose
 * taps stay in the nearest cache for the six rows of both its vectors; meanwhile the taps of the next DEPTH channels are
 * fetched from memory, so that little of that remains to be waited for:
 *
 *             first vector            second vector
 *   row       0  1  2  3  4  5        0  1  2  3  4  5
 *   fetches   -  0  1  2  3  4        -  5  6  7  8  -      tap of the next channels (row 0 waits for its own)
 *
 * The sums are those of winograd.c, term by term.
 */
#include "conv2d.h"
#include "winograd.h"

#include <string.h>

enum { SIDE = 6, POSITIONS = 36, OUT = 4, TAPS = 9, TILES = 4, DEPTH = 16 };

bool hkd_winograd_is_few(const hkd_conv2d_dims *d, int threads) {
    const int64_t tiles = d->n * hkd_ceil_div(d->h, OUT) * hkd_ceil_div(d->w, OUT);
    return HKD_VECTOR_BYTES == 64 && tiles == TILES && hkd_panels(d->c_out) >= 2 * threads;
}

enum { M_STEP = TILES * HKD_PANEL, M_FLOATS = POSITIONS * M_STEP }; /* between positions; of a panel */
static int64_t v_floats(const hkd_conv2d_dims *d) { return POSITIONS * TILES * hkd_ceil_div(d->c_in, DEPTH) * DEPTH; }

size_t hkd_winograd_few_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d) {
    return (size_t)(DEPTH + cpu->threads * (v_floats(d) + M_FLOATS)) * sizeof(float);
}

/* `depth` channels of a panel: taps `step` floats apart, of channels `width` floats apart. */
typedef struct {
    const float *v, *taps;
    int64_t step, width, depth;
    bool resume;          /* add to M */
} stretch;

/* Row i of M, a vector of columns from o on. `next`: taps to fetch. `i` is a constant. */
HKD_INLINE void multiply(float *m, const stretch *s, int64_t o, const float *next, const int i) {
    hkd_vec sum[SIDE][TILES];
    const float *v = s->v + i * SIDE * TILES * DEPTH, *taps = s->taps + o;
    const int64_t step = s->step, width = s->width;
    m += i * SIDE * M_STEP + o;
    HKD_UNROLL
    for (int j = 0; j < SIDE; j++)
        HKD_UNROLL
        for (int t = 0; t < TILES; t++) sum[j][t] = s->resume ? hkd_load(m + j * M_STEP + t * HKD_PANEL) : (hkd_vec){0};
    for (int64_t c = 0; c < s->depth; c++, v++, taps += width, next += width) {
        hkd_vec u[SIDE];
        hkd_winograd_weight_row(u, taps, step, i);
        hkd_prefetch(next);
        hkd_prefetch(next + HKD_V);
        HKD_UNROLL
        for (int j = 0; j < SIDE; j++)
            HKD_UNROLL
            for (int t = 0; t < TILES; t++) sum[j][t] += v[(j * TILES + t) * DEPTH] * u[j];
    }
    HKD_UNROLL
    for (int j = 0; j < SIDE; j++)
        HKD_UNROLL
        for (int t = 0; t < TILES; t++) hkd_store(m + j * M_STEP + t * HKD_PANEL, sum[j][t]);
}

static void multiply_row(float *m, const stretch *s, int64_t o, const float *next, int i) {
    switch (i) {
    #define ROW(i) case i: multiply(m, s, o, next, i); break;
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5)
    #undef ROW
    }
}

/* M of one panel; `after` are the taps of the panel that this thread does next, or NULL. */
static void run_panel(float *m, const float *v, const float *taps, const float *after, int64_t channels, int64_t width) {
    for (int64_t c = 0; c < channels; c += DEPTH) {
        const stretch s = {v + c * POSITIONS * TILES, taps + c * width, channels * width, width,
                           hkd_min(DEPTH, channels - c), c > 0};
        const float *next = c + DEPTH < channels ? s.taps + DEPTH * width : after;
        int64_t tap = 0;
        for (int64_t o = 0; o < width; o += HKD_V)
            for (int i = 0; i < SIDE; i++) {
                const bool fetch = next && i && tap < TAPS;
                multiply_row(m, &s, o, fetch ? next + tap * s.step : s.v, i);
                tap += fetch;
            }
    }
}

/* V of all tiles, [channel / DEPTH][36][tile][DEPTH]. */
static void transform_picture(float *v, const float *x, const float *zeros, const hkd_tiles *source) {
    for (int64_t c = 0; c < source->c; c += DEPTH, v += POSITIONS * TILES * DEPTH)
        for (int64_t t = 0; t < TILES; t++)
            hkd_winograd_tile(v + t * DEPTH, TILES * DEPTH, x + c, zeros, source, t, hkd_min(DEPTH, source->c - c));
}

hkd_status hkd_winograd_few(hkd_cpu *cpu, const hkd_target *y, const float *x, const float *taps, const hkd_conv2d_dims *d) {
    const hkd_tiles source = {d->h, d->w, d->c_in, y->tiles.th, y->tiles.tw};
    const int64_t panels = hkd_panels(d->c_out), v_size = v_floats(d), panel_step = TAPS * d->c_in * HKD_PANEL;
    float *zeros;
    const hkd_status status = hkd_cpu_scratch(cpu, &zeros, hkd_winograd_few_bytes(cpu, d));
    if (status) return status;
    memset(zeros, 0, DEPTH * sizeof *zeros);
    #pragma omp parallel num_threads(cpu->threads)
    {
        float *v = zeros + DEPTH + hkd_cpu_thread() * (v_size + M_FLOATS), *m = v + v_size;
        transform_picture(v, x, zeros, &source);
        #pragma omp for schedule(static, 1) nowait
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t cols = hkd_panel_cols(d->c_out, panel), next = panel + cpu->threads;
            const bool alike = next < panels && hkd_panel_width(hkd_panel_cols(d->c_out, next)) == HKD_PANEL;
            run_panel(m, v, taps + panel * panel_step, alike ? taps + next * panel_step : NULL, d->c_in, hkd_panel_width(cols));
            for (int64_t t = 0; t < TILES; t++)
                hkd_winograd_outputs(y, m + t * HKD_PANEL, M_STEP, t, panel * HKD_PANEL, cols);
        }
    }
    return HKD_OK;
}
