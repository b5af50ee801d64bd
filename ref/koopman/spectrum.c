#include "spectrum.h"

#include "exact.h"
#include "status.h"

#include <math.h>

hkd_status hkd_levels_check(const hkd_level *levels, int64_t count) {
    if (count < 1) return hkd_fail(HKD_USAGE, "the model has no Koopman operators (a denoiser, not an hkd model?)");
    for (int64_t l = 0; l < count; l++) {
        const hkd_level *v = &levels[l];
        const bool tied = v->ah == 1 && v->aw == 1, free_ = v->ah == v->h && v->aw == v->w;
        if (v->d < 0 || v->d % 2 || v->h < 0 || v->w < 0 || !(tied || free_))
            return hkd_fail(HKD_USAGE, "operator %lld: a [%lld, %lld, %lld] on latents of %lldx%lld: expected [d, h, w] or "
                            "[d, 1, 1], d even", (long long)l, (long long)v->d, (long long)v->ah, (long long)v->aw,
                            (long long)v->h, (long long)v->w);
        for (int64_t i = 0; i < v->d * v->ah * v->aw; i++)
            if (!isfinite(v->a[i]))
                return hkd_fail(HKD_USAGE, "operator %lld: element %lld is not finite", (long long)l, (long long)i);
    }
    return HKD_OK;
}

int64_t hkd_mode_count(const hkd_level *level) { return level->d / 2 * level->ah * level->aw; }

hkd_mode hkd_mode_at(const hkd_level *levels, int64_t level, int64_t m) {
    const hkd_level *v = &levels[level];
    const int64_t position = m % (v->ah * v->aw);
    return (hkd_mode){.level = level,
                      .pair = m / (v->ah * v->aw),
                      .row = position / v->aw,
                      .col = position % v->aw,
                      .alpha = v->a[m],
                      .beta = v->a[hkd_mode_count(v) + m]};
}

int64_t hkd_mode_of(const hkd_level *level, int64_t pair, int64_t position) {
    const int64_t area = level->ah * level->aw;
    return pair * area + (area == 1 ? 0 : position);
}

hkd_complex hkd_discrete_eigenvalue(double alpha, double beta, double dt) {
    const double growth = hkd_exp(alpha * dt), angle = beta * dt;
    return (hkd_complex){growth * hkd_cos(angle), growth * hkd_sin(angle)};
}

hkd_level_summary hkd_summarise_level(const hkd_level *level, double dt) {
    const int64_t n = hkd_mode_count(level);
    if (!n) return (hkd_level_summary){0};
    hkd_level_summary s = {.modes = n, .alpha_min = INFINITY, .alpha_max = -INFINITY};
    double sum = 0;
    for (int64_t m = 0; m < n; m++) {
        s.alpha_min = fmin(s.alpha_min, level->a[m]);
        s.alpha_max = fmax(s.alpha_max, level->a[m]);
        s.beta_abs_max = fmax(s.beta_abs_max, fabs(level->a[n + m]));
        sum += level->a[m];
    }
    s.alpha_mean = sum / (double)n;
    const double at_min = hkd_exp(s.alpha_min * dt), at_max = hkd_exp(s.alpha_max * dt);
    s.growth_min = fmin(at_min, at_max);
    s.growth_max = fmax(at_min, at_max);
    return s;
}

void hkd_spectrum_histogram(int64_t *counts, int64_t bins, double low, double high, const hkd_level *level,
                            hkd_spectral_part part) {
    const int64_t n = hkd_mode_count(level);
    const double *values = level->a + (part == HKD_BETA ? n : 0);
    for (int64_t b = 0; b < bins; b++) counts[b] = 0;
    for (int64_t m = 0; m < n; m++) {
        if (!(values[m] >= low && values[m] <= high)) continue;
        const double at = high > low ? (values[m] - low) / (high - low) * (double)bins : 0;
        counts[at < (double)bins ? (int64_t)at : bins - 1]++;
    }
}

void hkd_spectrum_map(double *map, const hkd_level *level, hkd_spectral_part part) {
    const int64_t area = level->ah * level->aw, pairs = level->d / 2;
    const double *values = level->a + (part == HKD_BETA ? hkd_mode_count(level) : 0);
    for (int64_t s = 0; s < area; s++) {
        map[s] = 0;
        for (int64_t k = 0; k < pairs; k++) map[s] += values[k * area + s] / (double)pairs;
    }
}
