#include "exact_teacher.h"

#include "image.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

bool hkd_is_exact_teacher(const char *kind) {
    return !strcmp(kind, "gaussian") || !strcmp(kind, "mixture") || !strcmp(kind, "points");
}

/* All pictures as floats in [-1, 1]. */
static hkd_status points_of(float **out, const training_images *data) {
    const int64_t size = (int64_t)data->channels * data->resolution * data->resolution, total = data->images.count * size;
    *out = malloc((size_t)total * sizeof **out + 1);
    if (!*out) return hkd_fail(HKD_RESOURCES, "out of memory for the teacher's pictures");
    for (int64_t i = 0; i < total; i++) (*out)[i] = (float)hkd_to_value(data->bytes[i]);
    return HKD_OK;
}

hkd_status hkd_exact_teacher_new(hkd_exact_teacher *out, hkd_path_teacher *teacher, const char *kind,
                                 const training_images *data, int64_t clusters, int64_t rank, uint64_t seed) {
    float *points = NULL;
    *out = (hkd_exact_teacher){.cloud.count = data->images.count};
    const hkd_status status = points_of(&points, data);
    if (status) return status;
    out->cloud.points = points;
    teacher->denoise = hkd_denoise_points;
    teacher->self = &out->cloud;
    if (!strcmp(kind, "points")) return HKD_OK;
    teacher->denoise = hkd_denoise_mixture;
    teacher->self = &out->fit.mixture;
    return hkd_fit_mixture(&out->fit, points, data->images.count, (int64_t)data->channels * data->resolution * data->resolution,
                           !strcmp(kind, "gaussian") ? 1 : clusters, rank, seed);
}

void hkd_exact_teacher_free(hkd_exact_teacher *t) {
    hkd_fit_free(&t->fit);
    free((void *)(uintptr_t)t->cloud.points);
}
