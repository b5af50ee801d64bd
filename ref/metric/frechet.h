/* frechet.h - the Frechet distance between two Gaussians (FID, when they are fitted to Inception features):
 *
 *   |mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^{1/2}
 *
 * With S = F^T F, tr (S1 S2)^{1/2} is the sum of the singular values of F1 F2^T: the eigenvalues of S1 S2 are their squares.
 * F comes from Cholesky's method with diagonal pivoting, which stops at the rank, so singular covariances (fewer samples than
 * features) need no offset and no imaginary part is ever thrown away; and no square root of a rounding error is taken, as it
 * is by the eigenvalues of S1 S2.
 */
#ifndef HKD_FRECHET_H
#define HKD_FRECHET_H

#include "hkd.h"

/* The min(m, n) singular values of a [m, n]; hkd_singular_values, or a faster library's. */
typedef hkd_status hkd_singular_values_of(double *values, const double *a, int64_t m, int64_t n);

/* mean1, mean2 [dim]; covariance1, covariance2 [dim, dim] symmetric, not negative. */
hkd_status hkd_frechet(double *distance, const double *mean1, const double *covariance1, const double *mean2,
                       const double *covariance2, int64_t dim, hkd_singular_values_of *singular_values);

#endif
