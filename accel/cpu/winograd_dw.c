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
 * position is multiplied, the factors of the next are fetched. A narrow layer has too few items to occupy the threads: they
 * share each, first by positions, then by panels.
 */
#include "conv2d.h"
#include "winograd.h"

#include <string.h>

enum { SIDE = 6, POSITIONS = 36, OUT = 4, TAPS = 9, BLOCK = 64, PANELS = 2, SKEW = 16 };

typedef struct {
    hkd_tiles tiles;
    int64_t count, per_image;              /* tiles of a whole group, of an image */
    int64_t ci, co, blocks, panels, wide;  /* wide: items along o */
    int64_t v_step, d_step, u_step;        /* floats between positions */
    bool shared;                           /* threads share an item */
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
    p.v_step = p.blocks * p.count * BLOCK + SKEW;
    p.d_step = p.panels * p.count * HKD_PANEL + SKEW;
    p.u_step = PANELS * BLOCK * HKD_PANEL + SKEW;
    p.v_floats = POSITIONS * p.v_step;
    p.d_floats = POSITIONS * p.d_step;
    p.u_floats = POSITIONS * p.u_step;
    p.shared = p.blocks * p.wide < 4 * threads;
    return p;
}

size_t hkd_winograd_dw_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d) {
    const plan p = plan_of(d, cpu->threads);
    const int64_t us = p.shared ? p.blocks * p.wide : cpu->threads;
    return (size_t)(BLOCK + p.v_floats + p.d_floats + us * p.u_floats + cpu->threads * TAPS_FLOATS) * sizeof(float);
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

/* u = the sums of one item, block x PANELS panels, over a group: positions begin .. end - 1. */
static void multiply(float *u, const plan *p, const float *v, const float *d, int64_t item, int64_t tiles, int64_t begin,
                     int64_t end) {
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
                                     .rows = depth, .cols = hkd_panel_cols(p->co, panel),
                                     .next = last ? a + p->v_step : b + p->d_step,
                                     .next_floats = tiles * (last ? BLOCK : HKD_PANEL)});
        }
}

/* The taps of one panel of an item, into dw. */
static void deliver(float *dw, const plan *p, const float *u, float *taps, int64_t block, int64_t panel, bool accumulate) {
    const int64_t depth = hkd_min(BLOCK, p->ci - block * BLOCK), cols = hkd_panel_cols(p->co, panel);
    transform_taps(taps, u + panel % PANELS * BLOCK * HKD_PANEL, p->u_step, depth, hkd_panel_width(cols));
    for (int64_t o = 0; o < cols; o++) {
        float *to = dw + ((panel * HKD_PANEL + o) * p->ci + block * BLOCK) * TAPS;
        for (int64_t c = 0; c < depth; c++)
            for (int64_t t = 0; t < TAPS; t++) {
                const float tap = taps[(t * BLOCK + c) * HKD_PANEL + o];
                to[c * TAPS + t] = accumulate ? to[c * TAPS + t] + tap : tap;
            }
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
            multiply(u, p, v, d, item, tiles, 0, POSITIONS);
            const int64_t first = item / p->blocks * PANELS;
            for (int64_t panel = first; panel < hkd_min(first + PANELS, p->panels); panel++)
                deliver(dw, p, u, taps, item % p->blocks, panel, accumulate);
        }
        return;
    }
    #pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < items * SIDE; part++) {
        const int64_t item = part / SIDE, begin = part % SIDE * SIDE;
        multiply(us + item * p->u_floats, p, v, d, item, tiles, begin, begin + SIDE);
    }
    #pragma omp for schedule(dynamic) nowait
    for (int64_t part = 0; part < p->blocks * p->panels; part++) {
        const int64_t block = part % p->blocks, panel = part / p->blocks, item = panel / PANELS * p->blocks + block;
        deliver(dw, p, us + item * p->u_floats, taps, block, panel, accumulate);
    }
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
    memset(zeros, 0, BLOCK * sizeof *zeros);
    #pragma omp parallel num_threads(cpu->threads)
    for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
        const int64_t tiles = hkd_min(HKD_GROUP, d->n - first) * p.per_image;
        const float *xs = x + first * d->h * d->w * p.ci, *dys = dy + first * d->h * d->w * p.co;
        if (first) {
            #pragma omp barrier /* the group before is read no more */
        }
        #pragma omp for schedule(dynamic, 4)
        for (int64_t t = 0; t < tiles; t++) {
            for (int64_t block = 0; block < p.blocks; block++)
                hkd_winograd_tile(v + (block * p.count + t) * BLOCK, p.v_step, xs + block * BLOCK, zeros, &p.tiles, t,
                                  hkd_min(BLOCK, p.ci - block * BLOCK));
            for (int64_t panel = 0; panel < p.panels; panel++) {
                const int64_t cols = hkd_panel_cols(p.co, panel);
                transform_upstream(up + panel * p.count * HKD_PANEL + t * hkd_panel_width(cols), p.d_step, dys, zeros, &p, t,
                                   panel * HKD_PANEL, cols);
            }
        }
        add_group(dw, &p, v, up, us, taps + hkd_cpu_thread() * TAPS_FLOATS, tiles, accumulate || first);
    }
    return HKD_OK;
}
