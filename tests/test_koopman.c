/* Spectrum, bands, cumulative effect and edits against closed forms and invariants; no network needed. */
#include "bands.h"
#include "edit.h"
#include "effect.h"
#include "hkd_ref.h"
#include "test.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Two levels of different shape, the second with one vector for all positions. */
enum { N = 2, D0 = 6, H0 = 4, W0 = 5, D1 = 4, H1 = 3, W1 = 2, A0 = D0 * H0 * W0, Z0 = N * A0, Z1 = N * D1 * H1 * W1 };
static double a0[A0], a1[D1], z0[Z0], z1[Z1];
static const hkd_level levels[2] = {{a0, D0, H0, W0, H0, W0}, {a1, D1, H1, W1, 1, 1}};
static const double *const latents[2] = {z0, z1};
enum { M0 = A0 / 2, M1 = D1 / 2 };

static double noise(void) {
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 23) - 1;
}

static void fill(double *x, int n) {
    for (int i = 0; i < n; i++) x[i] = noise();
}

/* Eigenvalues against the matrix they belong to: one evolved pair must be the complex product. Catches a swapped half of
 * [alpha | beta], a swapped row and column, a wrong sign. */
static void spectrum(void) {
    const double dt[N] = {-0.7, -0.7};
    const hkd_koopman_dims dims = {N, D0, H0, W0, H0, W0};
    double y[Z0], in_place[Z0];
    hkd_ref_koopman_evolve(y, z0, a0, dt, &dims);
    memcpy(in_place, z0, sizeof in_place);
    hkd_ref_koopman_evolve(in_place, in_place, a0, dt, &dims);
    CHECK(!memcmp(y, in_place, sizeof y), "in place, the second channel of a pair reads the first one's result");
    for (int64_t m = 0; m < M0; m++) {
        const hkd_mode mode = hkd_mode_at(levels, 0, m);
        const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, dt[0]);
        const int64_t at = 2 * mode.pair * H0 * W0 + mode.row * W0 + mode.col, next = at + H0 * W0;
        const double re = e.re * z0[at] + e.im * z0[next], im = e.re * z0[next] - e.im * z0[at];
        CHECK(fabs(y[at] - re) < 1e-15 && fabs(y[next] - im) < 1e-15, "mode %d does not move its pair", (int)m);
        CHECK(hkd_mode_of(&levels[0], mode.pair, mode.row * W0 + mode.col) == m, "mode %d: index not inverted", (int)m);
    }
    CHECK(hkd_mode_count(&levels[1]) == 2 && hkd_mode_of(&levels[1], 1, 5) == 1, "a shared operator has one mode per pair");
    const hkd_complex one = hkd_discrete_eigenvalue(0, 0, -1);
    CHECK(one.re == 1 && one.im == 0, "A = 0 is the identity");
}

/* Counting: every mode in exactly one bin, the top value not lost; the map's mean over positions is the mean of all. */
static void histogram(void) {
    int64_t counts[7], sum = 0;
    const hkd_level_summary s = hkd_summarise_level(&levels[0], -1);
    hkd_spectrum_histogram(counts, 7, s.alpha_min, s.alpha_max, &levels[0], HKD_ALPHA);
    for (int b = 0; b < 7; b++) sum += counts[b];
    CHECK(sum == M0 && s.modes == M0, "histogram counts %d of %d modes", (int)sum, M0);
    CHECK(fabs(s.growth_max - exp(-s.alpha_min)) < 1e-14, "with dt < 0 the smallest alpha grows most");
    double map[H0 * W0], mean = 0;
    hkd_spectrum_map(map, &levels[0], HKD_ALPHA);
    for (int i = 0; i < H0 * W0; i++) mean += map[i] / (H0 * W0);
    CHECK(fabs(mean - s.alpha_mean) < 1e-15, "map mean %g, level mean %g", mean, s.alpha_mean);
    const double values[8] = {0, 0, 1, 1, 5, 5, 5, 5}; /* d = 4, positions 1 x 2: pair 0 = {0, 0}, pair 1 = {1, 1} */
    const hkd_level tiny = {values, 4, 1, 2, 1, 2};
    hkd_spectrum_histogram(counts, 2, 0, 1, &tiny, HKD_ALPHA);
    CHECK(counts[0] == 2 && counts[1] == 2, "value at the upper border lost: %d %d", (int)counts[0], (int)counts[1]);
    hkd_spectrum_histogram(counts, 2, 5, 5, &tiny, HKD_BETA);
    CHECK(counts[0] == 4, "an empty range must still count what equals it");
}

typedef struct {
    int64_t rank0[M0], rank1[M1];
    unsigned char mask0[M0], mask1[M1];
} masks;

static void mask_of(masks *m, const hkd_band_rule *rule, double from, double to) {
    int64_t *const rank[2] = {m->rank0, m->rank1};
    unsigned char *const mask[2] = {m->mask0, m->mask1};
    CHECK(hkd_mode_ranks(rank, levels, 2, rule) == HKD_OK, "%s", hkd_last_error());
    CHECK(hkd_band_mask(mask, rank, levels, 2, rule, from, to) == HKD_OK, "%s", hkd_last_error());
}

/* Any cut points, any key, per level or joint: every mode belongs to exactly one band, no lower band holds a larger key,
 * and a linear decoder's images of the bands add up to the whole. Catches off-by-one at 1/3, ties, a forgotten level. */
static void partition(void) {
    static const double cuts[][4] = {{0, 1. / 3, 2. / 3, 1}, {0, 0.1, 0.1, 1}, {0, 0.5, 0.999, 1}};
    for (int joint = 0; joint < 2; joint++)
        for (int key = 0; key < 3; key++)
            for (int c = 0; c < 3; c++) {
                const hkd_band_rule rule = {.key = (hkd_band_key)key, .dt = -1, .joint = joint != 0};
                int seen0[M0] = {0}, seen1[M1] = {0}, sizes[3];
                double sum[Z0] = {0}, part[Z0], top = -INFINITY;
                for (int b = 0; b < 3; b++) {
                    masks m;
                    mask_of(&m, &rule, cuts[c][b], cuts[c][b + 1]);
                    double low = INFINITY, high = -INFINITY;
                    sizes[b] = 0;
                    for (int i = 0; i < M0; i++) {
                        const double v = key == 0 ? a0[i] : key == 1 ? fabs(a0[i]) : -a0[i];
                        seen0[i] += m.mask0[i];
                        sizes[b] += m.mask0[i];
                        if (m.mask0[i]) low = fmin(low, v), high = fmax(high, v);
                    }
                    for (int i = 0; i < M1; i++) seen1[i] += m.mask1[i];
                    CHECK(low >= top, "key %d: band %d reaches below the band before it", key, b);
                    top = fmax(top, high);
                    hkd_band_keep(part, z0, m.mask0, &levels[0], N);
                    for (int i = 0; i < Z0; i++) sum[i] += part[i];
                }
                for (int i = 0; i < M0; i++) CHECK(seen0[i] == 1, "mode %d lies in %d bands", i, seen0[i]);
                for (int i = 0; i < M1; i++) CHECK(seen1[i] == 1, "shared mode %d lies in %d bands", i, seen1[i]);
                CHECK(!memcmp(sum, z0, sizeof sum), "the bands do not add up to the latents");
                if (!joint && !c) CHECK(sizes[0] == 20 && sizes[1] == 20 && sizes[2] == 20, "thirds of 60 are 20 each");
            }
    masks m;
    int64_t *const rank[2] = {m.rank0, m.rank1};
    unsigned char *const mask[2] = {m.mask0, m.mask1};
    const hkd_band_rule rule = {.key = HKD_BY_ALPHA, .dt = -1};
    mask_of(&m, &rule, 0, 0);
    for (int i = 0; i < M0; i++) CHECK(!m.mask0[i], "an empty band is empty");
    CHECK(hkd_band_mask(mask, rank, levels, 2, &rule, 0.6, 0.4) == HKD_USAGE, "a reversed interval accepted");
    CHECK(hkd_band_mask(mask, rank, levels, 2, &rule, 0, NAN) == HKD_USAGE, "NaN accepted as a bound");
}

/* Equal keys rank by index: the same bands on every platform and C library. */
static void stable(void) {
    const double same[12] = {0};
    const hkd_level level = {same, 4, 1, 3, 1, 3};
    int64_t ranks[6], *const rank[1] = {ranks};
    const hkd_band_rule rule = {.key = HKD_BY_ALPHA, .dt = -1};
    hkd_mode_ranks(rank, &level, 1, &rule);
    for (int i = 0; i < 6; i++) CHECK(ranks[i] == i, "tie %d ranked %d", i, (int)ranks[i]);
    const double bad[2] = {NAN, 0};
    const hkd_level broken = {bad, 2, 1, 1, 1, 1};
    CHECK(hkd_mode_ranks(rank, &broken, 1, &rule) == HKD_USAGE, "a NaN eigenvalue was ranked");
    CHECK(hkd_levels_check(&level, 0) == HKD_USAGE, "a model without operators accepted");
}

/* The closed integral against Simpson's rule on latents evolved by the reference operator, and the groups' sum. Catches a
 * sign of alpha, a missing factor 2, a time that runs the wrong way, cancellation near alpha = 0. */
static void effect(void) {
    enum { GROUPS = 3, TIMES = 3, STEPS = 200 };
    unsigned char g0[M0], g1[M1];
    for (int m = 0; m < M0; m++) g0[m] = (unsigned char)(m % GROUPS);
    for (int m = 0; m < M1; m++) g1[m] = (unsigned char)(m + 1);
    const unsigned char *const group[2] = {g0, g1};
    const double t[TIMES] = {0, 0.4, 1};
    double ce[GROUPS * TIMES], share[GROUPS * TIMES], passed[TIMES][GROUPS] = {{0}}, all = 0;
    hkd_status status = hkd_cumulative_effect(ce, share, latents, N, levels, 2, group, GROUPS, 0, 1, t, TIMES);
    CHECK(status == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < TIMES; i++)
        for (int q = 0; q <= STEPS; q++) {
            const double at = 1 - (1 - t[i]) * q / STEPS, weight = (q % STEPS ? 2 + 2 * (q % 2) : 1) * (1 - t[i]) / STEPS / 3;
            const double dt[N] = {at - 1, at - 1};
            for (int l = 0; l < 2; l++) {
                const hkd_koopman_dims dims = {N, levels[l].d, levels[l].h, levels[l].w, levels[l].ah, levels[l].aw};
                double y[Z0];
                hkd_ref_koopman_evolve(y, latents[l], levels[l].a, dt, &dims);
                for (int64_t c = 0; c < N * dims.d; c++)
                    for (int64_t s = 0; s < dims.h * dims.w; s++) {
                        const double v = y[c * dims.h * dims.w + s];
                        passed[i][group[l][hkd_mode_of(&levels[l], c % dims.d / 2, s)]] += weight * v * v;
                    }
            }
        }
    for (int g = 0; g < GROUPS; g++) all += passed[0][g];
    for (int i = 0; i < TIMES; i++) {
        double sum = 0, shares = 0;
        for (int g = 0; g < GROUPS; g++) {
            CHECK(fabs(ce[g * TIMES + i] - passed[i][g] / all) < 1e-9, "group %d, t %g: %.12g, integrated %.12g", g, t[i],
                  ce[g * TIMES + i], passed[i][g] / all);
            sum += ce[g * TIMES + i];
            shares += share[g * TIMES + i];
        }
        CHECK(fabs(shares - 1) < 1e-12, "shares at t %g add up to %.15g", t[i], shares);
        if (t[i] == 0) CHECK(fabs(sum - 1) < 1e-12, "the effect adds up to %.15g", sum);
        if (t[i] == 1) CHECK(sum == 0, "nothing has happened yet at T");
    }
    const double tiny[2] = {1e-13, 0}, one[2] = {1, 0}, half = 0.5;
    const hkd_level slow = {tiny, 2, 1, 1, 1, 1};
    const unsigned char zero = 0, *const only[1] = {&zero};
    const double *const z[1] = {one}, *const none[1] = {(const double[2]){0, 0}};
    hkd_cumulative_effect(ce, NULL, z, 1, &slow, 1, only, 1, 0, 1, &half, 1);
    CHECK(fabs(ce[0] - 0.5) < 1e-12, "alpha near 0: %.15g, cancellation", ce[0]);
    status = hkd_cumulative_effect(ce, NULL, none, 1, &slow, 1, only, 1, 0, 1, &half, 1);
    CHECK(status == HKD_USAGE, "0 / 0 reported as an effect");
    const double log_eps = -6, log_T = 4, middle = 2; /* another clock: from ln 54 to ln 0.0025 */
    const double unit[2] = {0.5, 0};
    const hkd_level unit_rate = {unit, 2, 1, 1, 1, 1};
    hkd_cumulative_effect(ce, NULL, z, 1, &unit_rate, 1, only, 1, log_eps, log_T, &middle, 1);
    CHECK(fabs(ce[0] - (1 - exp(-2.0)) / (1 - exp(-10.0))) < 1e-14, "another clock: %.15g", ce[0]);
    const double late = 1.5;
    status = hkd_cumulative_effect(ce, NULL, z, 1, &slow, 1, only, 1, 0, 1, &late, 1);
    CHECK(status == HKD_USAGE, "a time outside [0, 1] accepted");
}

/* The invariants of an edit, and the finding that mixing commutes with evolution. */
static void edit(void) {
    double r[Z0], y[Z0], region[H0 * W0];
    fill(r, Z0);
    z0[3] = -0.0; /* -0 + 0 is +0: a formula instead of a copy would change this bit */
    r[5] = INFINITY;
    masks m;
    const hkd_band_rule rule = {.key = HKD_BY_ALPHA, .dt = -1};
    mask_of(&m, &rule, 0, 1. / 3);
    hkd_region_triangle(region, H0, W0);
    hkd_mix(y, z0, r, N, &levels[0], 0, NULL, NULL);
    CHECK(!memcmp(y, z0, sizeof y), "ratio 0 is not the identity bit for bit");
    hkd_mix(y, z0, r, N, &levels[0], 1, NULL, NULL);
    CHECK(!memcmp(y, r, sizeof y), "ratio 1 everywhere is not the reference bit for bit");
    r[5] = 0.25;
    hkd_mix(y, z0, r, N, &levels[0], 0.3, m.mask0, region);
    for (int i = 0; i < Z0; i++) {
        const int s = i % (H0 * W0), k = i / (H0 * W0) % D0 / 2;
        const double expected = m.mask0[k * H0 * W0 + s] && region[s] == 1 ? 0.7 * z0[i] + 0.3 * r[i] : z0[i];
        CHECK(!memcmp(&y[i], &expected, sizeof expected), "element %d: %.17g, expected %.17g", i, y[i], expected);
    }
    CHECK(hkd_mix(y, z0, r, N, &levels[0], 1.5, NULL, NULL) == HKD_USAGE, "ratio 1.5 accepted");

    const hkd_koopman_dims dims = {N, D0, H0, W0, H0, W0};
    const double dt[N] = {-0.5, -0.8};
    double ez[Z0], er[Z0], mixed[Z0], evolved[Z0], worst = 0;
    hkd_mix(mixed, z0, r, N, &levels[0], 0.3, m.mask0, region);
    hkd_ref_koopman_evolve(evolved, mixed, a0, dt, &dims);
    hkd_ref_koopman_evolve(ez, z0, a0, dt, &dims);
    hkd_ref_koopman_evolve(er, r, a0, dt, &dims);
    hkd_mix(mixed, ez, er, N, &levels[0], 0.3, m.mask0, region);
    for (int i = 0; i < Z0; i++) worst = fmax(worst, fabs(mixed[i] - evolved[i]));
    CHECK(worst < 1e-12, "mixing does not commute with evolution: %g", worst);
}

/* Regions by hand: the triangle keeps its diagonal, area is preserved by resampling. Catches i and j swapped, a mask
 * sampled instead of averaged. */
static void regions(void) {
    static const double triangle[2 * 4] = {1, 0, 0, 0, 1, 1, 1, 0};
    double r[64], half[2 * 3];
    hkd_region_triangle(r, 2, 4);
    for (int i = 0; i < 8; i++) CHECK(r[i] == triangle[i], "triangle at %d: %g", i, r[i]);
    CHECK(hkd_region_rectangle(r, 4, 4, 0.5, 1, 0, 0.5) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < 16; i++) CHECK(r[i] == (i / 4 >= 2 && i % 4 < 2), "lower-left quarter at %d", i);
    CHECK(hkd_region_rectangle(r, 4, 4, 0.5, 0.2, 0, 1) == HKD_USAGE, "a reversed rectangle accepted");
    double mask[4 * 6], total = 0, mean = 0;
    for (int i = 0; i < 24; i++) total += mask[i] = fabs(noise());
    hkd_region_resample(half, 2, 3, mask, 4, 6);
    CHECK(fabs(half[4] - (mask[14] + mask[15] + mask[20] + mask[21]) / 4) < 1e-15, "a cell is the mean of its 2x2 pixels");
    hkd_region_resample(r, 5, 7, mask, 4, 6);
    for (int i = 0; i < 35; i++) mean += r[i] / 35;
    CHECK(fabs(mean - total / 24) < 1e-14, "resampling to 5x7 changed the area");
    hkd_region_resample(r, 8, 12 / 2, mask, 4, 6);
    for (int i = 0; i < 48; i++) CHECK(fabs(r[i] - mask[i / 6 / 2 * 6 + i % 6]) < 1e-15, "enlarging is by nearest pixel");
    mask[3] = 1.5;
    CHECK(hkd_region_resample(half, 2, 3, mask, 4, 6) == HKD_USAGE, "a mask value above 1 accepted");
}

void test_koopman(void) {
    fill(a0, A0);
    fill(a1, D1);
    fill(z0, Z0);
    fill(z1, Z1);
    spectrum();
    histogram();
    partition();
    stable();
    effect();
    edit();
    regions();
}
