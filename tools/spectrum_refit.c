#include "spectrum_refit.h"

#include "exact_teacher.h"
#include "model_path.h"
#include "pictures.h"
#include "progress.h"
#include "refit.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kind_name[HKD_REFIT_KINDS] = {"trained", "random", "zero"};

typedef struct {
    const hkd_args *args;
    hkd_model *model, *network; /* the model in question; the teacher, if it is a network */
    hkd_exact_teacher exact;
    training_images data;
    hkd_path_teacher teacher;
    hkd_refit_settings s;
    hkd_refit r;
    hkd_progress bar;
    const char *doing;          /* what the bar shows; NULL: there is none */
} job;

static hkd_status open_teacher(job *j) {
    const char *name = hkd_arg(j->args, "teacher");
    const hkd_config *c = &j->model->config;
    int64_t most = 0;
    if (!name) return hkd_fail(HKD_USAGE, "--refit needs --teacher: a denoiser's file, or gaussian, mixture, points");
    if (!hkd_is_exact_teacher(name)) {
        hkd_status status = hkd_model_load(&j->network, name, j->model->dev);
        if (status) return status;
        j->teacher = (hkd_path_teacher){.model = j->network, .config = &j->network->config};
        return hkd_teacher_check(j->network, j->model);
    }
    hkd_status status = hkd_given(j->args, "data") ? hkd_arg_int(&most, j->args, "data-count", 0, INT64_MAX)
                                                   : hkd_fail(HKD_USAGE, "--teacher %s needs --data", name);
    if (!status) status = training_images_load(&j->data, hkd_arg(j->args, "data"), most, hkd_given(j->args, "quiet"));
    if (status) return status;
    if (j->data.channels != c->img_channels || j->data.resolution != c->img_resolution || c->label_dim)
        return hkd_fail(HKD_USAGE, "--data %s: expected pictures of the model's size, and a model without classes",
                        hkd_arg(j->args, "data"));
    j->teacher = (hkd_path_teacher){.config = c};
    return hkd_exact_teacher_new(&j->exact, &j->teacher, name, &j->data, 10, 64, 0);
}

static hkd_status show(void *self, const char *what, int64_t done, int64_t all) {
    job *j = self;
    if (j->doing != what) {
        if (j->doing) hkd_progress_end(&j->bar);
        hkd_progress_begin(&j->bar, j->doing = what, "img", all, hkd_given(j->args, "quiet"));
    }
    hkd_progress_at(&j->bar, done, NULL);
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : HKD_OK;
}

/* ---- what came out ---- */

typedef struct {
    double end, path, sd; /* means over runs; the standard deviation of end + path over runs (0 for one) */
} row;

static row summary(const job *j, int kind, int check) {
    row r = {0, 0, 0};
    const double n = (double)j->s.runs;
    for (int64_t k = 0; k < j->s.runs; k++) {
        r.end += j->r.after[kind][k][check].end / n;
        r.path += j->r.after[kind][k][check].path / n;
    }
    for (int64_t k = 0; k < j->s.runs; k++) {
        const hkd_refit_loss *l = &j->r.after[kind][k][check];
        r.sd += pow(l->end + l->path - r.end - r.path, 2);
    }
    r.sd = j->s.runs > 1 ? sqrt(r.sd / (n - 1)) : 0;
    return r;
}

/* Of what training the operators gains over the start, the share that a kind without training them reaches. */
static double reached(const job *j, int kind) {
    const row best = summary(j, HKD_REFIT_TRAINED, HKD_REFIT_CHECKS - 1), r = summary(j, kind, HKD_REFIT_CHECKS - 1);
    const double start = j->r.before.end + j->r.before.path;
    const double gain = start - best.end - best.path;
    return gain > 0 ? (start - r.end - r.path) / gain : 0;
}

static double last_loss(const job *j, int kind, int64_t run) {
    const hkd_refit_loss *l = &j->r.after[kind][run][HKD_REFIT_CHECKS - 1];
    return l->end + l->path;
}

static void print_text(const job *j) {
    static const char *const how[HKD_REFIT_KINDS] = {"trained", "random, frozen (%.3g)", "zero, frozen"};
    printf("distilled anew from the same weights: %lld pictures a run, %lld run%s each, %lld trajectories kept for the loss\n",
           (long long)j->s.images, (long long)j->s.runs, j->s.runs > 1 ? "s" : "", 64LL);
    printf("%-22s %12s %12s %12s %10s %9s\n%-22s %12.6f %12.6f\n", "operators", "from noise", "along path", "sd over runs",
           "of trained", "of gain", "start (0)", j->r.before.end, j->r.before.path);
    for (int v = 0; v < HKD_REFIT_KINDS; v++) {
        const row r = summary(j, v, HKD_REFIT_CHECKS - 1), best = summary(j, HKD_REFIT_TRAINED, HKD_REFIT_CHECKS - 1);
        char name[48];
        snprintf(name, sizeof name, how[v], j->r.size);
        printf("%-22s %12.6f %12.6f %12.2g %9.2f%% %8.2f%%\n", name, r.end, r.path, r.sd,
               100 * (r.end + r.path) / (best.end + best.path), 100 * reached(j, v));
    }
    printf("correlation of alpha, mode by mode: the model with the trained runs %.3f", j->r.with_model);
    if (j->s.runs > 1) printf(", the trained runs among each other %.3f", j->r.among_runs);
    printf("\n");
}

static void print_json(const job *j) {
    char command[2048];
    json_t *all = json_object(), *variants = json_array();
    for (int v = 0; v < HKD_REFIT_KINDS; v++) {
        json_t *curve = json_array(), *each = json_array();
        for (int c = 0; c < HKD_REFIT_CHECKS; c++) {
            const json_int_t images = j->s.images * (c + 1) / HKD_REFIT_CHECKS;
            const row r = summary(j, v, c);
            json_array_append_new(curve, json_pack("{s:I, s:f, s:f, s:f}", "images", images,
                                                   "loss_end", r.end, "loss_path", r.path, "sd_over_runs", r.sd));
        }
        for (int64_t k = 0; k < j->s.runs; k++)
            json_array_append_new(each, json_real(last_loss(j, v, k)));
        json_array_append_new(variants, json_pack("{s:s, s:f, s:o, s:o}", "operators", kind_name[v], "share_of_gain",
                                                  reached(j, v), "curve", curve, "loss_of_runs", each));
    }
    hkd_command_text(command, sizeof command, j->args);
    json_object_set_new(all, "command", json_string(command));
    json_object_set_new(all, "refit", variants);
    json_object_set_new(all, "start", json_pack("{s:f, s:f}", "loss_end", j->r.before.end, "loss_path", j->r.before.path));
    json_object_set_new(all, "images", json_integer((json_int_t)j->s.images));
    json_object_set_new(all, "runs", json_integer((json_int_t)j->s.runs));
    json_object_set_new(all, "random_size", json_real(j->r.size));
    json_object_set_new(all, "alpha_correlation_with_model", json_real(j->r.with_model));
    if (j->s.runs > 1) json_object_set_new(all, "alpha_correlation_among_runs", json_real(j->r.among_runs));
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

/* ---- the request ---- */

static hkd_status read_options(job *j) {
    hkd_refit_settings *s = &j->s;
    hkd_status status = hkd_arg_int(&s->images, j->args, "refit-images", 16, INT64_C(1) << 30);
    if (!status) status = hkd_arg_int(&s->runs, j->args, "refit-runs", 1, HKD_REFIT_RUNS);
    if (!status) status = hkd_arg_int(&s->trajectories, j->args, "refit-trajectories", 16, 1 << 20);
    if (!status) status = hkd_arg_int(&s->steps, j->args, "refit-steps", 2, 1000);
    if (!status) status = hkd_arg_real(&s->lr, j->args, "refit-lr", 0, 1);
    s->images = (s->images + 15) / 16 * 16;
    s->size = -1;
    return !status && hkd_given(j->args, "refit-size") ? hkd_arg_real(&s->size, j->args, "refit-size", 0, 100) : status;
}

hkd_status hkd_run_refit(hkd_model *model, const hkd_args *a) {
    job *j = calloc(1, sizeof *j);
    if (!j) return hkd_fail(HKD_RESOURCES, "out of memory");
    j->args = a;
    j->model = model;
    j->s.progress = show;
    j->s.self = j;
    hkd_status status = read_options(j);
    if (!status) status = open_teacher(j);
    if (!status) status = hkd_refit_run(&j->r, model, j->network ? j->network : model, &j->teacher, &j->s);
    if (j->doing) hkd_progress_end(&j->bar);
    if (!status) (hkd_given(a, "json") ? print_json : print_text)(j);
    hkd_exact_teacher_free(&j->exact);
    training_images_free(&j->data);
    hkd_model_free(j->network);
    free(j);
    return status;
}
