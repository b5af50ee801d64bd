/* model_bands.h - bands of a whole model: which modes belong, and what a band looks like by itself. What "high" means, and what
 * bands do to pictures, is measured in polarity.h. */
#ifndef HKD_MODEL_BANDS_H
#define HKD_MODEL_BANDS_H

#include "bands.h"
#include "model_levels.h"

typedef struct {
    hkd_band_rule rule;
    int64_t *rank[HKD_MAX_LATENTS];       /* [levels][modes]; owned, as is mask */
    unsigned char *mask[HKD_MAX_LATENTS]; /* the modes chosen last, 1 inside */
} hkd_model_bands;

/* Rank all modes; the mask starts with all of them. */
hkd_status hkd_model_bands_new(hkd_model_bands *out, const hkd_model_levels *levels, const hkd_band_rule *rule);
void hkd_model_bands_free(hkd_model_bands *b);
/* The mask becomes the band [from, to) of ranks. */
hkd_status hkd_model_bands_choose(hkd_model_bands *b, const hkd_model_levels *levels, double from, double to);
void hkd_model_bands_invert(hkd_model_bands *b, const hkd_model_levels *levels);
/* A mask becomes a random one with as many modes of each level, or (over_all) as many of all levels together: the control of a
 * comparison. */
void hkd_mask_shuffle(unsigned char *const *mask, const hkd_model_levels *levels, bool over_all, uint64_t seed);

/* d [n, C, R, R]: decode with the latents outside the mask set to 0. z as hkd_model_encode gives them; latents that no operator
 * moves stay as they are. in->dt moves them first (which commutes with masking), in->x enters through c_skip as ever. */
hkd_status hkd_model_bands_decode(hkd_model *m, double *d, const double *const *z, const hkd_model_input *in,
                                  const hkd_model_levels *levels, const hkd_model_bands *b);

#endif
