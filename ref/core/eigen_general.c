/* Eigenvalues and right eigenvectors of a real matrix: reduction to Hessenberg form by rotations, then the QR iteration with
 * Wilkinson's shift in complex arithmetic (Golub & Van Loan, sections 7.4 and 7.5), then back substitution. A complex iteration
 * is half the code of the real double-shift one; eigenvalues of a real matrix come out conjugate to rounding. */
#include "eigen.h"

#include "status.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

typedef double complex cplx;

static double magnitude(cplx x) { return sqrt(creal(x) * creal(x) + cimag(x) * cimag(x)); }

static cplx root(cplx x) { /* principal square root by + x / sqrt alone */
    const double r = sqrt((magnitude(x) + fabs(creal(x))) / 2);
    if (r == 0) return 0;
    const double other = cimag(x) / (2 * r);
    return creal(x) >= 0 ? r + I * other : fabs(other) + I * (cimag(x) < 0 ? -r : r);
}

/* The rotation [c, s; -conj(s), c], c real, that maps (x, y) to (r, 0). */
typedef struct {
    double c;
    cplx s;
} rotation;

static rotation rotation_to(cplx x, cplx y) {
    const double mx = magnitude(x), r = sqrt(mx * mx + creal(y * conj(y)));
    if (mx == 0) return r == 0 ? (rotation){1, 0} : (rotation){0, 1};
    return (rotation){mx / r, x / mx * conj(y) / r};
}

static void turn_rows(cplx *t, int64_t n, int64_t k, rotation g, int64_t from) {
    for (int64_t j = from; j < n; j++) {
        const cplx x = t[k * n + j], y = t[(k + 1) * n + j];
        t[k * n + j] = g.c * x + g.s * y;
        t[(k + 1) * n + j] = g.c * y - conj(g.s) * x;
    }
}

static void turn_columns(cplx *t, int64_t n, int64_t k, rotation g, int64_t end) {
    for (int64_t i = 0; i < end; i++) {
        const cplx x = t[i * n + k], y = t[i * n + k + 1];
        t[i * n + k] = g.c * x + conj(g.s) * y;
        t[i * n + k + 1] = g.c * y - g.s * x;
    }
}

/* t = z^* a z with zeros below the first subdiagonal, by rotations in the planes (i - 1, i). */
static void to_hessenberg(cplx *t, cplx *z, int64_t n) {
    for (int64_t j = 0; j + 2 < n; j++)
        for (int64_t i = n - 1; i > j + 1; i--) {
            const rotation g = rotation_to(t[(i - 1) * n + j], t[i * n + j]);
            turn_rows(t, n, i - 1, g, j);
            turn_columns(t, n, i - 1, g, n);
            turn_columns(z, n, i - 1, g, n);
            t[i * n + j] = 0;
        }
}

static cplx wilkinson_shift(const cplx *t, int64_t n, int64_t hi) {
    const cplx a = t[(hi - 1) * n + hi - 1], b = t[(hi - 1) * n + hi], c = t[hi * n + hi - 1], d = t[hi * n + hi];
    const cplx half = (a - d) / 2, r = root(half * half + b * c), up = half + r, down = half - r;
    return d + (magnitude(up) < magnitude(down) ? up : down);
}

/* One shifted QR step on the block [lo, hi]; rotations [hi - lo] is scratch. */
static void qr_step(cplx *t, cplx *z, int64_t n, int64_t lo, int64_t hi, cplx shift, rotation *rotations) {
    for (int64_t i = lo; i <= hi; i++) t[i * n + i] -= shift;
    for (int64_t k = lo; k < hi; k++) {
        rotations[k - lo] = rotation_to(t[k * n + k], t[(k + 1) * n + k]);
        turn_rows(t, n, k, rotations[k - lo], k);
        t[(k + 1) * n + k] = 0;
    }
    for (int64_t k = lo; k < hi; k++) {
        turn_columns(t, n, k, rotations[k - lo], k + 2);
        turn_columns(z, n, k, rotations[k - lo], n);
    }
    for (int64_t i = lo; i <= hi; i++) t[i * n + i] += shift;
}

/* Make the Hessenberg matrix t (entries up to about 1) upper triangular, collecting rotations in z; 0: no convergence. */
static int to_triangle(cplx *t, cplx *z, int64_t n, rotation *scratch) {
    int turns = 0;
    for (int64_t hi = n - 1; hi > 0;) {
        int64_t lo = hi;
        while (lo > 0 && magnitude(t[lo * n + lo - 1]) > 0x1p-53) lo--;
        if (lo > 0) t[lo * n + lo - 1] = 0;
        if (lo == hi) {
            hi--;
            turns = 0;
            continue;
        }
        if (++turns > 100) return 0;
        const cplx shift = turns % 10 ? wilkinson_shift(t, n, hi) : t[hi * n + hi] + magnitude(t[hi * n + hi - 1]);
        qr_step(t, z, n, lo, hi, shift, scratch);
    }
    return 1;
}

/* Column k of vectors = z y with (t - t_kk) y = 0, y_k = 1, scaled to unit length; y [n] is scratch. */
static void back_substitute(hkd_complex *vectors, const cplx *t, const cplx *z, int64_t n, int64_t k, cplx *y) {
    for (int64_t i = k; i >= 0; i--) {
        cplx sum = 0, gap = t[i * n + i] - t[k * n + k];
        for (int64_t j = i + 1; j <= k; j++) sum += t[i * n + j] * y[j];
        if (magnitude(gap) < 0x1p-53) gap = 0x1p-53;
        y[i] = i == k ? 1 : -sum / gap;
    }
    double length = 0;
    for (int64_t i = 0; i <= k; i++) length += creal(y[i] * conj(y[i]));
    length = sqrt(length);
    for (int64_t i = 0; i < n; i++) {
        cplx sum = 0;
        for (int64_t j = 0; j <= k; j++) sum += z[i * n + j] * y[j] / length;
        vectors[i * n + k] = (hkd_complex){creal(sum), cimag(sum)};
    }
}

hkd_status hkd_eigen_general(hkd_complex *values, hkd_complex *vectors, const double *a, int64_t n) {
    double norm = 0;
    for (int64_t i = 0; i < n * n; i++) {
        if (!isfinite(a[i])) return hkd_fail(HKD_USAGE, "eigenvalues: matrix element %lld is not finite", (long long)i);
        norm = fmax(norm, fabs(a[i]));
    }
    const size_t order = (size_t)(n ? n : 1);
    cplx *t = malloc((2 * order * order + order) * sizeof *t), *z = t + n * n, *y = z + n * n;
    rotation *scratch = malloc(order * sizeof *scratch);
    int converged = 0;
    if (t && scratch) {
        for (int64_t i = 0; i < n * n; i++) {
            t[i] = norm > 0 ? a[i] / norm : 0;
            z[i] = i % (n + 1) == 0;
        }
        to_hessenberg(t, z, n);
        converged = to_triangle(t, z, n, scratch);
        for (int64_t k = 0; k < n; k++) {
            values[k] = (hkd_complex){norm * creal(t[k * n + k]), norm * cimag(t[k * n + k])};
            back_substitute(vectors, t, z, n, k, y);
        }
    }
    const int allocated = t && scratch;
    free(t);
    free(scratch);
    if (!allocated) return hkd_fail(HKD_RESOURCES, "eigenvalues of order %lld: out of memory", (long long)n);
    return converged ? HKD_OK : hkd_fail(HKD_RESOURCES, "QR did not converge (order %lld)", (long long)n);
}
