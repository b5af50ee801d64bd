/* detail.h - how fine is what a mode paints? A key for ranking modes that looks at pictures and not at eigenvalues.
 *
 * To first order, mode m (the pair z_m at one place) adds J_m z_m to the picture, J the decoder's Jacobian. Its energy at the
 * spatial frequency of a wave w is (w . J_m z_m)^2 = (J_m^T w . z_m)^2, and one backward pass with w upstream gives J^T w, so
 * this number for all modes at once. Waves are drawn at random from the low spatial frequencies (image_spectrum.h: up to a
 * third of the largest) and from all others; averaged over waves and fixed pictures,
 *   detail(m) = energy beyond the low frequencies / energy,   0 coarse ... 1 fine.
 */
#ifndef HKD_DETAIL_H
#define HKD_DETAIL_H

#include "model_inputs.h"
#include "model_levels.h"

/* detail[l] [modes] of every level. Pictures are the model's own, of seeds that nobody else uses. */
hkd_status hkd_model_detail(double *const *detail, hkd_model *m, const hkd_model_levels *levels, const hkd_ticker *ticker);

#endif
