/* sample_distance.h - distances between two sets of feature vectors, x [n, dim] and y [m, dim], without fitting a model. */
#ifndef HKD_SAMPLE_DISTANCE_H
#define HKD_SAMPLE_DISTANCE_H

#include "hkd.h"

/* Sliced Wasserstein-2: sqrt of the mean, over random unit directions, of the squared 1-D Wasserstein distance of the
 * projections (exact, by sorting; n and m may differ). Directions come from (seed, HKD_FOR_METRIC). */
hkd_status hkd_sliced_wasserstein(double *distance, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                                  int64_t directions, uint64_t seed);

/* The unbiased squared maximum mean discrepancy under k(a, b) = (a.b / dim + 1)^3: KID of one subset. May be negative. */
hkd_status hkd_kernel_distance(double *mmd2, const double *x, int64_t n, const double *y, int64_t m, int64_t dim);
/* KID: mean and standard deviation (over `subsets` - 1) of hkd_kernel_distance on random subsets of `size` from either set. */
hkd_status hkd_kid(double *mean, double *deviation, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                   int64_t subsets, int64_t size, uint64_t seed);

/* Precision: the fraction of y within the manifold of x; recall: of x within that of y. The manifold of a set is the union
 * of balls around its points that reach to the k-th nearest other point (Kynkaanniemi et al. 2019; k = 3). */
hkd_status hkd_precision_recall(double *precision, double *recall, const double *x, int64_t n, const double *y, int64_t m,
                                int64_t dim, int64_t k);

#endif
