/* moments.h - mean and covariance of features, in float64, mergeable: any number of shards gives the bits of a single run.
 *
 * Samples have indices. Blocks of 64 consecutive samples, cut at multiples of 64, are summarised on their own (mean, then
 * centred products); two neighbouring parts of equal size join as siblings of a binary tree over the indices:
 *   mean = mean_a + (n_b/n) delta,   M2 = M2_a + M2_b + (n_a n_b/n) delta delta^T,   delta = mean_b - mean_a (Chan et al. 1979)
 * so what a part holds depends on its samples alone, not on who computed it or in which order parts arrived. Centred sums
 * lose nothing to a large mean. A shard starts at a multiple of 64; only the last part of all may be shorter.
 */
#ifndef HKD_MOMENTS_H
#define HKD_MOMENTS_H

#include "seed_set.h"

enum { HKD_MOMENTS_BLOCK = 64 };

typedef struct hkd_moments hkd_moments;

typedef struct {
    int64_t first, count;  /* samples first .. first + count - 1 */
    double *mean;          /* [dim] */
    double *m2;            /* [dim (dim+1) / 2]: upper triangle by rows, sums of centred products */
} hkd_moments_part;

/* The next sample added has index `first`, a multiple of 64. */
hkd_status hkd_moments_new(hkd_moments **out, int64_t dim, int64_t first);
void hkd_moments_free(hkd_moments *m); /* NULL is fine */

hkd_status hkd_moments_add(hkd_moments *m, const double *rows, int64_t n); /* rows [n, dim], in order */
/* No more samples come: the open block becomes a part. Needed before the parts are read; adding fails from then on. */
hkd_status hkd_moments_seal(hkd_moments *m);

int64_t hkd_moments_dim(const hkd_moments *m);
int64_t hkd_moments_count(const hkd_moments *m);
/* The parts in order of their samples; what a file holds. Borrowed until m changes. NULL beyond the last. */
const hkd_moments_part *hkd_moments_part_at(const hkd_moments *m, int64_t i);
/* Take in a copy of a part (from a file or another shard). Overlapping samples, another cut or values that are not finite:
 * HKD_CHECK_FAILED, and m is as before. */
hkd_status hkd_moments_add_part(hkd_moments *m, const hkd_moments_part *part);

/* The seeds of the samples, as far as they are known. Adding one twice fails as hkd_seed_set_add does. */
const hkd_seed_set *hkd_moments_seeds(const hkd_moments *m);
hkd_status hkd_moments_add_seeds(hkd_moments *m, uint64_t first, uint64_t last);

/* mean [dim] and covariance [dim, dim] (divided by n - 1) of all samples, which must be sealed, without a gap, at least 2. */
hkd_status hkd_moments_finish(double *mean, double *covariance, const hkd_moments *m);

#endif
