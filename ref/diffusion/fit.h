/* fit.h - closed-form teachers fitted to pictures: a Gaussian, or a mixture of Gaussians, of low rank plus a rest. */
#ifndef HKD_FIT_H
#define HKD_FIT_H

#include "teacher.h"

enum { HKD_FIT_SAMPLE = 256 }; /* pictures that span the directions kept */

/* A fitted mixture owns its arrays; one component is a Gaussian. */
typedef struct {
    hkd_mixture mixture;
    void *owned;
} hkd_fit;

/* k-means with `clusters` centres (Lloyd, started from pictures drawn by `seed`), then in each cluster mean, the `rank`
 * directions of greatest variance within a sample, the variance of all pictures along them, and one variance for all other
 * directions. Empty clusters are left out. points [count, size]; 1 <= rank < HKD_FIT_SAMPLE. */
hkd_status hkd_fit_mixture(hkd_fit *out, const float *points, int64_t count, int64_t size, int64_t clusters, int64_t rank,
                           uint64_t seed);
void hkd_fit_free(hkd_fit *fit);

#endif
