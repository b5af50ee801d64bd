#include "alike.h"

#include "hkd_insight.h"
#include "model_inputs.h"
#include "model_levels.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

typedef struct {
    const hkd_args *args;
    hkd_model *model;
    hkd_model_levels levels;               /* of --model; the others have the same shapes */
    char *list;                            /* --others, cut into names */
    const char *name[MOST];
    double *values[MOST], *picture[MOST];  /* all operators behind each other; [n, size] */
    int64_t models, total, n, size;
    hkd_progress bar;
} job;

/* ---- collecting -------------------------------------------------------------------------------------------------------- */

static hkd_status read_names(job *j) {
    const char *others = hkd_arg(j->args, "others");
    j->list = malloc(strlen(others) + 1);
    if (!j->list) return hkd_fail(HKD_RESOURCES, "out of memory");
    strcpy(j->list, others);
    j->name[j->models++] = hkd_arg(j->args, "model");
    for (char *word = strtok(j->list, ","); word; word = strtok(NULL, ",")) {
        if (j->models == MOST) return hkd_fail(HKD_USAGE, "--others: more than %d models", (int)MOST - 1);
        j->name[j->models++] = word;
    }
    return j->models > 1 ? HKD_OK : hkd_fail(HKD_USAGE, "--others: expected files of models, separated by commas");
}

static bool same_shapes(const hkd_model_levels *a, const hkd_model_levels *b) {
    bool same = a->count == b->count;
    for (int64_t k = 0; k < a->count && same; k++)
        same = hkd_mode_count(&a->level[k]) == hkd_mode_count(&b->level[k]) && a->level[k].d == b->level[k].d &&
               a->level[k].ah == b->level[k].ah && a->first[k] == b->first[k];
    return same;
}

static hkd_status collect(job *j, int64_t i, hkd_model *m) {
    hkd_model_levels l = {0};
    hkd_inputs noise = {.seeds = NULL};
    uint64_t *seeds = malloc((size_t)j->n * sizeof *seeds + 1);
    j->values[i] = malloc((size_t)j->total * sizeof(double) + 1);
    j->picture[i] = malloc((size_t)(j->n * j->size) * sizeof(double) + 1);
    hkd_status status = seeds && j->values[i] && j->picture[i] ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    const bool read = !status && hkd_model_levels_read(&l, m) == HKD_OK;
    for (int64_t k = 0; seeds && k < j->n; k++) seeds[k] = (uint64_t)k;
    if (!status && (!read || !same_shapes(&j->levels, &l) || m->config.img_resolution != j->model->config.img_resolution ||
                    m->config.label_dim != j->model->config.label_dim))
        status = hkd_fail(HKD_USAGE, "%s: expected a model of the configuration of %s", j->name[i], j->name[0]);
    if (!status) memcpy(j->values[i], l.values, (size_t)j->total * sizeof(double));
    if (!status) status = hkd_inputs_of_seeds(&noise, m, seeds, (size_t)j->n);
    if (!status) status = hkd_model_denoise(m, j->picture[i], NULL, &noise.in);
    if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    hkd_progress_at(&j->bar, i + 1, NULL);
    hkd_inputs_free(&noise);
    hkd_model_levels_free(&l);
    free(seeds);
    return status;
}

static hkd_status collect_all(job *j) {
    hkd_status status = collect(j, 0, j->model);
    for (int64_t i = 1; i < j->models && !status; i++) {
        hkd_model *m = NULL;
        status = hkd_model_load(&m, j->name[i], j->model->dev);
        if (!status) status = collect(j, i, m);
        hkd_model_free(m);
    }
    return status;
}

/* ---- spread ------------------------------------------------------------------------------------------------------------ */

/* The alphas of operator k: the first half of its array, which lies behind those before it. */
static hkd_status of_operator(hkd_scatter *out, const job *j, int64_t k) {
    const double *x[MOST];
    for (int64_t i = 0; i < j->models; i++) x[i] = j->values[i] + (j->levels.level[k].a - j->levels.values);
    return hkd_scatter_over_models(out, x, j->models, hkd_mode_count(&j->levels.level[k]));
}

static hkd_status of_all(hkd_scatter *out, const job *j) {
    double *alpha[MOST] = {NULL};
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < j->models && !status; i++) {
        alpha[i] = malloc((size_t)j->total * sizeof(double) + 1);
        if (alpha[i]) hkd_model_alphas(alpha[i], &j->levels, j->values[i]);
        else status = hkd_fail(HKD_RESOURCES, "out of memory");
    }
    const int64_t count = hkd_model_alphas(NULL, &j->levels, NULL);
    if (!status) status = hkd_scatter_over_models(out, (const double *const *)alpha, j->models, count);
    for (int64_t i = 0; i < j->models; i++) free(alpha[i]);
    return status;
}

/* ---- what came out ----------------------------------------------------------------------------------------------------- */

static void print_row(const char *name, const hkd_scatter *s) {
    printf("%-20s %14.4g %14.4g %14.3f\n", name, s->over_models, s->over_places, s->correlation);
}

static void print_text(const job *j, const hkd_scatter *each, const hkd_scatter *all, const hkd_scatter *pictures) {
    printf("%lld models of one configuration\n%-20s %14s %14s %14s\n", (long long)j->models, "alpha of", "sd over models",
           "sd over modes", "correlation");
    for (int64_t k = 0; k < j->levels.count; k++)
        if (j->levels.first[k] == k) print_row(j->levels.name[k], &each[k]);
    print_row("all operators", all);
    printf("pictures of %lld seeds: sd over models %.4g at a fixed seed and pixel, over seeds and pixels %.4g; correlation "
           "%.3f\n",
           (long long)j->n, pictures->over_models, pictures->over_places, pictures->correlation);
}

static json_t *json_of(const char *name, const hkd_scatter *s) {
    json_t *o = json_pack("{s:s, s:f, s:f}", "of", name, "sd_over_models", s->over_models, "sd_over_places", s->over_places);
    json_object_set_new(o, "correlation", isfinite(s->correlation) ? json_real(s->correlation) : json_null());
    return o;
}

static void print_json(const job *j, const hkd_scatter *each, const hkd_scatter *all, const hkd_scatter *pictures) {
    char command[2048];
    json_t *list = json_array();
    hkd_command_text(command, sizeof command, j->args);
    for (int64_t k = 0; k < j->levels.count; k++)
        if (j->levels.first[k] == k) json_array_append_new(list, json_of(j->levels.name[k], &each[k]));
    json_t *o = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "command", command, "models", (json_int_t)j->models, "seeds",
                          (json_int_t)j->n, "operators", list, "all", json_of("all operators", all), "pictures",
                          json_of("pictures", pictures));
    json_dumpf(o, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(o);
}

hkd_status hkd_run_alike(hkd_model *model, const hkd_args *a) {
    job *j = calloc(1, sizeof *j);
    if (!j) return hkd_fail(HKD_RESOURCES, "out of memory");
    j->args = a;
    j->model = model;
    j->size = (int64_t)model->config.img_channels * model->config.img_resolution * model->config.img_resolution;
    hkd_scatter each[HKD_MAX_LATENTS], all, pictures;
    hkd_status status = hkd_arg_int(&j->n, a, "pictures", 1, 4096);
    if (!status) status = read_names(j);
    if (!status) status = hkd_model_levels_read(&j->levels, model);
    j->total = 2 * hkd_model_alphas(NULL, &j->levels, NULL);
    hkd_progress_begin(&j->bar, "models", "model", j->models, hkd_given(a, "quiet"));
    if (!status) status = collect_all(j);
    hkd_progress_end(&j->bar);
    for (int64_t k = 0; k < j->levels.count && !status; k++) status = of_operator(&each[k], j, k);
    if (!status) status = of_all(&all, j);
    if (!status) status = hkd_scatter_over_models(&pictures, (const double *const *)j->picture, j->models, j->n * j->size);
    if (!status) (hkd_given(a, "json") ? print_json : print_text)(j, each, &all, &pictures);
    for (int i = 0; i < MOST; i++) free(j->values[i]), free(j->picture[i]);
    hkd_model_levels_free(&j->levels);
    free(j->list);
    free(j);
    return status;
}
