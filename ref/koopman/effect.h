/* effect.h - which group of modes carries the trajectory, and when (the paper's Figure 4, left).
 *
 * The paper leaves the cumulative effect undefined; here it is the share of a group G in the energy of all latents that the
 * trajectory has passed through by time t, coming from T (noise) down to eps (picture):
 *
 *   CE_G(t) = sum_{m in G} int_t^T |z_m(s)|^2 ds / sum_all int_eps^T |z_m(s)|^2 ds,      z_m(s) = e^{(s-T) A} z_m(T)
 *
 * Rotation keeps |z_m|, so |z_m(s)|^2 = e^{2 alpha (s-T)} |z_m(T)|^2 and the integral is closed:
 *   int_t^T = |z_m(T)|^2 (T-t) phi(2 alpha (T-t)),  phi(x) = (1 - e^{-x}) / x,  phi(0) = 1.
 * The groups' CE(eps) add up to 1.
 */
#ifndef HKD_EFFECT_H
#define HKD_EFFECT_H

#include "spectrum.h"

/* effect [groups, times] and share [groups, times] (NULL: not wanted): the cumulative effect, and each group's part of the
 * energy |z(t)|^2 at that very time. z[l] [n, d, h, w] are the latents at T, group[l][m] in 0..groups-1 per mode, and t [times]
 * in [eps, T] (0 and 1 in Karras time). Sums are compensated: over the samples of each mode, then over modes, in order. */
hkd_status hkd_cumulative_effect(double *effect, double *share, const double *const *z, int64_t n, const hkd_level *levels,
                                 int64_t count, const unsigned char *const *group, int64_t groups, double eps,
                                 double T, const double *t, int64_t times);

#endif
