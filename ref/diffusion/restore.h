/* restore.h - zero-shot restoration: what is known of a picture stays, the rest is generated around it.
 *
 * Algorithm 4 of "Consistency Models" (Song et al. 2023). K keeps what is known (a linear projection), y is the picture, f a
 * one-step model, t_1 > ... > t_N noise levels:
 *   x ~ N(K y, t_1^2 I);  x <- f(x, t_1), clipped to [-1, 1];  x <- K y + (1 - K) x
 *   for n = 2 .. N:  x += sqrt(t_n^2 - sigma_min^2) N(0, I);  x <- f(x, t_n), clipped;  x <- K y + (1 - K) x
 * The paper's step 2 starts around K y; the noise of t_1 = 80 drowns the difference.
 */
#ifndef HKD_RESTORE_H
#define HKD_RESTORE_H

#include "hkd_insight.h" /* what is known */
#include "model_inputs.h"
#include "sampler.h"

/* HKD_USAGE unless GRAY has 3 channels and `patch` divides the side. */
hkd_status hkd_known_check(const hkd_known *k);
/* x <- K y + (1 - K) x for n pictures. Known pixels become y's, bit for bit; luma and means equal y's to rounding. */
void hkd_known_restore(double *x, const double *y, int64_t n, const hkd_known *k);

/* x [n, size] out. s->denoise is f, s->seeds draw the noise. y [n, size]; sigma [steps] decreasing, >= sigma_min. */
hkd_status hkd_restore(hkd_sampling *s, double *x, const double *y, const hkd_known *k, const double *sigma, int64_t steps,
                       double sigma_min);

/* The same with a model: `steps` levels from sigma_max to sigma_min, even in time (one: sigma_max). seeds: labels and noise. */
hkd_status hkd_model_restore(hkd_model *m, double *x, const double *y, const hkd_known *k, const hkd_inputs *seeds,
                             int64_t steps, hkd_watch *watch, void *watcher);

#endif
