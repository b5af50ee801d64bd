/* conv2d.h - the algorithms between which conv2d.c chooses. All arrays in the device's layout: pictures [n,h,w,c], weights
 * raw [c_out, c_in/groups, kh, kw], or (forward) frozen into the `form` that the algorithm reads. `bytes` functions say how
 * much scratch a call takes. */
#ifndef HKD_CPU_CONV2D_H
#define HKD_CPU_CONV2D_H

#include "gemm.h"

/* What follows the sums of a forward convolution, in this order; NULL: left out. */
typedef struct {
    const float *bias;       /* [c_out] */
    const float *image_bias; /* [n, c_out] */
    const float *residual;   /* like y; then the result times scale */
    float scale;
} hkd_epilogue;

/* Direct: any shape; every element is one sum, judged element by element. */
#define hkd_conv2d_direct HKD_CPU(conv2d_direct)
#define hkd_conv2d_direct_dx HKD_CPU(conv2d_direct_dx)
#define hkd_conv2d_direct_dw HKD_CPU(conv2d_direct_dw)
#define hkd_conv2d_direct_bytes HKD_CPU(conv2d_direct_bytes)
#define hkd_conv2d_direct_dw_bytes HKD_CPU(conv2d_direct_dw_bytes)
hkd_status hkd_conv2d_direct(hkd_cpu *cpu, float *y, const float *x, const hkd_buffer *w, const hkd_epilogue *e,
                             const hkd_conv2d_dims *d);
hkd_status hkd_conv2d_direct_dx(hkd_cpu *cpu, float *dx, const float *dy, const float *w, const hkd_conv2d_dims *d,
                                bool accumulate);
hkd_status hkd_conv2d_direct_dw(hkd_cpu *cpu, float *dw, const float *dy, const float *x, const hkd_conv2d_dims *d,
                                bool accumulate);
#define hkd_conv2d_direct_form HKD_CPU(conv2d_direct_form)
hkd_status hkd_conv2d_direct_form(hkd_cpu *cpu, hkd_cpu_form *form, const float *w, const hkd_conv2d_dims *d);
size_t hkd_conv2d_direct_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d, bool transposed, bool frozen);
size_t hkd_conv2d_direct_dw_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d);

/* Winograd F(4x4, 3x3), for hkd_winograd_fits shapes: the error of an element depends on its neighbours (DESIGN section 3). */
#define hkd_winograd HKD_CPU(winograd)
#define hkd_winograd_dx HKD_CPU(winograd_dx)
#define hkd_winograd_bytes HKD_CPU(winograd_bytes)
hkd_status hkd_winograd(hkd_cpu *cpu, float *y, const float *x, const hkd_buffer *w, const hkd_epilogue *e,
                        const hkd_conv2d_dims *d);
hkd_status hkd_winograd_dx(hkd_cpu *cpu, float *dx, const float *dy, const float *w, const hkd_conv2d_dims *d, bool accumulate);
size_t hkd_winograd_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d, bool transposed, bool frozen);

#define hkd_winograd_form HKD_CPU(winograd_form)
hkd_status hkd_winograd_form(hkd_cpu *cpu, hkd_cpu_form *form, const float *w, const hkd_conv2d_dims *d);
#define hkd_winograd_dw HKD_CPU(winograd_dw)
#define hkd_winograd_dw_bytes HKD_CPU(winograd_dw_bytes)
hkd_status hkd_winograd_dw(hkd_cpu *cpu, float *dw, const float *dy, const float *x, const hkd_conv2d_dims *d, bool accumulate);
size_t hkd_winograd_dw_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d);

/* A picture cut into 6x6 tiles, 4 apart: th x tw of them. */
typedef struct {
    int64_t h, w, c, th, tw;
} hkd_tiles;

/* B^T d B of one tile, `channels` of them from x on: position k of v at k * step. `zeros` stands for pixels outside. */
#define hkd_winograd_tile HKD_CPU(winograd_tile)
void hkd_winograd_tile(float *v, int64_t step, const float *x, const float *zeros, const hkd_tiles *p, int64_t tile,
                       int64_t channels);

/* A picture made of 4x4 tiles, and what follows its sums. */
typedef struct {
    float *y;
    hkd_tiles tiles;
    hkd_epilogue then;
    bool accumulate;
} hkd_target;

/* A^T m A of one tile, position k of m at k * step, for `cols` channels from `first` on. */
#define hkd_winograd_outputs HKD_CPU(winograd_outputs)
void hkd_winograd_outputs(const hkd_target *to, const float *m, int64_t step, int64_t tile, int64_t first, int64_t cols);

/* The way for four tiles and frozen taps [panel][9][channel][column of the panel]. */
#define hkd_winograd_is_few HKD_CPU(winograd_is_few)
#define hkd_winograd_few HKD_CPU(winograd_few)
#define hkd_winograd_few_bytes HKD_CPU(winograd_few_bytes)
bool hkd_winograd_is_few(const hkd_conv2d_dims *d, int threads);
hkd_status hkd_winograd_few(hkd_cpu *cpu, const hkd_target *y, const float *x, const float *taps, const hkd_conv2d_dims *d);
size_t hkd_winograd_few_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d);

static inline int64_t hkd_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t hkd_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t hkd_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t hkd_align(int64_t floats) { return hkd_ceil_div(floats, 16) * 16; } /* to a cache line */

#endif
