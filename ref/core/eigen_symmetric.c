/* Eigenvalues and vectors of a symmetric matrix by cyclic Jacobi rotations (Golub & Van Loan, section 8.5). */
#include "eigen.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Turn rows p and q of x [n, n] by (c, s). */
static void turn_rows(double *x, int64_t n, int64_t p, int64_t q, double c, double s) {
    for (int64_t k = 0; k < n; k++) {
        const double xp = x[p * n + k], xq = x[q * n + k];
        x[p * n + k] = c * xp - s * xq;
        x[q * n + k] = s * xp + c * xq;
    }
}

static void turn_columns(double *x, int64_t n, int64_t p, int64_t q, double c, double s) {
    for (int64_t k = 0; k < n; k++) {
        const double xp = x[k * n + p], xq = x[k * n + q];
        x[k * n + p] = c * xp - s * xq;
        x[k * n + q] = s * xp + c * xq;
    }
}

/* One sweep over all pairs; returns how many rotations were still needed. An entry is done when it is small beside its
 * two diagonal entries, or below `negligible`, where it changes no eigenvalue by half an ulp of the largest. */
static int64_t jacobi_sweep(double *b, double *v, int64_t n, double negligible) {
    int64_t turned = 0;
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = p + 1; q < n; q++) {
            const double off = b[p * n + q], scale = sqrt(fabs(b[p * n + p]) * fabs(b[q * n + q]));
            if (fabs(off) <= negligible || fabs(off) <= 0x1p-54 * scale) continue;
            const double theta = (b[q * n + q] - b[p * n + p]) / (2 * off);
            const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(1 + theta * theta)), c = 1 / sqrt(1 + t * t), s = t * c;
            turn_rows(b, n, p, q, c, s);
            turn_columns(b, n, p, q, c, s);
            turn_rows(v, n, p, q, c, s);
            b[p * n + q] = b[q * n + p] = 0;
            turned++;
        }
    return turned;
}

static void sort_rows(double *values, double *vectors, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t j = i + 1; j < n; j++)
            if (values[j] > values[best]) best = j;
        if (best == i) continue;
        const double value = values[i];
        values[i] = values[best];
        values[best] = value;
        for (int64_t k = 0; k < n; k++) {
            const double x = vectors[i * n + k];
            vectors[i * n + k] = vectors[best * n + k];
            vectors[best * n + k] = x;
        }
    }
}

hkd_status hkd_eigen_symmetric(double *values, double *vectors, const double *a, int64_t n) {
    double norm = 0;
    for (int64_t i = 0; i < n * n; i++) {
        if (!isfinite(a[i])) return hkd_fail(HKD_USAGE, "eigenvalues: matrix element %lld is not finite", (long long)i);
        norm = fmax(norm, fabs(a[i]));
    }
    double *b = malloc((size_t)(n ? n * n : 1) * sizeof *b);
    if (!b) return hkd_fail(HKD_RESOURCES, "eigenvalues of order %lld: out of memory", (long long)n);
    for (int64_t i = 0; i < n * n; i++) {
        b[i] = a[i];
        vectors[i] = i % (n + 1) == 0;
    }
    int sweeps = 0;
    while (sweeps++ < 60 && jacobi_sweep(b, vectors, n, 0x1p-60 * norm))
        ;
    for (int64_t i = 0; i < n; i++) values[i] = b[i * n + i];
    free(b);
    sort_rows(values, vectors, n);
    return sweeps <= 60 ? HKD_OK : hkd_fail(HKD_RESOURCES, "Jacobi did not converge in 60 sweeps (order %lld)", (long long)n);
}
