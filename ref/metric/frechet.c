#include "frechet.h"

#include "products.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

/* f [rank, n] with s = f^T f up to n ulp of its largest diagonal entry; returns the rank. rest [n] is scratch. */
static int64_t pivoted_cholesky(double *f, const double *s, int64_t n, double *rest) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, rest[i] = s[i * n + i]);
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = 0;
        for (int64_t i = 1; i < n; i++)
            if (rest[i] > rest[pivot]) pivot = i;
        if (!(rest[pivot] > 0x1p-52 * (double)n * largest)) return k;
        double *row = f + k * n;
        for (int64_t i = 0; i < n; i++) row[i] = s[pivot * n + i];
        for (int64_t j = 0; j < k; j++) {
            const double factor = f[j * n + pivot];
            for (int64_t i = 0; i < n; i++) row[i] -= factor * f[j * n + i];
        }
        const double root = sqrt(rest[pivot]);
        for (int64_t i = 0; i < n; i++) {
            row[i] /= root;
            rest[i] -= row[i] * row[i];
        }
        rest[pivot] = 0;
    }
    return n;
}

typedef struct {
    double *to;
    int64_t columns;
} matrix;

static void put_products(void *self, int64_t i0, int64_t ni, int64_t j0, int64_t nj, const double *dot) {
    const matrix *m = self;
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = 0; j < nj; j++) m->to[(i0 + i) * m->columns + j0 + j] = dot[i * HKD_TILE + j];
}

static hkd_status check(const double *mean, const double *s, int64_t n, const char *which) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(mean[i])) return hkd_fail(HKD_USAGE, "the %s mean has an element %g", which, mean[i]);
    for (int64_t i = 0; i < n * n; i++) {
        if (!isfinite(s[i])) return hkd_fail(HKD_USAGE, "the %s covariance has an element %g", which, s[i]);
        if (i % (n + 1) == 0 && s[i] < 0)
            return hkd_fail(HKD_USAGE, "the %s covariance has a negative variance %g", which, s[i]);
    }
    return HKD_OK;
}

hkd_status hkd_frechet(double *distance, const double *mean1, const double *covariance1, const double *mean2,
                       const double *covariance2, int64_t dim, hkd_singular_values_of *singular_values) {
    hkd_status status = check(mean1, covariance1, dim, "first");
    if (status == HKD_OK) status = check(mean2, covariance2, dim, "second");
    if (status != HKD_OK) return status;
    double *f1 = malloc((size_t)(3 * dim * dim + dim + 1) * sizeof *f1);
    if (!f1) return hkd_fail(HKD_RESOURCES, "Frechet distance of %lld features: out of memory", (long long)dim);
    double *f2 = f1 + dim * dim, *product = f2 + dim * dim, *values = product + dim * dim;
    const int64_t r1 = pivoted_cholesky(f1, covariance1, dim, values), r2 = pivoted_cholesky(f2, covariance2, dim, values);
    hkd_products(put_products, &(matrix){product, r2}, f1, r1, f2, r2, dim, false);
    status = singular_values(values, product, r1, r2);
    double sum = 0;
    for (int64_t i = 0; i < dim; i++) {
        sum += (mean1[i] - mean2[i]) * (mean1[i] - mean2[i]);
        sum += covariance1[i * dim + i] + covariance2[i * dim + i];
    }
    for (int64_t i = 0; i < r1 && i < r2; i++) sum -= 2 * values[i];
    *distance = fmax(sum, 0);
    free(f1);
    return status;
}
