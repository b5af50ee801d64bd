#include "sample_distance.h"

#include "products.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>
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

typedef struct {
    double sum, dim;
    bool one_set; /* pairs of different points, each once */
} kernel_sum;

static void add_kernels(void *self, int64_t i0, int64_t ni, int64_t j0, int64_t nj, const double *products) {
    kernel_sum *k = self;
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = k->one_set && i0 == j0 ? i + 1 : 0; j < nj; j++) {
            const double v = products[i * HKD_TILE + j] / k->dim + 1;
            k->sum += v * v * v;
        }
}

/* Mean of k over pairs of different points of one set. */
static double within(const double *x, int64_t n, int64_t dim) {
    kernel_sum k = {.dim = (double)dim, .one_set = true};
    hkd_products(add_kernels, &k, x, n, x, n, dim, true);
    return 2 * k.sum / ((double)n * (double)(n - 1));
}

hkd_status hkd_kernel_distance(double *mmd2, const double *x, int64_t n, const double *y, int64_t m, int64_t dim) {
    if (n < 2 || m < 2 || dim < 1) return hkd_fail(HKD_USAGE, "kernel distance: each set needs at least 2 samples");
    kernel_sum across = {.dim = (double)dim};
    hkd_products(add_kernels, &across, x, n, y, m, dim, false);
    *mmd2 = within(x, n, dim) + within(y, m, dim) - 2 * across.sum / ((double)n * (double)m);
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

/* One of the two sets: its points' squared lengths, the squared distances to their k nearest others (ascending), and whether
 * they lie within reach of the other set. */
typedef struct {
    double *length, *nearest; /* [n], [n, k] */
    bool *inside;             /* [n] */
    int64_t k;
} neighbourhood;

static void meet(neighbourhood *s, int64_t i, double distance) {
    double *nearest = s->nearest + i * s->k;
    if (!(distance < nearest[s->k - 1])) return;
    int64_t at = s->k - 1;
    for (; at > 0 && nearest[at - 1] > distance; at--) nearest[at] = nearest[at - 1];
    nearest[at] = distance;
}

static void find_neighbours(void *self, int64_t i0, int64_t ni, int64_t j0, int64_t nj, const double *products) {
    neighbourhood *s = self;
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i0 == j0 ? i + 1 : 0; j < nj; j++) {
            const double distance = s->length[i0 + i] + s->length[j0 + j] - 2 * products[i * HKD_TILE + j];
            meet(s, i0 + i, distance);
            meet(s, j0 + j, distance);
        }
}

static void find_inside(void *self, int64_t i0, int64_t ni, int64_t j0, int64_t nj, const double *products) {
    neighbourhood *x = (neighbourhood *)self, *y = x + 1;
    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = j0; j < j0 + nj; j++) {
            const double distance = x->length[i] + y->length[j] - 2 * products[(i - i0) * HKD_TILE + j - j0];
            y->inside[j] |= distance <= x->nearest[i * x->k + x->k - 1];
            x->inside[i] |= distance <= y->nearest[j * y->k + y->k - 1];
        }
}

static hkd_status neighbours(neighbourhood *s, const double *x, int64_t n, int64_t dim, int64_t k) {
    *s = (neighbourhood){malloc((size_t)n * sizeof(double)), malloc((size_t)(n * k) * sizeof(double)),
                         calloc((size_t)n, sizeof(bool)), k};
    if (!s->length || !s->nearest || !s->inside) return out_of_memory();
    for (int64_t i = 0; i < n * k; i++) s->nearest[i] = INFINITY;
    hkd_squared_lengths(s->length, x, n, dim);
    hkd_products(find_neighbours, s, x, n, x, n, dim, true);
    return HKD_OK;
}

static double fraction(const bool *inside, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += inside[i];
    return (double)count / (double)n;
}

hkd_status hkd_precision_recall(double *precision, double *recall, const double *x, int64_t n, const double *y, int64_t m,
                                int64_t dim, int64_t k) {
    if (k < 1 || n <= k || m <= k)
        return hkd_fail(HKD_USAGE, "precision and recall with k = %lld: each set needs more than k samples", (long long)k);
    neighbourhood set[2] = {{0}, {0}};
    hkd_status status = neighbours(&set[0], x, n, dim, k);
    if (!status) status = neighbours(&set[1], y, m, dim, k);
    if (!status) {
        hkd_products(find_inside, set, x, n, y, m, dim, false);
        *precision = fraction(set[1].inside, m);
        *recall = fraction(set[0].inside, n);
    }
    for (int i = 0; i < 2; i++) free(set[i].length), free(set[i].nearest), free(set[i].inside);
    return status;
}
