/* perceptual.h - --perceptual lpips:FILE of `hkd train`. */
#ifndef HKD_PERCEPTUAL_H
#define HKD_PERCEPTUAL_H

#include "cli.h"
#include "lpips.h"
#include "objective.h"

typedef struct {
    hkd_lpips *net;
    hkd_perceptual term;
    char text[160]; /* what a resumed run must agree with; "" without a term */
} perceptual_term;

/* Read --perceptual, --lambda1 and --lambda2 into the objective; all zero when the first is not given. `term` must stay
 * where it is. */
hkd_status perceptual_start(perceptual_term *term, hkd_hkd_objective *objective, const hkd_args *a, const hkd_config *c,
                            hkd_device *dev);
void perceptual_end(perceptual_term *term);

#endif
