/* hkd bands - what groups of modes carry: the pictures of each third alone, over time; which end is fine detail, measured; and
 * the cumulative effect (the paper's Figure 4). */
#include "effect.h"
#include "files.h"
#include "image_spectrum.h"
#include "lists.h"
#include "measure.h"
#include "os.h"
#include "pictures.h"
#include "plots.h"
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
    char title[40], name[40];
} band;

typedef struct {
    hkd_subject s;
    hkd_inputs noise;
    hkd_model_bands bands;
    hkd_polarity polarity;
    band band[MOST_BANDS];
    hkd_band_mark mark[MOST_BANDS];        /* its ranks, and what it does to the pictures of --seeds */
    double whole, *power;                  /* their centroid; radial power [1 + 2 count, shells]: whole, then without, change */
    int count, polarity_given;             /* 0 auto, 1 ascending, 2 descending */
    bool named;                            /* the bands are low, middle, high */
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
        j->mark[j->count].from = interval[0];
        j->mark[j->count].to = interval[1];
        snprintf(b->title, sizeof b->title, "%.20s", word);
        snprintf(b->name, sizeof b->name, "band_%d", j->count++);
    }
    return HKD_OK;
}

static void name_thirds(job *j) {
    static const char *const names[] = {"low", "middle", "high"};
    const bool ascending = j->polarity_given ? j->polarity_given == 1 : j->polarity.ascending;
    for (int k = 0; k < 3; k++) {
        hkd_band_interval(&j->mark[k].from, &j->mark[k].to, (hkd_band_name)k, ascending);
        snprintf(j->band[k].title, sizeof j->band[k].title, "%s", names[k]);
        snprintf(j->band[k].name, sizeof j->band[k].name, "%s", names[k]);
    }
    j->count = 3;
}

static hkd_status check_options(job *j, const hkd_args *a, hkd_band_rule *rule) {
    hkd_status status = hkd_rule_of_options(rule, a);
    if (!status) status = hkd_arg_choice(&j->polarity_given, a, "polarity", "auto|ascending|descending");
    if (!status) status = read_bands(j, hkd_arg(a, "band"));
    if (!status) status = hkd_parse_times(&j->times, &j->time_count, "--times", hkd_arg(a, "times"));
    for (size_t t = 0; t < j->time_count && !status; t++)
        if (!(j->times[t] >= 0 && j->times[t] <= 1))
            status = hkd_fail(HKD_USAGE, "--times: %g lies outside [0, 1]", j->times[t]);
    static const char *const files[] = {"csv", "svg", "radial"};
    for (int k = 0; k < 3 && !status; k++)
        if (hkd_given(a, files[k])) status = hkd_check_writable(hkd_arg(a, files[k]));
    if (!status && hkd_given(a, "out")) status = hkd_check_sheet_path(hkd_arg(a, "out"));
    j->named = !j->count;
    return status;
}

/* ---- the cumulative effect -------------------------------------------------------------------------------------------- */

/* A mode's group is the set of bands that it is in, one bit for each: bands may overlap, groups do not. */
static hkd_status group_modes(job *j, unsigned char **group) {
    const hkd_model_levels *l = &j->s.levels;
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < l->count; k++) {
        group[k] = calloc((size_t)hkd_mode_count(&l->level[k]) + 1, 1);
        if (!group[k]) return hkd_fail(HKD_RESOURCES, "out of memory for the modes");
    }
    for (int b = 0; b < j->count && !status; b++) {
        status = hkd_model_bands_choose(&j->bands, l, j->mark[b].from, j->mark[b].to);
        for (int64_t k = 0; k < l->count; k++)
            for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++)
                group[k][m] = (unsigned char)(group[k][m] | j->bands.mask[k][m] << b);
    }
    return status;
}

static hkd_status measure_effect(job *j) {
    enum { GROUPS = 1 << MOST_BANDS };
    static double effect[GROUPS * POINTS], share[GROUPS * POINTS];
    const hkd_model_levels *l = &j->s.levels;
    const double *z[HKD_MAX_LATENTS];
    unsigned char *group[HKD_MAX_LATENTS] = {NULL};
    double time[POINTS];
    hkd_status status = group_modes(j, group);
    for (int64_t k = 0; k < l->count; k++) z[k] = j->z[l->latent[k]];
    for (int i = 0; i < POINTS; i++) {
        j->at[i] = 1 - i / (POINTS - 1.0);
        time[i] = i ? l->T + hkd_dt_from_noise(&j->s.model->config, j->at[i]) : l->T;
    }
    time[POINTS - 1] = l->eps;
    if (!status)
        status = hkd_cumulative_effect(effect, share, z, j->noise.in.n, l->level, l->count,
                                       (const unsigned char *const *)group, GROUPS, l->eps, l->T, time, POINTS);
    for (int b = 0; b < j->count && !status; b++)
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < POINTS && (g >> b & 1); i++) {
                j->effect[b * POINTS + i] += effect[g * POINTS + i];
                j->share[b * POINTS + i] += share[g * POINTS + i];
            }
    for (int64_t k = 0; k < l->count; k++) free(group[k]);
    return status;
}

static hkd_status save_effect(const job *j, const char *path, bool svg) {
    hkd_draft draft;
    hkd_series series[MOST_BANDS];
    const hkd_status status = hkd_draft_open(&draft);
    if (status) return status;
    FILE *out = draft.out;
    for (int b = 0; b < j->count; b++) series[b] = (hkd_series){j->band[b].title, HKD_LINE, j->at, j->effect + b * POINTS,
                                                                POINTS};
    if (svg) {
        hkd_svg_plot(out, &(hkd_plot){"Cumulative effect", {.label = "time (1 noise, 0 picture)"},
                                      {.label = "share", .low = 0, .high = 1},
                                      series, j->count, false});
        return hkd_draft_save(&draft, path);
    }
    fprintf(out, "time,band,from,to,cumulative_effect,energy_share\n");
    for (int i = 0; i < POINTS; i++)
        for (int b = 0; b < j->count; b++)
            fprintf(out, "%.17g,%s,%.17g,%.17g,%.17g,%.17g\n", j->at[i], j->band[b].title, j->mark[b].from, j->mark[b].to,
                    j->effect[b * POINTS + i], j->share[b * POINTS + i]);
    return hkd_draft_save(&draft, path);
}

/* ---- the radial spectrum ---------------------------------------------------------------------------------------------- */

static hkd_status measure_marks(job *j, bool quiet) {
    const int64_t shells = hkd_spectrum_shells(j->s.side, j->s.side);
    hkd_progress bar;
    j->power = calloc((size_t)((1 + 2 * j->count) * shells) + 1, sizeof *j->power);
    if (!j->power) return hkd_fail(HKD_RESOURCES, "out of memory for the spectra");
    for (int b = 0; b < j->count; b++) {
        j->mark[b].power_without = j->power + (1 + 2 * b) * shells;
        j->mark[b].power_change = j->power + (2 + 2 * b) * shells;
    }
    hkd_progress_begin(&bar, "spectra", "img", j->noise.in.n, quiet);
    const hkd_ticker ticker = hkd_progress_ticker(&bar);
    const hkd_status status = hkd_model_band_marks(j->mark, j->count, &j->whole, j->power, j->s.model, &j->noise.in,
                                                   &j->s.levels, &j->bands, &ticker);
    hkd_progress_end(&bar);
    return status;
}

static hkd_status save_radial(const job *j, const char *path) {
    const int64_t shells = hkd_spectrum_shells(j->s.side, j->s.side);
    const double *change[MOST_BANDS];
    const char *title[MOST_BANDS];
    hkd_draft draft;
    hkd_status status = hkd_draft_open(&draft);
    if (status) return status;
    FILE *out = draft.out;
    for (int b = 0; b < j->count; b++) change[b] = j->mark[b].power_change, title[b] = j->band[b].title;
    if (hkd_ends_with(path, ".svg")) {
        status = hkd_plot_radial(out, j->s.side, j->power, change, title, j->count);
    } else {
        fprintf(out, "cycles,whole");
        for (int b = 0; b < j->count; b++) fprintf(out, ",without_%s,change_%s", j->band[b].title, j->band[b].title);
        for (int64_t k = 0; k < shells; k++) {
            fprintf(out, "\n%s%lld", k == shells - 1 ? ">" : "", (long long)(k == shells - 1 ? k - 1 : k));
            for (int c = 0; c <= 2 * j->count; c++) fprintf(out, ",%.9g", j->power[c * shells + k]);
        }
        fputc('\n', out);
    }
    if (!status) return hkd_draft_save(&draft, path);
    hkd_draft_abandon(&draft);
    return status;
}

/* ---- pictures --------------------------------------------------------------------------------------------------------- */

/* pictures[c] [times, n, size]: column 0 all modes, then one for each band. */
static hkd_status draw(job *j, double **pictures, bool quiet) {
    const int64_t n = j->noise.in.n, step = n * j->s.size, rows = n * (int64_t)j->time_count;
    hkd_progress progress;
    hkd_status status = HKD_OK;
    hkd_progress_begin(&progress, "bands", "decode", (int64_t)j->time_count * (j->count + 1), quiet);
    const hkd_ticker ticker = hkd_progress_ticker(&progress);
    for (int c = 0; c <= j->count && !status; c++) {
        pictures[c] = malloc((size_t)(rows * j->s.size) * sizeof(double) + 1);
        if (!pictures[c]) status = hkd_fail(HKD_RESOURCES, "out of memory for %lld pictures", (long long)rows);
        if (!status)
            status = hkd_model_bands_choose(&j->bands, &j->s.levels, c ? j->mark[c - 1].from : 0, c ? j->mark[c - 1].to : 1);
        for (size_t t = 0; t < j->time_count && !status; t++) {
            hkd_inputs_set_dt(&j->noise, hkd_dt_from_noise(&j->s.model->config, j->times[t]));
            status = hkd_model_bands_decode(j->s.model, pictures[c] + (int64_t)t * step, (const double *const *)j->z,
                                            &j->noise.in, &j->s.levels, &j->bands);
            if (!status) status = hkd_tick(&ticker, c * (int64_t)j->time_count + (int64_t)t + 1, 0);
        }
    }
    hkd_progress_end(&progress);
    return status;
}

/* What a sheet needs besides the pictures. */
typedef struct {
    hkd_column *column;
    double **by_time;
    char (*text)[64];
    const char **label;
} sheet_room;

/* A column for each time, and a row for each seed and band. */
static hkd_status by_time(job *j, double *const *pictures, sheet_room *r, const hkd_args *a) {
    const int64_t n = j->noise.in.n, rows = n * (j->count + 1), size = j->s.size, times = (int64_t)j->time_count;
    for (int64_t t = 0; t < times; t++) {
        r->by_time[t] = malloc((size_t)(rows * size) * sizeof(double) + 1);
        if (!r->by_time[t]) return hkd_fail(HKD_RESOURCES, "out of memory for %lld pictures", (long long)rows);
        for (int64_t i = 0; i < rows; i++)
            memcpy(r->by_time[t] + i * size, pictures[i % (j->count + 1)] + (t * n + i / (j->count + 1)) * size,
                   (size_t)size * sizeof(double));
        snprintf(r->text[rows + t], sizeof *r->text, "t=%.3g", j->times[t]);
        r->column[t] = (hkd_column){r->text[rows + t], r->text[rows + t], r->by_time[t]};
    }
    for (int64_t i = 0; i < rows; i++) {
        const int64_t c = i % (j->count + 1);
        snprintf(r->text[i], sizeof *r->text, "%llu %s", (unsigned long long)j->noise.seeds[i / (j->count + 1)],
                 c ? j->band[c - 1].title : "all");
        r->label[i] = r->text[i];
    }
    const hkd_sheet sheet = {r->column, (int)times, rows, j->s.channels, j->s.side, r->label, NULL};
    return hkd_save_sheet(hkd_arg(a, "out"), &sheet, a);
}

/* A column (a tensor, a name) for each band, and in it all times of all seeds. */
static hkd_status by_band(job *j, double *const *pictures, sheet_room *r, const hkd_args *a) {
    for (int c = 0; c <= j->count; c++)
        r->column[c] = (hkd_column){c ? j->band[c - 1].title : "all", c ? j->band[c - 1].name : "all", pictures[c]};
    const hkd_sheet sheet = {r->column, j->count + 1, j->noise.in.n * (int64_t)j->time_count, j->s.channels, j->s.side, NULL,
                             NULL};
    return hkd_save_sheet(hkd_arg(a, "out"), &sheet, a);
}

static hkd_status save_pictures(job *j, const hkd_args *a) {
    const size_t rows = (size_t)j->noise.in.n * (MOST_BANDS + 1), times = j->time_count;
    double *pictures[MOST_BANDS + 1] = {NULL};
    sheet_room r = {calloc(times + MOST_BANDS + 1, sizeof *r.column), calloc(times + 1, sizeof *r.by_time),
                    calloc(rows + times, sizeof *r.text), calloc(rows, sizeof *r.label)};
    const bool good = r.column && r.by_time && r.text && r.label;
    hkd_status status = good ? draw(j, pictures, hkd_given(a, "quiet")) : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) status = (hkd_names_picture(hkd_arg(a, "out")) ? by_time : by_band)(j, pictures, &r, a);
    for (int c = 0; c <= j->count; c++) free(pictures[c]);
    for (size_t t = 0; t < times && r.by_time; t++) free(r.by_time[t]);
    free(r.column);
    free(r.by_time);
    free(r.text);
    free(r.label);
    return status;
}

/* ---- what was measured ------------------------------------------------------------------------------------------------ */

static void print_table(const job *j) {
    char text[320];
    printf("%lld pictures: centroid of the radial spectrum %.4f cycles per picture\n", (long long)j->noise.in.n, j->whole);
    printf("%-12s %15s %18s %8s %26s %10s\n", "band", "ranks", "centroid without", "RMSE", "change: low middle high", "effect");
    for (int b = 0; b < j->count; b++) {
        const hkd_band_mark *m = &j->mark[b];
        printf("%-12s %7.4g %7.4g %8.4f (%+.4f) %8.5f %7.1f%% %7.1f%% %7.1f%% %10.6f\n", j->band[b].title, m->from, m->to,
               m->without, m->without - j->whole, m->change, 100 * m->share[0], 100 * m->share[1], 100 * m->share[2],
               j->effect[b * POINTS + POINTS - 1]);
    }
    if (!j->named) return;
    if (j->polarity_given) snprintf(text, sizeof text, "high is the %s ranks: --polarity", j->polarity_given == 1 ? "highest"
                                                                                           : "lowest");
    else hkd_polarity_text(text, sizeof text, &j->polarity);
    printf("%s\n", text);
}

static void print_json(const job *j) {
    json_t *bands = json_array();
    for (int b = 0; b < j->count; b++) {
        const hkd_band_mark *m = &j->mark[b];
        json_array_append_new(bands, json_pack("{s:s, s:f, s:f, s:f, s:f, s:[f,f,f], s:f}", "band", j->band[b].title, "from",
                                               m->from, "to", m->to, "centroid_without", m->without, "rmse", m->change,
                                               "low_middle_high", m->share[0], m->share[1], m->share[2], "cumulative_effect",
                                               j->effect[b * POINTS + POINTS - 1]));
    }
    json_t *all = json_pack("{s:f, s:I, s:o}", "centroid", j->whole, "pictures", (json_int_t)j->noise.in.n, "bands", bands);
    if (j->named && !j->polarity_given) json_object_set_new(all, "polarity", hkd_polarity_json(&j->polarity));
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status work(job *j, const hkd_args *a, const hkd_band_rule *rule) {
    hkd_status status = hkd_inputs_of_option(&j->noise, j->s.model, a, "seeds");
    if (!status) status = hkd_rank_modes(&j->bands, &j->s, rule, hkd_given(a, "quiet"));
    if (!status) status = hkd_latents_new(j->z, j->s.model, j->noise.in.n);
    if (!status) status = hkd_model_encode(j->s.model, j->z, &j->noise.in);
    if (!status && j->named && !j->polarity_given)
        status = hkd_measure_polarity(&j->polarity, &j->s, &j->bands, hkd_given(a, "quiet"));
    if (!status && j->named) name_thirds(j);
    if (!status) status = measure_marks(j, hkd_given(a, "quiet"));
    if (!status) status = measure_effect(j);
    if (!status && hkd_given(a, "csv")) status = save_effect(j, hkd_arg(a, "csv"), false);
    if (!status && hkd_given(a, "svg")) status = save_effect(j, hkd_arg(a, "svg"), true);
    if (!status && hkd_given(a, "radial")) status = save_radial(j, hkd_arg(a, "radial"));
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
    free(j.power);
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
               {"sort", "KEY", "alpha", HKD_SORT_HELP},
               {"joint", NULL, NULL, "rank all levels together"},
               {"polarity", "HOW", "auto", "which end is high: ascending (large keys), descending, or auto: measured on 64 "
                                           "fixed pictures, whatever --seeds are. Of the two end thirds it is the one "
                                           "whose removal leaves the lower centroid of the radial spectrum: fine detail is "
                                           "what takes high frequencies with it when it goes. (\"Moves the spectrum up\", "
                                           "the reverse, would call coarse structure high.) Undecided, when the 95 % interval "
                                           "of the difference holds 0: then high is by convention the end of the largest "
                                           "alpha"},
               {"times", "LIST", "1:0:5", "when the masked latents are decoded (1 noise, 0 picture)"},
               {"out", "F", NULL, "pictures: sheet.png, DIR/, or F.safetensors"},
               {"csv", "F", NULL, "cumulative effect and share of the energy at 51 times"},
               {"svg", "F", NULL, "the cumulative effect as a plot"},
               {"radial", "F", NULL, "radial power spectra: of the pictures, without each band, of the change; .csv or .svg"}},
    .example = {"bands --model M.safetensors --seeds 0-3 --out bands.png --svg effect.svg",
                "bands --model M.safetensors --band 0:1/10,9/10:1 --radial radial.svg --json"},
    .run = run,
};
