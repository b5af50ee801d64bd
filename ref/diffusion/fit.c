#include "fit.h"

#include "eigen.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { ROUNDS = 20 };

/* One block of memory for everything: the parts that the mixture points to, then working space. */
typedef struct {
    hkd_gaussian *component;
    double *weight, *mean, *basis, *variance; /* of all clusters */
    double *gram, *vectors, *values;          /* [SAMPLE^2], [SAMPLE^2], [SAMPLE] */
    int64_t *member;                          /* [count] */
} room;

static bool allocate(room *r, hkd_fit *out, int64_t count, int64_t size, int64_t clusters, int64_t rank) {
    const int64_t square = HKD_FIT_SAMPLE * HKD_FIT_SAMPLE, doubles = clusters * (1 + size + rank * size + rank);
    *r = (room){.component = calloc((size_t)clusters, sizeof *r->component), .weight = calloc((size_t)doubles, sizeof(double)),
                .gram = calloc((size_t)(2 * square + HKD_FIT_SAMPLE), sizeof(double)),
                .member = calloc((size_t)count + 1, sizeof *r->member)};
    out->mixture = (hkd_mixture){0, r->component, r->weight};
    out->owned = r->weight;
    if (!r->component || !r->weight || !r->gram || !r->member) return false;
    r->mean = r->weight + clusters;
    r->basis = r->mean + clusters * size;
    r->variance = r->basis + clusters * rank * size;
    r->vectors = r->gram + square;
    r->values = r->vectors + square;
    return true;
}

static double distance(const double *mean, const float *point, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (point[i] - mean[i]) * (point[i] - mean[i]);
    return sum;
}

/* Lloyd's algorithm: every point joins the nearest centre, every centre moves to the mean of its points. */
static void cluster(room *r, const float *points, int64_t count, int64_t size, int64_t clusters, uint64_t seed) {
    const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_ORDER, .draw = 1};
    for (int64_t k = 0; k < clusters; k++) {
        const float *start = points + size * (int64_t)hkd_random_below(&stream, (uint64_t)k, (uint64_t)count);
        for (int64_t i = 0; i < size; i++) r->mean[k * size + i] = (double)start[i];
    }
    for (int round = 0; round < (clusters > 1 ? ROUNDS : 1); round++) {
        for (int64_t p = 0; p < count; p++) {
            double nearest = INFINITY;
            for (int64_t k = 0; k < clusters; k++) {
                const double d = distance(r->mean + k * size, points + p * size, size);
                if (d < nearest) nearest = d, r->member[p] = k;
            }
        }
        for (int64_t k = 0; k < clusters; k++) r->weight[k] = 0;
        for (int64_t p = 0; p < count; p++) r->weight[r->member[p]]++;
        for (int64_t i = 0; i < clusters * size; i++)
            if (r->weight[i / size] > 0) r->mean[i] = 0;
        for (int64_t p = 0; p < count; p++)
            for (int64_t i = 0; i < size; i++)
                r->mean[r->member[p] * size + i] += (double)points[p * size + i] / r->weight[r->member[p]];
    }
}

/* Principal directions from the Gram matrix of a sample: if G v = lambda v, then X^T v / sqrt(lambda) is a unit direction. */
static hkd_status directions(room *r, int64_t k, const float *points, int64_t count, int64_t size, int64_t *rank) {
    const double *mean = r->mean + k * size;
    int64_t sample[HKD_FIT_SAMPLE], n = 0;
    for (int64_t p = 0; p < count && n < HKD_FIT_SAMPLE; p++)
        if (r->member[p] == k) sample[n++] = p;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b <= a; b++) {
            const float *x = points + sample[a] * size, *y = points + sample[b] * size;
            double sum = 0;
            for (int64_t i = 0; i < size; i++) sum += (x[i] - mean[i]) * (y[i] - mean[i]);
            r->gram[a * n + b] = r->gram[b * n + a] = sum;
        }
    const hkd_status status = hkd_eigen_symmetric(r->values, r->vectors, r->gram, n);
    if (status) return status;
    const int64_t wanted = *rank;
    *rank = 0;
    for (int64_t c = 0; c < n && *rank < wanted && r->values[c] > 1e-9 * r->values[0]; c++) {
        double *u = r->basis + (k * wanted + *rank) * size;
        for (int64_t i = 0; i < size; i++) u[i] = 0;
        for (int64_t a = 0; a < n; a++)
            for (int64_t i = 0; i < size; i++)
                u[i] += r->vectors[c * n + a] * ((double)points[sample[a] * size + i] - mean[i]) / sqrt(r->values[c]);
        ++*rank;
    }
    return HKD_OK;
}

static void variances(room *r, int64_t k, const float *points, int64_t count, int64_t size, int64_t stride, int64_t rank) {
    const double *mean = r->mean + k * size, *basis = r->basis + k * stride * size;
    double *variance = r->variance + k * stride, total = 0, kept = 0;
    for (int64_t p = 0; p < count; p++) {
        if (r->member[p] != k) continue;
        total += distance(mean, points + p * size, size) / r->weight[k];
        for (int64_t c = 0; c < rank; c++) {
            double along = 0;
            for (int64_t i = 0; i < size; i++) along += basis[c * size + i] * ((double)points[p * size + i] - mean[i]);
            variance[c] += along * along / r->weight[k];
        }
    }
    for (int64_t c = 0; c < rank; c++) kept += variance[c];
    const double rest = rank < size && total > kept ? (total - kept) / (double)(size - rank) : 0;
    r->component[k] = (hkd_gaussian){rank, mean, basis, variance, rest};
}

hkd_status hkd_fit_mixture(hkd_fit *out, const float *points, int64_t count, int64_t size, int64_t clusters, int64_t rank,
                           uint64_t seed) {
    room r;
    *out = (hkd_fit){0};
    if (count < 1 || clusters < 1 || rank < 1 || rank >= HKD_FIT_SAMPLE)
        return hkd_fail(HKD_USAGE, "a mixture needs pictures, at least one cluster and a rank from 1 to %d",
                        HKD_FIT_SAMPLE - 1);
    hkd_status status = allocate(&r, out, count, size, clusters, rank) ? HKD_OK
                        : hkd_fail(HKD_RESOURCES, "out of memory for a mixture");
    if (!status) cluster(&r, points, count, size, clusters, seed);
    for (int64_t k = 0; k < clusters && !status; k++) {
        int64_t found = rank;
        if (r.weight[k] < 1) continue;
        status = directions(&r, k, points, count, size, &found);
        if (status) break;
        variances(&r, k, points, count, size, rank, found);
        r.component[out->mixture.count] = r.component[k];
        r.weight[out->mixture.count++] = r.weight[k];
    }
    free(r.gram);
    free(r.member);
    if (status) hkd_fit_free(out);
    return status;
}

void hkd_fit_free(hkd_fit *fit) {
    free((void *)(uintptr_t)fit->mixture.component);
    free(fit->owned);
    *fit = (hkd_fit){0};
}
