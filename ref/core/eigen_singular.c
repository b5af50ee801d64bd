/* Singular values: Householder bidiagonalisation (Golub & Van Loan, section 5.4.8), then implicit QL (section 8.3) on the
 * symmetric tridiagonal matrix of order 2n with zero diagonal and off-diagonal b1, e1, b2, e2, ..., bn, whose eigenvalues
 * are +-sigma (Golub & Kahan 1965). */
#include "eigen.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

/* The reflector I - tau v v^T that maps x [n] to (r, 0, ...): overwrites x with v (v[0] = 1), sets tau, returns r. */
static double reflector(double *x, int64_t n, double *tau) {
    double scale = 0, sum = 0;
    for (int64_t i = 1; i < n; i++) scale = fmax(scale, fabs(x[i]));
    *tau = 0;
    const double first = n ? x[0] : 0;
    if (n) x[0] = 1;
    if (scale == 0) return first;
    scale = fmax(scale, fabs(first));
    for (int64_t i = 1; i < n; i++) sum += x[i] / scale * (x[i] / scale);
    const double norm = scale * sqrt(first / scale * (first / scale) + sum), r = first > 0 ? -norm : norm;
    for (int64_t i = 1; i < n; i++) x[i] /= first - r;
    *tau = (r - first) / r;
    return r;
}

/* a [m, n], m >= n, destroyed; diagonal b [n], superdiagonal e [n - 1]; v [m] and w [n] are scratch. */
static void bidiagonalise(double *b, double *e, double *a, int64_t m, int64_t n, double *v, double *w) {
    for (int64_t k = 0; k < n; k++) {
        double tau_column, tau_row;
        for (int64_t i = k; i < m; i++) v[i] = a[i * n + k];
        b[k] = reflector(v + k, m - k, &tau_column);
        for (int64_t j = k + 1; j < n; j++) w[j] = 0;
        for (int64_t i = k; i < m; i++)
            for (int64_t j = k + 1; j < n; j++) w[j] += tau_column * v[i] * a[i * n + j];
        double *u = a + k * n;
        for (int64_t j = k + 1; j < n; j++) u[j] -= w[j];
        const double corner = reflector(u + k + 1, n - k - 1, &tau_row);
        if (k + 1 < n) e[k] = corner;
        for (int64_t i = k + 1; i < m; i++) {
            double *row = a + i * n, dot = 0;
            for (int64_t j = k + 1; j < n; j++) dot += (row[j] -= v[i] * w[j]) * u[j];
            dot *= tau_row;
            for (int64_t j = k + 1; j < n; j++) row[j] -= dot * u[j];
        }
    }
}

/* Eigenvalues of the symmetric tridiagonal matrix with diagonal d [n] and off-diagonal e [n], e[n-1] unused; off-diagonals
 * up to `negligible` count as 0. Returns 0 when it does not converge. */
static int tridiagonal_values(double *d, double *e, int64_t n, double negligible) {
    for (int64_t l = 0; l < n; l++)
        for (int turns = 0;; turns++) {
            int64_t m = l;
            while (m + 1 < n && fabs(e[m]) > negligible) m++;
            if (m == l) break;
            if (turns == 80) return 0;
            /* Wilkinson's shift, then chase the bulge upwards from m to l. */
            double g = (d[l + 1] - d[l]) / (2 * e[l]), r = sqrt(g * g + 1), s = 1, c = 1, p = 0;
            g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
            int64_t i = m - 1;
            for (; i >= l; i--) {
                const double f = s * e[i], b = c * e[i];
                e[i + 1] = r = sqrt(f * f + g * g);
                if (r == 0) break;
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
            }
            if (r == 0 && i >= l) {
                d[i + 1] -= p;
                e[m] = 0;
                continue;
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0;
        }
    return 1;
}

static int descending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The singular values of the bidiagonal matrix b, e: the n largest eigenvalues of the order-2n matrix in d, off. */
static int bidiagonal_values(double *values, const double *b, const double *e, int64_t n, double *d, double *off) {
    double norm = 0;
    for (int64_t k = 0; k < n; k++) {
        d[2 * k] = d[2 * k + 1] = 0;
        off[2 * k] = b[k];
        off[2 * k + 1] = k + 1 < n ? e[k] : 0;
        norm = fmax(norm, fabs(off[2 * k]) + fabs(off[2 * k + 1]));
    }
    if (!tridiagonal_values(d, off, 2 * n, 0x1p-54 * norm)) return 0;
    qsort(d, (size_t)(2 * n), sizeof *d, descending);
    for (int64_t k = 0; k < n; k++) values[k] = fmax(d[k], 0);
    return 1;
}

hkd_status hkd_singular_values(double *values, const double *a, int64_t m, int64_t n) {
    const int64_t tall = m > n ? m : n, narrow = m > n ? n : m;
    double scale = 0;
    for (int64_t i = 0; i < m * n; i++) {
        if (!isfinite(a[i])) return hkd_fail(HKD_USAGE, "singular values: matrix element %lld is not finite", (long long)i);
        scale = fmax(scale, fabs(a[i]));
    }
    for (int64_t k = 0; k < narrow; k++) values[k] = 0;
    if (scale == 0) return HKD_OK;
    double *copy = malloc((size_t)(tall * narrow + tall + 7 * narrow) * sizeof *copy);
    if (!copy) return hkd_fail(HKD_RESOURCES, "singular values of [%lld, %lld]: out of memory", (long long)m, (long long)n);
    double *v = copy + tall * narrow, *w = v + tall, *b = w + narrow, *e = b + narrow, *d = e + narrow, *off = d + 2 * narrow;
    for (int64_t i = 0; i < tall; i++)
        for (int64_t j = 0; j < narrow; j++) copy[i * narrow + j] = (m >= n ? a[i * n + j] : a[j * n + i]) / scale;
    bidiagonalise(b, e, copy, tall, narrow, v, w);
    const int converged = bidiagonal_values(values, b, e, narrow, d, off);
    for (int64_t k = 0; k < narrow; k++) values[k] *= scale;
    free(copy);
    if (!converged)
        return hkd_fail(HKD_RESOURCES, "singular values of [%lld, %lld]: no convergence", (long long)m, (long long)n);
    return HKD_OK;
}
