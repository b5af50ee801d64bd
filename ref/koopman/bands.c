#include "bands.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double key;
    int64_t index; /* over all levels being ranked: breaks ties, so the order is total and qsort is as good as stable */
} ranked;

static int by_key(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static double key_of(const hkd_level *levels, int64_t l, int64_t m, const hkd_band_rule *rule) {
    const double alpha = levels[l].a[m];
    switch (rule->key) {
    case HKD_BY_MEASURE: return rule->measure[l][m];
    case HKD_BY_ABS_ALPHA: return fabs(alpha);
    case HKD_BY_GROWTH: return hkd_exp(alpha * rule->dt);
    default: return alpha;
    }
}

static int64_t total_modes(const hkd_level *levels, int64_t count) {
    int64_t n = 0;
    for (int64_t l = 0; l < count; l++) n += hkd_mode_count(&levels[l]);
    return n;
}

/* Rank the modes of levels [first, end) among each other. */
static void rank_levels(int64_t *const *rank, ranked *order, const hkd_level *levels, int64_t first, int64_t end,
                        const hkd_band_rule *rule) {
    int64_t n = 0;
    for (int64_t l = first; l < end; l++)
        for (int64_t m = 0; m < hkd_mode_count(&levels[l]); m++, n++) order[n] = (ranked){key_of(levels, l, m, rule), n};
    qsort(order, (size_t)n, sizeof *order, by_key);
    for (int64_t r = 0; r < n; r++) {
        int64_t l = first, m = order[r].index;
        while (m >= hkd_mode_count(&levels[l])) m -= hkd_mode_count(&levels[l++]);
        rank[l][m] = r;
    }
}

hkd_status hkd_mode_ranks(int64_t *const *rank, const hkd_level *levels, int64_t count, const hkd_band_rule *rule) {
    const hkd_status checked = hkd_levels_check(levels, count);
    if (checked != HKD_OK) return checked;
    const int64_t n = total_modes(levels, count);
    ranked *order = malloc((size_t)(n ? n : 1) * sizeof *order);
    if (!order) return hkd_fail(HKD_RESOURCES, "bands: out of memory for %lld modes", (long long)n);
    if (rule->joint) rank_levels(rank, order, levels, 0, count, rule);
    for (int64_t l = 0; !rule->joint && l < count; l++) rank_levels(rank, order, levels, l, l + 1, rule);
    free(order);
    return HKD_OK;
}

hkd_status hkd_band_mask(unsigned char *const *mask, int64_t *const *rank, const hkd_level *levels, int64_t count,
                         const hkd_band_rule *rule, double from, double to) {
    if (!(from >= 0 && from <= to && to <= 1))
        return hkd_fail(HKD_USAGE, "band %g:%g: expected 0 <= from <= to <= 1", from, to);
    for (int64_t l = 0; l < count; l++) {
        const int64_t modes = hkd_mode_count(&levels[l]);
        const double n = (double)(rule->joint ? total_modes(levels, count) : modes);
        const double first = floor(from * n + 0.5), end = floor(to * n + 0.5);
        for (int64_t m = 0; m < modes; m++) mask[l][m] = (double)rank[l][m] >= first && (double)rank[l][m] < end;
    }
    return HKD_OK;
}

void hkd_band_keep(double *y, const double *z, const unsigned char *mask, const hkd_level *level, int64_t n) {
    const int64_t area = level->h * level->w;
    for (int64_t c = 0; c < n * level->d; c++)
        for (int64_t s = 0; s < area; s++)
            y[c * area + s] = mask[hkd_mode_of(level, c % level->d / 2, s)] ? z[c * area + s] : 0;
}
