#include "restoration.h"

#include "files.h"
#include "image.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    hkd_subject s;
    hkd_inputs inputs;           /* seeds and labels */
    hkd_known known;
    unsigned char *mask;         /* [side, side], 1 = known */
    double *y, *x;               /* [n, size] */
    int64_t steps;
    hkd_progress progress;
} job;

/* ---- the request ------------------------------------------------------------------------------------------------------ */

static hkd_status read_known(job *j, const hkd_args *a) {
    const int64_t side = j->s.side;
    const char *file = j->known.keep == HKD_KEEP_PIXELS ? hkd_arg(a, "mask") : "center";
    double *unknown = calloc((size_t)(side * side) + 1, sizeof *unknown);
    j->mask = malloc((size_t)(side * side) + 1);
    j->known.channels = j->s.channels;
    j->known.side = side;
    j->known.known = j->mask;
    hkd_status status = unknown && j->mask ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the mask");
    if (!status && strcmp(file, "center")) status = hkd_read_mask(unknown, file, side);
    for (int64_t i = 0; i < side && !status; i++) /* the middle half of the rows and of the columns */
        for (int64_t k = 0; k < side && !strcmp(file, "center"); k++)
            unknown[i * side + k] = i >= side / 4 && i < side - side / 4 && k >= side / 4 && k < side - side / 4;
    for (int64_t i = 0; i < side * side && !status; i++) j->mask[i] = unknown[i] < 0.5;
    free(unknown);
    if (!status && j->known.keep == HKD_KEEP_MEANS) status = hkd_arg_int(&j->known.patch, a, "superres", 1, side);
    return status ? status : hkd_known_check(&j->known);
}

/* The picture, or for super-resolution a small one with a pixel for each patch. */
static hkd_status read_picture(job *j, const char *path) {
    const int64_t side = j->s.side, small = j->known.keep == HKD_KEEP_MEANS ? side / j->known.patch : side;
    hkd_image probe;
    hkd_status status = hkd_image_read(&probe, path);
    if (status) return status;
    const int64_t read = probe.width == small && probe.height == small ? small : side;
    hkd_image_free(&probe);
    double *values = malloc((size_t)(j->s.channels * read * read) * sizeof *values + 1);
    status = values ? hkd_read_picture(values, path, j->s.channels, read)
             : hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
    for (int64_t i = 0; i < j->inputs.in.n * j->s.size && !status; i++) {
        const int64_t at = i % j->s.size, row = at / side, zoom = side / read; /* rows of all channels */
        j->y[i] = values[row / zoom * read + at % side / zoom];
    }
    free(values);
    return status;
}

static hkd_status prepare(job *j, const hkd_args *a) {
    hkd_status status = hkd_inputs_of_option(&j->inputs, j->s.model, a, "seeds");
    if (!status) status = read_known(j, a);
    if (status) return status;
    const size_t bytes = (size_t)(j->inputs.in.n * j->s.size) * sizeof(double) + 1;
    j->y = malloc(bytes);
    j->x = malloc(bytes);
    if (!j->y || !j->x) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)j->inputs.in.n);
    return read_picture(j, a->operand[0]);
}

/* ---- the work --------------------------------------------------------------------------------------------------------- */

static hkd_status watch(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    job *j = self;
    (void)sigma, (void)x, (void)n, (void)size;
    hkd_progress_at(&j->progress, i, NULL);
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : HKD_OK;
}

/* What is known of the picture, the rest black; of luma a gray picture; of means the blurred one. */
static double *known_part(const job *j) {
    const int64_t count = j->inputs.in.n * j->s.size, area = j->s.side * j->s.side;
    double *shown = malloc((size_t)count * sizeof *shown + 1);
    if (!shown) return NULL;
    for (int64_t i = 0; i < count; i++) shown[i] = j->known.keep == HKD_KEEP_PIXELS ? -1 : 0;
    if (j->known.keep != HKD_KEEP_GRAY) hkd_known_restore(shown, j->y, j->inputs.in.n, &j->known);
    for (int64_t i = 0; i < count && j->known.keep == HKD_KEEP_GRAY; i++) {
        const double *pixel = j->y + i / (3 * area) * 3 * area + i % area;
        shown[i] = 0.2989 * pixel[0] + 0.587 * pixel[area] + 0.114 * pixel[2 * area];
    }
    return shown;
}

static hkd_status save(const job *j, const hkd_args *a) {
    double *shown = known_part(j);
    if (!shown) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)j->inputs.in.n);
    const char *path = hkd_arg(a, "out");
    const hkd_column column[] = {{"restored", "restored", j->x}, {"known", "known", shown}, {"picture", "picture", j->y}};
    const bool alone = j->inputs.in.n == 1 && hkd_names_picture(path);
    const hkd_sheet sheet = {column, alone ? 1 : 3, j->inputs.in.n, j->s.channels, j->s.side, NULL, j->inputs.seeds};
    const hkd_status status = hkd_save_sheet(path, &sheet, a);
    free(shown);
    return status;
}

static void report(const job *j, const hkd_args *a) {
    const long long n = (long long)j->inputs.in.n, steps = (long long)j->steps;
    if (!hkd_given(a, "json")) {
        printf("%lld images, %lld evaluations of the network for each; %s\n", n, steps, hkd_arg(a, "out"));
        return;
    }
    json_t *o = json_pack("{s:s, s:I, s:I}", "out", hkd_arg(a, "out"), "images", (json_int_t)n, "nfe", (json_int_t)steps);
    json_dumpf(o, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(o);
}

static hkd_status work(job *j, const hkd_args *a) {
    hkd_status status = prepare(j, a);
    if (status) return status;
    hkd_progress_begin(&j->progress, a->verb->name, "step", j->steps, hkd_given(a, "quiet"));
    status = hkd_model_restore(j->s.model, j->x, j->y, &j->known, &j->inputs, j->steps, watch, j);
    hkd_progress_end(&j->progress);
    if (!status) status = save(j, a);
    if (!status) report(j, a);
    return status;
}

hkd_status hkd_run_restoration(const hkd_args *a, hkd_keep keep) {
    job j = {.known.keep = keep};
    hkd_status status = hkd_given(a, "out") ? hkd_check_sheet_path(hkd_arg(a, "out")) : hkd_fail(HKD_USAGE, "--out is needed");
    if (!status) status = hkd_arg_int(&j.steps, a, "steps", 1, 1000);
    if (!status) status = hkd_subject_open(&j.s, a);
    if (!status) status = work(&j, a);
    hkd_inputs_free(&j.inputs);
    free(j.mask);
    free(j.y);
    free(j.x);
    hkd_subject_free(&j.s);
    return status;
}
