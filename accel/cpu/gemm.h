/* gemm.h - the one inner kernel of the cpu device: a tile of a matrix product, held in registers from first term to last.
 *
 *   c[r][o] = sum over segments s, sum over k < depth_s of  a[a_s + r a_row + k a_k] b[(b_s + k) width + o]
 *             (+ bias[o]) (+ c[r][o])
 *
 *                    o: two vectors                 rows r are pixels, tiles or input channels: one float of a at a
 *              b  k [ v0 | v1 ]                     time is spread over a vector. Columns o are output channels, packed
 *                    |    |                         in panels of two vectors. 12 x 2 accumulators, 2 for b and 1 for a
 *    a   k     r   [acc | acc ]                     fill 27 of 32 vector registers (6 x 2 of 16 without AVX-512): 24
 *    r [....]      [acc | acc ]  12 rows            multiply-adds for 14 loads, so that the loads hide behind the
 *      [....]      [acc | acc ]                     arithmetic even when b streams from the second-level cache.
 *
 * A convolution needs nothing else: its segments are the kernel's taps (times blocks of channels), each a shifted view of
 * the same padded picture. Every element is one sum in a fixed order, so its bits depend on no split into tiles.
 */
#ifndef HKD_GEMM_H
#define HKD_GEMM_H

#include "cpu.h"
#include "vector.h"

enum { HKD_ROWS = HKD_VECTOR_BYTES == 64 ? 12 : 6, HKD_PANEL = 2 * HKD_V };

typedef struct {
    int64_t a, b, depth; /* offset into a in floats, into b in rows; number of terms */
} hkd_segment;

typedef struct {
    const float *a;
    int64_t a_row, a_k;    /* one of the two is 1 */
    const float *b;        /* rows of hkd_panel_width(cols) floats */
    const hkd_segment *segment;
    int64_t segments;
    float *c;
    int64_t c_row;
    int64_t rows, cols;    /* cols <= HKD_PANEL, any number of rows */
    const float *bias, *more; /* [cols] or NULL: added in this order */
    const float *residual; /* NULL, or rows c_row apart: c = (sums + residual) * scale */
    float scale;
    bool accumulate;       /* add to c */
    bool resume;           /* c holds the sums of earlier terms, to go on with: whole vectors of columns, nothing else added */
    const float *next;     /* what will be read next, fetched into cache meanwhile; next_floats 0: nothing */
    int64_t next_floats;
} hkd_gemm;

/* Floats between two k of a packed panel of `cols` columns: narrow panels take one vector. */
static inline int64_t hkd_panel_width(int64_t cols) { return cols > HKD_V ? HKD_PANEL : HKD_V; }
static inline int64_t hkd_panels(int64_t cols) { return (cols + HKD_PANEL - 1) / HKD_PANEL; }
static inline int64_t hkd_panel_cols(int64_t cols, int64_t panel) {
    return cols - panel * HKD_PANEL < HKD_PANEL ? cols - panel * HKD_PANEL : HKD_PANEL;
}
/* Floats of one k over all panels: where panel p starts is p * HKD_PANEL * depth. */
static inline int64_t hkd_packed_cols(int64_t cols) {
    return cols ? (hkd_panels(cols) - 1) * HKD_PANEL + hkd_panel_width(hkd_panel_cols(cols, hkd_panels(cols) - 1)) : 0;
}

/* Where sums end, those of tile() and of Winograd's: (sums + residual) * scale, where there is a residual, written or added to
 * the `count` columns at `to`. */
HKD_INLINE void hkd_deliver(float *to, hkd_vec sums, const float *residual, float scale, bool accumulate, int64_t count) {
    if (residual) sums = (sums + hkd_load_up_to(residual, count)) * scale;
    if (accumulate) sums = hkd_load_up_to(to, count) + sums;
    hkd_store_up_to(to, sums, count);
}

#define hkd_gemm_run HKD_CPU(gemm_run)
void hkd_gemm_run(const hkd_gemm *g);

#endif
