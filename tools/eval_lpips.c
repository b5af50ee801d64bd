/* LPIPS of pairs: picture i of A and picture i of B, or two pictures of any size. */
#include "dataset.h"
#include "eval.h"
#include "feature_file.h"
#include "files.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 16 };

const char hkd_lpips_source[] =
    "a backbone of torchvision (squeezenet1_1, alexnet or vgg16) and the weights of the Python package lpips (v0.1), joined by "
    "`hkd convert BACKBONE.pth HEADS.pth lpips.safetensors --map lpips`";

/* One side of the pairs: a set, or one picture. */
typedef struct {
    const char *name;
    hkd_dataset *set;
    hkd_image picture;
    int64_t count;
    unsigned char darkest;
} side;

static hkd_status open_side(side *s, const char *name) {
    *s = (side){.name = name, .count = 1, .darkest = 255};
    if (hkd_names_picture(name)) return hkd_image_read(&s->picture, name);
    hkd_status status = hkd_dataset_open(&s->set, name);
    if (!status) s->count = s->set->count;
    if (!status) status = hkd_image_new(&s->picture, s->set->resolution, s->set->resolution, s->set->channels);
    return status;
}

static void close_side(side *s) {
    hkd_dataset_close(s->set);
    hkd_image_free(&s->picture);
}

/* rgb [3, h, w] in [-1, 1] */
static hkd_status get(side *s, double *rgb, int64_t index) {
    int label;
    if (s->set) {
        hkd_image_free(&s->picture);
        const hkd_status status = hkd_dataset_image(s->set, index, &s->picture, &label);
        if (status) return status;
    }
    const int64_t area = s->picture.width * s->picture.height;
    const int channels = s->picture.channels;
    for (int64_t i = 0; i < area; i++)
        for (int c = 0; c < 3; c++) {
            const unsigned char byte = s->picture.pixels[i * channels + c % channels];
            if (byte < s->darkest) s->darkest = byte;
            rgb[c * area + i] = hkd_to_value(byte);
        }
    return HKD_OK;
}

static hkd_status measure(double *l, hkd_lpips *net, side *a, side *b, int64_t count, bool quiet) {
    const int64_t size = 3 * net->h * net->w;
    double *x = malloc((size_t)(2 * BATCH * size) * sizeof *x), *y = x + BATCH * size;
    hkd_status status = x ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for pictures");
    hkd_progress progress;
    hkd_progress_begin(&progress, "lpips", "pair", count, quiet);
    for (int64_t first = 0; first < count && !status; first += BATCH) {
        const int64_t n = count - first < BATCH ? count - first : BATCH;
        if (hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        for (int64_t i = 0; i < n && !status; i++) {
            status = get(a, x + i * size, first + i);
            if (!status) status = get(b, y + i * size, first + i);
        }
        if (!status) status = hkd_lpips_distance(net, l + first, x, y, n);
        hkd_progress_at(&progress, first + n, NULL);
    }
    hkd_progress_end(&progress);
    free(x);
    return status;
}

/* The commonest mistake with LPIPS shows in bytes as pictures that are never darker than gray. */
static void warn_of_range(const hkd_args *args, const side *s) {
    if (s->darkest > 126)
        hkd_say(args, "%s: no value is below 0. Are these pictures in [0, 1]? [-1, 1] is expected\n", s->name);
}

static hkd_status check(int64_t *count, const hkd_eval_job *j, const side *a, const side *b) {
    *count = a->count < b->count ? a->count : b->count;
    if (a->picture.width != b->picture.width || a->picture.height != b->picture.height)
        return hkd_fail(HKD_USAGE, "%s and %s: pictures of %lldx%lld and %lldx%lld", a->name, b->name,
                        (long long)a->picture.width, (long long)a->picture.height, (long long)b->picture.width,
                        (long long)b->picture.height);
    if (j->limit && j->limit <= *count) *count = j->limit;
    else if (a->count != b->count)
        return hkd_fail(HKD_USAGE, "%s and %s: %lld and %lld pictures, expected pairs", a->name, b->name, (long long)a->count,
                        (long long)b->count);
    return *count ? HKD_OK : hkd_fail(HKD_USAGE, "%s: no pictures", a->name);
}

static void summarise(double *mean, double *deviation, const double *l, int64_t n) {
    double squares = 0;
    *mean = 0;
    for (int64_t i = 0; i < n; i++) *mean += l[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (l[i] - *mean) * (l[i] - *mean);
    *deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

hkd_status hkd_eval_lpips(double *mean, double *deviation, int64_t *pairs, const hkd_eval_job *j) {
    side a, b = {0};
    hkd_lpips *net = NULL;
    double *l = NULL;
    hkd_status status = open_side(&a, j->args->operand[0]);
    if (!status) status = open_side(&b, j->args->operand[1]);
    if (!status) status = check(pairs, j, &a, &b);
    if (!status)
        status = hkd_lpips_load(&net, j->features, *pairs < BATCH ? *pairs : BATCH, 3, a.picture.height, a.picture.width, false,
                                j->dev);
    if (!status && !(l = malloc((size_t)*pairs * sizeof *l))) status = hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) status = measure(l, net, &a, &b, *pairs, hkd_given(j->args, "quiet"));
    if (!status) {
        summarise(mean, deviation, l, *pairs);
        warn_of_range(j->args, &a);
        warn_of_range(j->args, &b);
    }
    free(l);
    hkd_lpips_free(net);
    close_side(&a);
    close_side(&b);
    return status;
}
