/* model_edit.h - edit pictures of an HKD model: mix the latents of a reference into those of an image, then decode once.
 *
 * All mixing is done at the time of the image's own latents. A reference encoded at another noise level (a picture, noised to
 * sigma(tau)) is moved there by the model's own A; mixing commutes with evolution (edit.h), so this is the edit at time tau.
 */
#ifndef HKD_MODEL_EDIT_H
#define HKD_MODEL_EDIT_H

#include "model_inputs.h"
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

/* The same in two halves, for many edits of the same pictures: image and reference are encoded once. */
typedef struct {
    hkd_model *m;                                           /* not owned, as are the inputs and levels */
    const hkd_model_input *image, *reference;
    const hkd_model_levels *levels;
    double *z[HKD_MAX_LATENTS + 1], *z_ref[HKD_MAX_LATENTS + 1], *mixed[HKD_MAX_LATENTS + 1]; /* [n, d, h, w] each; owned */
    double *x, *region;
    bool apart;                                             /* the reference has another noise level than the image */
} hkd_edit_pair;
hkd_status hkd_edit_pair_new(hkd_edit_pair *out, hkd_model *m, const hkd_model_input *image, const hkd_model_input *reference,
                             const hkd_model_levels *levels);
/* ratio [n]: one for each picture instead of the rule's; or NULL. */
hkd_status hkd_edit_pair_decode(hkd_edit_pair *p, double *d, const hkd_edit_rule *rule, const double *ratio);
void hkd_edit_pair_free(hkd_edit_pair *p); /* also after a failure */

#endif
