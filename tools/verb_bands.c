/* hkd bands - what groups of modes carry: the pictures of each third alone, over time; which end is fine detail, measured; and
 * the cumulative effect (the paper's Figure 4). */
#include "effect.h"
#include "files.h"
#include "lists.h"
#include "model_bands.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"
#include "svg.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BANDS = 8, POINTS = 51 };

typedef struct {
    double from, to;
    char title[40], name[40];
} band;

typedef struct {
    hkd_subject s;
    hkd_inputs noise;
    hkd_model_bands bands;
    hkd_polarity polarity;
    band band[MOST_BANDS];
    int count, polarity_given;             /* 0 auto, 1 ascending, 2 descending */
    double *z[HKD_MAX_LATENTS + 1], *times;
    size_t time_count;
    double at[POINTS], effect[MOST_BANDS * POINTS], share[MOST_BANDS * POINTS]; /* [bands, points], at times 1 ... 0 */
} job;

/* ---- the request ------------------------------------------------------------------------------------------------------ */

/* --band A:B,C:D, or the three thirds by name once the polarity is known. */
static hkd_status read_bands(job *j, const char *text) {
    char list[512], *rest = list;
    if (!text) return HKD_OK;
    snprintf(list, sizeof list, "%s", text);
    for (char *word = list; word; word = rest) {
        double interval[2];
        rest = strchr(word, ',');
        if (rest) *rest++ = 0;
        if (j->count == MOST_BANDS) return hkd_fail(HKD_USAGE, "--band %s: more than %d intervals", text, (int)MOST_BANDS);
        const hkd_status status = hkd_parse_interval(interval, "--band", word);
        if (status) return status;
        band *b = &j->band[j->count];
        *b = (band){interval[0], interval[1], "", ""};
        snprintf(b->title, sizeof b->title, "%.20s", word);
        snprintf(b->name, sizeof b->name, "band_%d", j->count++);
    }
    return HKD_OK;
}

static void name_thirds(job *j) {
    static const char *const names[] = {"low", "middle", "high"};
    const bool ascending = j->polarity_given ? j->polarity_given == 1 : j->polarity.ascending;
    for (int k = 0; k < 3; k++) {
        hkd_band_interval(&j->band[k].from, &j->band[k].to, (hkd_band_name)k, ascending);
        snprintf(j->band[k].title, sizeof j->band[k].title, "%s", names[k]);
        snprintf(j->band[k].name, sizeof j->band[k].name, "%s", names[k]);
    }
    j->count = 3;
}

static hkd_status check_options(job *j, const hkd_args *a, hkd_band_rule *rule) {
    int key = 0;
    *rule = (hkd_band_rule){.dt = -1, .joint = hkd_given(a, "joint")};
    hkd_status status = hkd_arg_choice(&key, a, "sort", "alpha|abs_alpha|growth");
    if (!status) status = hkd_arg_choice(&j->polarity_given, a, "polarity", "auto|ascending|descending");
    if (!status) status = read_bands(j, hkd_arg(a, "band"));
    if (!status) status = hkd_parse_times(&j->times, &j->time_count, "--times", hkd_arg(a, "times"));
    for (size_t t = 0; t < j->time_count && !status; t++)
        if (!(j->times[t] >= 0 && j->times[t] <= 1))
            status = hkd_fail(HKD_USAGE, "--times: %g lies outside [0, 1]", j->times[t]);
    static const char *const files[] = {"csv", "svg"};
    for (int k = 0; k < 2 && !status; k++)
        if (hkd_given(a, files[k])) status = hkd_check_writable(hkd_arg(a, files[k]));
    if (!status && hkd_given(a, "out")) status = hkd_check_sheet_path(hkd_arg(a, "out"));
    rule->key = (hkd_band_key)key;
    return status;
}

/* ---- the cumulative effect -------------------------------------------------------------------------------------------- */

/* Group g of every mode: its band, or the group behind the last one. Overlapping bands are measured one by one instead. */
static hkd_status effect_of_band(job *j, int b) {
    const hkd_model_levels *l = &j->s.levels;
    const double *z[HKD_MAX_LATENTS];
    double time[POINTS], effect[2 * POINTS], share[2 * POINTS];
    hkd_status status = hkd_model_bands_choose(&j->bands, l, j->band[b].from, j->band[b].to);
    for (int64_t k = 0; k < l->count; k++) z[k] = j->z[l->latent[k]];
    for (int i = 0; i < POINTS; i++) {
        j->at[i] = 1 - i / (POINTS - 1.0);
        time[i] = i ? l->T + hkd_dt_from_noise(&j->s.model->config, j->at[i]) : l->T;
    }
    time[POINTS - 1] = l->eps;
    if (!status)
        status = hkd_cumulative_effect(effect, share, z, j->noise.in.n, l->level, l->count,
                                       (const unsigned char *const *)j->bands.mask, 2, l->eps, l->T, time, POINTS);
    if (status) return status;
    memcpy(j->effect + b * POINTS, effect + POINTS, POINTS * sizeof *effect); /* group 1: inside */
    memcpy(j->share + b * POINTS, share + POINTS, POINTS * sizeof *share);
    return HKD_OK;
}

static hkd_status save_text(const char *path, FILE *out, char **text, size_t *size) {
    const bool failed = ferror(out) | fclose(out);
    const hkd_status status = failed ? hkd_fail(HKD_RESOURCES, "out of memory for %s", path)
                              : hkd_write_file(path, *text, *size);
    free(*text);
    return status;
}

static hkd_status save_effect(const job *j, const char *path, bool svg) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    hkd_series series[MOST_BANDS];
    if (!out) return hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
    for (int b = 0; b < j->count; b++) series[b] = (hkd_series){j->band[b].title, HKD_LINE, j->at, j->effect + b * POINTS,
                                                                POINTS};
    if (svg) {
        hkd_svg_plot(out, &(hkd_plot){"Cumulative effect", {.label = "time (1 noise, 0 picture)"},
                                      {.label = "share", .low = 0, .high = 1},
                                      series, j->count, false});
        return save_text(path, out, &text, &size);
    }
    fprintf(out, "time,band,from,to,cumulative_effect,energy_share\n");
    for (int i = 0; i < POINTS; i++)
        for (int b = 0; b < j->count; b++)
            fprintf(out, "%.17g,%s,%.17g,%.17g,%.17g,%.17g\n", j->at[i], j->band[b].title, j->band[b].from, j->band[b].to,
                    j->effect[b * POINTS + i], j->share[b * POINTS + i]);
    return save_text(path, out, &text, &size);
}

/* ---- pictures --------------------------------------------------------------------------------------------------------- */

/* One row for each seed and time; a column for all modes, then one for each band. */
static hkd_status draw(job *j, hkd_column *column, double **pictures, bool quiet) {
    const int64_t n = j->noise.in.n, step = n * j->s.size, rows = n * (int64_t)j->time_count;
    hkd_progress progress;
    hkd_status status = HKD_OK;
    hkd_progress_begin(&progress, "bands", "decode", (int64_t)j->time_count * (j->count + 1), quiet);
    for (int c = 0; c <= j->count && !status; c++) {
        pictures[c] = malloc((size_t)(rows * j->s.size) * sizeof(double) + 1);
        if (!pictures[c]) status = hkd_fail(HKD_RESOURCES, "out of memory for %lld pictures", (long long)rows);
        column[c] = (hkd_column){c ? j->band[c - 1].title : "all", c ? j->band[c - 1].name : "all", pictures[c]};
        if (!status) status = hkd_model_bands_choose(&j->bands, &j->s.levels, c ? j->band[c - 1].from : 0,
                                                     c ? j->band[c - 1].to : 1);
        for (size_t t = 0; t < j->time_count && !status; t++) {
            hkd_inputs_set_dt(&j->noise, hkd_dt_from_noise(&j->s.model->config, j->times[t]));
            status = hkd_model_bands_decode(j->s.model, pictures[c] + (int64_t)t * step, (const double *const *)j->z,
                                            &j->noise.in,
                                            &j->s.levels, &j->bands);
            if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
            hkd_progress_at(&progress, c * (int64_t)j->time_count + (int64_t)t + 1, NULL);
        }
    }
    hkd_progress_end(&progress);
    return status;
}

static hkd_status save_pictures(job *j, const hkd_args *a) {
    const int64_t n = j->noise.in.n, rows = n * (int64_t)j->time_count;
    hkd_column column[MOST_BANDS + 1];
    double *pictures[MOST_BANDS + 1] = {NULL};
    char(*text)[40] = calloc((size_t)rows + 1, sizeof *text);
    const char **label = calloc((size_t)rows + 1, sizeof *label);
    hkd_status status = text && label ? draw(j, column, pictures, hkd_given(a, "quiet"))
                        : hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = 0; i < rows && !status; i++) {
        snprintf(text[i], sizeof text[i], "%llu t%.3g", (unsigned long long)j->noise.seeds[i % n], j->times[i / n]);
        label[i] = text[i];
    }
    const hkd_sheet sheet = {column, j->count + 1, rows, j->s.channels, j->s.side, label, NULL};
    if (!status) status = hkd_save_sheet(hkd_arg(a, "out"), &sheet, a);
    for (int c = 0; c <= j->count; c++) free(pictures[c]);
    free(label);
    free(text);
    return status;
}

/* ---- what was measured ------------------------------------------------------------------------------------------------ */

static void print_table(const job *j) {
    static const char *const third[] = {"lowest third", "middle third", "highest third"};
    const hkd_polarity *p = &j->polarity;
    printf("radial spectrum of %lld pictures: centroid %.4f cycles per picture\n", (long long)p->n, p->whole);
    printf("%-14s %18s %8s %27s\n%-14s %18s %8s %8s %9s %8s\n", "ranks", "centroid without", "RMSE", "change in spatial freq.",
           "", "",
           "", "low", "middle", "high");
    for (int k = 0; k < 3; k++)
        printf("%-14s %9.4f (%+.4f) %8.5f %7.1f%% %8.1f%% %7.1f%%\n", third[k], p->without[k], p->without[k] - p->whole,
               p->change[k],
               100 * p->share[k][0], 100 * p->share[k][1], 100 * p->share[k][2]);
    printf("fine detail (high): the %s, measured; %lld of %lld pictures agree%s\n", p->ascending ? third[2] : third[0],
           (long long)p->agree, (long long)p->n, j->polarity_given ? "; --polarity given" : "");
    printf("%-14s %22s\n", "band", "cumulative effect at 0");
    for (int b = 0; b < j->count; b++) printf("%-14s %22.6f\n", j->band[b].title, j->effect[b * POINTS + POINTS - 1]);
}

static void print_json(const job *j) {
    const hkd_polarity *p = &j->polarity;
    json_t *thirds = json_array(), *bands = json_array();
    for (int k = 0; k < 3; k++)
        json_array_append_new(thirds, json_pack("{s:f, s:f, s:[f,f,f]}", "centroid_without", p->without[k], "rmse",
                                                p->change[k],
                                                "low_middle_high", p->share[k][0], p->share[k][1], p->share[k][2]));
    for (int b = 0; b < j->count; b++)
        json_array_append_new(bands, json_pack("{s:s, s:f, s:f, s:f}", "band", j->band[b].title, "from", j->band[b].from, "to",
                                               j->band[b].to, "cumulative_effect", j->effect[b * POINTS + POINTS - 1]));
    json_t *all = json_pack("{s:f, s:o, s:s, s:I, s:I, s:o}", "centroid", p->whole, "thirds", thirds, "polarity",
                            p->ascending ? "ascending" : "descending", "agree", (json_int_t)p->agree, "pictures",
                                (json_int_t)p->n,
                            "bands", bands);
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status work(job *j, const hkd_args *a, const hkd_band_rule *rule) {
    hkd_status status = hkd_inputs_of_option(&j->noise, j->s.model, a, "seeds");
    if (!status) status = hkd_model_bands_new(&j->bands, &j->s.levels, rule);
    if (!status) status = hkd_latents_new(j->z, j->s.model, j->noise.in.n);
    if (!status) status = hkd_model_encode(j->s.model, j->z, &j->noise.in);
    if (!status)
        status = hkd_model_polarity(&j->polarity, j->s.model, (const double *const *)j->z, &j->noise.in, &j->s.levels,
                                    &j->bands);
    if (!status && !j->count) name_thirds(j);
    for (int b = 0; b < j->count && !status; b++) status = effect_of_band(j, b);
    if (!status && hkd_given(a, "csv")) status = save_effect(j, hkd_arg(a, "csv"), false);
    if (!status && hkd_given(a, "svg")) status = save_effect(j, hkd_arg(a, "svg"), true);
    if (!status && hkd_given(a, "out")) status = save_pictures(j, a);
    if (!status) (hkd_given(a, "json") ? print_json : print_table)(j);
    return status;
}

static hkd_status run(const hkd_args *a) {
    static job j;
    hkd_band_rule rule;
    memset(&j, 0, sizeof j);
    hkd_status status = check_options(&j, a, &rule);
    if (!status) status = hkd_subject_open(&j.s, a);
    if (!status) status = work(&j, a, &rule);
    hkd_model_bands_free(&j.bands);
    hkd_inputs_free(&j.noise);
    hkd_subject_free(&j.s);
    free(j.z[0]);
    free(j.times);
    return status;
}

const hkd_verb hkd_verb_bands = {
    .name = "bands",
    .summary = "what groups of modes carry: pictures of each band alone, spectra, cumulative effect",
    .option = {{"model", "M", NULL, "an HKD model"},
               {"seeds", "LIST", "0-7", "the images"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"band", "A:B,...", NULL, "intervals of ranks; not given: low, middle and high, each a third"},
               {"sort", "KEY", "alpha", "what ranks the modes: alpha, abs_alpha, growth"},
               {"joint", NULL, NULL, "rank all levels together"},
               {"polarity", "HOW", "auto", "which end is high: auto (the end third whose removal lowers the centroid of the "
                                           "pictures' "
                                           "radial spectrum, most), ascending (large keys), descending"},
               {"times", "LIST", "1:0:5", "when the masked latents are decoded (1 noise, 0 picture)"},
               {"out", "F", NULL, "pictures: sheet.png, DIR/, or F.safetensors"},
               {"csv", "F", NULL, "cumulative effect and share of the energy at 51 times"},
               {"svg", "F", NULL, "the cumulative effect as a plot"}},
    .example = {"bands --model M.safetensors --seeds 0-3 --out bands.png --svg effect.svg",
                "bands --model M.safetensors --band 0:1/10,9/10:1 --json"},
    .run = run,
};
