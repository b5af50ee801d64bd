/* sides.h - Propositions C.2 and C.3 during training: both sides of the corrected bound (propositions.h), measured.
 *
 * H is what the decoder makes of latents at the end of time, with the input and the noise level of x_T (they enter by c_skip
 * and cancel in every difference). For a state x_t of a trajectory H goes from w_0 = e^{(eps-T) A} E(x_T) to e^{(eps-t) A}
 * E(x_t), one level after the other. Always the same trajectories (the first HKD_SIDES_PATHS of the set) and the same
 * HKD_SIDES_TIMES states of each (a quarter, a half and three quarters of the way) are taken: a curve over steps shows the
 * network and not the draw.
 */
#ifndef HKD_SIDES_H
#define HKD_SIDES_H

#include "propositions.h"
#include "trainer.h"

enum { HKD_SIDES_PATHS = 4, HKD_SIDES_TIMES = 3 };

/* loss and bound: means over the times, so loss >= bound still; rho: the largest. Squares are summed over a picture, not
 * averaged. Latents that no operator moves stay those of x_T. HKD_USAGE for a model without operators. */
hkd_status hkd_train_sides(hkd_consistency *out, hkd_model *m, const hkd_trajectories *paths);

#endif
