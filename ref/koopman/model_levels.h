/* model_levels.h - a model's operators on the host, ready for analysis: one level for each latent that an operator moves. */
#ifndef HKD_MODEL_LEVELS_H
#define HKD_MODEL_LEVELS_H

#include "model.h"
#include "spectrum.h"

typedef struct {
    int64_t count;
    hkd_level level[HKD_MAX_LATENTS];
    int latent[HKD_MAX_LATENTS];             /* the latent's number in the order of hkd_model_encode */
    int64_t first[HKD_MAX_LATENTS];          /* the first level with the same operator; itself, unless operators are shared */
    char name[HKD_MAX_LATENTS][48];          /* the operator's name, "koopman.3" */
    double eps, T;                           /* the model's time at sigma_min and sigma_max */
    double *values;                          /* owned: all operators */
} hkd_model_levels;

/* HKD_USAGE for a model without operators. */
hkd_status hkd_model_levels_read(hkd_model_levels *out, const hkd_model *m);
void hkd_model_levels_free(hkd_model_levels *l);

/* alpha = the alphas of all modes behind each other, shared ones once, out of `values` laid out as l->values (those of another
 * model of the same shapes, say); NULL: only counted. Their number. */
int64_t hkd_model_alphas(double *alpha, const hkd_model_levels *l, const double *values);

#endif
