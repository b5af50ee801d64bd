/* hkd eval - how far two sets of pictures are apart. Pictures count as 8-bit images, whatever file they come from. */
#include "eval.h"
#include "files.h"
#include "moments_file.h"
#include "picture_vectors.h"
#include "progress.h"
#include "reference_file.h"
#include "sample_distance.h"
#include "sha256.h"
#include "singular_values.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char metric_names[] = "frd|frechet|fid|swd|kernel|precision|lpips";
static const char *const metric_name[] = {"frd", "frechet", "fid", "swd", "kernel", "precision", "lpips"};
enum { BLOCK = 512, MOST_SETS = 256 };

typedef hkd_eval_job job;

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
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : hkd_vectors_get(v, rows, j->first + first, n);
        if (!status) status = use(self, rows, first, n);
        hkd_progress_at(&progress, first + n, NULL);
    }
    hkd_progress_end(&progress);
    free(rows);
    return status;
}

static int64_t count_of(const job *j, const hkd_vectors *v) {
    const int64_t rest = v->set->count > j->first ? v->set->count - j->first : 0;
    return j->limit && j->limit < rest ? j->limit : rest;
}

/* ---- statistics -----------------------------------------------------------------------------------------------------------
 */

enum { SAVED_EVERY = 2 * BLOCK };

/* Statistics that grow; with --save-stats they are kept on the way, so that --resume can go on from there. */
typedef struct {
    const job *j;
    const hkd_dataset *set;
    hkd_moments *moments;
    int64_t unsaved;
} growing;

static hkd_status add_rows(void *self, const double *rows, int64_t first, int64_t n) {
    growing *g = self;
    const char *path = hkd_arg(g->j->args, "save-stats");
    const uint64_t *seed = g->set->seed ? g->set->seed + g->j->first + first : NULL;
    hkd_status status = hkd_moments_add(g->moments, rows, n);
    for (int64_t i = 0; i < n && seed && !status; i++) status = hkd_moments_add_seeds(g->moments, seed[i], seed[i]);
    if (status || !path || hkd_ends_with(path, ".npz")) return status;
    if ((g->unsaved += n) < SAVED_EVERY || n < BLOCK) return HKD_OK;
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
    growing g = {.j = j, .set = v.set};
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
        const hkd_seed_set *seeds = hkd_moments_seeds(*out);
        for (size_t i = 0; i < seeds->count && !status; i++)
            status = hkd_moments_add_seeds(rest, seeds->range[i].first, seeds->range[i].last);
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

/* ---- distances ------------------------------------------------------------------------------------------------------------
 */

typedef struct {
    int64_t n[2];
    double value, second; /* second: the deviation of kernel, recall beside precision; NAN: none */
} result;

void hkd_gaussian_free(hkd_gaussian *g) {
    free(g->mean);
    free(g->covariance);
    *g = (hkd_gaussian){0};
}

static hkd_status fit(hkd_gaussian *g, const hkd_moments *m) {
    *g = (hkd_gaussian){.dim = hkd_moments_dim(m), .count = hkd_moments_count(m)};
    g->mean = malloc((size_t)g->dim * sizeof *g->mean);
    g->covariance = malloc((size_t)(g->dim * g->dim) * sizeof *g->covariance);
    return g->mean && g->covariance ? hkd_moments_finish(g->mean, g->covariance, m)
                                    : hkd_fail(HKD_RESOURCES, "out of memory for the covariance");
}

hkd_status hkd_gaussian_of(hkd_gaussian *out, const hkd_eval_job *j, const char *name) {
    hkd_moments *m = NULL;
    *out = (hkd_gaussian){0};
    if (hkd_is_reference_file(name)) return hkd_reference_load(&out->mean, &out->covariance, &out->dim, name);
    hkd_status status = moments_of(&m, j, name);
    if (!status) status = fit(out, m);
    hkd_moments_free(m);
    return status;
}

hkd_status hkd_gaussian_distance(double *value, const hkd_gaussian *a, const hkd_gaussian *b) {
    if (a->dim != b->dim)
        return hkd_fail(HKD_USAGE, "the sets have vectors of %lld and %lld numbers", (long long)a->dim, (long long)b->dim);
    return hkd_frechet(value, a->mean, a->covariance, b->mean, b->covariance, a->dim, hkd_fast_singular_values);
}

/* What other tools read: mean and covariance alone. */
static hkd_status save_reference(const hkd_moments *m, const char *path) {
    hkd_gaussian g;
    hkd_status status = fit(&g, m);
    if (!status) status = hkd_reference_save(path, g.mean, g.covariance, g.dim);
    hkd_gaussian_free(&g);
    return status;
}

/* All operands into one file: pictures are counted, statistics of other runs are taken in. */
static hkd_status save_statistics(const job *j, const char *path) {
    hkd_moments *all = NULL;
    hkd_status status = hkd_ends_with(path, ".npz") || hkd_ends_with(path, ".safetensors")
                            ? hkd_check_writable(path)
                            : hkd_fail(HKD_USAGE, "--save-stats %s: expected a name that ends with .safetensors or .npz", path);
    for (int i = 0; i < j->args->operands && !status; i++) {
        const char *name = j->args->operand[i];
        if (hkd_is_moments_file(name)) status = hkd_moments_load(&all, name, j->of);
        else if (all) status = hkd_fail(HKD_USAGE, "%s: pictures come first, then statistics of other runs", name);
        else status = moments_of_pictures(&all, j, name);
    }
    if (!status) status = hkd_ends_with(path, ".npz") ? save_reference(all, path) : hkd_moments_save(all, path, j->of);
    if (!status && hkd_given(j->args, "json"))
        printf("{\"schema\": \"hkd-eval-1\", \"images\": %lld}\n", (long long)hkd_moments_count(all));
    else if (!status) printf("statistics of %lld images (%s) written to %s\n", (long long)hkd_moments_count(all), j->of, path);
    hkd_moments_free(all);
    return status;
}

static hkd_status by_moments(result *r, const job *j) {
    hkd_gaussian g[2] = {{0}, {0}};
    hkd_status status = hkd_gaussian_of(&g[0], j, j->args->operand[0]);
    if (!status) status = hkd_gaussian_of(&g[1], j, j->args->operand[1]);
    if (!status) status = hkd_gaussian_distance(&r->value, &g[0], &g[1]);
    for (int i = 0; i < 2; i++) r->n[i] = g[i].count, hkd_gaussian_free(&g[i]);
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
    if (hkd_is_moments_file(name) || hkd_is_reference_file(name))
        return hkd_fail(HKD_USAGE, "%s: statistics are enough for frd, frechet and fid; %s needs the pictures", name,
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
    if (j->metric == HKD_SWD)
        return hkd_sliced_wasserstein(&r->value, a->rows, a->n, b->rows, b->n, a->dim, directions, (uint64_t)seed);
    if (j->metric == HKD_KERNEL)
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

static hkd_status by_pairs(result *r, const job *j) {
    const hkd_status status = hkd_eval_lpips(&r->value, &r->second, &r->n[0], j);
    r->n[1] = r->n[0];
    return status;
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------
 */

static void report(const job *j, const result *r) {
    static const char *const second[] = {"", "", "", "", "deviation", "recall", "deviation"};
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
    const bool inception = !status && hkd_features_is_inception(j->features);
    const char *kind = j->metric == HKD_LPIPS ? "LPIPS by "
                       : inception            ? "features of Inception-v3 (resized as by TensorFlow 1), "
                                              : "features of ";
    if (!status) snprintf(j->of, sizeof j->of, "%snetwork %.16s", kind, sha256);
    return status;
}

static hkd_status prepare(job *j) {
    const hkd_args *a = j->args;
    int which = 0;
    const bool saves = hkd_given(a, "save-stats");
    hkd_status status = hkd_arg_choice(&which, a, "metric", metric_names);
    j->metric = (hkd_metric)which;
    j->features = hkd_arg(a, "features");
    if (status) return status;
    if (which == HKD_FRD && !j->features) return hkd_fail(HKD_USAGE, "--metric frd needs --features NET.safetensors");
    if (which == HKD_FID && !j->features) return hkd_fail(HKD_USAGE, "--metric fid needs --features: %s", hkd_inception_source);
    if (which == HKD_LPIPS && !j->features) return hkd_fail(HKD_USAGE, "--metric lpips needs --features: %s", hkd_lpips_source);
    if (which == HKD_FRECHET && j->features)
        return hkd_fail(HKD_USAGE, "--metric frechet is over pixels; over --features it is frd");
    if (!saves && (hkd_given(a, "shard") || hkd_given(a, "resume")))
        return hkd_fail(HKD_USAGE, "--shard and --resume are for --save-stats");
    if (hkd_given(a, "resume") && hkd_ends_with(hkd_arg(a, "save-stats"), ".npz"))
        return hkd_fail(HKD_USAGE, "--resume: an .npz holds no unfinished statistics; save to a .safetensors");
    if (saves && which > HKD_FID) return hkd_fail(HKD_USAGE, "--save-stats is for --metric frd, frechet and fid");
    if (!saves && which != HKD_FID && a->operands != 2) return hkd_fail(HKD_USAGE, "expected two sets, A and B");
    j->side = which == HKD_FRECHET ? 8 : 0;
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
        status = j.metric == HKD_FID                               ? hkd_eval_fid(&j)
                 : j.metric == HKD_FRD || j.metric == HKD_FRECHET ? by_moments(&r, &j)
                 : j.metric == HKD_LPIPS                          ? by_pairs(&r, &j)
                                                                  : by_vectors(&r, &j);
        if (!status && j.metric != HKD_FID) report(&j, &r);
    }
    hkd_device_close(j.dev);
    return status;
}

const hkd_verb hkd_verb_eval = {
    .name = "eval",
    .operands = "A B (data sets, folders of pictures, samples, or statistics; fid: A ... REFERENCE)",
    .summary = "measure how far two sets of pictures are apart",
    .least = 1,
    .most = MOST_SETS,
    .option = {{"metric", "NAME", NULL,
                "frd (Frechet distance over --features), frechet (over pixels averaged to 8 x 8), fid (frd by FID's rules), "
                "swd (sliced Wasserstein), kernel (cubic kernel distance, KID), precision (and recall), lpips (of picture i of "
                "A and of B, or of two PNG files)"},
               {"features", "NET.safetensors", NULL,
                "frd, swd, kernel, precision: a ResNet for CIFAR-10 or Inception-v3 (the last three take pixels without it); "
                "fid: Inception-v3; lpips: SqueezeNet, AlexNet or VGG16 with LPIPS' weights"},
               {"side", "N", NULL, "average pixels to N x N (not given: 8 for frechet, else as they are)"},
               {"count", "N", NULL, "only the first N pictures of each set"},
               {"save-stats", "FILE", NULL,
                "keep mean and covariance (frd, frechet, fid) of A, merged with statistics of more runs: .safetensors, or .npz "
                "with mu and sigma for other tools"},
               {"offset", "N", "0", "number of A's first picture among all that will be merged, a multiple of 64"},
               {"shard", "I/N", NULL, "--save-stats: part I (from 0) of N of A; merged, they are one run's, bit for bit"},
               {"resume", NULL, NULL, "--save-stats: go on from the statistics that an interrupted run left there"},
               {"directions", "N", "512", "swd: random directions"},
               {"subsets", "N", "100", "kernel: random subsets of up to 1000 (about a second each with 2048 features)"},
               {"any-count", NULL, NULL, "fid: of other numbers of pictures than 50000; comparable only among themselves"},
               {"blocks", "N", "1", "fid: cut A into N blocks of 50000 and show each, the least and the mean"},
               {"neighbours", "K", "3", "precision: reach to the K-th nearest neighbour. 10000 pictures with 2048 "
                                           "features take one or two minutes, 50000 take 25 times as long (see --count)"}},
    .example = {"eval --metric frd --features resnet20.safetensors cifar-10-batches-bin samples/",
                "eval --metric frd --features resnet20.safetensors --save-stats cifar.safetensors cifar-10-batches-bin",
                "eval --metric fid --features inception.safetensors --blocks 3 samples/ cifar10-32x32.npz",
                "eval --metric lpips --features lpips.safetensors a.png b.png",
                "eval --metric swd a.safetensors b.safetensors --json"},
    .run = run,
};
