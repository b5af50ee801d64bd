#include "picture_vectors.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

hkd_status hkd_vectors_open(hkd_vectors *v, const char *set, const char *features, int64_t side, hkd_device *dev) {
    *v = (hkd_vectors){.side = side};
    hkd_status status = hkd_dataset_open(&v->set, set);
    if (status) return status;
    const int res = v->set->resolution;
    if (features) status = hkd_features_load(&v->net, features, res, BATCH, dev);
    if (!side) v->side = res;
    if (!status && !features && (v->side > res || res % v->side))
        status = hkd_fail(HKD_USAGE, "%s: pictures of %d x %d cannot be averaged to %lld x %lld", set, res, res,
                          (long long)v->side, (long long)v->side);
    v->dim = v->net ? v->net->dim : v->side * v->side * v->set->channels;
    if (status) hkd_vectors_close(v);
    return status;
}

void hkd_vectors_close(hkd_vectors *v) {
    hkd_dataset_close(v->set);
    hkd_features_free(v->net);
    *v = (hkd_vectors){0};
}

/* bytes [channels, res, res] -> row [channels, side, side] */
static void average(double *row, const unsigned char *bytes, int64_t channels, int64_t res, int64_t side) {
    const int64_t k = res / side;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < side; i++)
            for (int64_t j = 0; j < side; j++) {
                int64_t sum = 0;
                for (int64_t p = 0; p < k * k; p++) sum += bytes[(c * res + i * k + p / k) * res + j * k + p % k];
                row[(c * side + i) * side + j] = (double)sum / (double)(k * k) / 127.5 - 1;
            }
}

/* A gray picture becomes RGB. */
static hkd_status rgb_of(const hkd_vectors *v, unsigned char *rgb, int64_t index) {
    const size_t area = (size_t)v->set->resolution * (size_t)v->set->resolution;
    int label;
    const hkd_status status = hkd_dataset_get(v->set, index, rgb, &label);
    if (!status && v->set->channels == 1) memcpy(rgb + area, rgb, area), memcpy(rgb + 2 * area, rgb, area);
    return status;
}

hkd_status hkd_vectors_get(const hkd_vectors *v, double *rows, int64_t first, int64_t n) {
    const int64_t size = 3 * (int64_t)v->set->resolution * v->set->resolution;
    unsigned char *bytes = malloc((size_t)(BATCH * size));
    hkd_status status = bytes ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for pictures");
    for (int64_t at = 0; at < n && !status; at += BATCH) {
        const int64_t here = n - at < BATCH ? n - at : BATCH;
        for (int64_t i = 0; i < here && !status; i++) status = rgb_of(v, bytes + i * size, first + at + i);
        for (int64_t i = 0; i < here && !status && !v->net; i++)
            average(rows + (at + i) * v->dim, bytes + i * size, v->set->channels, v->set->resolution, v->side);
        if (!status && v->net) status = hkd_features_run(v->net, rows + at * v->dim, bytes, here);
    }
    free(bytes);
    return status;
}
