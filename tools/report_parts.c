#include "report.h"

#include "effect.h"
#include "model_edit.h"
#include "edit.h"
#include "model_path.h"
#include "schedule.h"
#include "status.h"
#include "svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 21, STEPS = 18, POINTS = 51, MOST_MODES = 1200 };
static const char *const band_name[] = {"low", "middle", "high"};

static double *pictures(const hkd_report *r, int64_t count) {
    return calloc((size_t)(count * r->s.size) + 1, sizeof(double));
}

static hkd_status no_room(void) { return hkd_fail(HKD_RESOURCES, "out of memory for the report's pictures"); }

/* "seed 7" for each image. */
static const char **seed_titles(const hkd_report *r) {
    const int64_t n = r->noise.in.n;
    const char **title = malloc((size_t)n * (sizeof *title + 32) + 1);
    char *text = title ? (char *)(title + n) : NULL;
    for (int64_t i = 0; title && i < n; i++, text += 32) {
        snprintf(text, 32, "seed %llu", (unsigned long long)r->noise.seeds[i]);
        title[i] = text;
    }
    return title;
}

/* ---- the teacher ---- */

static hkd_status teach(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    hkd_report *r = self;
    hkd_model_input in = r->noise.in;
    (void)size;
    for (int64_t i = 0; i < n; i++) r->noise.sigma[i] = sigma;
    in.x = x;
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : hkd_model_denoise(r->teacher, d, NULL, &in);
}

/* state [count, n, size] at times; the last is the teacher's picture. */
static hkd_status teacher_states(hkd_report *r, double *state, const double *times, int64_t count) {
    const hkd_config *c = &r->s.model->config;
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    const int64_t n = r->noise.in.n;
    double grid[STEPS + 1], level[TIMES], *x = pictures(r, n);
    hkd_status status = x ? hkd_schedule_grid(grid, STEPS, &schedule) : no_room();
    for (int64_t t = 0; t < count; t++) level[t] = times[t] > 0 ? fmin(hkd_level_at(c, times[t]), grid[0]) : 0;
    if (!status) {
        hkd_sampling s = {.denoise = teach, .denoiser = r, .n = n, .size = r->s.size, .seeds = r->noise.seeds};
        memcpy(x, r->noise.x, (size_t)(n * r->s.size) * sizeof *x);
        status = hkd_sample_through(state, level, count, &s, x, grid, STEPS);
    }
    for (int64_t i = 0; i < n; i++) r->noise.sigma[i] = c->sigma_max;
    free(x);
    return status;
}

/* ---- samples ---- */

hkd_status hkd_report_samples(hkd_report *r) {
    static const char *const rows[] = {"one step", "teacher, 35 evaluations"};
    const int64_t n = r->noise.in.n, count = r->teacher ? 2 : 1;
    double *both = pictures(r, 2 * n);
    const double end[] = {0};
    const char **seeds = seed_titles(r);
    int sheet;
    hkd_status status = both && seeds ? HKD_OK : no_room();
    if (!status) memcpy(both, r->samples, (size_t)(n * r->s.size) * sizeof *both);
    if (!status && r->teacher) status = teacher_states(r, both + n * r->s.size, end, 1);
    fputs("<section id=\"samples\"><h2>Samples</h2>\n<p>Each picture is made from the noise of its seed in one pass of the "
          "network.</p>\n", r->out);
    if (!status) status = hkd_report_sheet(&sheet, r, both, count, n);
    if (!status) hkd_report_gallery(r, sheet, rows, count, seeds, n);
    fputs("</section>\n", r->out);
    free(seeds);
    free(both);
    return status;
}

/* ---- trajectory ---- */

/* What is shown of one kind: [n, TIMES, size] from [TIMES, n, size], scaled to the size of the data. */
static hkd_status path_row(hkd_report *r, const double *by_time, const char *title, const double *scale) {
    const int64_t n = r->noise.in.n, size = r->s.size;
    double *by_seed = pictures(r, n * TIMES);
    int sheet;
    hkd_status status = by_seed ? HKD_OK : no_room();
    for (int64_t i = 0; i < n && !status; i++)
        for (int64_t t = 0; t < TIMES; t++)
            for (int64_t e = 0; e < size; e++)
                by_seed[(i * TIMES + t) * size + e] = by_time[(t * n + i) * size + e] * (scale ? scale[t] : 1);
    if (!status) status = hkd_report_sheet(&sheet, r, by_seed, n, TIMES);
    if (!status) {
        fprintf(r->out, "<p>%s</p>\n<div class=\"tiles\" style=\"grid-template-columns:repeat(auto-fill,minmax(64px,96px))\">",
                title);
        for (int64_t i = 0; i < n; i++) hkd_report_tile(r, sheet, i, -1, title);
        fputs("</div>\n", r->out);
    }
    free(by_seed);
    return status;
}

static hkd_status teacher_rows(hkd_report *r, double *state, const double *times) {
    const hkd_config *c = &r->s.model->config;
    double scale[TIMES];
    hkd_status status = teacher_states(r, state, times, TIMES);
    for (int t = 0; t < TIMES; t++) {
        const double sigma = times[t] > 0 ? hkd_level_at(c, times[t]) : 0;
        scale[t] = c->sigma_data / sqrt(sigma * sigma + c->sigma_data * c->sigma_data);
    }
    if (!status) status = path_row(r, state, "The teacher's state at the same noise level, shown at the size of the data",
                                   scale);
    for (int64_t t = 0; t < TIMES && !status; t++) { /* each is replaced by what the model makes of it */
        hkd_model_input in = r->noise.in;
        double *x = state + t * in.n * r->s.size;
        in.x = x;
        in.dt = NULL;
        for (int64_t i = 0; i < in.n; i++) r->noise.sigma[i] = hkd_level_at(c, times[t]);
        double *d = pictures(r, in.n);
        status = d ? hkd_model_denoise(r->s.model, d, NULL, &in) : no_room();
        if (!status) memcpy(x, d, (size_t)(in.n * r->s.size) * sizeof *d);
        free(d);
    }
    for (int64_t i = 0; i < r->noise.in.n; i++) r->noise.sigma[i] = c->sigma_max;
    if (status) return status;
    return path_row(r, state, "What the model makes of that state, in one step: consistent if it does not change", NULL);
}

hkd_status hkd_report_path(hkd_report *r) {
    const int64_t n = r->noise.in.n;
    double times[TIMES], *all = pictures(r, n * TIMES);
    hkd_status status = all ? HKD_OK : no_room();
    fputs("<section id=\"path\"><h2>Trajectory</h2>\n<p>The encoder runs once, on noise (time 1). Its latents are moved to any "
          "time by the operators, z(t) = exp((t - 1) A) z(1), and decoded. At time 0 this is the sample.</p>\n"
          "<div class=\"controls\"><label for=\"time\">Time</label><input id=\"time\" type=\"range\" min=\"0\" ", r->out);
    fprintf(r->out, "max=\"%d\" value=\"%d\" data-labels=\"", TIMES - 1, TIMES - 1);
    for (int t = 0; t < TIMES; t++) {
        times[t] = 1 - t / (TIMES - 1.0);
        fprintf(r->out, "%st = %.2f, sigma = %.4g", t ? "|" : "", times[t], hkd_level_at(&r->s.model->config, times[t]));
    }
    fputs("\"><output id=\"time-label\" for=\"time\"></output></div>\n", r->out);
    for (int t = 0; t < TIMES && !status; t++) {
        hkd_inputs_set_dt(&r->noise, hkd_dt_from_noise(&r->s.model->config, times[t]));
        status = hkd_model_decode(r->s.model, all + t * n * r->s.size, NULL, (const double *const *)r->z, &r->noise.in);
    }
    r->noise.in.dt = NULL;
    if (!status) status = path_row(r, all, "The model's state, decoded", NULL);
    if (!status && r->teacher) status = teacher_rows(r, all, times);
    fputs("</section>\n", r->out);
    free(all);
    return status;
}

/* ---- spectrum ---- */

/* The eigenvalues of one level, a series for each third of ranks; of very many modes every k-th is taken. */
typedef struct {
    int64_t count[3], stride;
    double alpha[3][MOST_MODES + 1], beta[3][MOST_MODES + 1], re[3][MOST_MODES + 1], im[3][MOST_MODES + 1];
} eigenvalues;

static hkd_status collect(eigenvalues *e, hkd_report *r, int64_t k, double dt) {
    const int64_t modes = hkd_mode_count(&r->s.levels.level[k]);
    e->stride = (modes + MOST_MODES - 1) / MOST_MODES;
    for (int b = 0; b < 3; b++) {
        double from, to;
        hkd_band_interval(&from, &to, (hkd_band_name)b, r->polarity.ascending);
        const hkd_status status = hkd_model_bands_choose(&r->bands, &r->s.levels, from, to);
        if (status) return status;
        e->count[b] = 0;
        for (int64_t m = 0; m < modes; m += e->stride) {
            const hkd_mode mode = hkd_mode_at(r->s.levels.level, k, m);
            const hkd_complex step = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt);
            const int64_t i = e->count[b];
            if (!r->bands.mask[k][m]) continue;
            e->alpha[b][i] = mode.alpha, e->beta[b][i] = mode.beta;
            e->re[b][i] = step.re, e->im[b][i] = step.im;
            e->count[b]++;
        }
    }
    return HKD_OK;
}

static hkd_status plot_level(hkd_report *r, int64_t k) {
    const hkd_level *v = &r->s.levels.level[k];
    const double dt = r->s.levels.eps - r->s.levels.T;
    hkd_series continuous[3], discrete[3];
    char title[128];
    eigenvalues *e = malloc(sizeof *e);
    const hkd_status status = e ? collect(e, r, k, dt) : no_room();
    for (int b = 0; b < 3 && !status; b++) {
        continuous[b] = (hkd_series){band_name[b], HKD_POINTS, e->alpha[b], e->beta[b], e->count[b]};
        discrete[b] = (hkd_series){band_name[b], HKD_POINTS, e->re[b], e->im[b], e->count[b]};
    }
    if (!status) {
        snprintf(title, sizeof title, "%s, %lldx%lldx%lld: alpha and beta", r->s.levels.name[k], (long long)v->d,
                 (long long)v->h,
                 (long long)v->w);
        fprintf(r->out, "<div class=\"eigen\" data-level=\"%lld\" hidden>", (long long)k + 1);
        hkd_svg_plot(r->out, &(hkd_plot){title, {.label = "alpha"}, {.label = "beta"}, continuous, 3, false});
        snprintf(title, sizeof title, "Eigenvalues of one step, dt = %g", dt);
        hkd_svg_plot(r->out, &(hkd_plot){title, {.label = "real"}, {.label = "imaginary"}, discrete, 3, true});
        if (e->stride > 1) fprintf(r->out, "<p>Of %lld modes every %lldth is drawn.</p>", (long long)hkd_mode_count(v),
                                   (long long)e->stride);
        fputs("</div>\n", r->out);
    }
    free(e);
    return status;
}

/* The mean of alpha on each level, by band. */
static hkd_status plot_all(hkd_report *r) {
    const hkd_model_levels *l = &r->s.levels;
    double at[HKD_MAX_LATENTS], mean[3][HKD_MAX_LATENTS];
    hkd_series series[3];
    for (int b = 0; b < 3; b++) {
        double from, to;
        hkd_band_interval(&from, &to, (hkd_band_name)b, r->polarity.ascending);
        const hkd_status status = hkd_model_bands_choose(&r->bands, l, from, to);
        if (status) return status;
        for (int64_t k = 0; k < l->count; k++) {
            double sum = 0, count = 0;
            for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++)
                if (r->bands.mask[k][m]) sum += l->level[k].a[m], count++;
            at[k] = (double)k + 1;
            mean[b][k] = count > 0 ? sum / count : NAN;
        }
        series[b] = (hkd_series){band_name[b], l->count > 1 ? HKD_LINE : HKD_POINTS, at, mean[b], l->count};
    }
    fputs("<div class=\"eigen\" data-level=\"0\">", r->out);
    hkd_svg_plot(r->out, &(hkd_plot){"Mean real part (alpha) of each third", {.label = "level"}, {.label = "alpha"}, series, 3,
                                     false});
    fputs("</div>\n", r->out);
    return HKD_OK;
}

/* d [n, size]: one band alone, on every level (level 0) or on one, where the others stay whole. Band 0 is everything. */
static hkd_status band_picture(hkd_report *r, double *d, int64_t level, int b) {
    double from = 0, to = 1;
    if (b) hkd_band_interval(&from, &to, (hkd_band_name)(b - 1), r->polarity.ascending);
    const hkd_status status = hkd_model_bands_choose(&r->bands, &r->s.levels, from, to);
    for (int64_t k = 0; k < r->s.levels.count && !status; k++)
        if (level && k != level - 1) memset(r->bands.mask[k], 1, (size_t)hkd_mode_count(&r->s.levels.level[k]));
    if (status) return status;
    return hkd_model_bands_decode(r->s.model, d, (const double *const *)r->z, &r->noise.in, &r->s.levels, &r->bands);
}

static hkd_status band_tiles(hkd_report *r) {
    const int64_t n = r->noise.in.n, columns = 4 * (r->s.levels.count + 1), size = r->s.size;
    double *all = pictures(r, n * columns), *d = pictures(r, n);
    int sheet;
    hkd_status status = all && d ? HKD_OK : no_room();
    for (int64_t c = 0; c < columns && !status; c++) {
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : band_picture(r, d, c / 4, (int)(c % 4));
        for (int64_t i = 0; i < n && !status; i++) memcpy(all + (i * columns + c) * size, d + i * size,
                                                          (size_t)size * sizeof *d);
    }
    if (!status) status = hkd_report_sheet(&sheet, r, all, n, columns);
    fputs("<div><div class=\"tiles\" style=\"grid-template-columns:repeat(auto-fill,minmax(64px,96px))\">", r->out);
    for (int64_t i = 0; i < n && !status; i++) hkd_report_tile(r, sheet, i, -1, "decoded from the chosen band");
    fputs("</div>\n<p>Decoded from the chosen third of modes alone. With one level chosen the other levels stay "
          "whole.</p></div>\n", r->out);
    free(d);
    free(all);
    return status;
}

hkd_status hkd_report_spectrum(hkd_report *r) {
    char text[320];
    fputs("<section id=\"spectrum\" data-band=\"all\"><h2>Spectrum</h2>\n<div class=\"controls\"><label>Level <select "
          "id=\"level\"><option value=\"0\">all</option>", r->out);
    for (int64_t k = 0; k < r->s.levels.count; k++)
        fprintf(r->out, "<option value=\"%lld\">%lld: %s</option>", (long long)k + 1, (long long)k + 1, r->s.levels.name[k]);
    fputs("</select></label><fieldset><legend>Band of ranks by alpha</legend>", r->out);
    for (int b = 0; b < 4; b++)
        fprintf(r->out, "<label><input type=\"radio\" name=\"band\" value=\"%s\" data-number=\"%d\"%s> %s</label>",
                b ? band_name[b - 1] : "all", b, b ? "" : " checked", b ? band_name[b - 1] : "all");
    fputs("</fieldset></div>\n<div class=\"plots\"><div>\n", r->out);
    hkd_status status = plot_all(r);
    for (int64_t k = 0; k < r->s.levels.count && !status; k++) status = plot_level(r, k);
    fputs("</div>\n", r->out);
    if (!status) status = band_tiles(r);
    hkd_polarity_text(text, sizeof text, &r->polarity);
    fputs("</div>\n<p>", r->out);
    hkd_svg_text(r->out, text);
    fputs(".</p>\n", r->out);
    fputs("<p>How to read a spectrum: the encoder is told the noise level, so many operators A describe the same pictures: "
          "what the encoder absorbs need not be in A. A spectrum is a property of this model, and only in part of the "
          "data.</p></section>\n", r->out);
    return status;
}

hkd_status hkd_report_effect(hkd_report *r) {
    const hkd_model_levels *l = &r->s.levels;
    const double *z[HKD_MAX_LATENTS];
    double at[POINTS], time[POINTS], effect[3][2 * POINTS];
    hkd_series series[3];
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < l->count; k++) z[k] = r->z[l->latent[k]];
    for (int i = 0; i < POINTS; i++) {
        at[i] = 1 - i / (POINTS - 1.0);
        time[i] = i == 0 ? l->T : i == POINTS - 1 ? l->eps : l->T + hkd_dt_from_noise(&r->s.model->config, at[i]);
    }
    for (int b = 0; b < 3 && !status; b++) {
        double from, to;
        hkd_band_interval(&from, &to, (hkd_band_name)b, r->polarity.ascending);
        status = hkd_model_bands_choose(&r->bands, l, from, to);
        if (!status)
            status = hkd_cumulative_effect(effect[b], NULL, z, r->noise.in.n, l->level, l->count,
                                           (const unsigned char *const *)r->bands.mask, 2, l->eps, l->T, time, POINTS);
        series[b] = (hkd_series){band_name[b], HKD_LINE, at, effect[b] + POINTS, POINTS};
    }
    fputs("<section id=\"effect\"><h2>Cumulative effect</h2>\n<p>The share of each band in the energy of all latents that the "
          "path has passed through, from noise (1) to the picture (0). At 0 the shares add up to 1.</p>\n<div class=\"plots\">",
          r->out);
    if (!status)
        hkd_svg_plot(r->out, &(hkd_plot){"Cumulative effect", {.label = "time"}, {.label = "share", .low = 0, .high = 1},
                                         series, 3, false});
    fputs("</div></section>\n", r->out);
    return status;
}

/* ---- edits ---- */

enum { EDITS = 6 };

static hkd_status edit_all(hkd_report *r, double *all, const hkd_inputs *reference, const double *region) {
    static const double ratio[EDITS] = {0.1, 0.2, 0.5, 0.8, 0.9, 0.9};
    const int64_t n = r->noise.in.n, size = r->s.size;
    double from, to, *d = pictures(r, n);
    hkd_band_interval(&from, &to, HKD_BAND_HIGH, r->polarity.ascending);
    hkd_status status = d ? hkd_model_bands_choose(&r->bands, &r->s.levels, from, to) : no_room();
    for (int c = 0; c < EDITS + 2 && !status; c++) {
        const hkd_edit_rule rule = {c >= 2 ? ratio[c - 2] : 0, c == EDITS + 1 ? NULL : r->bands.mask, region};
        if (c == 0) memcpy(d, r->samples, (size_t)(n * size) * sizeof *d);
        else if (c == 1) status = hkd_model_denoise(r->s.model, d, NULL, &reference->in);
        else status = hkd_model_edit(r->s.model, d, &r->noise.in, &reference->in, &r->s.levels, &rule);
        for (int64_t i = 0; i < n && !status; i++) memcpy(all + (i * (EDITS + 2) + c) * size, d + i * size,
                                                          (size_t)size * sizeof *d);
    }
    free(d);
    return status;
}

hkd_status hkd_report_edits(hkd_report *r) {
    static const char *const columns[] = {"image", "reference", "10 %", "20 %", "50 %", "80 %", "90 %", "all 90 %"};
    const int64_t n = r->noise.in.n, side = r->s.side;
    hkd_inputs reference = {.seeds = NULL};
    uint64_t *seeds = malloc((size_t)n * sizeof *seeds + 1);
    double *all = pictures(r, n * (EDITS + 2)), *region = malloc((size_t)(side * side) * sizeof *region + 1);
    const char **rows = seed_titles(r);
    int sheet;
    hkd_status status = seeds && all && region && rows ? HKD_OK : no_room();
    for (int64_t i = 0; i < n && !status; i++) seeds[i] = r->noise.seeds[(i + 1) % n] + (n == 1);
    if (!status) hkd_region_triangle(region, side, side);
    if (!status) status = hkd_inputs_of_seeds(&reference, r->s.model, seeds, (size_t)n);
    if (!status) status = hkd_inputs_set_class(&reference, r->s.model, r->args, "class");
    if (!status) status = edit_all(r, all, &reference, region);
    fputs("<section id=\"edits\"><h2>Edits</h2>\n<p>In the lower left half, the high band of the next seed's picture is mixed "
          "into each picture; in the last column all bands. Mixing commutes with the operators: at which time it is done makes "
          "no difference.</p>\n", r->out);
    if (!status) status = hkd_report_sheet(&sheet, r, all, n, EDITS + 2);
    if (!status) hkd_report_gallery(r, sheet, rows, n, columns, EDITS + 2);
    fputs("</section>\n", r->out);
    hkd_inputs_free(&reference);
    free(rows);
    free(region);
    free(all);
    free(seeds);
    return status;
}
