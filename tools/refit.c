/* The encoder is told the noise level, so it can absorb what an operator would do: with E'(x; sigma) = e^{-t(sigma) (A' - A)}
 * E(x; sigma) the operators A' make the same pictures as A did (spec of D.2.3). If frozen random operators reach the loss of
 * trained ones, the spectrum of the trained ones was not needed; if two runs that differ in the order of the data alone end
 * with different operators, it was not determined either. */
#include "refit.h"

#include "exact_teacher.h"
#include "model_file.h"
#include "model_levels.h"
#include "pictures.h"
#include "progress.h"
#include "schedule.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRAINED, RANDOM, ZERO, VARIANTS, MOST_RUNS = 16, CHECKS = 4, BATCH = 16 };
static const char *const variant_name[VARIANTS] = {"trained", "random", "zero"};

typedef struct {
    double end, path; /* mean square error: from noise, and from the later states of the trajectories */
} losses;

typedef struct {
    const hkd_args *args;
    hkd_model *model, *network;          /* the model in question; the teacher, if it is a network */
    hkd_safetensors *start;              /* the weights that every run starts from */
    hkd_exact_teacher exact;
    training_images data;
    hkd_path_teacher teacher;
    int64_t images, trajectories, held, steps, runs;
    double *states, *labels, *sigma;     /* [trajectories + held, steps + 1, size], [..], [steps + 1] */
    int64_t size;
    double spread;                       /* of the random operators: --refit-size, or root mean square of the model's values */
    double *learnt[MOST_RUNS + 1];       /* all alphas: of the model, then of each run with trained operators */
    int64_t modes;
    losses before, after[VARIANTS][MOST_RUNS][CHECKS];
    hkd_progress bar;
    int64_t done;
} job;

/* ---- the teacher and its trajectories ---------------------------------------------------------------------------------- */

static hkd_status open_teacher(job *j) {
    const char *name = hkd_arg(j->args, "teacher");
    const hkd_config *c = &j->model->config;
    int64_t most = 0;
    if (!name) return hkd_fail(HKD_USAGE, "--refit needs --teacher: a denoiser's file, or gaussian, mixture, points");
    if (!hkd_is_exact_teacher(name)) {
        hkd_status status = hkd_model_load(&j->network, name, j->model->dev);
        if (status) return status;
        const hkd_config *t = &j->network->config;
        if (t->is_hkd || t->img_resolution != c->img_resolution || t->img_channels != c->img_channels ||
            t->label_dim != c->label_dim)
            return hkd_fail(HKD_USAGE, "--teacher %s: expected a denoiser of the model's pictures and classes", name);
        j->teacher = (hkd_path_teacher){.model = j->network, .config = t};
        return hkd_safetensors_open(&j->start, name);
    }
    hkd_status status = hkd_given(j->args, "data") ? hkd_arg_int(&most, j->args, "data-count", 0, INT64_MAX)
                                                   : hkd_fail(HKD_USAGE, "--teacher %s needs --data", name);
    if (!status) status = training_images_load(&j->data, hkd_arg(j->args, "data"), most, hkd_given(j->args, "quiet"));
    if (status) return status;
    if (j->data.channels != c->img_channels || j->data.resolution != c->img_resolution || c->label_dim)
        return hkd_fail(HKD_USAGE, "--data %s: expected pictures of the model's size, and a model without classes",
                        hkd_arg(j->args, "data"));
    j->teacher = (hkd_path_teacher){.config = c};
    status = hkd_exact_teacher_new(&j->exact, &j->teacher, name, &j->data, 10, 64, 0);
    return status ? status : hkd_safetensors_open(&j->start, hkd_arg(j->args, "model"));
}

static hkd_status make_paths(job *j) {
    const int64_t all = j->trajectories + j->held, each = (j->steps + 1) * j->size;
    const hkd_config *c = j->teacher.config;
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    j->states = malloc((size_t)(all * each) * sizeof(double) + 1);
    j->labels = malloc((size_t)(all + j->steps + 1) * sizeof(double));
    if (!j->states || !j->labels) return hkd_fail(HKD_RESOURCES, "out of memory for %lld trajectories", (long long)all);
    j->sigma = j->labels + all;
    hkd_status status = hkd_schedule_grid(j->sigma, j->steps, &schedule);
    hkd_progress_begin(&j->bar, "trajectories", "path", all, hkd_given(j->args, "quiet"));
    for (int64_t first = 0; first < all && !status; first += BATCH) {
        const int64_t n = all - first < BATCH ? all - first : BATCH;
        uint64_t seeds[BATCH];
        for (int64_t i = 0; i < n; i++) seeds[i] = (UINT64_C(1) << 42) + (uint64_t)(first + i);
        status = hkd_paths_compute(j->states + first * each, j->labels + first, &j->teacher, seeds, n, j->steps);
        hkd_progress_at(&j->bar, first + n, NULL);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    }
    hkd_progress_end(&j->bar);
    return status;
}

static hkd_status get_state(const hkd_trajectories *t, int64_t index, int state, double *x) {
    const job *j = t->context;
    memcpy(x, j->states + (index * (j->steps + 1) + state) * j->size, (size_t)j->size * sizeof *x);
    return HKD_OK;
}

static hkd_status get_label(const hkd_trajectories *t, int64_t index, int *label) {
    const job *j = t->context;
    *label = (int)j->labels[index];
    return HKD_OK;
}

/* ---- a run ------------------------------------------------------------------------------------------------------------- */

/* The losses of a network on the trajectories kept from training, at T and at every later state but the last. */
static hkd_status evaluate(losses *out, job *j, hkd_model *m) {
    const hkd_config *c = &m->config;
    const int64_t n = j->held;
    double *x = malloc((size_t)(2 * n * j->size + n * (2 + c->label_dim)) * sizeof *x + 1), *d = x + n * j->size;
    double *sigma = d + n * j->size, *labels = sigma + n;
    hkd_status status = x ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld trajectories", (long long)n);
    *out = (losses){0, 0};
    for (int64_t i = 0; i < n * c->label_dim && !status; i++)
        labels[i] = j->labels[j->trajectories + i / c->label_dim] == (double)(i % c->label_dim);
    for (int64_t t = 0; t < j->steps && !status; t++) {
        const hkd_model_input in = {.n = n, .x = x, .sigma = sigma, .class_labels = c->label_dim ? labels : NULL};
        double square = 0;
        for (int64_t i = 0; i < n; i++) {
            const double *path = j->states + (j->trajectories + i) * (j->steps + 1) * j->size;
            memcpy(x + i * j->size, path + t * j->size, (size_t)j->size * sizeof *x);
            sigma[i] = j->sigma[t];
        }
        status = hkd_model_denoise(m, d, NULL, &in);
        for (int64_t i = 0; i < n * j->size && !status; i++) {
            const int64_t k = i / j->size, e = i % j->size;
            const double off = d[i] - j->states[((j->trajectories + k) * (j->steps + 1) + j->steps) * j->size + e];
            square += off * off / (double)(n * j->size);
        }
        *(t ? &out->path : &out->end) += t ? square / (double)(j->steps - 1) : square;
    }
    free(x);
    return status;
}

/* All alphas behind each other, shared ones once. */
static hkd_status alphas(double **out, int64_t *count, double *spread, const hkd_model *m) {
    static hkd_model_levels l;
    const hkd_status status = hkd_model_levels_read(&l, m);
    int64_t at = 0, all = 0;
    double square = 0;
    if (status) return status;
    for (int64_t k = 0; k < l.count; k++) all += l.first[k] == k ? hkd_mode_count(&l.level[k]) : 0;
    *out = malloc((size_t)all * sizeof **out + 1);
    for (int64_t k = 0; k < l.count && *out; k++)
        for (int64_t m2 = 0; l.first[k] == k && m2 < hkd_mode_count(&l.level[k]); m2++) {
            const hkd_mode mode = hkd_mode_at(l.level, k, m2);
            (*out)[at++] = mode.alpha;
            square += (mode.alpha * mode.alpha + mode.beta * mode.beta) / (double)(2 * all);
        }
    *count = all;
    if (spread) *spread = sqrt(square);
    hkd_model_levels_free(&l);
    return *out ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the spectrum");
}

static hkd_status train(job *j, hkd_model *m, int variant, int64_t run) {
    hkd_trajectories paths = {.count = j->trajectories, .states = (int)j->steps + 1, .sigma = j->sigma, .get = get_state,
                              .label = get_label, .context = j};
    const hkd_hkd_objective objective = {.trajectories = &paths, .times = 2, .seed = (uint64_t)run};
    hkd_train_settings s = {.batch = BATCH, .micro_batch = 16, .images = j->images, .epoch_images = j->trajectories,
                            .lr_gamma = 1, .optimizer = HKD_OPTIMIZER_DEFAULT, .hkd = &objective};
    hkd_trainer *t = NULL;
    int64_t checks = 0;
    hkd_status status = hkd_arg_real(&s.lr, j->args, "refit-lr", 0, 1);
    if (!status) status = hkd_trainer_new(&t, m, &s);
    if (!status && variant != TRAINED) training_freeze_operators(m);
    while (!status && t->images < j->images) {
        hkd_train_row row;
        char extra[64];
        status = hkd_trainer_step(t, &row);
        snprintf(extra, sizeof extra, "%s %d, loss %.4g", variant_name[variant], (int)run, row.loss);
        hkd_progress_at(&j->bar, j->done += BATCH, extra);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        while (!status && checks < CHECKS && t->images * CHECKS >= (checks + 1) * j->images)
            status = evaluate(&j->after[variant][run][checks++], j, m);
    }
    hkd_trainer_free(t);
    return status;
}

static hkd_status run_variant(job *j, int variant, int64_t run) {
    hkd_model *m = NULL;
    hkd_status status = hkd_model_new(&m, &j->model->config, j->model->dev);
    if (!status) status = hkd_model_file_weights(m, j->start, "", true);
    if (!status) status = training_draw_operators(m, variant == RANDOM ? j->spread : 0, (uint64_t)run);
    if (!status && variant == ZERO && !run) status = evaluate(&j->before, j, m);
    if (!status) status = train(j, m, variant, run);
    if (!status && variant == TRAINED) status = alphas(&j->learnt[run + 1], &j->modes, NULL, m);
    hkd_model_free(m);
    return status;
}

/* ---- what came out ----------------------------------------------------------------------------------------------------- */

typedef struct {
    double end, path, sd; /* means over runs; the standard deviation of end + path over runs (0 for one) */
} row;

static row summary(const job *j, int variant, int check) {
    row r = {0, 0, 0};
    const double n = (double)j->runs;
    for (int64_t k = 0; k < j->runs; k++) {
        r.end += j->after[variant][k][check].end / n;
        r.path += j->after[variant][k][check].path / n;
    }
    for (int64_t k = 0; k < j->runs; k++) {
        const losses *l = &j->after[variant][k][check];
        r.sd += pow(l->end + l->path - r.end - r.path, 2);
    }
    r.sd = j->runs > 1 ? sqrt(r.sd / (n - 1)) : 0;
    return r;
}

static double correlation(const double *a, const double *b, int64_t n) {
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) ma += a[i] / (double)n, mb += b[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* Means over pairs: of the model with each run, and of the runs among each other (0 for a single one). */
static void agreement(double *with_model, double *among_runs, const job *j) {
    const double n = (double)j->runs, pairs = n * (n - 1) / 2;
    *with_model = *among_runs = 0;
    for (int64_t k = 1; k <= j->runs; k++) {
        *with_model += correlation(j->learnt[0], j->learnt[k], j->modes) / n;
        for (int64_t i = 1; i < k; i++) *among_runs += correlation(j->learnt[i], j->learnt[k], j->modes) / pairs;
    }
}

/* Of what training the operators gains over the start, the share that a variant without training them reaches. */
static double reached(const job *j, int variant) {
    const row best = summary(j, TRAINED, CHECKS - 1), r = summary(j, variant, CHECKS - 1);
    const double start = j->before.end + j->before.path;
    const double gain = start - best.end - best.path;
    return gain > 0 ? (start - r.end - r.path) / gain : 0;
}

static void print_text(const job *j) {
    double with_model, among_runs;
    agreement(&with_model, &among_runs, j);
    printf("distilled anew from the same weights: %lld pictures a run, %lld run%s each, %lld trajectories kept for the loss\n",
           (long long)j->images, (long long)j->runs, j->runs > 1 ? "s" : "", (long long)j->held);
    printf("%-22s %12s %12s %12s %10s %9s\n%-22s %12.6f %12.6f\n", "operators", "from noise", "along path", "sd over runs",
           "of trained", "of gain", "start (0)", j->before.end, j->before.path);
    for (int v = 0; v < VARIANTS; v++) {
        const row r = summary(j, v, CHECKS - 1), best = summary(j, TRAINED, CHECKS - 1);
        char name[48];
        snprintf(name, sizeof name, v == RANDOM ? "random, frozen (%.3g)" : v == ZERO ? "zero, frozen" : "trained", j->spread);
        printf("%-22s %12.6f %12.6f %12.2g %9.2f%% %8.2f%%\n", name, r.end, r.path, r.sd,
               100 * (r.end + r.path) / (best.end + best.path), 100 * reached(j, v));
    }
    printf("correlation of alpha, mode by mode: the model with the trained runs %.3f", with_model);
    if (j->runs > 1) printf(", the trained runs among each other %.3f", among_runs);
    printf("\n");
}

static void print_json(const job *j) {
    double with_model, among_runs;
    char command[2048];
    json_t *all = json_object(), *variants = json_array();
    agreement(&with_model, &among_runs, j);
    for (int v = 0; v < VARIANTS; v++) {
        json_t *curve = json_array(), *each = json_array();
        for (int c = 0; c < CHECKS; c++) {
            const row r = summary(j, v, c);
            json_array_append_new(curve, json_pack("{s:I, s:f, s:f, s:f}", "images", (json_int_t)(j->images * (c + 1) / CHECKS),
                                                   "loss_end", r.end, "loss_path", r.path, "sd_over_runs", r.sd));
        }
        for (int64_t k = 0; k < j->runs; k++)
            json_array_append_new(each, json_real(j->after[v][k][CHECKS - 1].end + j->after[v][k][CHECKS - 1].path));
        json_array_append_new(variants, json_pack("{s:s, s:f, s:o, s:o}", "operators", variant_name[v], "share_of_gain",
                                                  reached(j, v), "curve", curve, "loss_of_runs", each));
    }
    hkd_command_text(command, sizeof command, j->args);
    json_object_set_new(all, "command", json_string(command));
    json_object_set_new(all, "refit", variants);
    json_object_set_new(all, "start", json_pack("{s:f, s:f}", "loss_end", j->before.end, "loss_path", j->before.path));
    json_object_set_new(all, "images", json_integer((json_int_t)j->images));
    json_object_set_new(all, "runs", json_integer((json_int_t)j->runs));
    json_object_set_new(all, "random_size", json_real(j->spread));
    json_object_set_new(all, "alpha_correlation_with_model", json_real(with_model));
    if (j->runs > 1) json_object_set_new(all, "alpha_correlation_among_runs", json_real(among_runs));
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

/* ---- the request ------------------------------------------------------------------------------------------------------- */

static hkd_status read_options(job *j) {
    hkd_status status = hkd_arg_int(&j->images, j->args, "refit-images", BATCH, INT64_C(1) << 30);
    if (!status) status = hkd_arg_int(&j->runs, j->args, "refit-runs", 1, MOST_RUNS);
    if (!status) status = hkd_arg_int(&j->trajectories, j->args, "refit-trajectories", BATCH, 1 << 20);
    if (!status) status = hkd_arg_int(&j->steps, j->args, "refit-steps", 2, 1000);
    j->images = (j->images + BATCH - 1) / BATCH * BATCH;
    j->held = 64;
    return status;
}

hkd_status hkd_run_refit(hkd_model *model, const hkd_args *a) {
    job *j = calloc(1, sizeof *j);
    if (!j) return hkd_fail(HKD_RESOURCES, "out of memory");
    j->args = a;
    j->model = model;
    j->size = (int64_t)model->config.img_channels * model->config.img_resolution * model->config.img_resolution;
    hkd_status status = read_options(j);
    if (!status) status = alphas(&j->learnt[0], &j->modes, &j->spread, model);
    if (!status && hkd_given(a, "refit-size")) status = hkd_arg_real(&j->spread, a, "refit-size", 0, 100);
    if (!status) status = open_teacher(j);
    if (!status) status = make_paths(j);
    hkd_progress_begin(&j->bar, "refit", "img", VARIANTS * j->runs * j->images, hkd_given(a, "quiet"));
    for (int64_t run = 0; run < j->runs; run++)
        for (int v = 0; v < VARIANTS && !status; v++) status = run_variant(j, v, run);
    hkd_progress_end(&j->bar);
    if (!status) (hkd_given(a, "json") ? print_json : print_text)(j);
    for (int64_t k = 0; k <= MOST_RUNS; k++) free(j->learnt[k]);
    hkd_safetensors_close(j->start);
    hkd_exact_teacher_free(&j->exact);
    training_images_free(&j->data);
    hkd_model_free(j->network);
    free(j->states);
    free(j->labels);
    free(j);
    return status;
}
