#include "restore.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_known_check(const hkd_known *k) {
    if (k->keep == HKD_KEEP_GRAY && k->channels != 3)
        return hkd_fail(HKD_USAGE, "colorisation needs 3 channels, the model has %lld", (long long)k->channels);
    if (k->keep == HKD_KEEP_MEANS && (k->patch < 1 || k->side % k->patch))
        return hkd_fail(HKD_USAGE, "super-resolution by %lld: expected a divisor of the side, %lld", (long long)k->patch,
                        (long long)k->side);
    return HKD_OK;
}

static void keep_pixels(double *x, const double *y, const hkd_known *k) {
    const int64_t area = k->side * k->side;
    for (int64_t i = 0; i < k->channels * area; i++)
        if (k->known[i % area]) x[i] = y[i];
}

/* x + g (g . (y - x)): only the component along g changes. */
static void keep_gray(double *x, const double *y, const hkd_known *k) {
    static const double luma[3] = {0.2989, 0.5870, 0.1140};
    const double square = luma[0] * luma[0] + luma[1] * luma[1] + luma[2] * luma[2];
    const int64_t area = k->side * k->side;
    for (int64_t i = 0; i < area; i++) {
        double along = 0;
        for (int c = 0; c < 3; c++) along += luma[c] * (y[c * area + i] - x[c * area + i]);
        for (int c = 0; c < 3; c++) x[c * area + i] += luma[c] * along / square;
    }
}

static void keep_means(double *x, const double *y, const hkd_known *k) {
    const int64_t side = k->side, p = k->patch;
    for (int64_t at = 0; at < k->channels * side * side; at += side * p) /* one row of patches */
        for (int64_t left = 0; left < side; left += p) {
            double mean = 0;
            for (int64_t i = 0; i < p * p; i++) {
                const int64_t e = at + i / p * side + left + i % p;
                mean += (y[e] - x[e]) / (double)(p * p);
            }
            for (int64_t i = 0; i < p * p; i++) x[at + i / p * side + left + i % p] += mean;
        }
}

void hkd_known_restore(double *x, const double *y, int64_t n, const hkd_known *k) {
    const int64_t size = k->channels * k->side * k->side;
    for (int64_t i = 0; i < n * size; i += size) {
        if (k->keep == HKD_KEEP_PIXELS) keep_pixels(x + i, y + i, k);
        else if (k->keep == HKD_KEEP_GRAY) keep_gray(x + i, y + i, k);
        else keep_means(x + i, y + i, k);
    }
}

/* x <- K y + (1 - K) clip(f(x)); d [n, size] is scratch. */
static hkd_status step(hkd_sampling *s, double *x, double *d, const double *y, const hkd_known *k, double sigma) {
    const hkd_status status = hkd_sampling_denoise(s, d, x, sigma);
    for (int64_t i = 0; i < s->n * s->size && !status; i++) x[i] = fmin(fmax(d[i], -1), 1);
    if (!status) hkd_known_restore(x, y, s->n, k);
    return status;
}

static hkd_status check(const hkd_sampling *s, const double *sigma, int64_t steps, double sigma_min) {
    if (steps < 1 || !s->seeds) return hkd_fail(HKD_USAGE, "restoration needs a step, and a seed for each image");
    for (int64_t i = 0; i < steps; i++)
        if (!(sigma[i] >= sigma_min && (i == 0 || sigma[i] < sigma[i - 1])))
            return hkd_fail(HKD_USAGE, "restoration: the noise levels must decrease and not fall below %g", sigma_min);
    return HKD_OK;
}

hkd_status hkd_restore(hkd_sampling *s, double *x, const double *y, const hkd_known *k, const double *sigma, int64_t steps,
                       double sigma_min) {
    hkd_status status = hkd_known_check(k);
    if (!status) status = check(s, sigma, steps, sigma_min);
    if (status) return status;
    double *d = malloc((size_t)(s->n * s->size) * sizeof *d + 1);
    if (!d) return hkd_fail(HKD_RESOURCES, "restoration of %lld images: out of memory", (long long)s->n);
    for (int64_t i = 0; i < s->n * s->size; i++) x[i] = 0;
    hkd_known_restore(x, y, s->n, k); /* K y */
    for (int64_t i = 0; i < steps && !status; i++) {
        status = hkd_sampling_watch(s, i, sigma[i], x);
        if (!status) status = hkd_sampling_add_noise(s, x, i ? sqrt(sigma[i] * sigma[i] - sigma_min * sigma_min) : sigma[0], i);
        if (!status) status = step(s, x, d, y, k, sigma[i]);
    }
    free(d);
    return status ? status : hkd_sampling_watch(s, steps, 0, x);
}

/* ---- a model as f ---- */

hkd_status hkd_model_restore(hkd_model *m, double *x, const double *y, const hkd_known *k, const hkd_inputs *seeds,
                             int64_t steps, hkd_watch *watch, void *watcher) {
    const hkd_config *c = &m->config;
    const int64_t n = seeds->in.n;
    double *level = malloc((size_t)((steps > 0 ? steps : 0) + n) * sizeof *level + 1);
    if (!level) return hkd_fail(HKD_RESOURCES, "restoration of %lld images: out of memory", (long long)n);
    hkd_model_denoiser f = {.m = m, .in = seeds->in, .sigma = level + (steps > 0 ? steps : 0)};
    hkd_sampling s = {.denoise = hkd_denoise_model, .denoiser = &f, .n = n, .seeds = seeds->seeds, .watch = watch,
                      .watcher = watcher, .size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution};
    for (int64_t i = 0; i < steps; i++)
        level[i] = fmax(hkd_level_at(c, steps > 1 ? 1 - (double)i / (double)(steps - 1) : 1), c->sigma_min);
    const hkd_status status = hkd_restore(&s, x, y, k, level, steps, c->sigma_min);
    free(level);
    return status;
}
