/* hkd eval - how far two sets of pictures are apart. Pictures count as 8-bit images, whatever file they come from. */
#include "cli.h"
#include "files.h"
#include "frechet.h"
#include "moments_file.h"
#include "picture_vectors.h"
#include "progress.h"
#include "sample_distance.h"
#include "sha256.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FRD, FRECHET, SWD, KERNEL, PRECISION, LPIPS, FID } metric;
static const char metric_names[] = "frd|frechet|swd|kernel|precision|lpips|fid";
static const char *const metric_name[] = {"frd", "frechet", "swd", "kernel", "precision", "lpips", "fid"};
enum { BLOCK = 512, MOST_SETS = 256 };

typedef struct {
    const hkd_args *args;
    metric metric;
    const char *features;   /* file, or NULL */
    int64_t side;           /* pixels: averaged to side x side; 0: as they are */
    int64_t offset, limit;  /* --offset, --count (0: all) */
    char of[160];           /* what the vectors are */
    hkd_device *dev;
} job;

/* ---- vectors of one set ---------------------------------------------------------------------------------------------------
 */

/* Calls `use` with consecutive blocks of rows. */
typedef hkd_status use_rows(void *self, const double *rows, int64_t first, int64_t n);

static hkd_status walk(const job *j, const hkd_vectors *v, const char *name, int64_t start, int64_t count, use_rows *use,
                       void *self) {
    hkd_progress progress;
    double *rows = malloc((size_t)(BLOCK * v->dim) * sizeof *rows + 1);
    hkd_status status = rows ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: out of memory", name);
    hkd_progress_begin(&progress, name, "img", count, hkd_given(j->args, "quiet"));
    for (int64_t first = start; first < count && !status; first += BLOCK) {
        const int64_t n = count - first < BLOCK ? count - first : BLOCK;
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : hkd_vectors_get(v, rows, first, n);
        if (!status) status = use(self, rows, first, n);
        hkd_progress_at(&progress, first + n, NULL);
    }
    hkd_progress_end(&progress);
    free(rows);
    return status;
}

static int64_t count_of(const job *j, const hkd_vectors *v) {
    return j->limit && j->limit < v->set->count ? j->limit : v->set->count;
}

/* ---- statistics -----------------------------------------------------------------------------------------------------------
 */

enum { SAVED_EVERY = 2 * BLOCK };

/* Statistics that grow; with --save-stats they are kept on the way, so that --resume can go on from there. */
typedef struct {
    const job *j;
    hkd_moments *moments;
    int64_t unsaved;
} growing;

static hkd_status add_rows(void *self, const double *rows, int64_t first, int64_t n) {
    growing *g = self;
    const char *path = hkd_arg(g->j->args, "save-stats");
    const hkd_status status = hkd_moments_add(g->moments, rows, n);
    (void)first;
    if (status || !path || (g->unsaved += n) < SAVED_EVERY || n < BLOCK) return status;
    g->unsaved = 0;
    return hkd_moments_save(g->moments, path, g->j->of);
}

/* The statistics that an interrupted run left: whole blocks from `first` on. *next is what comes after them. */
static hkd_status take_up(hkd_moments *m, int64_t *next, const job *j, int64_t first) {
    const char *path = hkd_arg(j->args, "save-stats");
    if (!hkd_given(j->args, "resume") || !hkd_exists(path)) return HKD_OK;
    const hkd_status status = hkd_moments_load(&m, path, j->of);
    const hkd_moments_part *part = hkd_moments_part_at(m, 0);
    if (status || !part) return status;
    if (part->first != j->offset + first) return hkd_fail(HKD_USAGE, "%s: statistics of another shard: nothing to resume",
            path);
    *next = first + hkd_moments_count(m);
    return HKD_OK;
}

static hkd_status moments_of_pictures(hkd_moments **out, const job *j, const char *name) {
    hkd_vectors v;
    int64_t first = 0, last = 0, next;
    hkd_status status = hkd_vectors_open(&v, name, j->features, j->side, j->dev);
    if (status) return status;
    growing g = {.j = j};
    status = hkd_arg_shard(&first, &last, j->args, count_of(j, &v));
    next = first;
    if (!status && first == last) status = hkd_fail(HKD_USAGE, "--shard %s: no pictures are left for it", hkd_arg(j->args,
            "shard"));
    if (!status) status = hkd_moments_new(out, v.dim, j->offset + first);
    if (!status) status = take_up(*out, &next, j, first);
    if (!status && next > first && next < last) { /* go on behind what is there */
        hkd_moments *rest = NULL;
        status = hkd_moments_new(&rest, v.dim, j->offset + next);
        for (int64_t i = 0; !status && hkd_moments_part_at(*out, i); i++)
            status = hkd_moments_add_part(rest, hkd_moments_part_at(*out, i));
        hkd_moments_free(*out);
        *out = rest;
    }
    g.moments = *out;
    if (!status) status = walk(j, &v, name, next, last, add_rows, &g);
    if (!status) status = hkd_moments_seal(*out);
    hkd_vectors_close(&v);
    return status;
}

static hkd_status moments_of(hkd_moments **out, const job *j, const char *name) {
    return hkd_is_moments_file(name) ? hkd_moments_load(out, name, j->of) : moments_of_pictures(out, j, name);
}

/* All operands into one file: pictures are counted, statistics of other runs are taken in. */
static hkd_status save_statistics(const job *j, const char *path) {
    hkd_moments *all = NULL;
    hkd_status status = hkd_check_writable(path);
    for (int i = 0; i < j->args->operands && !status; i++) {
        const char *name = j->args->operand[i];
        if (hkd_is_moments_file(name)) status = hkd_moments_load(&all, name, j->of);
        else if (all) status = hkd_fail(HKD_USAGE, "%s: pictures come first, then statistics of other runs", name);
        else status = moments_of_pictures(&all, j, name);
    }
    if (!status) status = hkd_moments_save(all, path, j->of);
    if (!status && hkd_given(j->args, "json"))
        printf("{\"schema\": \"hkd-eval-1\", \"images\": %lld}\n", (long long)hkd_moments_count(all));
    else if (!status) printf("statistics of %lld images (%s) written to %s\n", (long long)hkd_moments_count(all), j->of, path);
    hkd_moments_free(all);
    return status;
}

/* ---- distances ------------------------------------------------------------------------------------------------------------
 */

typedef struct {
    int64_t n[2];
    double value, second; /* second: the deviation of kernel, recall beside precision; NAN: none */
} result;

static hkd_status frechet(result *r, hkd_moments *const *m) {
    const int64_t dim = hkd_moments_dim(m[0]);
    if (dim != hkd_moments_dim(m[1]))
        return hkd_fail(HKD_USAGE, "the sets have vectors of %lld and %lld numbers", (long long)dim,
                        (long long)hkd_moments_dim(m[1]));
    double *mean[2] = {NULL, NULL}, *covariance[2] = {NULL, NULL};
    hkd_status status = HKD_OK;
    for (int i = 0; i < 2 && !status; i++) {
        mean[i] = malloc((size_t)dim * sizeof *mean[i]);
        covariance[i] = malloc((size_t)(dim * dim) * sizeof *covariance[i]);
        r->n[i] = hkd_moments_count(m[i]);
        status = mean[i] && covariance[i] ? hkd_moments_finish(mean[i], covariance[i], m[i])
                                          : hkd_fail(HKD_RESOURCES, "out of memory for the covariance");
    }
    if (!status) status = hkd_frechet(&r->value, mean[0], covariance[0], mean[1], covariance[1], dim);
    for (int i = 0; i < 2; i++) free(mean[i]), free(covariance[i]);
    return status;
}

static hkd_status by_moments(result *r, const job *j) {
    hkd_moments *m[2] = {NULL, NULL};
    hkd_status status = moments_of(&m[0], j, j->args->operand[0]);
    if (!status) status = moments_of(&m[1], j, j->args->operand[1]);
    if (!status) status = frechet(r, m);
    hkd_moments_free(m[0]);
    hkd_moments_free(m[1]);
    return status;
}

typedef struct {
    double *rows;
    int64_t n, dim;
} matrix;

static hkd_status keep_rows(void *self, const double *rows, int64_t first, int64_t n) {
    const matrix *m = self;
    memcpy(m->rows + first * m->dim, rows, (size_t)(n * m->dim) * sizeof *rows);
    return HKD_OK;
}

static hkd_status matrix_of(matrix *m, const job *j, const char *name) {
    hkd_vectors v;
    if (hkd_is_moments_file(name))
        return hkd_fail(HKD_USAGE, "%s: statistics are enough for frd and frechet; %s needs the pictures", name,
                        metric_name[j->metric]);
    hkd_status status = hkd_vectors_open(&v, name, j->features, j->side, j->dev);
    if (status) return status;
    *m = (matrix){.n = count_of(j, &v), .dim = v.dim};
    m->rows = malloc((size_t)(m->n * m->dim) * sizeof *m->rows + 1);
    status = m->rows ? walk(j, &v, name, 0, m->n, keep_rows, m) : hkd_fail(HKD_RESOURCES, "%s: out of memory", name);
    hkd_vectors_close(&v);
    return status;
}

static hkd_status distance(result *r, const job *j, const matrix *a, const matrix *b) {
    int64_t directions, subsets, seed, neighbours;
    hkd_status status = hkd_arg_int(&directions, j->args, "directions", 1, 1 << 20);
    if (!status) status = hkd_arg_int(&subsets, j->args, "subsets", 2, 1 << 20);
    if (!status) status = hkd_arg_int(&neighbours, j->args, "neighbours", 1, 1 << 20);
    if (!status) status = hkd_arg_int(&seed, j->args, "seed", 0, INT64_MAX);
    if (status) return status;
    const int64_t fewer = a->n < b->n ? a->n : b->n;
    if (j->metric == SWD)
        return hkd_sliced_wasserstein(&r->value, a->rows, a->n, b->rows, b->n, a->dim, directions, (uint64_t)seed);
    if (j->metric == KERNEL)
        return hkd_kid(&r->value, &r->second, a->rows, a->n, b->rows, b->n, a->dim, subsets, fewer < 1000 ? fewer : 1000,
                       (uint64_t)seed);
    return hkd_precision_recall(&r->value, &r->second, a->rows, a->n, b->rows, b->n, a->dim, neighbours);
}

static hkd_status by_vectors(result *r, const job *j) {
    matrix m[2] = {{0}, {0}};
    hkd_status status = matrix_of(&m[0], j, j->args->operand[0]);
    if (!status) status = matrix_of(&m[1], j, j->args->operand[1]);
    if (!status && m[0].dim != m[1].dim)
        status =
            hkd_fail(HKD_USAGE, "the sets have vectors of %lld and %lld numbers", (long long)m[0].dim, (long long)m[1].dim);
    if (!status) status = distance(r, j, &m[0], &m[1]);
    for (int i = 0; i < 2; i++) r->n[i] = m[i].n, free(m[i].rows);
    return status;
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------
 */

static void report(const job *j, const result *r) {
    static const char *const second[] = {"", "", "", "deviation", "recall"};
    const char *const *set = j->args->operand;
    if (hkd_given(j->args, "json")) {
        json_t *o = json_pack("{s:s, s:s, s:f, s:[s, s], s:[I, I], s:s}", "schema", "hkd-eval-1", "metric",
                              metric_name[j->metric], "value", r->value, "sets", set[0], set[1], "images", (json_int_t)r->n[0],
                              (json_int_t)r->n[1], "of", j->of);
        if (!isnan(r->second)) json_object_set_new(o, second[j->metric], json_real(r->second));
        json_dumpf(o, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(o);
        return;
    }
    printf("%s %.6g", metric_name[j->metric], r->value);
    if (!isnan(r->second)) printf(", %s %.6g", second[j->metric], r->second);
    printf("  (%s; %lld and %lld images)\n", j->of, (long long)r->n[0], (long long)r->n[1]);
}

/* The name of the vectors: two sets, or two runs, are comparable when theirs are equal. */
static hkd_status name_vectors(job *j) {
    char sha256[65];
    if (!j->features) {
        if (j->side) snprintf(j->of, sizeof j->of, "pixels averaged to %lld x %lld", (long long)j->side, (long long)j->side);
        else snprintf(j->of, sizeof j->of, "pixels");
        return HKD_OK;
    }
    const hkd_status status = hkd_sha256_of_file(sha256, j->features);
    if (!status) snprintf(j->of, sizeof j->of, "features of network %.16s", sha256);
    return status;
}

static hkd_status prepare(job *j) {
    const hkd_args *a = j->args;
    int which = 0;
    const bool saves = hkd_given(a, "save-stats");
    hkd_status status = hkd_arg_choice(&which, a, "metric", metric_names);
    j->metric = (metric)which;
    j->features = hkd_arg(a, "features");
    if (status) return status;
    if (which >= LPIPS)
        return hkd_fail(HKD_USAGE, "--metric %s: not supported, its network is not part of this program", metric_name[which]);
    if (which == FRD && !j->features) return hkd_fail(HKD_USAGE, "--metric frd needs --features NET.safetensors");
    if (which == FRECHET && j->features)
        return hkd_fail(HKD_USAGE, "--metric frechet is over pixels; over --features it is frd");
    if (!saves && (hkd_given(a, "shard") || hkd_given(a, "resume")))
        return hkd_fail(HKD_USAGE, "--shard and --resume are for --save-stats");
    if (saves && which > FRECHET) return hkd_fail(HKD_USAGE, "--save-stats is for --metric frd and frechet");
    if (!saves && a->operands != 2) return hkd_fail(HKD_USAGE, "expected two sets, A and B");
    j->side = which == FRECHET ? 8 : 0;
    if (hkd_given(a, "side")) status = hkd_arg_int(&j->side, a, "side", 1, 4096);
    if (!status) status = hkd_arg_int(&j->offset, a, "offset", 0, INT64_MAX / 2);
    if (!status && hkd_given(a, "count")) status = hkd_arg_int(&j->limit, a, "count", 1, INT64_MAX / 2);
    return status ? status : name_vectors(j);
}

static hkd_status run(const hkd_args *a) {
    job j = {.args = a};
    result r = {.second = NAN};
    hkd_status status = prepare(&j);
    if (!status && j.features) status = hkd_open_device(&j.dev, a);
    if (!status && hkd_given(a, "save-stats")) {
        status = save_statistics(&j, hkd_arg(a, "save-stats"));
    } else if (!status) {
        status = j.metric <= FRECHET ? by_moments(&r, &j) : by_vectors(&r, &j);
        if (!status) report(&j, &r);
    }
    hkd_device_close(j.dev);
    return status;
}

const hkd_verb hkd_verb_eval = {
    .name = "eval",
    .operands = "A B (data sets, folders of pictures, samples, or statistics)",
    .summary = "measure how far two sets of pictures are apart",
    .least = 1,
    .most = MOST_SETS,
    .option = {{"metric", "NAME", NULL,
                "frd (Frechet distance over --features), frechet (over pixels averaged to 8 x 8), swd (sliced Wasserstein), "
                "kernel (cubic kernel distance), precision (and recall)"},
               {"features", "NET.safetensors", NULL, "a ResNet for CIFAR-10; swd, kernel and precision take pixels without it"},
               {"side", "N", NULL, "average pixels to N x N (not given: 8 for frechet, else as they are)"},
               {"count", "N", NULL, "only the first N pictures of each set"},
               {"save-stats", "F.safetensors", NULL,
                "keep mean and covariance (frd, frechet) of A, merged with statistics of more runs"},
               {"offset", "N", "0", "number of A's first picture among all that will be merged, a multiple of 64"},
               {"shard", "I/N", NULL, "--save-stats: part I (from 0) of N of A; merged, they are one run's, bit for bit"},
               {"resume", NULL, NULL, "--save-stats: go on from the statistics that an interrupted run left there"},
               {"directions", "N", "512", "swd: random directions"},
               {"subsets", "N", "100", "kernel: random subsets of up to 1000"},
               {"neighbours", "K", "3", "precision: reach to the K-th nearest neighbour"}},
    .example = {"eval --metric frd --features resnet20.safetensors cifar-10-batches-bin samples/",
                "eval --metric frd --features resnet20.safetensors --save-stats cifar.safetensors cifar-10-batches-bin",
                "eval --metric swd a.safetensors b.safetensors --json"},
    .run = run,
};
