/* hkd data - look at a data set: describe it, write its images as files or as one sheet. */
#include "cli.h"
#include "dataset.h"
#include "grid.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- describing ------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t images, *of_class;
    double mean[3], sd[3]; /* of byte / 127.5 - 1 */
} summary;

/* Exact sums of bytes, so that the figures do not depend on the order of the images. */
static hkd_status summarise(summary *s, hkd_dataset *set, int64_t first, int64_t count) {
    uint64_t sum[3] = {0}, square[3] = {0};
    const int64_t pixels = (int64_t)set->resolution * set->resolution;
    *s = (summary){.images = count, .of_class = calloc((size_t)set->classes + 1, sizeof *s->of_class)};
    if (!s->of_class) return hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = first; i < first + count; i++) {
        hkd_image image;
        int label;
        if (hkd_cancelled()) return hkd_fail(HKD_RESOURCES, "interrupted");
        const hkd_status status = hkd_dataset_image(set, i, &image, &label);
        if (status) return status;
        if (label >= 0) s->of_class[label]++;
        for (int64_t k = 0; k < pixels * image.channels; k++) {
            const uint64_t v = image.pixels[k];
            sum[k % image.channels] += v;
            square[k % image.channels] += v * v;
        }
        hkd_image_free(&image);
    }
    for (int c = 0; c < set->channels; c++) {
        const double n = (double)(count * pixels), m = (double)sum[c] / n;
        s->mean[c] = m / 127.5 - 1;
        s->sd[c] = sqrt(fmax((double)square[c] / n - m * m, 0)) / 127.5;
    }
    return HKD_OK;
}

static void print_json(const hkd_dataset *set, const summary *s) {
    json_t *mean = json_array(), *sd = json_array(), *classes = json_array();
    for (int c = 0; c < set->channels; c++) {
        json_array_append_new(mean, json_real(s->mean[c]));
        json_array_append_new(sd, json_real(s->sd[c]));
    }
    for (int k = 0; k < set->classes; k++)
        json_array_append_new(classes, json_pack("{s:i, s:s?, s:I}", "label", k, "name",
                                                 set->class_name ? set->class_name[k] : NULL, "images",
                                                 (json_int_t)s->of_class[k]));
    json_t *o = json_pack("{s:s, s:s, s:I, s:i, s:i, s:I, s:o, s:o, s:o}", "schema", "hkd-data-1", "name", set->name, "images",
                          (json_int_t)set->count, "resolution", set->resolution, "channels", set->channels, "looked_at",
                          (json_int_t)s->images, "mean", mean, "sd", sd, "classes", classes);
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(o);
}

static void print_text(const hkd_dataset *set, const summary *s) {
    printf("%s\n  %lld images of %d x %d pixels, %s\n", set->name, (long long)set->count, set->resolution, set->resolution,
           set->channels == 1 ? "gray" : "RGB");
    printf("  values in [-1, 1] over %lld images:", (long long)s->images);
    for (int c = 0; c < set->channels; c++) printf("%s mean %.4f sd %.4f", c ? "," : "", s->mean[c], s->sd[c]);
    printf("\n");
    if (!set->classes) printf("  no labels\n");
    for (int k = 0; k < set->classes; k++)
        printf("  class %d%s%s: %lld\n", k, set->class_name ? " " : "", set->class_name ? set->class_name[k] : "",
               (long long)s->of_class[k]);
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static hkd_status write_sheet(hkd_dataset *set, int64_t first, int64_t count, const hkd_grid_options *grid, const char *path) {
    hkd_image *tile = calloc((size_t)count, sizeof *tile), sheet = {0};
    const hkd_metadata text[] = {{"data", set->name}};
    int label;
    hkd_status status = tile ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = 0; i < count && !status; i++) status = hkd_dataset_image(set, first + i, &tile[i], &label);
    if (!status) status = hkd_grid(&sheet, tile, (size_t)count, grid);
    if (!status) status = hkd_image_write(path, &sheet, text, 1);
    for (int64_t i = 0; tile && i < count; i++) hkd_image_free(&tile[i]);
    free(tile);
    hkd_image_free(&sheet);
    return status;
}

static bool is_picture(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".png") || !strcmp(dot, ".ppm"));
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status work(hkd_dataset *set, const hkd_args *a) {
    int64_t first, count = 0, columns, scale;
    const char *out = hkd_arg(a, "out");
    hkd_status status = hkd_arg_int(&first, a, "first", 0, set->count - 1);
    if (!status && hkd_given(a, "count")) status = hkd_arg_int(&count, a, "count", 1, set->count - first);
    if (!status) status = hkd_arg_int(&columns, a, "columns", 0, 1000);
    if (!status) status = hkd_arg_int(&scale, a, "scale", 0, 64);
    if (status) return status;
    const int64_t usual = out ? 64 : 1000, rest = set->count - first;
    if (!count) count = rest < usual ? rest : usual;
    if (out) {
        const hkd_grid_options grid = {.columns = (int)columns, .scale = (int)scale};
        status = is_picture(out) ? write_sheet(set, first, count, &grid, out)
            : hkd_dataset_save(set, first, count, out, hkd_cancelled);
        if (!status) hkd_say(a, "%lld images of %s written to %s", (long long)count, set->name, out);
        return status;
    }
    summary s;
    status = summarise(&s, set, first, count);
    if (!status) (hkd_given(a, "json") ? print_json : print_text)(set, &s);
    free(s.of_class);
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_dataset *set;
    hkd_status status = hkd_dataset_open(&set, a->operand[0]);
    if (status) return status;
    status = work(set, a);
    hkd_dataset_close(set);
    return status;
}

const hkd_verb hkd_verb_data = {
    .name = "data",
    .operands = "DATASET (builtin:scenes[:RES[:COUNT]], CIFAR-10's FILE.bin or folder, MNIST's *-images-idx3-ubyte[.gz] or "
                "folder, FILE.zip, samples in a FILE.safetensors, a folder of PNG files)",
    .summary = "describe a data set, or write its images as files or as one sheet; eval --save-stats F.npz has its moments",
    .least = 1,
    .most = 1,
    .option = {{"out", "FILE.png|FILE.zip|DIR", NULL, "where the images go: one sheet, or EDM's files with dataset.json"},
               {"first", "K", "0", "number of the first image"},
               {"count", "N", NULL, "how many images (64 to write, 1000 to describe)"},
               {"columns", "N", "0", "columns of the sheet; 0: near a square"},
               {"scale", "N", "0", "pixels per pixel on the sheet; 0: small images grow"}},
    .example = {"data builtin:scenes --out scenes.png         a sheet of the built-in scenes",
                "data builtin:scenes:64:200000 --out scenes/ --count 200000    as many as you like",
                "data cifar-10-batches-bin --json             count, size, classes, mean and deviation",
                "data train-images-idx3-ubyte.gz --out mnist/ --count 1000"},
    .run = run,
};
