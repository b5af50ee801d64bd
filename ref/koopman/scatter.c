/* Do models that were trained alike agree? hkd_scatter_over_models of hkd_insight.h. */
#include "hkd_insight.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

/* mean and variance [models] over places. */
static void moments(double *mean, double *variance, const double *const *x, int64_t models, int64_t count) {
    for (int64_t i = 0; i < models; i++) {
        mean[i] = variance[i] = 0;
        for (int64_t e = 0; e < count; e++) mean[i] += x[i][e] / (double)count;
        for (int64_t e = 0; e < count; e++) variance[i] += (x[i][e] - mean[i]) * (x[i][e] - mean[i]) / (double)count;
    }
}

static double over_models(const double *const *x, int64_t models, int64_t count) {
    double all = 0;
    for (int64_t e = 0; e < count; e++) {
        double middle = 0, square = 0;
        for (int64_t i = 0; i < models; i++) middle += x[i][e] / (double)models;
        for (int64_t i = 0; i < models; i++) square += (x[i][e] - middle) * (x[i][e] - middle) / (double)(models - 1);
        all += square / (double)count;
    }
    return sqrt(all);
}

hkd_status hkd_scatter_over_models(hkd_scatter *out, const double *const *x, int64_t models, int64_t count) {
    if (models < 2 || count < 1) return hkd_fail(HKD_USAGE, "a spread over models needs at least 2 models and a number of "
            "each");
    double *mean = malloc((size_t)(2 * models) * sizeof *mean), *variance = mean + models;
    const double pairs = (double)(models * (models - 1)) / 2;
    if (!mean) return hkd_fail(HKD_RESOURCES, "out of memory for %lld models", (long long)models);
    moments(mean, variance, x, models, count);
    *out = (hkd_scatter){.over_models = over_models(x, models, count)};
    for (int64_t i = 0; i < models; i++) {
        out->over_places += sqrt(variance[i]) / (double)models;
        for (int64_t k = 0; k < i; k++) {
            double product = 0;
            for (int64_t e = 0; e < count; e++) product += (x[i][e] - mean[i]) * (x[k][e] - mean[k]) / (double)count;
            out->correlation += product / sqrt(variance[i] * variance[k]) / pairs;
        }
    }
    free(mean);
    return HKD_OK;
}
