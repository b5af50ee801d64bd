/* spectrum.h - what the operators say: eigenvalues alpha +- i beta per level, pair and position.
 *
 * A mode is one 2x2 block of one operator: pair k at position (i, j) of level l, or pair k alone where one vector serves all
 * positions (ah = aw = 1). A generates the noising direction: denoising runs with dt < 0, so modes with alpha > 0 shrink
 * while an image forms. Modes are counted in the order of the operator array: m = (k ah + i) aw + j.
 */
#ifndef HKD_SPECTRUM_H
#define HKD_SPECTRUM_H

#include "eigen.h"

#include <stdbool.h>

/* One operator, a [d, ah, aw] = [alpha half | beta half], over latents [n, d, h, w]; (ah, aw) is (h, w) or (1, 1). */
typedef struct {
    const double *a; /* borrowed */
    int64_t d, h, w, ah, aw;
} hkd_level;

typedef struct {
    int64_t level, pair, row, col;
    double alpha, beta;              /* the continuous eigenvalue alpha +- i beta, per unit of model time tau */
} hkd_mode;

/* Check shapes and that every value is finite; `count` levels. */
hkd_status hkd_levels_check(const hkd_level *levels, int64_t count);

int64_t hkd_mode_count(const hkd_level *level);
hkd_mode hkd_mode_at(const hkd_level *levels, int64_t level, int64_t m);
/* The mode that moves pair k at position s = i w + j. */
int64_t hkd_mode_of(const hkd_level *level, int64_t pair, int64_t position);

/* The discrete eigenvalue of one step of length dt, e^{alpha dt} (cos(beta dt) + i sin(beta dt)); its conjugate is the
 * other one (paper, Eq. 10). Inside the unit circle = shrinks in that step. */
hkd_complex hkd_discrete_eigenvalue(double alpha, double beta, double dt);

typedef struct {
    int64_t modes;
    double alpha_min, alpha_mean, alpha_max;
    double beta_abs_max;
    double growth_min, growth_max;   /* |discrete eigenvalue| of one step dt */
} hkd_level_summary;
hkd_level_summary hkd_summarise_level(const hkd_level *level, double dt); /* all zero for a level without modes */

typedef enum { HKD_ALPHA, HKD_BETA } hkd_spectral_part;
/* counts [bins] of one level's alpha or beta over [low, high]; the last bin includes `high`, values outside are not counted. */
void hkd_spectrum_histogram(int64_t *counts, int64_t bins, double low, double high, const hkd_level *level,
                            hkd_spectral_part part);

/* map [ah, aw]: the mean of alpha or beta over the pairs at each position; where in the picture is fast, where slow. */
void hkd_spectrum_map(double *map, const hkd_level *level, hkd_spectral_part part);

#endif
