#include "sampler.h"

#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* z [size]: the normals of image k; `own` is their stream where no other noise is given. */
static hkd_status normals(double *z, const hkd_sampling *s, int64_t k, const hkd_stream *own) {
    const hkd_noise *noise = s->noise;
    if (noise && noise->generator) return hkd_foreign_normals(z, s->size, &noise->generator[k]);
    if (noise && noise->used >= noise->draws)
        return hkd_fail(HKD_USAGE, "sampler: it draws noise more often than the %lld times that are given",
                        (long long)noise->draws);
    if (noise) memcpy(z, noise->given + (k * noise->draws + noise->used) * s->size, (size_t)s->size * sizeof *z);
    else hkd_random_normals(z, 0, s->size, own);
    return HKD_OK;
}

hkd_status hkd_draw_latents(double *x, const hkd_sampling *s, double sigma) {
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < s->n && !status; k++) {
        const hkd_stream own = {.seed = s->noise ? 0 : s->seeds[k], .purpose = HKD_FOR_LATENTS};
        double *image = x + k * s->size;
        status = normals(image, s, k, &own);
        for (int64_t i = 0; i < s->size && !status; i++) image[i] *= sigma;
    }
    if (s->noise) s->noise->used++;
    return status;
}

hkd_status hkd_sampling_denoise(hkd_sampling *s, double *d, const double *x, double sigma) {
    s->nfe++;
    return s->denoise(s->denoiser, d, x, sigma, s->n, s->size);
}

hkd_status hkd_sampling_watch(const hkd_sampling *s, int64_t i, double sigma, const double *x) {
    return s->watch ? s->watch(s->watcher, i, sigma, x, s->n, s->size) : HKD_OK;
}

hkd_status hkd_sampling_add_noise(const hkd_sampling *s, double *x, double scale, int64_t step) {
    if (scale == 0 && !(s->noise && s->noise->generator)) return HKD_OK;
    double *z = malloc((size_t)s->size * sizeof *z + 1);
    hkd_status status = z ? HKD_OK : hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t k = 0; k < s->n && !status; k++) {
        const hkd_stream own = {.seed = s->noise ? 0 : s->seeds[k], .purpose = HKD_FOR_CHURN, .draw = (uint32_t)step};
        status = normals(z, s, k, &own);
        for (int64_t i = 0; i < s->size && !status; i++) x[k * s->size + i] += scale * z[i];
    }
    if (s->noise) s->noise->used++;
    free(z);
    return status;
}

/* ---- EDM (Karras et al. 2022), Algorithm 1 (churn = 0) and Algorithm 2 ---- */

const hkd_edm_options hkd_edm_heun = {.order = 2, .churn_max = HUGE_VAL, .churn_noise = 1};
const hkd_edm_options hkd_edm_euler = {.order = 1, .churn_max = HUGE_VAL, .churn_noise = 1};

/* The level to which a step first raises the noise. */
static double raised(const hkd_sampling *s, double sigma, int64_t steps, const hkd_edm_options *o) {
    const double gamma = fmin(o->churn / (double)steps, sqrt(2) - 1);
    if (!(gamma > 0 && sigma >= o->churn_min && sigma <= o->churn_max)) return sigma;
    return s->round ? fmax(s->round(sigma * (1 + gamma)), sigma) : sigma * (1 + gamma);
}

/* One step from `from` down to `to`. slope and next [n, size] are scratch.
 *   d = (x - D(x; from)) / from,  x' = x + (to - from) d,  and for Heun with d' = (x' - D(x'; to)) / to
 *   x + (to - from) (d + d') / 2. */
static hkd_status step(hkd_sampling *s, double *x, double *slope, double *next, double from, double to, bool heun) {
    const int64_t count = s->n * s->size;
    const double h = to - from;
    hkd_status status = hkd_sampling_denoise(s, slope, x, from);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        slope[i] = (x[i] - slope[i]) / from;
        next[i] = x[i] + h * slope[i];
    }
    if (heun) {
        for (int64_t i = 0; i < count; i++) x[i] += h / 2 * slope[i];
        status = hkd_sampling_denoise(s, slope, next, to);
        for (int64_t i = 0; i < count && !status; i++) x[i] += h / 2 * (next[i] - slope[i]) / to;
        return status;
    }
    for (int64_t i = 0; i < count; i++) x[i] = next[i];
    return HKD_OK;
}

static hkd_status check(const hkd_sampling *s, const double *sigma, int64_t steps, const hkd_edm_options *o) {
    if (o->order != 1 && o->order != 2) return hkd_fail(HKD_USAGE, "sampler: order must be 1 (euler) or 2 (heun)");
    if (o->churn > 0 && !s->seeds) return hkd_fail(HKD_USAGE, "sampler: churn needs a seed for each image");
    if (steps < 1 || sigma[steps] != 0) return hkd_fail(HKD_USAGE, "sampler: the grid must have a step and end with 0");
    for (int64_t i = 0; i < steps; i++)
        if (!(sigma[i] >= sigma[i + 1] && sigma[i] > 0)) return hkd_fail(HKD_USAGE, "sampler: the noise levels must decrease");
    return HKD_OK;
}

hkd_status hkd_sample_edm(hkd_sampling *s, double *x, const double *sigma, int64_t steps, const hkd_edm_options *o) {
    hkd_status status = check(s, sigma, steps, o);
    if (status) return status;
    const size_t bytes = (size_t)(s->n * s->size) * sizeof(double) + 1;
    double *slope = malloc(bytes), *next = malloc(bytes);
    if (!slope || !next) status = hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t i = 0; i < steps && !status; i++) {
        status = hkd_sampling_watch(s, i, sigma[i], x);
        if (status) break;
        const double from = raised(s, sigma[i], steps, o), added = sqrt(from * from - sigma[i] * sigma[i]);
        if (o->churn > 0) status = hkd_sampling_add_noise(s, x, o->churn_noise * added, i); /* also where that is 0 */
        if (!status) status = step(s, x, slope, next, from, sigma[i + 1], o->order == 2 && i + 1 < steps);
    }
    if (!status) status = hkd_sampling_watch(s, steps, 0, x);
    free(next);
    free(slope);
    return status;
}
