/* eigen.h - the small dense linear algebra that analysis needs; + - x / and sqrt only, so the same bits everywhere.
 *
 * Matrices are row-major. Inputs are not changed. Failures: out of memory, a value that is not finite, no convergence.
 */
#ifndef HKD_EIGEN_H
#define HKD_EIGEN_H

#include "hkd.h"

typedef struct {
    double re, im;
} hkd_complex;

/* a [n, n] symmetric = V diag(values) V^T; values descending, vectors [n, n] hold V^T: row k belongs to values[k].
 * Cyclic Jacobi: for orders up to a few hundred. */
hkd_status hkd_eigen_symmetric(double *values, double *vectors, const double *a, int64_t n);

/* The min(m, n) singular values of a [m, n], descending, to an absolute error of a few ulp of the largest.
 * Householder bidiagonalisation, then implicit QL; fit for orders of a few thousand. */
hkd_status hkd_singular_values(double *values, const double *a, int64_t m, int64_t n);

/* a [n, n] real: right eigenvectors of unit length in the columns of vectors [n, n], a vectors = vectors diag(values).
 * Near a matrix that cannot be diagonalised the vectors become dependent; the caller judges. Complex QR. */
hkd_status hkd_eigen_general(hkd_complex *values, hkd_complex *vectors, const double *a, int64_t n);

#endif
