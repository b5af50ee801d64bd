/* model_bands.h - bands of a whole model: which modes belong, what a band looks like by itself, and what it does to pictures.
 *
 * Whether fast or slow modes carry fine detail is not left to names; it is measured. Removing the fine detail of a picture
 * takes energy from high spatial frequencies, so the centroid of its radial spectrum moves DOWN; removing the coarse part moves
 * it up. Of the lowest and the highest third of ranks, "high" is the one whose removal leaves the lower centroid.
 */
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
/* A mask becomes a random one with as many modes of each level: the control of a comparison. */
void hkd_mask_shuffle(unsigned char *const *mask, const hkd_model_levels *levels, uint64_t seed);

/* d [n, C, R, R]: decode with the latents outside the mask set to 0. z as hkd_model_encode gives them; latents that no operator
 * moves stay as they are. in->dt moves them first (which commutes with masking), in->x enters through c_skip as ever. */
hkd_status hkd_model_bands_decode(hkd_model *m, double *d, const double *const *z, const hkd_model_input *in,
                                  const hkd_model_levels *levels, const hkd_model_bands *b);

/* Of the thirds of ranks 0: lowest, 1: middle, 2: highest. Means over n pictures (and their channels). */
typedef struct {
    double whole;              /* centroid of the pictures' radial spectrum (image_spectrum.h), in cycles per picture */
    double without[3];         /* ... of the pictures without that third */
    double share[3][3];        /* of what its removal changes: the share in low, middle, high spatial frequencies */
    double change[3];          /* root mean square of what its removal changes */
    bool ascending;            /* measured: high ranks are the fine detail */
    int64_t agree, n;          /* pictures that say the same, of n */
} hkd_polarity;
/* The mask is left at the highest third. */
hkd_status hkd_model_polarity(hkd_polarity *out, hkd_model *m, const double *const *z, const hkd_model_input *in,
                              const hkd_model_levels *levels, hkd_model_bands *b);

typedef enum { HKD_BAND_LOW, HKD_BAND_MIDDLE, HKD_BAND_HIGH } hkd_band_name;
/* The ranks [from, to) of a third by its meaning. */
void hkd_band_interval(double *from, double *to, hkd_band_name name, bool ascending);

#endif
