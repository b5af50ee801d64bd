/* Convolution by the register tile of gemm.h, forward and data gradient: one walk over a target picture whose pixels each
 * gather the kernel's taps from a source picture.
 *
 *   forward:        y[i,j]  = sum over taps (p,q) of  w[p,q] x[i s - pad + p, j s - pad + q]
 *   data gradient: dx[i,j]  = sum over taps with s | i + pad - p  of  w[p,q]^T dy[(i + pad - p) / s, ...]
 *
 * With stride s the gradient falls into s x s phases (i mod s, j mod s), each an ordinary correlation with some of the taps.
 *
 *   source picture, channels innermost              work item: some target rows of one image and one phase
 *   +--------------------------+                    1. copies the source rows that it needs into its own memory, with zeros
 *   | 0 0 0 0 0 0 0 0 0 0 0 0  |  pixel + 16           around (about 200 KB); a pixel takes 16 floats more than its channels,
 *   | 0 [tap 0 ][tap 1 ].. 0   |  floats apart         so that neighbours do not share cache sets;
 *   | 0 .................. 0   |                    2. for every panel of output channels (its packed weights, about 300 KB,
 *   +--------------------------+                       stay in the second-level cache): one gemm per target row, whose
 *                                                      segments are (block of 16 channels, tap).
 *
 * With 1x1 kernels the pixels of all images are one row. Where they outnumber the outputs, an item is up to POINTS of them
 * and all panels: only one core fetches a pixel. Else each thread takes neighbouring panels of all pixels: only one core
 * fetches a weight, and what a gemm has fetched for the next panel is its own.
 *
 * Weights are packed as [panel][block of channels][p][q][channel][columns of the panel], which is the order of the segments.
 * Items share nothing and no item's bits depend on how rows were dealt to items: nothing depends on threads or batch.
 */
#include "conv2d.h"

#include <string.h>

enum { BLOCK = 16, ITEM_PIXELS = 160, POINTS = 288 };

typedef struct {
    int64_t n, groups;
    int64_t sh, sw, sc, kh, kw;     /* source picture, its channels per group, kernel */
    int64_t th, tw, tc;             /* target picture, its channels per group */
    int64_t source_step, target_step; /* stride of the source (forward), number of phases per side (gradient) */
    int64_t pad_h, pad_w;
    bool transposed;                /* data gradient */
} gather;

/* `merge`: a 1x1 kernel may see the pixels of all images as one long row. */
static gather gather_of(const hkd_conv2d_dims *d, bool transposed, bool merge) {
    const int64_t ci = d->c_in / d->groups, co = d->c_out / d->groups;
    gather g = transposed ? (gather){d->n, d->groups, d->h_out, d->w_out, co, d->kh, d->kw, d->h, d->w, ci, 1, d->stride,
                                     d->pad_h, d->pad_w, true}
                          : (gather){d->n, d->groups, d->h, d->w, ci, d->kh, d->kw, d->h_out, d->w_out, co, d->stride, 1,
                                     d->pad_h, d->pad_w, false};
    if (merge && d->kh * d->kw * d->stride == 1 && !d->pad_h && !d->pad_w) {
        g.sw = g.tw = d->n * d->h * d->w;
        g.n = g.sh = g.th = 1;
    }
    return g;
}

static int64_t targets(const gather *g) { return g->n * g->groups * g->th * g->tw * g->tc; }

/* Channels of one segment. */
static int64_t block_of(const gather *g) { return g->kh * g->kw == 1 ? hkd_max(g->sc, 1) : hkd_max(hkd_min(g->sc, BLOCK), 1); }

/* Where tap p of a phase reads, relative to source_step * (target index within the phase); false: not at all. */
static bool tap_offset(const gather *g, int64_t phase, int64_t pad, int64_t p, int64_t *offset) {
    const int64_t at = phase + pad - p;
    *offset = g->transposed ? at / g->target_step : p - pad;
    return !g->transposed || at % g->target_step == 0;
}

static void tap_range(const gather *g, int64_t pad, int64_t taps, int64_t *lo, int64_t *hi) {
    *lo = INT64_MAX, *hi = INT64_MIN;
    for (int64_t phase = 0; phase < g->target_step; phase++)
        for (int64_t p = 0; p < taps; p++) {
            int64_t offset;
            if (!tap_offset(g, phase, pad, p, &offset)) continue;
            *lo = hkd_min(*lo, offset), *hi = hkd_max(*hi, offset);
        }
}

/* w [o][c][kh][kw] of all groups -> [group][panel][block of source channels][p][q][channel][column]. */
static void pack_panel(float *to, const float *w, const gather *g, int64_t group, int64_t panel) {
    const int64_t cols = hkd_panel_cols(g->tc, panel), width = hkd_panel_width(cols), taps = g->kh * g->kw, block = block_of(g);
    /* strides of w along target column and source channel */
    const int64_t t_step = g->transposed ? taps : g->sc * taps, s_step = g->transposed ? g->tc * taps : taps;
    const float *from = w + group * g->sc * g->tc * taps + panel * HKD_PANEL * t_step;
    for (int64_t c0 = 0; c0 < g->sc; c0 += block) {
        const int64_t depth = hkd_min(block, g->sc - c0);
        for (int64_t o = 0; o < width; o++)
            for (int64_t c = 0; c < depth; c++)
                for (int64_t tap = 0; tap < taps; tap++)
                    to[(tap * depth + c) * width + o] = o < cols ? from[o * t_step + (c0 + c) * s_step + tap] : 0;
        to += depth * taps * width;
    }
}

static int64_t packed_floats(const gather *g) { return g->groups * hkd_packed_cols(g->tc) * g->sc * g->kh * g->kw; }

/* How one call is dealt out. */
typedef struct {
    int64_t lo_h, hi_h, lo_w, hi_w;  /* reach of the taps */
    bool padded;                     /* the source must be copied with zeros around */
    int64_t pixel, row;              /* floats between neighbours in what the kernel reads */
    int64_t rows, cols;              /* target pixels of an item, per phase */
    int64_t row_items, col_items, panel_items, items;
    int64_t segments;                /* most segments of a phase */
    int64_t copy_floats;             /* padded copy of one item */
} split;

static split split_of(const gather *g, int threads) {
    split s = {0};
    const int64_t step = g->target_step, th = hkd_ceil_div(g->th, step), tw = hkd_ceil_div(g->tw, step);
    const int64_t block = block_of(g), channels = g->groups * g->sc;
    tap_range(g, g->pad_h, g->kh, &s.lo_h, &s.hi_h);
    tap_range(g, g->pad_w, g->kw, &s.lo_w, &s.hi_w);
    s.padded = s.lo_h < 0 || s.lo_w < 0 || (th - 1) * g->source_step + s.hi_h >= g->sh ||
               (tw - 1) * g->source_step + s.hi_w >= g->sw;
    s.cols = hkd_min(tw, ITEM_PIXELS * 3 / 2);
    const bool point = g->kh * g->kw == 1 && th == 1, by_pixels = point && tw >= 2 * g->tc;
    if (point) s.cols = hkd_min(tw, POINTS);
    if (by_pixels) s.cols = hkd_ceil_div(tw, 2 * threads * hkd_ceil_div(tw, 2 * threads * POINTS)); /* alike for all threads */
    s.rows = hkd_max(hkd_min(ITEM_PIXELS / hkd_max(s.cols, 1), th), 1);
    s.row_items = hkd_ceil_div(th, s.rows);
    s.col_items = hkd_ceil_div(tw, hkd_max(s.cols, 1));
    const int64_t spatial = g->n * step * step * s.row_items * s.col_items, panels = hkd_panels(g->tc);
    const int64_t parts = by_pixels ? 1 : hkd_ceil_div((point ? 1 : 4) * threads, hkd_max(spatial, 1));
    s.panel_items = hkd_max(hkd_min(panels, parts), 1);
    s.items = spatial * g->groups * s.panel_items;
    s.segments = hkd_ceil_div(g->sc, block) * g->kh * g->kw;
    s.pixel = s.padded && channels > BLOCK ? hkd_align(channels) + 16 : hkd_max(channels, 1);
    const int64_t width = s.padded ? (s.cols - 1) * g->source_step + s.hi_w - s.lo_w + 1 : g->sw;
    s.row = width * s.pixel;
    s.copy_floats = s.padded ? hkd_align(((s.rows - 1) * g->source_step + s.hi_h - s.lo_h + 1) * s.row) : 0;
    return s;
}

static size_t segments_bytes(const gather *g, const split *s) {
    const int64_t floats = (int64_t)(sizeof(hkd_segment) / sizeof(float));
    return (size_t)hkd_align(g->target_step * g->target_step * (s->segments + 1) * floats) *
           sizeof(float);
}

static size_t gather_bytes(const gather *g, const split *s, int threads, bool frozen) {
    const int64_t packed = frozen ? 0 : hkd_align(packed_floats(g));
    return segments_bytes(g, s) + (size_t)(packed + threads * s->copy_floats) * sizeof(float);
}

/* The segments of one phase, relative to the first pixel that the item's first target pixel can reach. */
static int64_t list_segments(hkd_segment *to, const gather *g, const split *s, int64_t phase_h, int64_t phase_w) {
    const int64_t block = block_of(g), taps = g->kh * g->kw;
    int64_t count = 0;
    for (int64_t c = 0; c < g->sc; c += block) {
        const int64_t depth = hkd_min(block, g->sc - c);
        for (int64_t p = 0; p < g->kh; p++)
            for (int64_t q = 0; q < g->kw; q++) {
                int64_t row, col;
                if (!tap_offset(g, phase_h, g->pad_h, p, &row) || !tap_offset(g, phase_w, g->pad_w, q, &col)) continue;
                const hkd_segment next = {(row - s->lo_h) * s->row + (col - s->lo_w) * s->pixel + c,
                                          c * taps + (p * g->kw + q) * depth, depth};
                hkd_segment *last = count ? &to[count - 1] : NULL;
                if (last && last->a + last->depth == next.a && last->b + last->depth == next.b) last->depth += depth;
                else to[count++] = next;
            }
    }
    return count;
}

/* Copy source rows [row, row + rows) and columns [col, col + s->row / s->pixel), zeros where there is no picture. */
static void copy_padded(float *to, const float *image, const gather *g, const split *s, int64_t row, int64_t rows,
                        int64_t col) {
    const int64_t channels = g->groups * g->sc, width = s->row / s->pixel;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < width; j++) {
            float *pixel = to + i * s->row + j * s->pixel;
            if (row + i < 0 || row + i >= g->sh || col + j < 0 || col + j >= g->sw)
                memset(pixel, 0, (size_t)channels * sizeof *pixel);
            else
                memcpy(pixel, image + ((row + i) * g->sw + col + j) * channels, (size_t)channels * sizeof *pixel);
        }
}

typedef struct {
    float *target;
    const float *source;
    hkd_epilogue then;
    const float *packed;         /* NULL: pack the raw weights first */
    const hkd_segment *segments; /* [phase][split.segments + 1]; the depth of the last holds the phase's count */
    bool accumulate;
} arrays;

static void gather_item(const gather *g, const split *s, const arrays *a, float *copy, int64_t item) {
    const int64_t step = g->target_step, panels = hkd_panels(g->tc);
    const int64_t part = item % s->panel_items, group = item / s->panel_items % g->groups;
    int64_t rest = item / s->panel_items / g->groups;
    const int64_t cols = rest % s->col_items, rows = (rest /= s->col_items) % s->row_items;
    const int64_t phase = (rest /= s->row_items) % (step * step), n = rest / (step * step);
    const int64_t phase_h = phase / step, phase_w = phase % step;
    const int64_t i0 = rows * s->rows, i1 = hkd_min(i0 + s->rows, hkd_ceil_div(g->th - phase_h, step));
    const int64_t j0 = cols * s->cols, j1 = hkd_min(j0 + s->cols, hkd_ceil_div(g->tw - phase_w, step));
    if (i0 >= i1 || j0 >= j1) return;
    const float *image = a->source + n * g->sh * g->sw * g->groups * g->sc, *view;
    const int64_t row = i0 * g->source_step + s->lo_h, col = j0 * g->source_step + s->lo_w;
    if (s->padded) {
        copy_padded(copy, image, g, s, row, (i1 - 1 - i0) * g->source_step + s->hi_h - s->lo_h + 1, col);
        view = copy;
    } else {
        view = image + row * s->row + col * s->pixel;
    }
    const hkd_segment *segments = a->segments + phase * (s->segments + 1);
    hkd_gemm run = {.segments = segments[s->segments].depth, .a_row = g->source_step * s->pixel, .a_k = 1,
                    .c_row = step * g->groups * g->tc, .rows = j1 - j0, .scale = a->then.scale, .accumulate = a->accumulate};
    for (int64_t panel = panels * part / s->panel_items; panel < panels * (part + 1) / s->panel_items; panel++) {
        run.cols = hkd_panel_cols(g->tc, panel);
        run.segment = segments;
        run.b = a->packed + (group * hkd_packed_cols(g->tc) + panel * HKD_PANEL) * g->sc * g->kh * g->kw;
        const int64_t channel = group * g->tc + panel * HKD_PANEL;
        run.bias = a->then.bias ? a->then.bias + channel : NULL;
        run.more = a->then.image_bias ? a->then.image_bias + n * g->groups * g->tc + channel : NULL;
        run.next_floats = HKD_PANEL * g->sc * g->kh * g->kw / (i1 - i0);
        for (int64_t i = i0; i < i1; i++) {
            run.next = run.b + HKD_PANEL * g->sc * g->kh * g->kw + (i - i0) * run.next_floats; /* of the next panel */
            const int64_t pixel = (n * g->th + i * step + phase_h) * g->tw + j0 * step + phase_w;
            run.a = view + (i - i0) * g->source_step * s->row + group * g->sc;
            run.c = a->target + pixel * g->groups * g->tc + channel;
            if (a->then.residual) run.residual = a->then.residual + (run.c - a->target);
            hkd_gemm_run(&run);
        }
    }
}

static void pack(float *packed, const float *w, const gather *g) {
    const int64_t panels = hkd_panels(g->tc);
    #pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < g->groups * panels; i++)
        pack_panel(packed + (i / panels * hkd_packed_cols(g->tc) + i % panels * HKD_PANEL) * g->sc * g->kh * g->kw, w, g,
                   i / panels, i % panels);
}

static hkd_status run(hkd_cpu *cpu, const gather *g, arrays a, const float *w) {
    if (!targets(g)) return HKD_OK;
    const split s = split_of(g, cpu->threads);
    float *scratch;
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, gather_bytes(g, &s, cpu->threads, !w));
    if (status) return status;
    hkd_segment *segments = (hkd_segment *)(void *)scratch;
    float *copies = scratch + segments_bytes(g, &s) / sizeof(float), *packed = copies + cpu->threads * s.copy_floats;
    for (int64_t phase = 0; phase < g->target_step * g->target_step; phase++) {
        hkd_segment *list = segments + phase * (s.segments + 1);
        list[s.segments].depth = list_segments(list, g, &s, phase / g->target_step, phase % g->target_step);
    }
    a.segments = segments;
    if (w) a.packed = packed;
    #pragma omp parallel num_threads(cpu->threads)
    {
        if (w) pack(packed, w, g);
        float *copy = copies + hkd_cpu_thread() * s.copy_floats;
        #pragma omp for schedule(dynamic) nowait
        for (int64_t item = 0; item < s.items; item++) gather_item(g, &s, &a, copy, item);
    }
    return HKD_OK;
}

hkd_status hkd_conv2d_direct(hkd_cpu *cpu, float *y, const float *x, const hkd_buffer *w, const hkd_epilogue *e,
                             const hkd_conv2d_dims *d) {
    const gather g = gather_of(d, false, !e->image_bias);
    return run(cpu, &g, (arrays){.target = y, .source = x, .then = *e, .packed = w->frozen}, w->data);
}

hkd_status hkd_conv2d_direct_dx(hkd_cpu *cpu, float *dx, const float *dy, const float *w, const hkd_conv2d_dims *d,
                                bool accumulate) {
    const gather g = gather_of(d, true, true);
    return run(cpu, &g, (arrays){.target = dx, .source = dy, .accumulate = accumulate}, w);
}

size_t hkd_conv2d_direct_bytes(const hkd_cpu *cpu, const hkd_conv2d_dims *d, bool transposed, bool frozen) {
    const gather g = gather_of(d, transposed, true);
    if (!targets(&g)) return 0;
    const split s = split_of(&g, cpu->threads);
    return gather_bytes(&g, &s, cpu->threads, frozen);
}

hkd_status hkd_conv2d_direct_form(hkd_cpu *cpu, hkd_cpu_form *form, const float *w, const hkd_conv2d_dims *d) {
    const gather g = gather_of(d, false, true);
    const hkd_status status = hkd_cpu_form_new(form, (size_t)hkd_max(packed_floats(&g), 1));
    (void)cpu;
    if (status) return status;
    #pragma omp parallel num_threads(cpu->threads)
    pack(form->data, w, &g);
    return HKD_OK;
}
