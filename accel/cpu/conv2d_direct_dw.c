/* Convolution by the register tile of gemm.h, weight gradient:
 *
 *   dw[o,c,p,q] = sum over pixels of  dy[i,j,o] x[i s - pad + p, j s - pad + q, c]
 *
 * For each tap a product whose rows are input channels c, whose columns are output channels o and whose terms are pixels.
 * Images go in groups of HKD_GROUP. A group's pictures are repacked so that both factors are read line by line:
 *
 *   x  -> [block of 16 c][image][padded picture][16]     a tap is a shift of the same block (300 KB at 32x32)
 *   dy -> [panel of o][image][picture][panel]            (512 KB)
 *
 * A work item owns one block x panel of dw for all taps, sums a group in registers, and adds it to dw: groups in order.
 *
 * A 1x1 kernel needs no repacked x, and its dw fits a core's cache. Where there are groups enough, each thread takes whole
 * groups and goes through their pixels CHUNK at a time, so that both pictures are read once; the sums are the same.
 */
#include "conv2d.h"

#include <string.h>

enum { BLOCK = 16, MOST_TAPS = 16, CHUNK = 64 };

typedef struct {
    int64_t ci, co;             /* channels per group of the convolution */
    int64_t blocks, panels;     /* per group */
    int64_t ph, pw;             /* padded picture */
    int64_t images, block_floats, panel_floats;
    int64_t x_floats, dy_floats;
} layout;

static layout layout_of(const hkd_conv2d_dims *d) {
    layout l = {.ci = d->c_in / d->groups, .co = d->c_out / d->groups, .images = hkd_min(d->n, HKD_GROUP)};
    l.blocks = hkd_ceil_div(l.ci, BLOCK);
    l.panels = hkd_panels(l.co);
    l.ph = (d->h_out - 1) * d->stride + d->kh;
    l.pw = (d->w_out - 1) * d->stride + d->kw;
    l.block_floats = hkd_align(l.images * l.ph * l.pw * BLOCK);
    l.panel_floats = hkd_align(l.images * d->h_out * d->w_out * HKD_PANEL);
    l.x_floats = d->groups * l.blocks * l.block_floats;
    l.dy_floats = d->groups * l.panels * l.panel_floats;
    return l;
}

static size_t segments_bytes(const layout *l, const hkd_conv2d_dims *d) {
    return (size_t)(l->images * d->h_out) * sizeof(hkd_segment) / 64 * 64 + 64;
}

/* Does each thread take groups of its own? */
static bool alone(const hkd_conv2d_dims *d, int threads) {
    const bool pointwise = d->kh * d->kw * d->stride * d->groups == 1 && !d->pad_h && !d->pad_w;
    return pointwise && d->n > HKD_GROUP * (threads - 1);
}

/* The sums of a group [panel][channel][column] and a chunk of dy. */
static int64_t alone_floats(const hkd_conv2d_dims *d) { return (d->c_in * hkd_panels(d->c_out) + CHUNK) * HKD_PANEL; }

size_t hkd_conv2d_direct_dw_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d) {
    const layout l = layout_of(d);
    if (alone(d, cpu->threads)) return (size_t)(cpu->threads * alone_floats(d)) * sizeof(float);
    return segments_bytes(&l, d) + (size_t)(l.x_floats + l.dy_floats) * sizeof(float);
}

/* One row of one image is a segment. */
static void list_segments(hkd_segment *to, const layout *l, const hkd_conv2d_dims *d) {
    for (int64_t n = 0; n < l->images; n++)
        for (int64_t i = 0; i < d->h_out; i++)
            *to++ = (hkd_segment){(n * l->ph + i * d->stride) * l->pw * BLOCK, (n * d->h_out + i) * d->w_out, d->w_out};
}

/* One block of channels of one image, with zeros around. */
static void pack_x(float *to, const float *image, int64_t channel, int64_t depth, const layout *l, const hkd_conv2d_dims *d) {
    for (int64_t i = 0; i < l->ph; i++)
        for (int64_t j = 0; j < l->pw; j++, to += BLOCK) {
            const int64_t row = i - d->pad_h, col = j - d->pad_w;
            const float *from = image + (row * d->w + col) * d->c_in + channel;
            if (row < 0 || row >= d->h || col < 0 || col >= d->w)
                for (int64_t c = 0; c < depth; c++) to[c] = 0;
            else if (depth == BLOCK)
                memcpy(to, from, BLOCK * sizeof *to);
            else
                for (int64_t c = 0; c < depth; c++) to[c] = from[c];
        }
}

/* One panel of output channels of some pixels, zeros in columns that do not exist. */
static void pack_dy(float *to, const float *dy, int64_t pixels, int64_t channel, int64_t cols, const hkd_conv2d_dims *d) {
    const int64_t width = hkd_panel_width(cols);
    for (int64_t pixel = 0; pixel < pixels; pixel++, to += width) {
        const float *from = dy + pixel * d->c_out + channel;
        if (cols == HKD_PANEL)
            memcpy(to, from, HKD_PANEL * sizeof *to);
        else
            for (int64_t o = 0; o < width; o++) to[o] = o < cols ? from[o] : 0;
    }
}

/* All taps of one block x panel of dw, for one group of images. */
static void item(float *dw, const float *xs, const float *dys, const hkd_segment *segments, int64_t count, int64_t depth,
                 int64_t cols, const layout *l, const hkd_conv2d_dims *d, bool accumulate) {
    const int64_t taps = d->kh * d->kw;
    for (int64_t first = 0; first < taps; first += MOST_TAPS) { /* a few taps at a time, so that dw is met in whole lines */
        float sum[MOST_TAPS][BLOCK][HKD_PANEL];
        const int64_t some = hkd_min(MOST_TAPS, taps - first);
        for (int64_t t = 0; t < some; t++) {
            const int64_t p = (first + t) / d->kw, q = (first + t) % d->kw;
            const hkd_gemm run = {.a = xs + (p * l->pw + q) * BLOCK, .a_row = 1, .a_k = d->stride * BLOCK, .b = dys,
                                  .segment = segments, .segments = count, .c = &sum[t][0][0], .c_row = HKD_PANEL,
                                  .rows = depth, .cols = cols};
            hkd_gemm_run(&run);
        }
        for (int64_t o = 0; o < cols; o++)
            for (int64_t c = 0; c < depth; c++)
                for (int64_t t = 0; t < some; t++) {
                    float *to = dw + (o * l->ci + c) * taps + first + t;
                    *to = accumulate ? *to + sum[t][c][o] : sum[t][c][o];
                }
    }
}

/* sums = those of a group, whose x and dy hold `pixels`. */
static void sum_group(float *sums, const float *x, const float *dy, int64_t pixels, const hkd_conv2d_dims *d) {
    const int64_t panels = hkd_panels(d->c_out);
    float *chunk = sums + d->c_in * panels * HKD_PANEL;
    for (int64_t first = 0; first < pixels; first += CHUNK) {
        const hkd_segment all = {0, 0, hkd_min(CHUNK, pixels - first)};
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t cols = hkd_panel_cols(d->c_out, panel);
            pack_dy(chunk, dy + first * d->c_out, all.depth, panel * HKD_PANEL, cols, d);
            hkd_gemm_run(&(hkd_gemm){.a = x + first * d->c_in, .a_row = 1, .a_k = d->c_in, .b = chunk, .segment = &all,
                                     .segments = 1, .c = sums + panel * d->c_in * HKD_PANEL, .c_row = HKD_PANEL,
                                     .rows = d->c_in, .cols = hkd_panel_width(cols), .resume = first > 0});
        }
    }
}

/* As many groups as threads at a time: their sums, then dw, groups in order. */
static void pointwise(hkd_cpu *cpu, float *dw, const float *dy, const float *x, float *space, const hkd_conv2d_dims *d,
                      bool accumulate) {
    const int64_t pixels = d->h_out * d->w_out, step = HKD_GROUP * cpu->threads;
    #pragma omp parallel num_threads(cpu->threads)
    for (int64_t first = 0; first < d->n; first += step) {
        const int64_t groups = hkd_ceil_div(hkd_min(step, d->n - first), HKD_GROUP);
        #pragma omp for schedule(static, 1)
        for (int64_t k = 0; k < groups; k++) {
            const int64_t from = first + k * HKD_GROUP;
            sum_group(space + k * alone_floats(d), x + from * pixels * d->c_in, dy + from * pixels * d->c_out,
                      hkd_min(HKD_GROUP, d->n - from) * pixels, d);
        }
        #pragma omp for
        for (int64_t o = 0; o < d->c_out; o++)
            for (int64_t k = 0; k < groups; k++) {
                const float *sums = space + k * alone_floats(d) + o / HKD_PANEL * d->c_in * HKD_PANEL + o % HKD_PANEL;
                const bool add = accumulate || first || k;
                float *to = dw + o * d->c_in;
                for (int64_t c = 0; c < d->c_in; c++) to[c] = add ? to[c] + sums[c * HKD_PANEL] : sums[c * HKD_PANEL];
            }
    }
}

hkd_status hkd_conv2d_direct_dw(hkd_cpu *cpu, float *dw, const float *dy, const float *x, const hkd_conv2d_dims *d,
                                bool accumulate) {
    const layout l = layout_of(d);
    const int64_t weights = d->c_out * l.ci * d->kh * d->kw, taps = d->kh * d->kw, pixels = d->h_out * d->w_out;
    float *scratch;
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, hkd_conv2d_direct_dw_bytes(cpu, d));
    if (status) return status;
    if (!d->n && !accumulate) memset(dw, 0, (size_t)weights * sizeof *dw);
    if (alone(d, cpu->threads)) {
        pointwise(cpu, dw, dy, x, scratch, d, accumulate);
        return HKD_OK;
    }
    hkd_segment *segments = (hkd_segment *)(void *)scratch;
    list_segments(segments, &l, d);
    float *xs = scratch + segments_bytes(&l, d) / sizeof(float), *dys = xs + l.x_floats;
    const int64_t all_blocks = d->groups * l.blocks, all_panels = d->groups * l.panels;
    #pragma omp parallel num_threads(cpu->threads)
    for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
        const int64_t images = hkd_min(HKD_GROUP, d->n - first);
        const hkd_segment all = {0, 0, images * pixels};
        const bool joined = l.ph == d->h_out && l.pw == d->w_out; /* nothing lies between the rows */
        if (first) {
            #pragma omp barrier /* the group before is read no more */
        }
        #pragma omp for schedule(dynamic)
        for (int64_t k = 0; k < (all_blocks + all_panels) * images; k++) {
            const int64_t n = k % images, block = k / images, panel = block - all_blocks;
            if (panel < 0) {
                const int64_t c = block % l.blocks * BLOCK, depth = hkd_min(BLOCK, l.ci - c);
                pack_x(xs + block * l.block_floats + n * l.ph * l.pw * BLOCK, x + (first + n) * d->h * d->w * d->c_in,
                       block / l.blocks * l.ci + c, depth, &l, d);
            } else {
                const int64_t o = panel % l.panels * HKD_PANEL, cols = hkd_panel_cols(l.co, panel % l.panels);
                pack_dy(dys + panel * l.panel_floats + n * pixels * hkd_panel_width(cols), dy + (first + n) * pixels * d->c_out,
                        pixels, panel / l.panels * l.co + o, cols, d);
            }
        }
        #pragma omp for schedule(dynamic) nowait
        for (int64_t k = 0; k < all_panels * l.blocks; k++) {
            const int64_t block = k % l.blocks, panel = k / l.blocks % l.panels, group = k / l.blocks / l.panels;
            const int64_t c = block * BLOCK, o = panel * HKD_PANEL;
            item(dw + ((group * l.co + o) * l.ci + c) * taps, xs + (group * l.blocks + block) * l.block_floats,
                 dys + (group * l.panels + panel) * l.panel_floats, joined ? &all : segments, joined ? 1 : images * d->h_out,
                 hkd_min(BLOCK, l.ci - c), hkd_panel_cols(l.co, panel), &l, d, accumulate || first);
        }
    }
    return HKD_OK;
}
