/* hkd spectrum - the eigenvalues of a model's Koopman operators: a table, every mode as CSV, plots as SVG. */
#include "cli.h"
#include "model_file.h"
#include "model_levels.h"
#include "os.h"
#include "status.h"
#include "svg.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* ---- files made in memory and written at once ---- */

typedef struct {
    FILE *out;
    char *text;
    size_t size;
} draft;

static hkd_status draft_open(draft *d) {
    *d = (draft){NULL, NULL, 0};
    d->out = open_memstream(&d->text, &d->size);
    return d->out ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}

/* Write the draft to DIR/NAME, or to NAME when dir is NULL. */
static hkd_status draft_save(draft *d, const char *dir, const char *name) {
    const bool failed = ferror(d->out) | fclose(d->out);
    char *path = dir ? hkd_path_join(dir, name) : NULL;
    hkd_status status = failed || (dir && !path) ? hkd_fail(HKD_RESOURCES, "out of memory") : HKD_OK;
    if (status == HKD_OK) status = hkd_write_file(dir ? path : name, d->text, d->size);
    free(path);
    free(d->text);
    return status;
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

static void print_json(const hkd_model_levels *l, double dt) {
    json_t *list = json_array();
    for (int64_t k = 0; k < l->count; k++) {
        const hkd_level *v = &l->level[k];
        const hkd_level_summary s = hkd_summarise_level(v, dt);
        if (l->first[k] != k) continue;
        json_array_append_new(list, json_pack("{s:s, s:[I,I,I], s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "operator", l->name[k],
                                              "shape", (json_int_t)v->d, (json_int_t)v->ah, (json_int_t)v->aw, "modes",
                                              (json_int_t)s.modes, "alpha_min", s.alpha_min, "alpha_mean", s.alpha_mean,
                                              "alpha_max", s.alpha_max, "beta_abs_max", s.beta_abs_max, "growth_min",
                                              s.growth_min, "growth_max", s.growth_max));
    }
    json_t *all = json_pack("{s:f, s:o}", "dt", dt, "operators", list);
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

static hkd_status save_csv(const char *path, const hkd_model_levels *l, double dt) {
    draft d;
    const hkd_status status = draft_open(&d);
    if (status != HKD_OK) return status;
    fprintf(d.out, "operator,pair,row,col,alpha,beta,discrete_re,discrete_im,dt\n");
    for (int64_t k = 0; k < l->count; k++)
        for (int64_t m = 0; l->first[k] == k && m < hkd_mode_count(&l->level[k]); m++) {
            const hkd_mode mode = hkd_mode_at(l->level, k, m);
            const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
            fprintf(d.out, "%s,%lld,%lld,%lld,%.17g,%.17g,%.17g,%.17g,%.17g\n", l->name[k], (long long)mode.pair,
                    (long long)mode.row, (long long)mode.col, mode.alpha, mode.beta, e.re, e.im, dt);
        }
    return draft_save(&d, NULL, path);
}

/* ---- plots ---- */

/* All discrete eigenvalues, one series per operator; the upper sign of each conjugate pair. */
static hkd_status save_scatter(const char *dir, const hkd_model_levels *l, double dt) {
    int64_t total = 0, at = 0;
    for (int64_t k = 0; k < l->count; k++) total += l->first[k] == k ? hkd_mode_count(&l->level[k]) : 0;
    double *re = malloc((size_t)(2 * total + 1) * sizeof *re), *im = re + total;
    draft d;
    hkd_status status = re ? draft_open(&d) : hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_series series[HKD_MAX_LATENTS];
    int count = 0;
    for (int64_t k = 0; status == HKD_OK && k < l->count; k++) {
        if (l->first[k] != k) continue;
        series[count++] = (hkd_series){l->name[k], HKD_POINTS, re + at, im + at, hkd_mode_count(&l->level[k])};
        for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++, at++) {
            const hkd_mode mode = hkd_mode_at(l->level, k, m);
            const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
            re[at] = e.re, im[at] = e.im;
        }
    }
    if (status == HKD_OK) {
        char title[64];
        snprintf(title, sizeof title, "Discrete eigenvalues, dt = %g", dt);
        hkd_svg_plot(d.out, &(hkd_plot){title, {.label = "real"}, {.label = "imaginary"}, series, count, true});
        status = draft_save(&d, dir, "eigenvalues.svg");
    }
    free(re);
    return status;
}

static hkd_status save_histogram(const char *dir, const hkd_model_levels *l, int64_t k, hkd_spectral_part part) {
    enum { BINS = 40 };
    const hkd_level_summary s = hkd_summarise_level(&l->level[k], 0);
    const double low = part == HKD_ALPHA ? s.alpha_min : -s.beta_abs_max;
    const double high = part == HKD_ALPHA ? s.alpha_max : s.beta_abs_max;
    const double from = high > low ? low : low - 0.5, to = high > low ? high : high + 0.5;
    const char *label = part == HKD_ALPHA ? "alpha" : "beta";
    int64_t counts[BINS];
    double edges[BINS + 1], bars[BINS];
    char title[96];
    draft d;
    hkd_spectrum_histogram(counts, BINS, from, to, &l->level[k], part);
    for (int i = 0; i <= BINS; i++) edges[i] = from + (to - from) * i / BINS;
    for (int i = 0; i < BINS; i++) bars[i] = (double)counts[i];
    const hkd_status status = draft_open(&d);
    if (status != HKD_OK) return status;
    snprintf(title, sizeof title, "%s, %lld modes", l->name[k], (long long)s.modes);
    const hkd_series series = {NULL, HKD_STEPS, edges, bars, BINS};
    hkd_svg_plot(d.out, &(hkd_plot){title, {.label = label}, {.label = "modes"}, &series, 1, false});
    snprintf(title, sizeof title, "%s.%s.svg", l->name[k], label);
    return draft_save(&d, dir, title);
}

static hkd_status save_map(const char *dir, const hkd_model_levels *l, int64_t k) {
    const hkd_level *v = &l->level[k];
    double *map = malloc((size_t)(v->ah * v->aw + 1) * sizeof *map);
    char title[96];
    draft d;
    hkd_status status = map ? draft_open(&d) : hkd_fail(HKD_RESOURCES, "out of memory");
    if (status == HKD_OK) {
        hkd_spectrum_map(map, v, HKD_ALPHA);
        snprintf(title, sizeof title, "%s, mean alpha", l->name[k]);
        hkd_svg_map(d.out, title, map, v->ah, v->aw);
        snprintf(title, sizeof title, "%s.map.svg", l->name[k]);
        status = draft_save(&d, dir, title);
    }
    free(map);
    return status;
}

static hkd_status save_plots(const char *dir, const hkd_model_levels *l, double dt) {
    hkd_status status = hkd_make_directory(dir);
    if (status == HKD_OK) status = save_scatter(dir, l, dt);
    for (int64_t k = 0; status == HKD_OK && k < l->count; k++) {
        if (l->first[k] != k) continue;
        status = save_histogram(dir, l, k, HKD_ALPHA);
        if (status == HKD_OK) status = save_histogram(dir, l, k, HKD_BETA);
        if (status == HKD_OK && l->level[k].ah * l->level[k].aw > 1) status = save_map(dir, l, k);
    }
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_device *dev = NULL;
    hkd_model *model = NULL;
    hkd_model_levels levels = {0};
    hkd_status status = hkd_arg(a, "model") ? HKD_OK : hkd_fail(HKD_USAGE, "--model FILE is needed");
    if (status == HKD_OK) status = hkd_open_device(&dev, a);
    if (status == HKD_OK) status = hkd_model_load(&model, hkd_arg(a, "model"), dev);
    if (status == HKD_OK) status = hkd_model_levels_read(&levels, model);
    double dt = levels.eps - levels.T;
    if (status == HKD_OK && hkd_given(a, "dt")) status = hkd_arg_real(&dt, a, "dt", -1000, 1000);
    if (status == HKD_OK) (hkd_given(a, "json") ? print_json : print_table)(&levels, dt);
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
            {"svg", "DIR", NULL, "write eigenvalues.svg and, per operator, histograms and a map of mean alpha"},
        },
    .example = {"spectrum --model M.safetensors", "spectrum --model M.safetensors --csv modes.csv --svg plots/"},
    .run = run,
};
