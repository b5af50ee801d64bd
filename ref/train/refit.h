/* refit.h - how much of a spectrum is the model's, and how much is arbitrary?
 *
 * The encoder is told the noise level, so it can absorb what an operator would do: with E'(x; sigma) = e^{-t(sigma) (A' - A)}
 * E(x; sigma) the operators A' make the same pictures as A did (spec of D.2.3). If frozen random operators reach the loss of
 * trained ones, the spectrum of the trained ones was not needed; if two runs that differ in the order of the data alone end
 * with different operators, it was not determined either.
 */
#ifndef HKD_REFIT_H
#define HKD_REFIT_H

#include "hkd_insight.h"
#include "paths.h"

/* Distils `teacher` into networks like `model`, each starting from the weights of `start` (a model whose network has the same
 * shape). All see the same trajectories, in an order that depends on the run alone. */
hkd_status hkd_refit_run(hkd_refit *out, hkd_model *model, const hkd_model *start, const hkd_path_teacher *teacher,
                         const hkd_refit_settings *s);

/* Every operator value from N(0, size^2), the same for the same seed; size 0: A = 0. */
hkd_status hkd_draw_operators(hkd_model *m, double size, uint64_t seed);
void hkd_freeze_operators(hkd_model *m); /* once the trainer is made: they stay as they are */

#endif
