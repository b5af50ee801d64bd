/* Proposition C.1, corrected: see propositions.h. */
#include "propositions.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* inverse [n, n] of a [n, n] (destroyed) by Gauss-Jordan elimination with row pivoting; 0 when a pivot vanishes. */
static int invert(double *inverse, double *a, int64_t n) {
    for (int64_t i = 0; i < n * n; i++) inverse[i] = i % (n + 1) == 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
        const double pivot = a[best * n + k];
        if (pivot == 0) return 0;
        for (int64_t j = 0; j < n; j++) {
            const double x = a[k * n + j], y = inverse[k * n + j];
            a[k * n + j] = a[best * n + j] / pivot;
            inverse[k * n + j] = inverse[best * n + j] / pivot;
            if (best == k) continue;
            a[best * n + j] = x;
            inverse[best * n + j] = y;
        }
        for (int64_t i = 0; i < n; i++) {
            const double factor = i == k ? 0 : a[i * n + k];
            for (int64_t j = 0; factor != 0 && j < n; j++) {
                a[i * n + j] -= factor * a[k * n + j];
                inverse[i * n + j] -= factor * inverse[k * n + j];
            }
        }
    }
    return 1;
}

static double norm1(const double *a, int64_t n) {
    double largest = 0;
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += fabs(a[i * n + j]);
        largest = fmax(largest, sum);
    }
    return largest;
}

/* Column c of basis [m, m] = the eigenvector with its largest entry turned to the real axis: real for a real eigenvalue. */
static void real_column(double *basis, const hkd_complex *vectors, int64_t m, int64_t k, int64_t c) {
    hkd_complex turn = {0, 0};
    for (int64_t i = 0; i < m; i++) {
        const hkd_complex v = vectors[i * m + k];
        if (v.re * v.re + v.im * v.im > turn.re * turn.re + turn.im * turn.im) turn = v;
    }
    for (int64_t i = 0; i < m; i++) basis[i * m + c] = vectors[i * m + k].re * turn.re + vectors[i * m + k].im * turn.im;
}

/* The real basis R = [Re p, Im p for each pair | p for each real one]; returns the number of complex pairs, or -1 when
 * eigenvalues do not pair up. */
static int64_t real_basis(double *basis, double *alpha, double *beta, const hkd_complex *values, const hkd_complex *vectors,
                          double scale, int64_t m) {
    int64_t pairs = 0, column = 0, block = 0;
    for (int64_t k = 0; k < m; k++) {
        if (values[k].im <= 1e-12 * scale) continue;
        for (int64_t i = 0; i < m && column + 1 < m; i++) {
            basis[i * m + column] = vectors[i * m + k].re;
            basis[i * m + column + 1] = vectors[i * m + k].im;
        }
        column += 2;
        pairs++;
        alpha[block] = values[k].re - 1;
        beta[block++] = values[k].im;
    }
    for (int64_t k = 0; k < m; k++) {
        if (fabs(values[k].im) > 1e-12 * scale) continue;
        if (column < m) real_column(basis, vectors, m, k, column);
        column++;
        alpha[block] = values[k].re - 1;
        beta[block++] = 0;
    }
    return column == m ? pairs : -1;
}

/* P~ and Q~ from R and R^{-1}: for a pair p+ = (row1 - i row2) / 2, for a real eigenvalue p+ = row. */
static void spread(double *p, double *q, const double *basis, const double *inverse, int64_t pairs, int64_t blocks, int64_t m) {
    const double root2 = sqrt(2);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t half = 0; half < 2; half++) {
            const int64_t column = b < pairs ? 2 * b + half : pairs + b, to = 2 * b + half;
            for (int64_t i = 0; i < m; i++) {
                p[i * 2 * blocks + to] = basis[i * m + column] * (b < pairs ? root2 : root2 / 2);
                q[to * m + i] = inverse[column * m + i] * root2 / 2;
            }
        }
}

hkd_status hkd_block_diagonalise(double *p, double *q, double *alpha, double *beta, int64_t *blocks, const double *k,
                                 int64_t m) {
    const size_t square = (size_t)(m ? m * m : 1);
    hkd_complex *vectors = malloc((square + (size_t)m) * sizeof *vectors), *values = vectors + m * m;
    double *basis = malloc(3 * square * sizeof *basis), *copy = basis + m * m, *inverse = copy + m * m;
    hkd_status status = HKD_OK;
    if (!vectors || !basis) {
        status = hkd_fail(HKD_RESOURCES, "block-diagonalisation of order %lld: out of memory", (long long)m);
    } else if ((status = hkd_eigen_general(values, vectors, k, m)) == HKD_OK) {
        const int64_t pairs = real_basis(basis, alpha, beta, values, vectors, norm1(k, m), m);
        memcpy(copy, basis, (size_t)(m * m) * sizeof *copy);
        const double size = norm1(basis, m);
        const double condition = pairs >= 0 && invert(inverse, copy, m) ? size * norm1(inverse, m) : INFINITY;
        if (!(condition <= 1e6) && m)
            status = hkd_fail(HKD_CHECK_FAILED, "the matrix cannot be diagonalised (condition of its eigenvectors %.1e, "
                              "at most 1e6): it has, or nearly has, a Jordan block", condition);
        *blocks = m - (pairs > 0 ? pairs : 0);
        if (status == HKD_OK) spread(p, q, basis, inverse, pairs, *blocks, m);
    }
    free(vectors);
    free(basis);
    return status;
}
