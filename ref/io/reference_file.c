#include "reference_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *path, const char *ending) {
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcmp(path + n - m, ending);
}

bool hkd_is_reference_file(const char *path) {
    hkd_safetensors *st;
    if (ends_with(path, ".npz")) return true;
    if (!ends_with(path, ".safetensors") || hkd_safetensors_open(&st, path)) return false;
    const bool is = hkd_safetensors_find(st, "sigma");
    hkd_safetensors_close(st);
    return is;
}

static hkd_status check(const double *mean, const double *covariance, int64_t dim, const char *path) {
    for (int64_t i = 0; i < dim; i++)
        if (!isfinite(mean[i])) return hkd_fail(HKD_BAD_FILE, "%s: 'mu' has an element that is not finite", path);
    for (int64_t i = 0; i < dim * dim; i++) {
        const double a = covariance[i], b = covariance[i % dim * dim + i / dim];
        if (!isfinite(a)) return hkd_fail(HKD_BAD_FILE, "%s: 'sigma' has an element that is not finite", path);
        if (fabs(a - b) > 1e-6 * (fabs(a) + fabs(b)) + 1e-9)
            return hkd_fail(HKD_BAD_FILE, "%s: 'sigma' is not symmetric", path);
    }
    return HKD_OK;
}

static hkd_status read(double **mean, double **covariance, int64_t *dim, const hkd_tensor_list *list, const char *path) {
    hkd_listed *mu = hkd_tensor_list_find(list, "mu"), *sigma = hkd_tensor_list_find(list, "sigma");
    if (!mu || !sigma) return hkd_fail(HKD_BAD_FILE, "%s: no statistics: 'mu' and 'sigma' are expected", path);
    *dim = mu->shape.rank == 1 ? mu->shape.dim[0] : 0;
    if (*dim < 1 || *dim > 1 << 15 || sigma->shape.rank != 2 || sigma->shape.dim[0] != *dim || sigma->shape.dim[1] != *dim)
        return hkd_fail(HKD_BAD_FILE, "%s: 'mu' [dim] and 'sigma' [dim, dim] are expected", path);
    *mean = malloc((size_t)*dim * sizeof **mean);
    *covariance = malloc((size_t)(*dim * *dim) * sizeof **covariance);
    if (!*mean || !*covariance) return hkd_fail(HKD_RESOURCES, "%s: out of memory for the statistics", path);
    hkd_status status = hkd_listed_values(*mean, HKD_F64, mu);
    if (!status) status = hkd_listed_values(*covariance, HKD_F64, sigma);
    return status ? status : check(*mean, *covariance, *dim, path);
}

hkd_status hkd_reference_load(double **mean, double **covariance, int64_t *dim, const char *path) {
    hkd_tensor_list list;
    *mean = *covariance = NULL;
    hkd_status status = hkd_tensor_list_read(&list, path);
    if (status) return status;
    status = read(mean, covariance, dim, &list, path);
    hkd_tensor_list_free(&list);
    if (status) {
        free(*mean);
        free(*covariance);
        *mean = *covariance = NULL;
    }
    return status;
}

/* The list's values are bytes of a file: little-endian. */
static hkd_status add(hkd_tensor_list *list, const char *path, const char *name, const double *values, hkd_shape shape) {
    const size_t count = (size_t)hkd_count(&shape);
    unsigned char *bytes = malloc(count * 8);
    if (!bytes) return hkd_fail(HKD_RESOURCES, "%s: out of memory for the statistics", path);
    hkd_stored_encode(bytes, HKD_DOUBLE, values, HKD_F64, count);
    hkd_listed t = {.name = (char *)(uintptr_t)name, .type = HKD_DOUBLE, .shape = shape, .from = bytes, .room = count * 8};
    hkd_listed_dense(&t);
    const hkd_status status = hkd_tensor_list_own(list, bytes);
    return status ? status : hkd_tensor_list_add(list, path, &t);
}

hkd_status hkd_reference_save(const char *path, const double *mean, const double *covariance, int64_t dim) {
    hkd_tensor_list list = {0};
    hkd_status status = add(&list, path, "mu", mean, hkd_shape_of(1, dim));
    if (!status) status = add(&list, path, "sigma", covariance, hkd_shape_of(2, dim, dim));
    if (!status) status = hkd_tensor_list_write(&list, path, NULL, 0);
    hkd_tensor_list_free(&list);
    return status;
}
