/* hkd spectrum - the eigenvalues of a model's Koopman operators: a table, every mode as CSV or JSON, plots as SVG. */
#include "alike.h"
#include "blocks.h"
#include "cli.h"
#include "files.h"
#include "model_file.h"
#include "model_levels.h"
#include "os.h"
#include "plots.h"
#include "spectrum_refit.h"
#include "status.h"
#include "svg.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* ---- files made in memory and written at once ---- */

/* The draft becomes DIR/NAME. */
static hkd_status save_in(const char *dir, const char *name, hkd_draft *d) {
    char *path = hkd_path_join(dir, name);
    if (path) {
        const hkd_status status = hkd_draft_save(d, path);
        free(path);
        return status;
    }
    hkd_draft_abandon(d);
    return hkd_fail(HKD_RESOURCES, "out of memory");
}

/* ---- what is shown ---- */

static void print_table(const hkd_model_levels *l, double dt) {
    printf("continuous eigenvalues alpha +- i beta; growth = e^(alpha dt) in one step of dt = %g\n", dt);
    printf("%-20s %14s %9s %10s %10s %10s %10s %10s %10s\n", "operator", "d x h x w", "modes", "alpha min", "mean", "max",
           "|beta| max", "growth min", "max");
    for (int64_t k = 0; k < l->count; k++) {
        const hkd_level *v = &l->level[k];
        const hkd_level_summary s = hkd_summarise_level(v, dt);
        char shape[64];
        if (l->first[k] != k) continue;
        snprintf(shape, sizeof shape, "%lldx%lldx%lld", (long long)v->d, (long long)v->ah, (long long)v->aw);
        printf("%-20s %14s %9lld %10.4g %10.4g %10.4g %10.4g %10.4g %10.4g\n", l->name[k], shape, (long long)s.modes,
               s.alpha_min, s.alpha_mean, s.alpha_max, s.beta_abs_max, s.growth_min, s.growth_max);
    }
}

/* Every mode in the order of the operator's array: pair, row, column. */
static json_t *modes_of(const hkd_model_levels *l, int64_t k, double dt) {
    static const char *const name[] = {"alpha", "beta", "discrete_re", "discrete_im"};
    json_t *list[4] = {json_array(), json_array(), json_array(), json_array()}, *all = json_object();
    for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++) {
        const hkd_mode mode = hkd_mode_at(l->level, k, m);
        const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
        const double value[4] = {mode.alpha, mode.beta, e.re, e.im};
        for (int i = 0; i < 4; i++) json_array_append_new(list[i], json_real(value[i]));
    }
    for (int i = 0; i < 4; i++) json_object_set_new(all, name[i], list[i]);
    return all;
}

static void print_json(const hkd_model_levels *l, double dt, bool modes) {
    json_t *list = json_array();
    for (int64_t k = 0; k < l->count; k++) {
        const hkd_level *v = &l->level[k];
        const hkd_level_summary s = hkd_summarise_level(v, dt);
        if (l->first[k] != k) continue;
        json_t *o = json_pack("{s:s, s:[I,I,I], s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "operator", l->name[k],
                              "shape", (json_int_t)v->d, (json_int_t)v->ah, (json_int_t)v->aw, "modes",
                              (json_int_t)s.modes, "alpha_min", s.alpha_min, "alpha_mean", s.alpha_mean,
                              "alpha_max", s.alpha_max, "beta_abs_max", s.beta_abs_max, "growth_min",
                              s.growth_min, "growth_max", s.growth_max);
        if (modes) json_object_set_new(o, "eigenvalues", modes_of(l, k, dt));
        json_array_append_new(list, o);
    }
    json_t *all = json_pack("{s:f, s:o}", "dt", dt, "operators", list);
    json_dumpf(all, stdout, JSON_INDENT(modes ? 0 : 1));
    printf("\n");
    json_decref(all);
}

static hkd_status save_csv(const char *path, const hkd_model_levels *l, double dt) {
    hkd_draft d;
    const hkd_status status = hkd_draft_open(&d);
    if (status != HKD_OK) return status;
    fprintf(d.out, "operator,pair,row,col,alpha,beta,discrete_re,discrete_im,dt\n");
    for (int64_t k = 0; k < l->count; k++)
        for (int64_t m = 0; l->first[k] == k && m < hkd_mode_count(&l->level[k]); m++) {
            const hkd_mode mode = hkd_mode_at(l->level, k, m);
            const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
            fprintf(d.out, "%s,%lld,%lld,%lld,%.17g,%.17g,%.17g,%.17g,%.17g\n", l->name[k], (long long)mode.pair,
                    (long long)mode.row, (long long)mode.col, mode.alpha, mode.beta, e.re, e.im, dt);
        }
    return hkd_draft_save(&d, path);
}

/* ---- plots ---- */

/* Eigenvalues of operators first .. end (a series each) as NAME.svg: alpha and beta, or (dt not 0) the upper one of each
 * conjugate pair of discrete eigenvalues of a step dt. */
static hkd_status save_scatter(const char *dir, const char *name, const hkd_model_levels *l, int64_t first, int64_t end,
                               double dt) {
    int64_t total = 0, at = 0;
    for (int64_t k = first; k < end; k++) total += l->first[k] == k ? hkd_mode_count(&l->level[k]) : 0;
    double *re = malloc((size_t)(2 * total + 1) * sizeof *re), *im = re + total;
    hkd_draft d;
    hkd_status status = re ? hkd_draft_open(&d) : hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_series series[HKD_MAX_LATENTS];
    int count = 0;
    for (int64_t k = first; status == HKD_OK && k < end; k++) {
        if (l->first[k] != k) continue;
        series[count++] = (hkd_series){l->name[k], HKD_POINTS, re + at, im + at, hkd_mode_count(&l->level[k])};
        for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++, at++) {
            const hkd_mode mode = hkd_mode_at(l->level, k, m);
            const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
            re[at] = dt != 0 ? e.re : mode.alpha, im[at] = dt != 0 ? e.im : mode.beta;
        }
    }
    if (status == HKD_OK) {
        char title[64] = "Continuous eigenvalues", file[96];
        if (dt != 0) snprintf(title, sizeof title, "Discrete eigenvalues, dt = %g", dt);
        hkd_svg_plot(d.out, &(hkd_plot){title, {.label = dt != 0 ? "real" : "alpha"}, {.label = dt != 0 ? "imaginary" : "beta"},
                                        series, count, dt != 0});
        snprintf(file, sizeof file, "%s.svg", name);
        status = save_in(dir, file, &d);
    }
    free(re);
    return status;
}

/* Both scatters of one operator. */
static hkd_status save_scatters(const char *dir, const hkd_model_levels *l, int64_t k, double dt) {
    char name[80];
    snprintf(name, sizeof name, "%s.continuous", l->name[k]);
    const hkd_status status = save_scatter(dir, name, l, k, k + 1, 0);
    snprintf(name, sizeof name, "%s.discrete", l->name[k]);
    return status ? status : save_scatter(dir, name, l, k, k + 1, dt);
}

static hkd_status save_histogram(const char *dir, const hkd_model_levels *l, int64_t k, hkd_spectral_part part) {
    char name[96];
    hkd_draft d;
    const hkd_status status = hkd_draft_open(&d);
    if (status != HKD_OK) return status;
    hkd_plot_histogram(d.out, l, k, part);
    snprintf(name, sizeof name, "%s.%s.svg", l->name[k], part == HKD_ALPHA ? "alpha" : "beta");
    return save_in(dir, name, &d);
}

static hkd_status save_map(const char *dir, const hkd_model_levels *l, int64_t k) {
    char name[96];
    hkd_draft d;
    hkd_status status = hkd_draft_open(&d);
    if (status != HKD_OK) return status;
    const hkd_status drawn = hkd_plot_alpha_map(d.out, l, k);
    snprintf(name, sizeof name, "%s.map.svg", l->name[k]);
    status = save_in(dir, name, &d);
    return drawn ? drawn : status;
}

static hkd_status save_plots(const char *dir, const hkd_model_levels *l, double dt) {
    hkd_status status = hkd_make_directory(dir);
    if (status == HKD_OK) status = save_scatter(dir, "eigenvalues", l, 0, l->count, dt);
    if (status == HKD_OK) status = save_scatter(dir, "continuous", l, 0, l->count, 0);
    for (int64_t k = 0; status == HKD_OK && k < l->count; k++) {
        if (l->first[k] != k) continue;
        status = save_scatters(dir, l, k, dt);
        if (status == HKD_OK) status = save_histogram(dir, l, k, HKD_ALPHA);
        if (status == HKD_OK) status = save_histogram(dir, l, k, HKD_BETA);
        if (status == HKD_OK && l->level[k].ah * l->level[k].aw > 1) status = save_map(dir, l, k);
    }
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_device *dev = NULL;
    hkd_model *model = NULL;
    hkd_model_levels levels = {0};
    static const char *const kinds[] = {"matrix", "refit", "others"};
    int count = 0;
    for (int k = 0; k < 3; k++) count += hkd_given(a, kinds[k]);
    if (count > 1) return hkd_fail(HKD_USAGE, "--matrix, --refit and --others are different questions: one at a time");
    if (hkd_given(a, "matrix")) return hkd_run_blocks(a);
    hkd_status status = hkd_arg(a, "model") ? HKD_OK : hkd_fail(HKD_USAGE, "--model FILE is needed");
    if (status == HKD_OK && hkd_arg(a, "csv")) status = hkd_check_writable(hkd_arg(a, "csv"));
    if (status == HKD_OK) status = hkd_open_device(&dev, a);
    if (status == HKD_OK) status = hkd_model_load(&model, hkd_arg(a, "model"), dev);
    if (status == HKD_OK) status = hkd_model_levels_read(&levels, model);
    double dt = levels.eps - levels.T;
    if (status == HKD_OK && hkd_given(a, "dt")) status = hkd_arg_real(&dt, a, "dt", -1000, 1000);
    const bool refit = hkd_given(a, "refit"), others = hkd_given(a, "others"), json = hkd_given(a, "json");
    if (status == HKD_OK && refit) status = hkd_run_refit(model, a);
    else if (status == HKD_OK && others) status = hkd_run_alike(model, a);
    else if (status == HKD_OK && json) print_json(&levels, dt, hkd_given(a, "modes"));
    else if (status == HKD_OK) print_table(&levels, dt);
    if (status == HKD_OK && hkd_arg(a, "csv")) status = save_csv(hkd_arg(a, "csv"), &levels, dt);
    if (status == HKD_OK && hkd_arg(a, "svg")) status = save_plots(hkd_arg(a, "svg"), &levels, dt);
    hkd_model_levels_free(&levels);
    hkd_model_free(model);
    hkd_device_close(dev);
    return status;
}

const hkd_verb hkd_verb_spectrum = {
    .name = "spectrum",
    .summary = "the eigenvalues of a model's Koopman operators",
    .option =
        {
            {"model", "FILE", NULL, "an hkd model"},
            {"dt", "TIME", NULL, "step of the discrete eigenvalues (default: the one step from noise to picture)"},
            {"csv", "FILE", NULL, "write every mode"},
            {"modes", NULL, NULL, "with --json: every mode too, in the order of the operator's array"},
            {"svg", "DIR", NULL, "write continuous.svg and eigenvalues.svg (discrete) and, per operator, both scatters, "
                                 "histograms and a map of mean alpha"},
            {"refit", NULL, NULL, "how much of the spectrum is arbitrary? Distil the teacher anew from the same weights with "
                                  "operators trained, frozen at random, and frozen at 0, and compare losses: minutes"},
            {"teacher", "FILE|KIND", NULL, "refit: a denoiser (its weights are the start), or gaussian, mixture, points: "
                                           "exact, from --data (the model's weights with A = 0 are the start)"},
            {"data", "SET", NULL, "refit: the pictures of an exact teacher"},
            {"data-count", "N", "0", "refit: only the first N of them (0: all)"},
            {"refit-images", "N", "2048", "refit: length of each run in trajectories"},
            {"refit-runs", "N", "1", "refit: runs of each kind that differ in the order of the data: spread over seeds"},
            {"refit-trajectories", "N", "256", "refit: trajectories to learn from, besides 64 for the loss"},
            {"refit-steps", "N", "8", "refit: steps of their grid (2N - 1 evaluations each)"},
            {"refit-lr", "X", "1e-3", "refit: learning rate"},
            {"refit-size", "X", NULL, "refit: standard deviation of the random operators (not given: that of the model's)"},
            {"others", "FILES", NULL, "models trained alike from other seeds, separated by commas: how alpha and pictures "
                                      "scatter over models"},
            {"pictures", "N", "64", "others: pictures of seeds 0 to N - 1"},
            {"matrix", "F", NULL, "instead of a model: 2 x 2 blocks of a real square matrix (.npy, or K in .safetensors), "
                                  "Proposition C.1 with its errata; exit 1 where a Jordan block forbids them"},
            {"out", "F", NULL, "matrix: write p, q, alpha, beta (.safetensors)"},
        },
    .example = {"spectrum --model M.safetensors", "spectrum --model M.safetensors --csv modes.csv --svg plots/",
                "spectrum --model M.safetensors --refit --teacher T.safetensors --refit-runs 3 --json",
                "spectrum --model A.safetensors --others B.safetensors,C.safetensors",
                "spectrum --matrix K.npy --out blocks.safetensors"},
    .run = run,
};
