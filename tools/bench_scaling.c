/* How time grows: one thing is changed at a time, and the arithmetic's growth is drawn beside it from the first point on. */
#include "bench.h"

#include "cost.h"
#include "os.h"
#include "status.h"
#include "svg.h"

#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 4, CURVES = 4 };

typedef enum { BATCH, THREADS, RESOLUTION, WIDTH } curve;
static const struct {
    const char *title, *label;
    double at[POINTS]; /* ends with 0 */
} curves[CURVES] = {{"over images at a time", "images", {1, 2, 4, 8}},
                    {"over threads", "threads", {1, 2, 4, 8}},
                    {"over resolution", "pixels along a side", {8, 16, 32, 64}},
                    {"over width", "channels", {16, 32, 64, 128}}};

typedef struct {
    double x[POINTS], seconds[POINTS], arithmetic[POINTS];
    int64_t count;
} measured;

/* Multiply-adds of an image, divided among the threads. */
static hkd_status arithmetic(double *out, const hkd_bench *b, double threads) {
    hkd_config c = hkd_bench_config(b);
    c.is_hkd = true;
    hkd_program *p = hkd_model_program(&c, &(hkd_model_options){.n = 1});
    if (!p) return hkd_fail(HKD_RESOURCES, "out of memory for the network");
    *out = hkd_multiply_adds(p) / threads;
    hkd_program_free(p);
    return HKD_OK;
}

static hkd_status point(json_t *rows, measured *m, const hkd_bench *b, curve k, double at) {
    hkd_bench here = *b;
    hkd_device_options options = {.threads = 0};
    hkd_device *own = NULL;
    hkd_status status = HKD_OK;
    if (k == BATCH) here.batch = (int64_t)at;
    if (k == RESOLUTION) here.resolution = (int64_t)at;
    if (k == WIDTH) here.channels = (int64_t)at;
    if (k == THREADS) {
        options.threads = (int)at;
        options.direct = hkd_arg(b->args, "math")[0] == 'd';
        status = hkd_device_open(&own, b->dev->kind, &options);
        here.dev = own;
    }
    json_t *mine = json_array();
    if (!status) status = hkd_bench_step(mine, &here);
    if (!status) status = arithmetic(&m->arithmetic[m->count], &here, k == THREADS ? at : 1);
    hkd_device_close(own);
    if (!status) {
        hkd_bench_finish(mine);
        m->x[m->count] = at;
        m->seconds[m->count++] = hkd_bench_number(json_array_get(mine, 0), "least_seconds");
        json_object_set_new(json_array_get(mine, 0), "work", json_string(curves[k].title));
        json_object_del(json_array_get(mine, 0), "peak_memory"); /* of all points so far */
        json_array_extend(rows, mine);
    }
    json_decref(mine);
    return status;
}

static void draw(FILE *out, const measured *m, curve k) {
    double drawn[POINTS];
    for (int64_t i = 0; i < m->count; i++) drawn[i] = m->seconds[0] * m->arithmetic[i] / m->arithmetic[0];
    const hkd_series series[] = {{"measured", HKD_LINE, m->x, m->seconds, m->count},
                                 {"arithmetic", HKD_LINE, m->x, drawn, m->count}};
    const hkd_plot plot = {.title = curves[k].title, .x = {.label = curves[k].label, .log = true},
                           .y = {.label = "seconds per image", .log = true}, .series = series, .count = 2};
    fprintf(out, "<g transform=\"translate(%d %d)\">\n", k % 2 * 660, 30 + k / 2 * 460);
    hkd_svg_plot(out, &plot);
    fputs("</g>\n", out);
}

hkd_status hkd_bench_scaling(json_t *rows, const hkd_bench *b, const char *svg) {
    measured all[CURVES] = {{{0}, {0}, {0}, 0}};
    hkd_status status = HKD_OK;
    for (int k = 0; k < CURVES; k++)
        for (int i = 0; i < POINTS && !status; i++)
            if (k != THREADS || curves[k].at[i] <= hkd_cores()) status = point(rows, &all[k], b, (curve)k, curves[k].at[i]);
    hkd_draft d;
    if (!status) status = hkd_draft_open(&d);
    if (status) return status;
    hkd_svg_open(d.out, "Time of one step for an image", 1320, 960);
    for (int k = 0; k < CURVES; k++) draw(d.out, &all[k], (curve)k);
    fputs("</svg>\n", d.out);
    return hkd_draft_save(&d, svg);
}
