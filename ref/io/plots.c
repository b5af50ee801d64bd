#include "plots.h"

#include "image_spectrum.h"
#include "status.h"
#include "svg.h"

#include <stdlib.h>

enum { MOST_BANDS = 8 };

void hkd_plot_histogram(FILE *out, const hkd_model_levels *l, int64_t k, hkd_spectral_part part) {
    enum { BINS = 40 };
    const hkd_level_summary s = hkd_summarise_level(&l->level[k], 0);
    const double low = part == HKD_ALPHA ? s.alpha_min : -s.beta_abs_max;
    const double high = part == HKD_ALPHA ? s.alpha_max : s.beta_abs_max;
    const double from = high > low ? low : low - 0.5, to = high > low ? high : high + 0.5;
    int64_t counts[BINS];
    double edges[BINS + 1], bars[BINS];
    char title[96];
    hkd_spectrum_histogram(counts, BINS, from, to, &l->level[k], part);
    for (int i = 0; i <= BINS; i++) edges[i] = from + (to - from) * i / BINS;
    for (int i = 0; i < BINS; i++) bars[i] = (double)counts[i];
    snprintf(title, sizeof title, "%s, %lld modes", l->name[k], (long long)s.modes);
    const hkd_series series = {NULL, HKD_STEPS, edges, bars, BINS};
    hkd_svg_plot(out, &(hkd_plot){title, {.label = part == HKD_ALPHA ? "alpha" : "beta"}, {.label = "modes"}, &series, 1,
                                  false});
}

hkd_status hkd_plot_alpha_map(FILE *out, const hkd_model_levels *l, int64_t k) {
    const hkd_level *v = &l->level[k];
    double *map = malloc((size_t)(v->ah * v->aw + 1) * sizeof *map);
    char title[96];
    if (!map) return hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_spectrum_map(map, v, HKD_ALPHA);
    snprintf(title, sizeof title, "%s, mean alpha", l->name[k]);
    hkd_svg_map(out, title, map, v->ah, v->aw);
    free(map);
    return HKD_OK;
}

/* The last shell holds the corners beyond the largest whole circle: no point of a curve. Nor is the first, the mean. */
hkd_status hkd_plot_radial(FILE *out, int64_t side, const double *whole, const double *const *change, const char *const *band,
                           int count) {
    const int64_t shells = hkd_spectrum_shells(side, side);
    double *at = malloc((size_t)shells * sizeof *at);
    char title[MOST_BANDS][64];
    hkd_series series[MOST_BANDS + 1] = {{"whole", HKD_LINE, at + 1, whole + 1, shells - 2}};
    if (!at) return hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t k = 0; k < shells; k++) at[k] = (double)k;
    for (int b = 0; b < count && b < MOST_BANDS; b++) {
        snprintf(title[b], sizeof title[b], "change without %s", band[b]);
        series[b + 1] = (hkd_series){title[b], HKD_LINE, at + 1, change[b] + 1, shells - 2};
    }
    hkd_svg_plot(out, &(hkd_plot){"Radial power spectrum, whole and what a band changes",
                                  {.label = "cycles per picture", .log = true}, {.label = "power", .log = true}, series,
                                  count + 1, false});
    free(at);
    return HKD_OK;
}
