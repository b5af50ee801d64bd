/* The shape of a sampling path: how flat it is, how far it turns, how near it is to a rotation (hkd_insight.h). */
#include "hkd_insight.h"

#include "eigen.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* The Gram matrix [times, times] of the rows around their mean; centred [times, dim] and mean [dim] are scratch. */
static void centred_gram(double *gram, double *centred, double *mean, const double *x, int64_t times, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) mean[j] = 0;
    for (int64_t t = 0; t < times; t++)
        for (int64_t j = 0; j < dim; j++) mean[j] += x[t * dim + j] / (double)times;
    for (int64_t t = 0; t < times; t++)
        for (int64_t j = 0; j < dim; j++) centred[t * dim + j] = x[t * dim + j] - mean[j];
    for (int64_t t = 0; t < times; t++)
        for (int64_t u = 0; u <= t; u++)
            gram[t * times + u] = gram[u * times + t] = dot(centred + t * dim, centred + u * dim, dim);
}

/* Gram = V^T diag(values) V, and the score of time t on component k is sqrt(values[k]) V[k, t]. */
static void read_components(double *explained, double *scores, int64_t components, const double *values, const double *vectors,
                            int64_t times) {
    double total = 0, sum = 0;
    for (int64_t k = 0; k < times; k++) total += fmax(values[k], 0);
    for (int64_t k = 0; k < times; k++) {
        sum += fmax(values[k], 0);
        explained[k] = total > 0 ? sum / total : 0;
    }
    for (int64_t k = 0; scores && k < components; k++) {
        const double *v = vectors + k * times;
        const double scale = k < times ? sqrt(fmax(values[k], 0)) * (v[times - 1] < 0 ? -1 : 1) : 0;
        for (int64_t t = 0; t < times; t++) scores[t * components + k] = k < times ? scale * v[t] : 0;
    }
}

hkd_status hkd_trajectory_pca(double *explained, double *scores, int64_t components, const double *x, int64_t times,
                              int64_t dim) {
    if (times < 1) return hkd_fail(HKD_USAGE, "a trajectory of %lld states: expected at least 1", (long long)times);
    double *centred = malloc((size_t)(times * dim + dim + 2 * times * times + times) * sizeof *centred);
    if (!centred)
        return hkd_fail(HKD_RESOURCES, "trajectory of [%lld, %lld]: out of memory", (long long)times, (long long)dim);
    double *mean = centred + times * dim, *gram = mean + dim, *vectors = gram + times * times;
    double *values = vectors + times * times;
    centred_gram(gram, centred, mean, x, times, dim);
    const hkd_status status = hkd_eigen_symmetric(values, vectors, gram, times);
    if (status == HKD_OK) read_components(explained, scores, components, values, vectors, times);
    free(centred);
    return status;
}

double hkd_angle(const double *a, const double *b, int64_t n) {
    const double la = sqrt(dot(a, a, n)), lb = sqrt(dot(b, b, n));
    double apart = 0, along = 0; /* Kahan: accurate for small and for large angles */
    if (la == 0 || lb == 0) return 0;
    for (int64_t i = 0; i < n; i++) {
        apart += (a[i] / la - b[i] / lb) * (a[i] / la - b[i] / lb);
        along += (a[i] / la + b[i] / lb) * (a[i] / la + b[i] / lb);
    }
    return 2 * atan2(sqrt(apart), sqrt(along));
}

/* The least-squares a, s of x = a x0 + s xT, by Gram-Schmidt; a = 0 where x0 lies along xT. */
static void best_in_plane(double *a, double *s, const double *x, const double *x0, const double *xT, int64_t dim) {
    const double tt = dot(xT, xT, dim), t0 = tt > 0 ? dot(x0, xT, dim) / tt : 0;
    double rest = 0, along = 0;
    for (int64_t j = 0; j < dim; j++) {
        const double outside = x0[j] - t0 * xT[j];
        rest += outside * outside;
        along += outside * x[j];
    }
    *a = rest > 0x1p-50 * dot(x0, x0, dim) ? along / rest : 0;
    *s = tt > 0 ? dot(x, xT, dim) / tt - *a * t0 : 0;
}

void hkd_rotation_residual(double *residual, double *norm, const double *a, const double *s, const double *x, int64_t times,
                           int64_t dim) {
    const double *xT = x, *x0 = x + (times - 1) * dim;
    for (int64_t t = 0; t < times; t++) {
        const double *xt = x + t * dim;
        const double length = dot(xt, xt, dim);
        double at = a ? a[t] : 0, st = s ? s[t] : 0, sum = 0;
        if (!a || !s) best_in_plane(&at, &st, xt, x0, xT, dim);
        for (int64_t j = 0; j < dim; j++) {
            const double off = xt[j] - at * x0[j] - st * xT[j];
            sum += off * off;
        }
        residual[t] = length > 0 ? sum / length : 0;
        if (norm) norm[t] = length;
    }
}

hkd_status hkd_trajectory_shape(hkd_path_shape *out, const double *x, int64_t times, int64_t dim) {
    double *explained = malloc((size_t)(2 * times) * sizeof *explained + 1), *residual = explained + times;
    *out = (hkd_path_shape){.residual = 0};
    if (times < 1) return free(explained), hkd_fail(HKD_USAGE, "a path needs at least one state");
    if (!explained) return hkd_fail(HKD_RESOURCES, "out of memory for a path");
    const hkd_status status = hkd_trajectory_pca(explained, NULL, 0, x, times, dim);
    if (!status) {
        hkd_rotation_residual(residual, NULL, NULL, NULL, x, times, dim);
        for (int64_t t = 0; t < times; t++) out->residual = fmax(out->residual, residual[t]);
        for (int64_t k = 0; k < 3; k++) out->explained[k] = explained[k < times ? k : times - 1];
        out->degrees = hkd_angle(x, x + (times - 1) * dim, dim) * 180 / 3.14159265358979323846;
    }
    free(explained);
    return status;
}
