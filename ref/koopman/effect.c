#include "effect.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

/* (1 - e^{-x}) / x without cancellation: its Taylor series where |x| < 1. */
static double phi(double x) {
    if (fabs(x) >= 1) return (1 - hkd_exp(-x)) / x;
    double sum = 0, term = 1;
    for (int k = 2; k < 22; k++) {
        sum += term;
        term *= -x / k;
    }
    return sum;
}

/* Neumaier's compensated sum. */
typedef struct {
    double sum, lost;
} total;

static void add(total *t, double x) {
    const double s = t->sum + x;
    t->lost += fabs(t->sum) >= fabs(x) ? (t->sum - s) + x : (x - s) + t->sum;
    t->sum = s;
}

static double value(const total *t) { return t->sum + t->lost; }

/* energy [modes] = |z_m(T)|^2 of every mode, all samples and (of a tied operator) all positions together. */
static void gather(total *energy, const double *z, int64_t n, const hkd_level *level) {
    const int64_t area = level->h * level->w;
    for (int64_t m = 0; m < hkd_mode_count(level); m++) energy[m] = (total){0, 0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < level->d / 2; k++)
            for (int64_t s = 0; s < area; s++) {
                const double *pair = z + (i * level->d + 2 * k) * area + s;
                add(&energy[hkd_mode_of(level, k, s)], pair[0] * pair[0] + pair[area] * pair[area]);
            }
}

/* All groups at one time: passed [groups] the energy from T down to T - span, now [groups] the energy there. */
static void at_time(total *passed, total *now, const total *energy, const hkd_level *levels, int64_t count,
                    const unsigned char *const *group, int64_t groups, double span) {
    for (int64_t g = 0; g < groups; g++) passed[g] = now[g] = (total){0, 0};
    for (int64_t l = 0; l < count; energy += hkd_mode_count(&levels[l++]))
        for (int64_t m = 0; m < hkd_mode_count(&levels[l]); m++) {
            const double alpha = levels[l].a[m];
            add(&passed[group[l][m]], value(&energy[m]) * span * phi(2 * alpha * span));
            add(&now[group[l][m]], value(&energy[m]) * hkd_exp(-2 * alpha * span));
        }
}

static double over_groups(const total *t, int64_t groups) {
    total all = {0, 0};
    for (int64_t g = 0; g < groups; g++) add(&all, value(&t[g]));
    return value(&all);
}

static hkd_status check(const hkd_level *levels, int64_t count, const unsigned char *const *group, int64_t groups,
                        double eps, double T, const double *t, int64_t times) {
    const hkd_status checked = hkd_levels_check(levels, count);
    if (checked != HKD_OK) return checked;
    for (int64_t i = 0; i < times; i++)
        if (!(t[i] >= eps && t[i] <= T)) return hkd_fail(HKD_USAGE, "time %g: expected [%g, %g]", t[i], eps, T);
    for (int64_t l = 0; l < count; l++)
        for (int64_t m = 0; m < hkd_mode_count(&levels[l]); m++)
            if (group[l][m] >= groups)
                return hkd_fail(HKD_USAGE, "operator %lld, mode %lld: group %d, expected below %lld", (long long)l,
                                (long long)m, group[l][m], (long long)groups);
    return HKD_OK;
}

hkd_status hkd_cumulative_effect(double *effect, double *share, const double *const *z, int64_t n, const hkd_level *levels,
                                 int64_t count, const unsigned char *const *group, int64_t groups, double eps,
                                 double T, const double *t, int64_t times) {
    const hkd_status checked = check(levels, count, group, groups, eps, T, t, times);
    if (checked != HKD_OK) return checked;
    int64_t modes = 0;
    for (int64_t l = 0; l < count; l++) modes += hkd_mode_count(&levels[l]);
    total *passed = malloc((size_t)(2 * groups + modes + 1) * sizeof *passed), *now = passed + groups, *energy = now + groups;
    if (!passed) return hkd_fail(HKD_RESOURCES, "cumulative effect: out of memory");
    for (int64_t l = 0, at = 0; l < count; at += hkd_mode_count(&levels[l++])) gather(energy + at, z[l], n, &levels[l]);
    at_time(passed, now, energy, levels, count, group, groups, T - eps);
    const double all = over_groups(passed, groups);
    for (int64_t i = 0; i < times && all > 0; i++) {
        at_time(passed, now, energy, levels, count, group, groups, T - t[i]);
        const double present = over_groups(now, groups);
        for (int64_t g = 0; g < groups; g++) {
            effect[g * times + i] = value(&passed[g]) / all;
            if (share) share[g * times + i] = value(&now[g]) / present;
        }
    }
    free(passed);
    if (!(all > 0 && isfinite(all)))
        return hkd_fail(HKD_USAGE, "cumulative effect: the latents have energy %g, expected finite and above 0", all);
    return HKD_OK;
}
