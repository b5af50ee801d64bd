/* 3x3 convolution, stride 1, padding 1, by Winograd's F(4x4, 3x3): forward and data gradient (the same with rotated,
 * transposed weights). The transforms and their derivation stand in winograd.h.
 *
 *   picture -> 6x6 tiles, 4 apart          V [36][tile][channel]       U [panel of outputs][36][channel][panel]
 *   +----+----+--
 *   |tile|tile|       B^T d B     for each of the 36 positions:  M[pos] = V[pos] U[pos]  (gemm: rows are tiles)
 *   +----+----+--    -------->                                            A^T M A
 *   |    |    |                   M [36][tile][panel]                    --------->  4x4 outputs, + bias
 *
 * U is four times the weights and costs as much to write to memory as to compute, so it is made where it is used: the threads
 * transform up to WAVE tiles into a common V (third-level cache); then a work item, one panel of outputs, gathers its taps
 * once and makes U a row of six positions at a time (200 KB, second-level cache), multiplies all tiles, and transforms its
 * outputs. The next position of V is fetched while one is multiplied. Where V leaves room in the second-level cache, U is made
 * two rows at a time, whose taps are then read once.
 *
 * All of U is made first where that pays: with a wave of tiles or more, and in narrow layers, which have too few panels to
 * occupy the threads: there a work item is a panel and a part of the tiles. Where U is there and tiles are many, each thread
 * takes small waves of its own, position by position: all panels of U stream past one position of V, which stays in the
 * nearest caches, and M waits for its outputs. (Panel by panel, U would push V out of the cache before it is read again.)
 *
 * Frozen weights are the gathered taps, not U: fetching four times the bytes from memory takes longer than computing them.
 * Where they meet four tiles only, winograd_few.c computes the same sums.
 *
 * Every element is one sum over channels in order, whatever the wave, the item or the thread.
 */
#include "conv2d.h"
#include "winograd.h"

#include <string.h>

enum { SIDE = 6, POSITIONS = 36, OUT = 4, TAPS = 9, BLOCK = 16, WAVE = 256, OWN_WAVE = 36, FEW = 24, NEAR_FLOATS = 1 << 18,
       SKEW = 16 }; /* a line more, lest what is 4 KB apart share one cache set */

typedef struct {
    int64_t n, h, w, ci, co;           /* source and target picture; channels of source and target */
    bool transposed;                   /* data gradient */
    int64_t th, tw, tiles;             /* tiles per picture side, in all */
    int64_t waves, wave, panels, parts; /* how many; most tiles of one; work items of a wave: panels x parts of the tiles */
    bool once, alone;                  /* U is made once, before the waves; each thread takes waves of its own */
    bool pairs;                        /* U is made by panels, two rows at a time */
    int64_t row;                       /* floats per tile in V */
    int64_t v_step, u_step, m_step;    /* floats between positions (between taps: u_step) */
    int64_t m_at;                      /* where M begins in a thread's space */
    int64_t u_floats, v_floats, space_floats; /* U made once; all of V; taps, U and M of a thread */
} plan;

static plan plan_of(const hkd_conv2d_dims *d, bool transposed, int threads) {
    plan p = {.n = d->n, .h = d->h, .w = d->w, .ci = transposed ? d->c_out : d->c_in, .co = transposed ? d->c_in : d->c_out,
              .transposed = transposed, .th = hkd_ceil_div(d->h, OUT), .tw = hkd_ceil_div(d->w, OUT)};
    p.tiles = p.n * p.th * p.tw;
    p.panels = hkd_panels(p.co);
    p.once = p.panels < 4 * threads || p.tiles >= WAVE;
    p.alone = p.once && p.tiles >= 2 * OWN_WAVE * threads;
    p.waves = hkd_ceil_div(p.tiles, p.alone ? OWN_WAVE : WAVE);
    if (p.alone) p.waves = hkd_ceil_div(p.waves, threads) * threads;
    p.wave = p.waves ? hkd_ceil_div(p.tiles, p.waves) : 0;
    if (p.once && !p.alone) p.parts = hkd_min(hkd_ceil_div(4 * threads, p.panels), p.wave / FEW);
    p.parts = hkd_max(p.parts, 1);
    p.row = hkd_align(p.ci) + SKEW;
    p.v_step = p.wave * p.row + SKEW;
    p.u_step = (p.once ? BLOCK : p.ci) * HKD_PANEL + SKEW;
    p.m_step = hkd_ceil_div(p.wave, p.parts) * HKD_PANEL + SKEW;
    p.u_floats = p.once ? POSITIONS * p.ci * hkd_packed_cols(p.co) : 0;
    p.v_floats = POSITIONS * p.v_step;
    p.pairs = !p.once && p.v_floats <= NEAR_FLOATS;
    p.m_at = (TAPS + (p.pairs ? 2 : 1) * SIDE) * p.u_step;
    p.space_floats = p.m_at + (p.alone ? p.panels : 1) * POSITIONS * p.m_step;
    return p;
}

static size_t bytes_of(const plan *p, int threads) {
    return (size_t)(p->row + p->u_floats + p->v_floats * (p->alone ? threads : 1) + threads * p->space_floats) * sizeof(float);
}

size_t hkd_winograd_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d, bool transposed, bool frozen) {
    if (frozen && hkd_winograd_is_few(d, cpu->threads)) return hkd_winograd_few_bytes(cpu, d);
    const plan p = plan_of(d, transposed, cpu->threads);
    return bytes_of(&p, cpu->threads);
}

/* The taps of one panel and the channels begin .. end - 1, [tap][channel][column], `step` floats from tap to tap; the data
 * gradient sees them rotated and transposed. */
static void gather_taps(float *taps, int64_t step, const float *w, const plan *p, int64_t panel, int64_t begin, int64_t end) {
    static const float zero[TAPS];
    const int64_t cols = hkd_panel_cols(p->co, panel), width = hkd_panel_width(cols);
    const int64_t col_step = p->transposed ? TAPS : p->ci * TAPS, channel_step = p->transposed ? p->co * TAPS : TAPS;
    const float *from = w + panel * HKD_PANEL * col_step;
    if (p->transposed) taps += (TAPS - 1) * step, step = -step;
    for (int64_t c0 = begin; c0 < end; c0 += BLOCK)
        for (int64_t o = 0; o < width; o++)
            for (int64_t c = c0; c < hkd_min(c0 + BLOCK, end); c++) {
                const float *g = o < cols ? from + o * col_step + c * channel_step : zero;
                float *to = taps + (c - begin) * width + o;
                HKD_UNROLL
                for (int64_t t = 0; t < TAPS; t++) to[t * step] = g[t];
            }
}

/* The order of the rows of U: pairs that share the work on columns of taps. */
static const int row_order[SIDE] = {0, 5, 1, 2, 3, 4};

/* Row i of U = G g G^T, then row k, if not the same: six positions each of one panel, [position][channel][column]. `i` and `k`
 * are constants. */
HKD_INLINE void transform_rows(float *u, int64_t u_step, const float *taps, const int i, const int k, int64_t step,
                               int64_t floats) {
    for (int64_t at = 0; at < floats; at += HKD_V) {
        hkd_vec row[SIDE];
        hkd_winograd_weight_row(row, taps + at, step, i);
        for (int j = 0; j < SIDE; j++) hkd_store(u + j * u_step + at, row[j]);
        if (k == i) continue;
        hkd_winograd_weight_row(row, taps + at, step, k);
        for (int j = 0; j < SIDE; j++) hkd_store(u + (SIDE + j) * u_step + at, row[j]);
    }
}

/* Row number `at` of that order, or the pair that begins there. */
static void transform_weights(float *u, int64_t u_step, const float *taps, int64_t at, bool pair, int64_t step,
                              int64_t floats) {
    switch (at + (pair ? SIDE : 0)) {
    #define ROWS(at, i, k) case at: transform_rows(u, u_step, taps, i, k, step, floats); break;
    ROWS(0, 0, 0) ROWS(1, 5, 5) ROWS(2, 1, 1) ROWS(3, 2, 2) ROWS(4, 3, 3) ROWS(5, 4, 4)
    ROWS(SIDE + 0, 0, 5) ROWS(SIDE + 2, 1, 2) ROWS(SIDE + 4, 3, 4)
    #undef ROWS
    }
}

/* The position that is made and multiplied as the at-th. */
static int64_t position(int64_t at) { return row_order[at / SIDE] * SIDE + at % SIDE; }

/* V of a vector of channels, the first `count` at pixel[..][..] + c. What comes next is fetched meanwhile: the next tile's
 * pixels, `pixels` floats farther, and the places of the vector after the next. */
HKD_INLINE void transform_channels(float *v, int64_t step, const float *(*pixel)[SIDE], int64_t pixels, int64_t c,
                                   int64_t count) {
    hkd_vec half[SIDE][SIDE], whole[SIDE];
    HKD_UNROLL
    for (int j = 0; j < SIDE; j++) {
        hkd_vec d[SIDE];
        HKD_UNROLL
        for (int i = 0; i < SIDE; i++) {
            d[i] = hkd_load_up_to(pixel[i][j] + c, count);
            if (j >= SIDE - OUT) hkd_prefetch(pixel[i][j] + c + pixels);
        }
        hkd_winograd_input(&half[0][j], SIDE, d[0], d[1], d[2], d[3], d[4], d[5]);
    }
    HKD_UNROLL
    for (int i = 0; i < SIDE; i++) {
        hkd_winograd_input(whole, 1, half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5]);
        HKD_UNROLL
        for (int j = 0; j < SIDE; j++) {
            float *to = v + (i * SIDE + j) * step + c;
            hkd_store(to, whole[j]);
            hkd_prefetch_write(to + 2 * HKD_V);
        }
    }
}

void hkd_winograd_tile(float *v, int64_t step, const float *x, const float *zeros, const hkd_tiles *p, int64_t tile,
                       int64_t channels) {
    const int64_t n = tile / (p->th * p->tw), row = tile / p->tw % p->th * OUT - 1, col = tile % p->tw * OUT - 1;
    const float *pixel[SIDE][SIDE];
    for (int64_t i = 0; i < SIDE; i++)
        for (int64_t j = 0; j < SIDE; j++) {
            const bool inside = row + i >= 0 && row + i < p->h && col + j >= 0 && col + j < p->w;
            pixel[i][j] = inside ? x + ((n * p->h + row + i) * p->w + col + j) * p->c : zeros;
        }
    int64_t c = 0;
    for (; c + HKD_V <= channels; c += HKD_V) transform_channels(v, step, pixel, OUT * p->c, c, HKD_V);
    if (c < channels) transform_channels(v, step, pixel, OUT * p->c, c, channels - c);
}

void hkd_winograd_outputs(const hkd_target *to, const float *m, int64_t step, int64_t tile, int64_t first, int64_t cols) {
    const hkd_tiles *p = &to->tiles;
    const hkd_epilogue *then = &to->then;
    const int64_t n = tile / (p->th * p->tw), row = tile / p->tw % p->th * OUT, col = tile % p->tw * OUT;
    const int64_t rows = hkd_min(OUT, p->h - row), columns = hkd_min(OUT, p->w - col);
    const int64_t corner = ((n * p->h + row) * p->w + col) * p->c + first;
    const float *image_bias = then->image_bias ? then->image_bias + n * p->c : NULL, *residual = then->residual;
    for (int64_t o = 0; o < cols; o += HKD_V) {
        hkd_vec half[OUT][SIDE], whole[OUT];
        const int64_t count = cols - o;
        for (int j = 0; j < SIDE; j++) {
            const float *at = m + j * step + o;
            const int64_t down = SIDE * step;
            hkd_winograd_output(&half[0][j], SIDE, hkd_load(at), hkd_load(at + down), hkd_load(at + 2 * down),
                                hkd_load(at + 3 * down), hkd_load(at + 4 * down), hkd_load(at + 5 * down));
        }
        hkd_vec b = {0}, more = {0};
        if (then->bias) b = hkd_load_up_to(then->bias + first + o, count);
        if (image_bias) more = hkd_load_up_to(image_bias + first + o, count);
        for (int64_t i = 0; i < rows; i++) {
            hkd_winograd_output(whole, 1, half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5]);
            for (int64_t j = 0; j < columns; j++) {
                const int64_t at = corner + (i * p->w + j) * p->c + o;
                hkd_prefetch_write(to->y + at + OUT * p->c); /* the next tile's */
                hkd_deliver(to->y + at, whole[j] + b + more, residual ? residual + at : NULL, then->scale, to->accumulate,
                            count);
            }
        }
    }
}

typedef struct {
    hkd_target to;
    const float *x;
    const float *w, *taps, *u; /* raw weights, or their taps gathered; all of U, or NULL: made by panels */
} arrays;

/* Where a panel begins among all taps [panel][9][channel][column], in all of U [panel][36][channel][column]. */
static int64_t taps_at(const plan *p, int64_t panel) { return panel * HKD_PANEL * TAPS * p->ci; }
static int64_t u_at(const plan *p, int64_t panel) { return panel * HKD_PANEL * POSITIONS * p->ci; }

/* All of U by work items, BLOCK channels of a panel each. */
static int64_t u_items(const plan *p) { return p->panels * hkd_ceil_div(p->ci, BLOCK); }
static void make_u(float *u, float *space, const arrays *a, const plan *p, int64_t item) {
    const int64_t panel = item % p->panels, begin = item / p->panels * BLOCK, end = hkd_min(begin + BLOCK, p->ci);
    const int64_t width = hkd_panel_width(hkd_panel_cols(p->co, panel)), step = p->ci * width;
    if (!a->taps) gather_taps(space, p->u_step, a->w, p, panel, begin, end);
    const float *taps = a->taps ? a->taps + taps_at(p, panel) + begin * width : space;
    for (int64_t at = 0; at < SIDE; at++)
        transform_weights(u + u_at(p, panel) + position(at * SIDE) * step + begin * width, step, taps, at, false,
                          a->taps ? step : p->u_step, (end - begin) * width);
}

/* One panel of outputs of `tiles` tiles, whose V starts at v. `space` holds taps, six positions of U, and M. */
static void run_panel(const plan *p, const arrays *a, float *space, const float *v, int64_t panel, int64_t first,
                      int64_t tiles) {
    const int64_t cols = hkd_panel_cols(p->co, panel), width = hkd_panel_width(cols);
    float *u = space + TAPS * p->u_step, *m = space + p->m_at;
    const hkd_segment all = {0, 0, p->ci};
    if (!a->u && !a->taps) gather_taps(space, p->u_step, a->w, p, panel, 0, p->ci);
    const float *taps = a->taps ? a->taps + taps_at(p, panel) : space;
    const int64_t step = a->taps ? p->ci * width : p->u_step;
    const int64_t at_once = p->pairs ? 2 * SIDE : SIDE;
    for (int64_t at = 0; at < POSITIONS; at++) {
        const int64_t pos = position(at), after = position((at + 1) % POSITIONS), floats = p->ci * width;
        const float *all_u = a->u ? a->u + u_at(p, panel) : NULL;
        if (!a->u && at % at_once == 0) transform_weights(u, p->u_step, taps, at / SIDE, p->pairs, step, floats);
        const float *b = a->u ? all_u + pos * floats : u + at % at_once * p->u_step;
        hkd_gemm_run(&(hkd_gemm){.a = v + pos * p->v_step, .a_row = p->row, .a_k = 1, .rows = tiles, .cols = cols,
                                 .b = b, .segment = &all, .segments = 1, .c = m + pos * p->m_step, .c_row = HKD_PANEL,
                                 .next = a->u ? all_u + after * floats : v + after * p->v_step,
                                 .next_floats = a->u ? floats : tiles * p->row});
    }
    for (int64_t t = 0; t < tiles; t++)
        hkd_winograd_outputs(&a->to, m + t * HKD_PANEL, p->m_step, first + t, panel * HKD_PANEL, cols);
}

static int64_t wave_at(const plan *p, int64_t wave) { return p->tiles * wave / p->waves; }

/* M = V U of a wave, all panels [panel][36][tile][panel]. */
static void multiply_wave(const plan *p, const float *u, float *m, const float *v, int64_t tiles) {
    const hkd_segment all = {0, 0, p->ci};
    for (int64_t pos = 0; pos < POSITIONS; pos++)
        for (int64_t panel = 0; panel < p->panels; panel++) {
            const int64_t cols = hkd_panel_cols(p->co, panel), after = panel + 1 < p->panels ? panel + 1 : 0;
            const int64_t floats = p->ci * hkd_panel_width(cols), next = p->ci * hkd_panel_width(hkd_panel_cols(p->co, after));
            const int64_t next_pos = after ? pos : hkd_min(pos + 1, POSITIONS - 1);
            hkd_gemm_run(&(hkd_gemm){.a = v + pos * p->v_step, .a_row = p->row, .a_k = 1, .rows = tiles, .cols = cols,
                                     .b = u + u_at(p, panel) + pos * floats, .segment = &all, .segments = 1,
                                     .c = m + (panel * POSITIONS + pos) * p->m_step, .c_row = HKD_PANEL,
                                     .next = u + u_at(p, after) + next_pos * next, .next_floats = next});
        }
}

/* A wave of its own for each thread. */
static void run_wave(const plan *p, const arrays *a, float *m, float *v, const float *zeros, int64_t wave) {
    const hkd_tiles source = {p->h, p->w, p->ci, p->th, p->tw};
    const int64_t first = wave_at(p, wave), tiles = wave_at(p, wave + 1) - first;
    for (int64_t t = 0; t < tiles; t++)
        hkd_winograd_tile(v + t * p->row, p->v_step, a->x, zeros, &source, first + t, p->ci);
    multiply_wave(p, a->u, m, v, tiles);
    for (int64_t panel = 0; panel < p->panels; panel++)
        for (int64_t t = 0; t < tiles; t++)
            hkd_winograd_outputs(&a->to, m + panel * POSITIONS * p->m_step + t * HKD_PANEL, p->m_step, first + t,
                                 panel * HKD_PANEL, hkd_panel_cols(p->co, panel));
}

/* A wave by all threads of the team. */
static void share_wave(const plan *p, const arrays *a, float *space, float *v, const float *zeros, int64_t wave) {
    const hkd_tiles source = {p->h, p->w, p->ci, p->th, p->tw};
    const int64_t first = wave_at(p, wave), tiles = wave_at(p, wave + 1) - first;
    if (wave) {
        #pragma omp barrier /* the wave before is read no more */
    }
    #pragma omp for schedule(static)
    for (int64_t t = 0; t < tiles; t++)
        hkd_winograd_tile(v + t * p->row, p->v_step, a->x, zeros, &source, first + t, p->ci);
    #pragma omp for schedule(dynamic) nowait
    for (int64_t item = 0; item < p->panels * p->parts; item++) {
        const int64_t part = item % p->parts, begin = tiles * part / p->parts, end = tiles * (part + 1) / p->parts;
        run_panel(p, a, space, v + begin * p->row, item / p->parts, first + begin, end - begin);
    }
}

static hkd_status run(hkd_cpu *cpu, const plan *p, arrays a) {
    float *scratch;
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, bytes_of(p, cpu->threads));
    if (status || !p->tiles) return status;
    float *zeros = scratch, *u = zeros + p->row, *spaces = u + p->u_floats, *vs = spaces + cpu->threads * p->space_floats;
    memset(zeros, 0, (size_t)p->row * sizeof *zeros);
    if (p->once) a.u = u;
    #pragma omp parallel num_threads(cpu->threads)
    {
        float *space = spaces + hkd_cpu_thread() * p->space_floats;
        if (p->once) {
            #pragma omp for schedule(dynamic)
            for (int64_t item = 0; item < u_items(p); item++) make_u(u, space, &a, p, item);
        }
        if (p->alone) {
            #pragma omp for schedule(dynamic) nowait
            for (int64_t wave = 0; wave < p->waves; wave++)
                run_wave(p, &a, space + p->m_at, vs + hkd_cpu_thread() * p->v_floats, zeros, wave);
        } else {
            for (int64_t wave = 0; wave < p->waves; wave++) share_wave(p, &a, space, vs, zeros, wave);
        }
    }
    return HKD_OK;
}

static hkd_target target_of(float *y, const plan *p) {
    return (hkd_target){.y = y, .tiles = {p->h, p->w, p->co, p->th, p->tw}};
}

hkd_status hkd_winograd(hkd_cpu *cpu, float *y, const float *x, const hkd_buffer *w, const hkd_epilogue *e,
                        const hkd_conv2d_dims *d) {
    const plan p = plan_of(d, false, cpu->threads);
    arrays a = {.to = target_of(y, &p), .x = x, .w = w->data, .taps = w->frozen};
    a.to.then = *e;
    if (a.taps && hkd_winograd_is_few(d, cpu->threads)) return hkd_winograd_few(cpu, &a.to, x, a.taps, d);
    return run(cpu, &p, a);
}

hkd_status hkd_winograd_dx(hkd_cpu *cpu, float *dx, const float *dy, const float *w, const hkd_conv2d_dims *d,
                           bool accumulate) {
    const plan p = plan_of(d, true, cpu->threads);
    arrays a = {.to = target_of(dx, &p), .x = dy, .w = w};
    a.to.accumulate = accumulate;
    return run(cpu, &p, a);
}

hkd_status hkd_winograd_form(hkd_cpu *cpu, hkd_cpu_form *form, const float *w, const hkd_conv2d_dims *d) {
    const plan p = plan_of(d, false, cpu->threads);
    const hkd_status status = hkd_cpu_form_new(form, (size_t)(TAPS * p.ci * hkd_packed_cols(p.co)));
    if (status) return status;
    #pragma omp parallel for num_threads(cpu->threads) schedule(dynamic)
    for (int64_t panel = 0; panel < p.panels; panel++)
        gather_taps(form->data + taps_at(&p, panel), p.ci * hkd_panel_width(hkd_panel_cols(p.co, panel)), w, &p, panel, 0,
                    p.ci);
    return HKD_OK;
}
