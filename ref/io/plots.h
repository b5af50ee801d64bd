/* plots.h - plots that verbs write as files and hkd report puts on its page. */
#ifndef HKD_PLOTS_H
#define HKD_PLOTS_H

#include "model_levels.h"

#include <stdio.h>

/* alpha or beta of level k's modes; the mean of alpha at each position. */
void hkd_plot_histogram(FILE *out, const hkd_model_levels *l, int64_t k, hkd_spectral_part part);
hkd_status hkd_plot_alpha_map(FILE *out, const hkd_model_levels *l, int64_t k);

/* Radial power spectra of pictures of side x side: of the pictures, and of what removing each of `count` bands changes. */
hkd_status hkd_plot_radial(FILE *out, int64_t side, const double *whole, const double *const *change, const char *const *band,
                           int count);

#endif
