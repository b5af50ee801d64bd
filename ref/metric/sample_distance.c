#include "sample_distance.h"

#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static hkd_status out_of_memory(void) { return hkd_fail(HKD_RESOURCES, "distance of two sets: out of memory"); }

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- sliced Wasserstein ---- */

/* The integral over [0, 1] of the squared difference of the quantiles of sorted a [n] and b [m]; steps count 1/(n m). */
static double transport(const double *a, int64_t n, const double *b, int64_t m) {
    double sum = 0;
    for (int64_t i = 0, j = 0, at = 0; i < n && j < m;) {
        const int64_t end_a = (i + 1) * m, end_b = (j + 1) * n, end = end_a < end_b ? end_a : end_b;
        sum += (a[i] - b[j]) * (a[i] - b[j]) * (double)(end - at);
        i += end == end_a;
        j += end == end_b;
        at = end;
    }
    return sum / ((double)n * (double)m);
}

static void project(double *out, const double *x, int64_t n, const double *direction, int64_t dim) {
    for (int64_t i = 0; i < n; i++) out[i] = dot(x + i * dim, direction, dim);
    qsort(out, (size_t)n, sizeof *out, ascending);
}

hkd_status hkd_sliced_wasserstein(double *distance, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                                  int64_t directions, uint64_t seed) {
    if (n < 1 || m < 1 || dim < 1 || directions < 1) return hkd_fail(HKD_USAGE, "sliced Wasserstein distance of an empty set");
    double *direction = malloc((size_t)(dim + n + m) * sizeof *direction), sum = 0;
    if (!direction) return out_of_memory();
    double *px = direction + dim, *py = px + n;
    for (int64_t k = 0; k < directions; k++) {
        const hkd_stream s = {.seed = seed, .purpose = HKD_FOR_METRIC, .draw = (uint32_t)k};
        hkd_random_normals(direction, 0, dim, &s);
        const double length = sqrt(dot(direction, direction, dim));
        for (int64_t i = 0; i < dim; i++) direction[i] /= length;
        project(px, x, n, direction, dim);
        project(py, y, m, direction, dim);
        sum += transport(px, n, py, m);
    }
    free(direction);
    *distance = sqrt(sum / (double)directions);
    return HKD_OK;
}

/* ---- kernel distance ---- */

static double kernel(const double *a, const double *b, int64_t dim) {
    const double v = dot(a, b, dim) / (double)dim + 1;
    return v * v * v;
}

/* Mean of k over pairs of different points of one set. */
static double within(const double *x, int64_t n, int64_t dim) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) sum += kernel(x + i * dim, x + j * dim, dim);
    return 2 * sum / ((double)n * (double)(n - 1));
}

hkd_status hkd_kernel_distance(double *mmd2, const double *x, int64_t n, const double *y, int64_t m, int64_t dim) {
    if (n < 2 || m < 2 || dim < 1) return hkd_fail(HKD_USAGE, "kernel distance: each set needs at least 2 samples");
    double across = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) across += kernel(x + i * dim, y + j * dim, dim);
    *mmd2 = within(x, n, dim) + within(y, m, dim) - 2 * across / ((double)n * (double)m);
    return HKD_OK;
}

/* `size` different rows of x, drawn without replacement: the first steps of a Fisher-Yates shuffle. */
static void draw_subset(double *out, int64_t size, int64_t *order, const double *x, int64_t n, int64_t dim,
                        const hkd_stream *s) {
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = 0; i < size; i++) {
        const int64_t other = i + hkd_random_below(s, (uint64_t)i, (uint64_t)(n - i)), taken = order[other];
        order[other] = order[i];
        order[i] = taken;
        memcpy(out + i * dim, x + taken * dim, (size_t)dim * sizeof *out);
    }
}

hkd_status hkd_kid(double *mean, double *deviation, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                   int64_t subsets, int64_t size, uint64_t seed) {
    if (subsets < 1 || size < 2 || size > n || size > m)
        return hkd_fail(HKD_USAGE, "KID: %lld subsets of %lld from sets of %lld and %lld", (long long)subsets, (long long)size,
                        (long long)n, (long long)m);
    double *part = malloc((size_t)(2 * size * dim + subsets) * sizeof *part);
    double *other = part + size * dim, *value = other + size * dim;
    int64_t *order = malloc((size_t)(n > m ? n : m) * sizeof *order);
    hkd_status status = part && order ? HKD_OK : out_of_memory();
    *mean = *deviation = 0;
    for (int64_t k = 0; status == HKD_OK && k < subsets; k++) {
        const hkd_stream first = {.seed = seed, .purpose = HKD_FOR_METRIC, .index = 1, .draw = (uint32_t)k};
        const hkd_stream second = {.seed = seed, .purpose = HKD_FOR_METRIC, .index = 2, .draw = (uint32_t)k};
        draw_subset(part, size, order, x, n, dim, &first);
        draw_subset(other, size, order, y, m, dim, &second);
        status = hkd_kernel_distance(&value[k], part, size, other, size, dim);
        if (status == HKD_OK) *mean += value[k] / (double)subsets;
    }
    for (int64_t k = 0; status == HKD_OK && k < subsets; k++) *deviation += (value[k] - *mean) * (value[k] - *mean);
    *deviation = subsets > 1 ? sqrt(*deviation / (double)(subsets - 1)) : 0;
    free(part);
    free(order);
    return status;
}

/* ---- precision and recall ---- */

static double squared_distance(const double *a, const double *b, int64_t dim) {
    double sum = 0;
    for (int64_t i = 0; i < dim; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* The squared distance from x_i to its k-th nearest other point; scratch [n]. */
static double radius2(const double *x, int64_t i, int64_t n, int64_t dim, int64_t k, double *scratch) {
    for (int64_t j = 0; j < n; j++) scratch[j] = j == i ? -1 : squared_distance(x + i * dim, x + j * dim, dim);
    qsort(scratch, (size_t)n, sizeof *scratch, ascending);
    return scratch[k];
}

/* The fraction of y inside the balls around x; inside [m] and scratch [n] are scratch. */
static double covered(const double *x, int64_t n, const double *y, int64_t m, int64_t dim, int64_t k, double *inside,
                      double *scratch) {
    double sum = 0;
    for (int64_t j = 0; j < m; j++) inside[j] = 0;
    for (int64_t i = 0; i < n; i++) {
        const double reach = radius2(x, i, n, dim, k, scratch);
        for (int64_t j = 0; j < m; j++)
            if (inside[j] == 0 && squared_distance(x + i * dim, y + j * dim, dim) <= reach) inside[j] = 1;
    }
    for (int64_t j = 0; j < m; j++) sum += inside[j];
    return sum / (double)m;
}

hkd_status hkd_precision_recall(double *precision, double *recall, const double *x, int64_t n, const double *y, int64_t m,
                                int64_t dim, int64_t k) {
    if (k < 1 || n <= k || m <= k)
        return hkd_fail(HKD_USAGE, "precision and recall with k = %lld: each set needs more than k samples", (long long)k);
    double *inside = malloc((size_t)(n + m) * 2 * sizeof *inside), *scratch = inside + n + m;
    if (!inside) return out_of_memory();
    *precision = covered(x, n, y, m, dim, k, inside, scratch);
    *recall = covered(y, m, x, n, dim, k, inside, scratch);
    free(inside);
    return HKD_OK;
}
