/* model_edit.h - edit pictures of an HKD model: mix the latents of a reference into those of an image, then decode once.
 *
 * All mixing is done at the time of the image's own latents. A reference encoded at another noise level (a picture, noised to
 * sigma(tau)) is moved there by the model's own A; mixing commutes with evolution (edit.h), so this is the edit at time tau.
 */
#ifndef HKD_MODEL_EDIT_H
#define HKD_MODEL_EDIT_H

#include "model_levels.h"

typedef struct {
    double ratio;                 /* 0: the image, bit for bit; 1 with all bands everywhere: the reference, bit for bit */
    unsigned char *const *band;   /* [levels][modes] (bands.h); NULL: everything, and see below */
    const double *region;         /* [R, R] in [0, 1], row 0 on top, averaged onto each level's grid; NULL: everywhere */
} hkd_edit_rule;

/* d [n, C, R, R]. With band NULL the latents that no operator moves are mixed too, and, where the reference has the image's
 * noise level, the input x (it enters d through c_skip); with a band both stay the image's. Labels are the image's. */
hkd_status hkd_model_edit(hkd_model *m, double *d, const hkd_model_input *image, const hkd_model_input *reference,
                          const hkd_model_levels *levels, const hkd_edit_rule *rule);

#endif
