/* Statistics and distances against closed forms and invariants. */
#include "eigen.h"
#include "frechet.h"
#include "image_spectrum.h"
#include "moments.h"
#include "rng.h"
#include "sample_distance.h"
#include "singular_values.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void normals(double *x, int64_t count, uint32_t draw) {
    const hkd_stream s = {.seed = 7, .purpose = HKD_FOR_TEST, .draw = draw};
    hkd_random_normals(x, 0, count, &s);
}

enum { DIM = 5, COUNT = 1000 };
static double rows[COUNT * DIM];

static hkd_moments *run(int64_t first, int64_t end, int64_t step) {
    hkd_moments *m;
    CHECK(hkd_moments_new(&m, DIM, first) == HKD_OK, "%s", hkd_last_error());
    for (int64_t i = first; i < end; i += step)
        CHECK(hkd_moments_add(m, rows + i * DIM, i + step < end ? step : end - i) == HKD_OK, "%s", hkd_last_error());
    CHECK(hkd_moments_seal(m) == HKD_OK, "%s", hkd_last_error());
    return m;
}

static hkd_status merge(hkd_moments *to, const hkd_moments *from) {
    for (int64_t i = 0; hkd_moments_part_at(from, i); i++) {
        const hkd_status status = hkd_moments_add_part(to, hkd_moments_part_at(from, i));
        if (status != HKD_OK) return status;
    }
    return HKD_OK;
}

/* Mean 10^8, variance 1: sums of squares that are not centred would lose every digit of the covariance (10^16 u = 1). What may
 * be lost is an ulp of the mean, 2^-26, times the deviation 1. */
static void moments_are_sound(void) {
    double mean[DIM], cov[DIM * DIM];
    for (int i = 0; i < COUNT * DIM; i++) rows[i] += 1e8;
    hkd_moments *m = run(0, COUNT, 137);
    CHECK(hkd_moments_finish(mean, cov, m) == HKD_OK && hkd_moments_count(m) == COUNT, "%s", hkd_last_error());
    hkd_moments_free(m);
    for (int i = 0; i < COUNT * DIM; i++) rows[i] -= 1e8;
    for (int j = 0; j < DIM * DIM; j++) {
        long double a = 0, b = 0, sum = 0;
        for (int i = 0; i < COUNT; i++) a += rows[i * DIM + j / DIM], b += rows[i * DIM + j % DIM];
        for (int i = 0; i < COUNT; i++) sum += (rows[i * DIM + j / DIM] - a / COUNT) * (rows[i * DIM + j % DIM] - b / COUNT);
        CHECK(fabs(cov[j] - (double)(sum / (COUNT - 1))) < 0x1p-26, "covariance %d: %.12g, expected %.12g", j, cov[j],
              (double)(sum / (COUNT - 1)));
    }
}

/* Shards in any order and any step give the bits of the single run; overlaps, gaps and odd cuts are refused. */
static void moments_merge(void) {
    double mean[2][DIM], cov[2][DIM * DIM];
    hkd_moments *whole = run(0, COUNT, COUNT), *merged;
    CHECK(hkd_moments_finish(mean[0], cov[0], whole) == HKD_OK, "%s", hkd_last_error());
    static const int64_t cuts[3][5] = {{0, 64, 128, 448, COUNT}, {0, 320, 384, 960, COUNT}, {0, 512, 768, 832, COUNT}};
    static const int order[4][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    for (int c = 0; c < 3; c++)
        for (int o = 0; o < 4; o++) {
            CHECK(hkd_moments_new(&merged, DIM, 0) == HKD_OK && hkd_moments_seal(merged) == HKD_OK, "%s", hkd_last_error());
            for (int k = 0; k < 4; k++) {
                const int shard = order[o][k];
                hkd_moments *part = run(cuts[c][shard], cuts[c][shard + 1], 10 + 9 * k);
                CHECK(merge(merged, part) == HKD_OK, "%s", hkd_last_error());
                CHECK(merge(merged, part) == HKD_CHECK_FAILED, "samples were counted twice");
                hkd_moments_free(part);
            }
            CHECK(hkd_moments_finish(mean[1], cov[1], merged) == HKD_OK, "%s", hkd_last_error());
            CHECK(!memcmp(mean[0], mean[1], sizeof mean[0]) && !memcmp(cov[0], cov[1], sizeof cov[0]),
                  "cuts %d, order %d: other bits than the single run", c, o);
            hkd_moments_free(merged);
        }
    merged = run(0, 128, 64);
    hkd_moments *later = run(256, 300, 64);
    CHECK(merge(merged, later) == HKD_OK, "%s", hkd_last_error());
    CHECK(hkd_moments_finish(mean[1], cov[1], merged) == HKD_CHECK_FAILED, "a gap of 128 samples went unnoticed");
    hkd_moments_part odd = *hkd_moments_part_at(later, 0);
    odd.first = 130;
    CHECK(hkd_moments_add_part(merged, &odd) == HKD_CHECK_FAILED, "a part off the grid was taken in");
    CHECK(hkd_moments_add(later, rows, 1) == HKD_USAGE, "a sample was added after the end");
    hkd_moments_free(merged);
    CHECK(hkd_moments_new(&merged, DIM, 100) == HKD_USAGE && !merged, "a shard may not start at 100");
    hkd_moments_free(later);
    hkd_moments_free(whole);
}

static void product(double *out, const double *a, const double *b, int n, int transpose) { /* a b, or a b^T */
    for (int i = 0; i < n * n; i++) {
        out[i] = 0;
        for (int k = 0; k < n; k++) out[i] += a[i / n * n + k] * (transpose ? b[i % n * n + k] : b[k * n + i % n]);
    }
}

/* Closed forms: diagonal, one feature, 2x2 that do not commute, S2 = R S1 R, singular. Catches a square root of the wrong
 * product, a missing factor 2, imaginary parts thrown away. */
static void frechet(hkd_singular_values_of *values) {
    double d;
    const double m0[3] = {0}, m1[3] = {1, -2, 2};
    const double a[9] = {4, 0, 0, 0, 9, 0, 0, 0, 0}, b[9] = {1, 0, 0, 0, 25, 0, 0, 0, 49};
    CHECK(hkd_frechet(&d, m0, a, m1, b, 3, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - (9 + 1 + 4 + 49)) < 1e-13, "diagonal: %.15g, expected 63", d);
    CHECK(hkd_frechet(&d, m0, a, m0, a, 3, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(d < 1e-14, "a distribution to itself: %g", d);
    /* tr (S1 S2)^{1/2} of order 2 = sqrt(tr(S1 S2) + 2 sqrt(det S1 det S2)) */
    const double s1[4] = {2, 1, 1, 3}, s2[4] = {5, -2, -2, 1};
    const double expected = 5 + 6 - 2 * sqrt(2 * 5 - 2 - 2 + 3 + 2 * sqrt(5.0 * 1.0));
    CHECK(hkd_frechet(&d, m0, s1, m0, s2, 2, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - expected) < 1e-14, "2x2: %.15g, not %.15g", d, expected);
    /* rank 1 and rank 1: tr (u u^T v v^T)^{1/2} = |u.v| */
    const double u[3] = {1, 2, 3}, v[3] = {-2, 1, -1};
    double uu[9], vv[9], zero[9] = {0};
    for (int i = 0; i < 9; i++) uu[i] = u[i / 3] * u[i % 3], vv[i] = v[i / 3] * v[i % 3];
    CHECK(hkd_frechet(&d, m0, uu, m0, vv, 3, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - (14 + 6 - 2 * 3)) < 1e-13, "rank 1: %.15g, expected 14", d);
    CHECK(hkd_frechet(&d, m0, uu, m0, zero, 3, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - 14) < 1e-13, "to a point: %.15g, expected 14", d);
    /* S2 = R S1 R with R >= 0: tr (S1 S2)^{1/2} = tr(S1 R), dimension 40, rank 25 */
    enum { N = 40, RANK = 25 };
    static double x[N * N], y[N * N], s[N * N], r[N * N], half[N * N], t[N * N], mean[N];
    normals(x, N * N, 1);
    normals(y, N * N, 2);
    for (int i = 0; i < N * N; i++)
        if (i % N >= RANK) x[i] = 0;
    product(s, x, x, N, 1);
    product(r, y, y, N, 1);
    product(half, r, s, N, 0);
    product(t, half, r, N, 0);
    double trace = 0, size = 0;
    for (int i = 0; i < N; i++) trace += s[i * N + i] + t[i * N + i] - 2 * half[i * N + i], size += t[i * N + i];
    CHECK(hkd_frechet(&d, mean, s, mean, t, N, values) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - trace) < 1e-12 * size, "R S R: %.15g, not %.15g", d, trace);
    const double negative[4] = {1, 0, 0, -1}, nan[4] = {1, 0, 0, NAN};
    CHECK(hkd_frechet(&d, m0, s1, m0, negative, 2, values) == HKD_USAGE, "a negative variance accepted");
    CHECK(hkd_frechet(&d, m0, nan, m0, s1, 2, values) == HKD_USAGE, "NaN accepted");
}

/* LAPACK's singular values, where the program has it, and our own: wide, tall, and of low rank. */
static void same_singular_values(void) {
    enum { M = 61, N = 37 };
    static double a[M * N];
    double ours[N], theirs[N];
    for (int kind = 0; kind < 3; kind++) {
        const int64_t m = kind ? M : N, n = kind ? N : M;
        normals(a, M * N, (uint32_t)(10 + kind));
        for (int i = 0; kind == 2 && i < M * N; i++)
            if (i / N > 4) a[i] = a[i / N % 5 * N + i % N];
        CHECK(!hkd_singular_values(ours, a, m, n) && !hkd_fast_singular_values(theirs, a, m, n), "%s", hkd_last_error());
        for (int i = 0; i < N; i++)
            CHECK(fabs(ours[i] - theirs[i]) < 1e-13 * ours[0], "kind %d, value %d: %.17g, LAPACK %.17g", kind, i, ours[i],
                  theirs[i]);
    }
}

/* One dimension has closed forms; a shift by c in d dimensions has mean square (c . direction)^2 = |c|^2 / d. */
static void sliced(void) {
    double d, back;
    const double a[4] = {3, 0, 1, 2}, b[8] = {0, 3, 1, 2, 2, 0, 1, 3}, c[4] = {5, 3, 2, 4};
    CHECK(hkd_sliced_wasserstein(&d, a, 4, b, 8, 1, 3, 1) == HKD_OK, "%s", hkd_last_error());
    CHECK(d == 0, "a set and its double differ by %g", d);
    CHECK(hkd_sliced_wasserstein(&d, a, 4, c, 4, 1, 3, 1) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d - 2) < 1e-15, "shift by 2: %g", d);
    const double one[1] = {0}, two[2] = {0, 1};
    CHECK(hkd_sliced_wasserstein(&d, one, 1, two, 2, 1, 1, 1) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(d * d - 0.5) < 1e-15, "{0} to {0, 1}: %g", d);
    enum { N = 20, D = 3, K = 4000 };
    double x[N * D], y[N * D];
    normals(x, N * D, 3);
    for (int i = 0; i < N * D; i++) y[i] = x[i] + (i % D == 1) * 2;
    hkd_sliced_wasserstein(&d, x, N, y, N, D, K, 5);
    /* (2 u)^2 with u uniform on the sphere: mean 4/3, variance 16 (1/5 - 1/9) */
    CHECK(fabs(d * d - 4.0 / 3) < 4 * sqrt(16 * (1.0 / 5 - 1.0 / 9) / K), "shift in space: %g, expected %g", d * d, 4.0 / 3);
    hkd_sliced_wasserstein(&back, y, N, x, N, D, K, 5);
    CHECK(d == back, "not symmetric: %.17g %.17g", d, back);
}

/* Point masses: k(a, a) + k(b, b) - 2 k(a, b). Unbiased: over all splits of four points in two pairs the mean is 0, which the
 * biased form (with i = j) misses. */
static void kernel(void) {
    double v, sum = 0, mean, deviation;
    const double a[4] = {1, 2, 1, 2}, b[4] = {0, 1, 0, 1};
    const double expected = pow(5.0 / 2 + 1, 3) + pow(1.0 / 2 + 1, 3) - 2 * pow(2.0 / 2 + 1, 3);
    CHECK(hkd_kernel_distance(&v, a, 2, b, 2, 2) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(v - expected) < 1e-13, "points: %g, not %g", v, expected);
    static const int split[6][4] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2}, {1, 2, 0, 3}, {1, 3, 0, 2}, {2, 3, 0, 1}};
    const double p[4] = {-1, 0.5, 2, 3};
    for (int s = 0; s < 6; s++) {
        const double x[2] = {p[split[s][0]], p[split[s][1]]}, y[2] = {p[split[s][2]], p[split[s][3]]};
        hkd_kernel_distance(&v, x, 2, y, 2, 1);
        sum += v;
    }
    CHECK(fabs(sum) < 1e-12, "biased: the mean over all splits is %g", sum / 6);
    double x[60];
    normals(x, 60, 4);
    CHECK(hkd_kid(&mean, &deviation, x, 30, x, 30, 2, 5, 30, 9) == HKD_OK, "%s", hkd_last_error());
    hkd_kernel_distance(&v, x, 30, x, 30, 2);
    CHECK(fabs(mean - v) < 1e-12 && deviation < 1e-12, "subsets of full size must be the set itself: drawn with replacement?");
    CHECK(hkd_kid(&mean, &deviation, x, 30, x, 10, 2, 5, 11, 9) == HKD_USAGE, "subsets larger than the set");
}

/* By hand on a line: x = 0 1 2 3 with k = 1 reaches 1 around each point. Catches swapped roles, a point as its own
 * neighbour, a wrong k. */
static void precision_recall(void) {
    const double x[4] = {0, 1, 2, 3}, y[4] = {0.5, 2.5, 10, 10.1};
    double precision, recall;
    CHECK(hkd_precision_recall(&precision, &recall, x, 4, y, 4, 1, 1) == HKD_OK, "%s", hkd_last_error());
    CHECK(precision == 0.5, "precision %g: 0.5 and 2.5 lie among x, 10 and 10.1 do not", precision);
    CHECK(recall == 1, "recall %g: 0.5 and 2.5 reach 2 each, all of x", recall);
    hkd_precision_recall(&precision, &recall, x, 4, y, 4, 1, 2);
    CHECK(precision == 0.5 && recall == 1, "k = 2: %g %g", precision, recall);
    const double far[4] = {20, 21, 22, 23};
    hkd_precision_recall(&precision, &recall, x, 4, far, 4, 1, 3);
    CHECK(precision == 0 && recall == 0, "disjoint sets: %g %g", precision, recall);
    CHECK(hkd_precision_recall(&precision, &recall, x, 4, y, 4, 1, 4) == HKD_USAGE, "k = 4 of 4 points");
}

/* One wave falls into one shell; Parseval; an impulse is white. Catches an aliased negative frequency, h and w swapped,
 * a wrong normalisation. */
static void image_spectrum(void) {
    enum { H = 12, W = 10, SHELLS = 7 };
    double x[2 * H * W], energy[SHELLS], share[3], squares = 0;
    int64_t size[SHELLS], sizes = 0;
    const double turn = 8 * atan(1.0);
    CHECK(hkd_spectrum_shells(H, W) == SHELLS, "%d shells", (int)hkd_spectrum_shells(H, W));
    for (int i = 0; i < H * W; i++) x[i] = 3 + 2 * cos(turn * (3.0 * (i / W) / H - 2.0 * (i % W) / W) + 0.4);
    CHECK(hkd_image_spectrum(energy, size, x, 1, H, W) == HKD_OK, "%s", hkd_last_error());
    for (int k = 0; k < SHELLS; k++) {
        const double expected = k == 0 ? 9 * H * W : k == 4 ? 2 * H * W : 0; /* sqrt(13) = 3.6 */
        CHECK(fabs(energy[k] - expected) < 1e-10, "shell %d holds %g, expected %g", k, energy[k], expected);
        sizes += size[k];
    }
    CHECK(sizes == H * W && size[0] == 1 && size[1] == 8, "shells count %d of %d frequencies", (int)sizes, H * W);
    hkd_spectrum_bands(share, energy, SHELLS);
    CHECK(share[0] < 1e-12 && share[1] < 1e-12 && fabs(share[2] - 1) < 1e-12, "shell 4 of 5 is high");
    CHECK(fabs(hkd_spectrum_centroid(energy, SHELLS) - 4) < 1e-12, "centroid %g", hkd_spectrum_centroid(energy, SHELLS));
    normals(x, 2 * H * W, 5);
    for (int i = 0; i < 2 * H * W; i++) squares += x[i] * x[i] / 2;
    hkd_image_spectrum(energy, size, x, 2, H, W);
    for (int k = 0; k < SHELLS; k++) squares -= energy[k];
    CHECK(fabs(squares) < 1e-11, "Parseval fails by %g", squares);
    memset(x, 0, sizeof x);
    x[17] = 5;
    hkd_image_spectrum(energy, size, x, 1, H, W);
    for (int k = 0; k < SHELLS; k++)
        CHECK(fabs(energy[k] / (double)size[k] - 25.0 / (H * W)) < 1e-14, "an impulse is white; shell %d has %g", k, energy[k]);
    for (int i = 0; i < H * W; i++) x[i] = 0.7;
    hkd_image_spectrum(energy, size, x, 1, H, W);
    hkd_spectrum_bands(share, energy, SHELLS);
    CHECK(share[0] + share[1] + share[2] == 0, "rounding errors of a constant image reported as structure");
}

/* Seeds come in any order; what touches is one range, what overlaps is refused and changes nothing, also at 2^64 - 1. */
static void seed_sets(void) {
    hkd_seed_set s = {0};
    CHECK(!hkd_seed_set_add(&s, 10, 19) && !hkd_seed_set_add(&s, UINT64_MAX, UINT64_MAX) && !hkd_seed_set_add(&s, 0, 0) &&
              !hkd_seed_set_add(&s, 30, 39) && s.count == 4, "%d ranges", (int)s.count);
    static const uint64_t taken[][2] = {{0, 5}, {5, 10}, {19, 25}, {12, 13}, {0, UINT64_MAX}, {39, 39}, {40, UINT64_MAX}};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        CHECK(hkd_seed_set_add(&s, taken[i][0], taken[i][1]) == HKD_CHECK_FAILED && s.count == 4, "overlap %d", (int)i);
    CHECK(!hkd_seed_set_add(&s, 20, 29) && s.count == 3, "a gap was closed: %d ranges", (int)s.count);
    CHECK(!hkd_seed_set_add(&s, 1, 1) && s.count == 3 && s.range[0].last == 1, "grown at its end");
    CHECK(!hkd_seed_set_add(&s, 9, 9) && s.count == 3 && s.range[1].first == 9 && s.range[1].last == 39, "grown at its begin");
    CHECK(!hkd_seed_set_add(&s, 40, UINT64_MAX - 1) && s.count == 2 && s.range[1].last == UINT64_MAX, "up to the last seed");
    CHECK(!hkd_seed_set_add(&s, 2, 8) && s.count == 1 && s.range[0].first == 0, "all seeds");
    hkd_seed_set_free(&s);
}

void test_metric(void) {
    normals(rows, COUNT * DIM, 0);
    moments_are_sound();
    moments_merge();
    seed_sets();
    frechet(hkd_singular_values);
    frechet(hkd_fast_singular_values);
    same_singular_values();
    sliced();
    kernel();
    precision_recall();
    image_spectrum();
}
