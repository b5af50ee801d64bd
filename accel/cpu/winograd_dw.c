/* Weight gradient of a 3x3 convolution in the Winograd domain:
 *
 *   dw = sum over groups of images  G^T [ sum over the group's tiles  (B^T d B) . (A dy A^T) ] G
 *
 * For each of the 36 positions the inner sum is a product whose rows are input channels, whose columns are output channels and
 * whose terms are tiles, so both factors are stored as the register tile reads them:
 *
 *   V [36][block of 64 c][tile][64]      D [36][panel of o][tile][panel]
 *
 * The threads transform a group of HKD_GROUP images; then a work item, one block x PANELS panels, sums the group for all
 * positions in its own memory (600 KB, second-level cache), turns it into taps and adds them to dw: groups in order. While a
 * position is multiplied, the factors of the next are fetched.
 *
 * A narrow layer has too few items to occupy the threads. Where there are groups enough, each thread takes whole groups: it
 * transforms WAVE tiles at a time and goes on with its sums, so that all it touches stays in its own cache (what one core
 * writes and another reads takes twice as long as the arithmetic). Else the threads share each item, first by positions, then
 * by panels. The sums are the same.
 */
#include "conv2d.h"
#include "winograd.h"

#include <string.h>

enum { SIDE = 6, POSITIONS = 36, OUT = 4, TAPS = 9, BLOCK = 64, PANELS = 2, WAVE = 48, SKEW = 16 };

typedef struct {
    hkd_tiles tiles;
    int64_t count, per_image;              /* tiles in V and D; of an image */
    int64_t ci, co, blocks, panels, wide;  /* wide: items along o */
    int64_t v_step, d_step, u_step;        /* floats between positions */
    bool shared, alone;                    /* threads share an item; each takes groups of its own */
    int64_t v_floats, d_floats, u_floats;
} plan;

enum { TAPS_FLOATS = TAPS * BLOCK * HKD_PANEL };

static plan plan_of(const hkd_conv2d_dims *d, int threads) {
    plan p = {.tiles = {d->h, d->w, d->c_in, hkd_ceil_div(d->h, OUT), hkd_ceil_div(d->w, OUT)}, .ci = d->c_in, .co = d->c_out};
    p.per_image = p.tiles.th * p.tiles.tw;
    p.count = hkd_min(d->n, HKD_GROUP) * p.per_image;
    p.blocks = hkd_ceil_div(p.ci, BLOCK);
    p.panels = hkd_panels(p.co);
    p.wide = hkd_ceil_div(p.panels, PANELS);
    p.shared = p.blocks * p.wide < 4 * threads;
    p.alone = p.shared && p.blocks * p.wide <= 2 && d->n > HKD_GROUP * (threads - 1);
    if (p.alone) p.count = hkd_min(p.count, WAVE);
    p.v_step = p.blocks * p.count * BLOCK + SKEW;
    p.d_step = p.panels * p.count * HKD_PANEL + SKEW;
    p.u_step = PANELS * BLOCK * HKD_PANEL + SKEW;
    p.v_floats = POSITIONS * p.v_step;
    p.d_floats = POSITIONS * p.d_step;
    p.u_floats = POSITIONS * p.u_step;
    return p;
}

/* V, D, the sums of all items and the taps of a thread that takes groups of its own. */
static int64_t alone_floats(const plan *p) {
    return p->v_floats + p->d_floats + p->blocks * (p->wide * p->u_floats + p->panels * TAPS_FLOATS);
}

size_t hkd_winograd_dw_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d) {
    const plan p = plan_of(d, cpu->threads);
    const int64_t items = p.blocks * p.wide, factors = p.v_floats + p.d_floats;
    if (p.alone) return (size_t)(BLOCK + cpu->threads * alone_floats(&p)) * sizeof(float);
    return (size_t)(BLOCK + factors + (p.shared ? items : cpu->threads) * p.u_floats + cpu->threads * TAPS_FLOATS) *
           sizeof(float);
}

/* A dy A^T of one tile and one panel. */
static void transform_upstream(float *to, int64_t step, const float *dy, const float *zeros, const plan *p, int64_t tile,
                               int64_t first, int64_t cols) {
    const int64_t n = tile / p->per_image, row = tile / p->tiles.tw % p->tiles.th * OUT, col = tile % p->tiles.tw * OUT;
    for (int64_t o = 0; o < hkd_panel_width(cols); o += HKD_V) {
        hkd_vec half[SIDE][OUT], whole[SIDE];
        for (int64_t j = 0; j < OUT; j++) {
            hkd_vec y[OUT];
            for (int64_t i = 0; i < OUT; i++) {
                const bool inside = row + i < p->tiles.h && col + j < p->tiles.w;
                const float *at = inside ? dy + ((n * p->tiles.h + row + i) * p->tiles.w + col + j) * p->co + first + o : zeros;
                y[i] = hkd_load_up_to(at, cols - o);
            }
            hkd_winograd_upstream(&half[0][j], OUT, y[0], y[1], y[2], y[3]);
        }
        for (int i = 0; i < SIDE; i++) {
            hkd_winograd_upstream(whole, 1, half[i][0], half[i][1], half[i][2], half[i][3]);
            for (int j = 0; j < SIDE; j++) hkd_store(to + (i * SIDE + j) * step + o, whole[j]);
        }
    }
}

/* G^T u G -> [tap][channel][column] for `depth` channels of one panel. */
static void transform_taps(float *taps, const float *u, int64_t step, int64_t depth, int64_t width) {
    for (int64_t c = 0; c < depth; c++)
        for (int64_t o = 0; o < width; o += HKD_V) {
            hkd_vec half[3][SIDE], whole[3];
            for (int j = 0; j < SIDE; j++) {
                const float *at = u + j * step + c * HKD_PANEL + o;
                const int64_t down = SIDE * step;
                hkd_winograd_taps(&half[0][j], SIDE, hkd_load(at), hkd_load(at + down), hkd_load(at + 2 * down),
                                  hkd_load(at + 3 * down), hkd_load(at + 4 * down), hkd_load(at + 5 * down));
            }
            for (int i = 0; i < 3; i++) {
                hkd_winograd_taps(whole, 1, half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5]);
                for (int j = 0; j < 3; j++) hkd_store(taps + ((i * 3 + j) * BLOCK + c) * HKD_PANEL + o, whole[j]);
            }
        }
}

/* u = the sums of one item, block x PANELS panels, over `tiles` tiles: positions begin .. end - 1. */
static void multiply(float *u, const plan *p, const float *v, const float *d, int64_t item, int64_t tiles, int64_t begin,
                     int64_t end, bool resume) {
    const int64_t block = item % p->blocks, depth = hkd_min(BLOCK, p->ci - block * BLOCK);
    const int64_t first = item / p->blocks * PANELS, after = hkd_min(first + PANELS, p->panels);
    const hkd_segment all = {0, 0, tiles};
    for (int64_t pos = begin; pos < end; pos++)
        for (int64_t panel = first; panel < after; panel++) {
            const float *a = v + pos * p->v_step + block * p->count * BLOCK;
            const float *b = d + pos * p->d_step + panel * p->count * HKD_PANEL;
            const bool last = panel + 1 == after; /* fetch the next b, then the next a */
            hkd_gemm_run(&(hkd_gemm){.a = a, .a_row = 1, .a_k = BLOCK, .b = b, .segment = &all, .segments = 1,
                                     .c = u + pos * p->u_step + (panel - first) * BLOCK * HKD_PANEL, .c_row = HKD_PANEL,
                                     .rows = depth, .cols = hkd_panel_width(hkd_panel_cols(p->co, panel)),
                                     .resume = resume,
                                     .next = last ? a + p->v_step : b + p->d_step,
                                     .next_floats = tiles * (last ? BLOCK : HKD_PANEL)});
        }
}

/* The taps of one panel of an item. */
static void taps_of(float *taps, const plan *p, const float *u, int64_t block, int64_t panel) {
    const int64_t depth = hkd_min(BLOCK, p->ci - block * BLOCK);
    transform_taps(taps, u + panel % PANELS * BLOCK * HKD_PANEL, p->u_step, depth,
                   hkd_panel_width(hkd_panel_cols(p->co, panel)));
}

static void deliver(float *dw, const plan *p, const float *taps, int64_t block, int64_t panel, bool accumulate) {
    const int64_t depth = hkd_min(BLOCK, p->ci - block * BLOCK), cols = hkd_panel_cols(p->co, panel);
    for (int64_t o = 0; o < cols; o++) {
        float *to = dw + ((panel * HKD_PANEL + o) * p->ci + block * BLOCK) * TAPS;
        for (int64_t c = 0; c < depth; c++)
            for (int64_t t = 0; t < TAPS; t++) {
                const float tap = taps[(t * BLOCK + c) * HKD_PANEL + o];
                to[c * TAPS + t] = accumulate ? to[c * TAPS + t] + tap : tap;
            }
    }
}

/* V and D of one tile, as the at-th of p->count. */
static void transform_tile(float *v, float *d, const plan *p, const float *x, const float *dy, const float *zeros, int64_t tile,
                           int64_t at) {
    for (int64_t block = 0; block < p->blocks; block++)
        hkd_winograd_tile(v + (block * p->count + at) * BLOCK, p->v_step, x + block * BLOCK, zeros, &p->tiles, tile,
                          hkd_min(BLOCK, p->ci - block * BLOCK));
    for (int64_t panel = 0; panel < p->panels; panel++) {
        const int64_t cols = hkd_panel_cols(p->co, panel);
        transform_upstream(d + panel * p->count * HKD_PANEL + at * hkd_panel_width(cols), p->d_step, dy, zeros, p, tile,
                           panel * HKD_PANEL, cols);
    }
}

/* One group of images: v and d -> dw, by all threads of the team. */
static void add_group(float *dw, const plan *p, const float *v, const float *d, float *us, float *taps, int64_t tiles,
                      bool accumulate) {
    const int64_t items = p->blocks * p->wide;
    if (!p->shared) {
        float *u = us + hkd_cpu_thread() * p->u_floats;
        #pragma omp for schedule(dynamic) nowait
        for (int64_t item = 0; item < items; item++) {
            multiply(u, p, v, d, item, tiles, 0, POSITIONS, false);
            const int64_t first = item / p->blocks * PANELS;
            for (int64_t panel = first; panel < hkd_min(first + PANELS, p->panels); panel++) {
                taps_of(taps, p, u, item % p->blocks, panel);
                deliver(dw, p, taps, item % p->blocks, panel, accumulate);
            }
        }
        return;
    }
    #pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < items * SIDE; part++) {
        const int64_t item = part / SIDE, begin = part % SIDE * SIDE;
        multiply(us + item * p->u_floats, p, v, d, item, tiles, begin, begin + SIDE, false);
    }
    #pragma omp for schedule(dynamic) nowait
    for (int64_t part = 0; part < p->blocks * p->panels; part++) {
        const int64_t block = part % p->blocks, panel = part / p->blocks, item = panel / PANELS * p->blocks + block;
        taps_of(taps, p, us + item * p->u_floats, block, panel);
        deliver(dw, p, taps, block, panel, accumulate);
    }
}

/* The groups of `n` images, by one thread each; then their taps -> dw, groups in order, by all threads of the team. */
static void add_groups(float *dw, const plan *p, float *space, const float *x, const float *dy, const float *zeros, int64_t n,
                       bool accumulate) {
    const int64_t groups = hkd_ceil_div(n, HKD_GROUP), x_floats = p->tiles.h * p->tiles.w * p->ci;
    const int64_t dy_floats = p->tiles.h * p->tiles.w * p->co, taps_at = alone_floats(p) - p->blocks * p->panels * TAPS_FLOATS;
    #pragma omp for schedule(static, 1)
    for (int64_t group = 0; group < groups; group++) {
        float *v = space + group * alone_floats(p), *d = v + p->v_floats, *us = d + p->d_floats, *taps = v + taps_at;
        const int64_t tiles = hkd_min(HKD_GROUP, n - group * HKD_GROUP) * p->per_image;
        const float *xs = x + group * HKD_GROUP * x_floats, *dys = dy + group * HKD_GROUP * dy_floats;
        for (int64_t first = 0; first < tiles; first += p->count) {
            const int64_t count = hkd_min(p->count, tiles - first);
            for (int64_t t = 0; t < count; t++) transform_tile(v, d, p, xs, dys, zeros, first + t, t);
            for (int64_t item = 0; item < p->blocks * p->wide; item++)
                multiply(us + item * p->u_floats, p, v, d, item, count, 0, POSITIONS, first > 0);
        }
        for (int64_t part = 0; part < p->blocks * p->panels; part++) {
            const int64_t block = part % p->blocks, panel = part / p->blocks, item = panel / PANELS * p->blocks + block;
            taps_of(taps + part * TAPS_FLOATS, p, us + item * p->u_floats, block, panel);
        }
    }
    #pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < p->blocks * p->panels; part++)
        for (int64_t group = 0; group < groups; group++)
            deliver(dw, p, space + group * alone_floats(p) + taps_at + part * TAPS_FLOATS, part % p->blocks,
                    part / p->blocks, accumulate || group);
}

hkd_status hkd_winograd_dw(hkd_cpu *cpu, float *dw, const float *dy, const float *x, const hkd_conv2d_dims *d,
                           bool accumulate) {
    const plan p = plan_of(d, cpu->threads);
    float *scratch;
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, hkd_winograd_dw_bytes(cpu, d));
    if (status) return status;
    if (!d->n && !accumulate) memset(dw, 0, (size_t)(p.co * p.ci * TAPS) * sizeof *dw);
    float *zeros = scratch, *v = zeros + BLOCK, *up = v + p.v_floats, *taps = up + p.d_floats;
    float *us = taps + cpu->threads * TAPS_FLOATS;
    const int64_t step = p.alone ? cpu->threads * HKD_GROUP : HKD_GROUP;
    memset(zeros, 0, BLOCK * sizeof *zeros);
    #pragma omp parallel num_threads(cpu->threads)
    for (int64_t first = 0; first < d->n; first += step) {
        const int64_t n = hkd_min(step, d->n - first), tiles = n * p.per_image;
        const float *xs = x + first * d->h * d->w * p.ci, *dys = dy + first * d->h * d->w * p.co;
        if (p.alone) {
            add_groups(dw, &p, zeros + BLOCK, xs, dys, zeros, n, accumulate || first);
            continue;
        }
        if (first) {
            #pragma omp barrier /* the group before is read no more */
        }
        #pragma omp for schedule(dynamic, 4)
        for (int64_t t = 0; t < tiles; t++) transform_tile(v, up, &p, xs, dys, zeros, t, t);
        add_group(dw, &p, v, up, us, taps + hkd_cpu_thread() * TAPS_FLOATS, tiles, accumulate || first);
    }
    return HKD_OK;
}
