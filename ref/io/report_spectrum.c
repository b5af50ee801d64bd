#include "report.h"

#include "effect.h"
#include "image_spectrum.h"
#include "plots.h"
#include "status.h"
#include "svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 51, MOST_MODES = 1200 };
static const char *const band_name[] = {"low", "middle", "high"};

/* The eigenvalues of one level, a series for each third of ranks; of very many modes every k-th is taken. */
typedef struct {
    int64_t count[3], stride;
    double alpha[3][MOST_MODES + 1], beta[3][MOST_MODES + 1], re[3][MOST_MODES + 1], im[3][MOST_MODES + 1];
} eigenvalues;

static hkd_status collect(eigenvalues *e, hkd_report *r, int64_t k, double dt) {
    const int64_t modes = hkd_mode_count(&r->levels.level[k]);
    e->stride = (modes + MOST_MODES - 1) / MOST_MODES;
    for (int b = 0; b < 3; b++) {
        double from, to;
        hkd_band_interval(&from, &to, (hkd_band_name)b, r->polarity.ascending);
        const hkd_status status = hkd_model_bands_choose(&r->bands, &r->levels, from, to);
        if (status) return status;
        e->count[b] = 0;
        for (int64_t m = 0; m < modes; m += e->stride) {
            const hkd_mode mode = hkd_mode_at(r->levels.level, k, m);
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
    const hkd_level *v = &r->levels.level[k];
    const double dt = r->levels.eps - r->levels.T;
    hkd_series continuous[3], discrete[3];
    char title[128];
    eigenvalues *e = malloc(sizeof *e);
    hkd_status status = e ? collect(e, r, k, dt) : hkd_report_no_room();
    for (int b = 0; b < 3 && !status; b++) {
        continuous[b] = (hkd_series){band_name[b], HKD_POINTS, e->alpha[b], e->beta[b], e->count[b]};
        discrete[b] = (hkd_series){band_name[b], HKD_POINTS, e->re[b], e->im[b], e->count[b]};
    }
    if (!status) {
        snprintf(title, sizeof title, "%s, %lldx%lldx%lld: alpha and beta", r->levels.name[k], (long long)v->d,
                 (long long)v->h,
                 (long long)v->w);
        fprintf(r->out, "<div class=\"eigen plots\" data-level=\"%lld\" hidden>", (long long)k + 1);
        hkd_svg_plot(r->out, &(hkd_plot){title, {.label = "alpha"}, {.label = "beta"}, continuous, 3, false});
        snprintf(title, sizeof title, "Eigenvalues of one step, dt = %g", dt);
        hkd_svg_plot(r->out, &(hkd_plot){title, {.label = "real"}, {.label = "imaginary"}, discrete, 3, true});
    }
    const int64_t stride = e ? e->stride : 1;
    free(e);
    if (status) return status;
    hkd_plot_histogram(r->out, &r->levels, k, HKD_ALPHA);
    hkd_plot_histogram(r->out, &r->levels, k, HKD_BETA);
    if (v->ah * v->aw > 1) {
        status = hkd_plot_alpha_map(r->out, &r->levels, k);
        fputs("<p>The map: where in the picture alpha is large, latents shrink fastest on the way to the picture.</p>", r->out);
    }
    if (stride > 1)
        fprintf(r->out, "<p>Of the %lld eigenvalues one in %lld is drawn.</p>", (long long)hkd_mode_count(v),
                (long long)stride);
    fputs("</div>\n", r->out);
    return status;
}

/* The mean of alpha on each level, by band. */
static hkd_status plot_all(hkd_report *r) {
    const hkd_model_levels *l = &r->levels;
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
    fputs("<div class=\"eigen plots\" data-level=\"0\">", r->out);
    hkd_svg_plot(r->out, &(hkd_plot){"Mean real part (alpha) of each third", {.label = "level"}, {.label = "alpha"}, series, 3,
                                     false});
    fputs("</div>\n", r->out);
    return HKD_OK;
}

/* d [n, size]: one band alone, on every level (level 0) or on one, where the others stay whole. Band 0 is everything. */
static hkd_status band_picture(hkd_report *r, double *d, int64_t level, int b) {
    double from = 0, to = 1;
    if (b) hkd_band_interval(&from, &to, (hkd_band_name)(b - 1), r->polarity.ascending);
    const hkd_status status = hkd_model_bands_choose(&r->bands, &r->levels, from, to);
    for (int64_t k = 0; k < r->levels.count && !status; k++)
        if (level && k != level - 1) memset(r->bands.mask[k], 1, (size_t)hkd_mode_count(&r->levels.level[k]));
    if (status) return status;
    return hkd_model_bands_decode(r->model, d, (const double *const *)r->z, &r->noise.in, &r->levels, &r->bands);
}

static hkd_status band_tiles(hkd_report *r) {
    const int64_t n = r->noise.in.n, columns = 4 * (r->levels.count + 1), size = r->size;
    double *all = hkd_report_room(r, n * columns), *d = hkd_report_room(r, n);
    int sheet;
    hkd_status status = all && d ? HKD_OK : hkd_report_no_room();
    for (int64_t c = 0; c < columns && !status; c++) {
        status = hkd_report_ask(r);
        if (!status) status = band_picture(r, d, c / 4, (int)(c % 4));
        for (int64_t i = 0; i < n && !status; i++) memcpy(all + (i * columns + c) * size, d + i * size,
                                                          (size_t)size * sizeof *d);
    }
    if (!status) status = hkd_report_sheet(&sheet, r, all, n, columns);
    fputs("<div class=\"tiles\" style=\"grid-template-columns:repeat(auto-fill,minmax(64px,96px))\">", r->out);
    for (int64_t i = 0; i < n && !status; i++) hkd_report_tile(r, sheet, i, -1, "decoded from the chosen band");
    fputs("</div>\n<p>Decoded from the chosen third of modes alone. With one level chosen the other levels stay "
          "whole.</p>\n", r->out);
    free(d);
    free(all);
    return status;
}

hkd_status hkd_report_spectrum(hkd_report *r) {
    char text[320];
    fputs("<section id=\"spectrum\" data-band=\"all\"><h2>Spectrum</h2>\n<div class=\"controls\"><label>Level <select "
          "id=\"level\"><option value=\"0\">all</option>", r->out);
    for (int64_t k = 0; k < r->levels.count; k++)
        fprintf(r->out, "<option value=\"%lld\">%lld: %s</option>", (long long)k + 1, (long long)k + 1, r->levels.name[k]);
    fputs("</select></label><fieldset><legend>Band of ranks by alpha</legend>", r->out);
    for (int b = 0; b < 4; b++)
        fprintf(r->out, "<label><input type=\"radio\" name=\"band\" value=\"%s\" data-number=\"%d\"%s> %s</label>",
                b ? band_name[b - 1] : "all", b, b ? "" : " checked", b ? band_name[b - 1] : "all");
    fputs("</fieldset></div>\n", r->out);
    hkd_status status = band_tiles(r);
    if (!status) status = plot_all(r);
    for (int64_t k = 0; k < r->levels.count && !status; k++) status = plot_level(r, k);
    hkd_polarity_text(text, sizeof text, &r->polarity);
    fputs("<p>Polarity: ", r->out);
    hkd_svg_text(r->out, text);
    fputs(".</p>\n", r->out);
    if (!status) status = hkd_report_identifiability(r, r->o->refit);
    fputs("</section>\n", r->out);
    return status;
}

/* What the thirds do to the radial power spectrum of the pictures: a plot, and shares by spatial frequency. */
static hkd_status radial(hkd_report *r) {
    const int64_t shells = hkd_spectrum_shells(r->side, r->side);
    double *power = calloc((size_t)(7 * shells) + 1, sizeof *power), whole;
    const double *change[3];
    hkd_band_mark mark[3];
    hkd_status status = power ? HKD_OK : hkd_report_no_room();
    for (int b = 0; b < 3; b++) {
        mark[b] = (hkd_band_mark){.power_without = power + (1 + 2 * b) * shells, .power_change = power + (2 + 2 * b) * shells};
        hkd_band_interval(&mark[b].from, &mark[b].to, (hkd_band_name)b, r->polarity.ascending);
        change[b] = mark[b].power_change;
    }
    if (!status)
        status = hkd_model_band_marks(mark, 3, &whole, power, r->model, &r->noise.in, &r->levels, &r->bands, NULL);
    fputs("<h3>What the bands do to the pictures' radial spectrum</h3>\n<div class=\"plots\">", r->out);
    if (!status) status = hkd_plot_radial(r->out, r->side, power, change, band_name, 3);
    fputs("</div>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"changes by band\"><table><tr><th "
          "scope=\"col\">without</th><th scope=\"col\">RMSE</th><th scope=\"col\">low</th><th scope=\"col\">middle</th><th "
          "scope=\"col\">high frequencies</th></tr>\n", r->out);
    for (int b = 0; b < 3 && !status; b++)
        fprintf(r->out, "<tr><th scope=\"row\">%s</th><td>%.4f</td><td>%.1f %%</td><td>%.1f %%</td><td>%.1f %%</td></tr>\n",
                band_name[b], mark[b].change, 100 * mark[b].share[0], 100 * mark[b].share[1], 100 * mark[b].share[2]);
    fputs("</table></div>\n<p>How much the pictures of this page change without a third of the modes, and at which spatial "
          "frequencies: what the names low, middle and high are worth for this model.</p>\n", r->out);
    free(power);
    return status;
}

hkd_status hkd_report_effect(hkd_report *r) {
    const hkd_model_levels *l = &r->levels;
    const double *z[HKD_MAX_LATENTS];
    double at[POINTS], time[POINTS], effect[3][2 * POINTS];
    hkd_series series[3];
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < l->count; k++) z[k] = r->z[l->latent[k]];
    for (int i = 0; i < POINTS; i++) {
        at[i] = 1 - i / (POINTS - 1.0);
        time[i] = i == 0 ? l->T : i == POINTS - 1 ? l->eps : l->T + hkd_dt_from_noise(&r->model->config, at[i]);
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
        hkd_svg_plot(r->out, &(hkd_plot){"Cumulative effect", {.label = "time (1 noise, 0 picture)"},
                                         {.label = "share", .low = 0, .high = 1}, series, 3, false});
    fputs("</div>\n", r->out);
    if (!status) status = radial(r);
    fputs("</section>\n", r->out);
    return status;
}

