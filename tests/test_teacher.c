#include "rng.h"
#include "sampler.h"
#include "teacher.h"
#include "test.h"

#include <math.h>

enum { SIZE = 3 };

/* Two orthonormal directions in space, not along the axes. */
static const double basis[2 * SIZE] = {0.6, 0.8, 0, -0.48, 0.36, 0.8};
static const double variance[2] = {4, 0.25}, mean[SIZE] = {0.5, -1, 2};

static double distance(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* D solves (C + sigma^2) (D - mean) = C (x - mean) with the full matrix C, which the code never forms. */
static void gaussian_is_posterior_mean(void) {
    const double rest = 0.3, x[SIZE] = {3, -2, 1};
    hkd_gaussian g = {2, mean, basis, variance, rest};
    for (double sigma = 0.01; sigma < 100; sigma *= 7) {
        double d[SIZE], residual = 0;
        hkd_denoise_gaussian(&g, d, x, sigma, 1, SIZE);
        for (int i = 0; i < SIZE; i++) {
            double r = sigma * sigma * (d[i] - mean[i]);
            for (int j = 0; j < SIZE; j++) {
                double c = i == j ? rest : 0;
                for (int k = 0; k < 2; k++) c += (variance[k] - rest) * basis[k * SIZE + i] * basis[k * SIZE + j];
                r += c * (d[j] - mean[j] - (x[j] - mean[j]));
            }
            residual += fabs(r);
        }
        CHECK(residual < 1e-12 * (1 + sigma * sigma), "sigma = %g: not the posterior mean by %g", sigma, residual);
    }
}

/* The flow composes, starts as the identity, and its slope is the ODE's right-hand side (x - D) / sigma. */
static void flow_solves_the_ode(void) {
    hkd_gaussian g = {2, mean, basis, variance, 0};
    const double x[SIZE] = {30, -50, 40};
    double a[SIZE], b[SIZE], d[SIZE], ahead[SIZE], behind[SIZE];
    hkd_gaussian_flow(a, x, 80, 80, &g, 1, SIZE);
    CHECK(distance(a, x, SIZE) < 1e-12, "no time, and yet it moves");
    hkd_gaussian_flow(a, x, 3, 80, &g, 1, SIZE);
    hkd_gaussian_flow(b, a, 0.1, 3, &g, 1, SIZE);
    hkd_gaussian_flow(a, x, 0.1, 80, &g, 1, SIZE);
    CHECK(distance(a, b, SIZE) < 1e-12, "80 -> 3 -> 0.1 is not 80 -> 0.1");
    const double sigma = 2, h = 1e-4;
    hkd_gaussian_flow(ahead, x, sigma + h, sigma, &g, 1, SIZE);
    hkd_gaussian_flow(behind, x, sigma - h, sigma, &g, 1, SIZE);
    hkd_denoise_gaussian(&g, d, x, sigma, 1, SIZE);
    for (int i = 0; i < SIZE; i++)
        CHECK(fabs((ahead[i] - behind[i]) / (2 * h) - (x[i] - d[i]) / sigma) < 1e-6, "the slope of the flow, coordinate %d", i);
    hkd_gaussian_flow(a, x, 0, 80, &g, 1, SIZE);
    double off[SIZE], c[2] = {0, 0};
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < 2; k++) c[k] += (a[i] - mean[i]) * basis[k * SIZE + i];
    for (int i = 0; i < SIZE; i++) off[i] = a[i] - c[0] * basis[i] - c[1] * basis[SIZE + i];
    CHECK(distance(off, mean, SIZE) < 1e-12, "with rest = 0 a sample leaves the plane of the data");
}

/* One component is the Gaussian; two equal halves are the whole; far apart, the nearer one answers; and the score of two
 * points is that of a mixture of two Gaussians of variance 0. */
static void mixture(void) {
    const double far_mean[SIZE] = {100, 0, 0}, weight[2] = {0.7, 3}, x[SIZE] = {1.5, 0, 2.5}, zero[SIZE] = {0};
    hkd_gaussian two[2] = {{2, mean, basis, variance, 0.3}, {2, mean, basis, variance, 0.3}};
    hkd_mixture m = {1, two, weight};
    double a[SIZE], b[SIZE];
    hkd_denoise_gaussian(&two[0], a, x, 0.7, 1, SIZE);
    for (m.count = 1; m.count <= 2; m.count++) {
        hkd_denoise_mixture(&m, b, x, 0.7, 1, SIZE);
        CHECK(distance(a, b, SIZE) < 1e-14, "%d equal components differ from one by %g", (int)m.count, distance(a, b, SIZE));
    }
    m.count = 2;
    two[1].mean = far_mean;
    hkd_denoise_mixture(&m, b, x, 0.7, 1, SIZE);
    CHECK(distance(a, b, SIZE) < 1e-14, "a component 100 standard deviations away pulls");
    const float points[2 * SIZE] = {0, 0, 0, 1, 2, 3};
    const double second[SIZE] = {1, 2, 3}, ones[2] = {1, 1};
    const hkd_gaussian ends[2] = {{.mean = zero}, {.mean = second}};
    hkd_mixture pair = {2, ends, ones};
    hkd_point_cloud cloud = {2, points};
    hkd_denoise_mixture(&pair, a, x, 0.9, 1, SIZE);
    hkd_denoise_points(&cloud, b, x, 0.9, 1, SIZE);
    CHECK(distance(a, b, SIZE) < 1e-14, "two points as a cloud and as a mixture differ by %g", distance(a, b, SIZE));
    const double share = 1 / (1 + exp((1.5 * 1.5 + 2.5 * 2.5 - 0.25 - 4 - 0.25) / (2 * 0.81) * -1)); /* logistic, by hand */
    CHECK(fabs(b[0] - share) < 1e-14, "two points: weight of the second %g, expected %g", b[0], share);
}

/* An isotropic Gaussian may be written with any number of directions: a component's weight must not depend on it. */
static void mixture_of_ranks(void) {
    const double same[2] = {0.3, 0.3}, weight[2] = {1, 2}, x[SIZE] = {1, 0, 0.5}, zero[SIZE] = {0};
    const hkd_gaussian plain[2] = {{.mean = mean, .rest = 0.3}, {.mean = zero, .rest = 0.3}};
    const hkd_gaussian mixed[2] = {{2, mean, basis, same, 0.3}, {1, zero, basis, same, 0.3}};
    hkd_mixture a = {2, plain, weight}, b = {2, mixed, weight};
    double d[2][SIZE];
    hkd_denoise_mixture(&a, d[0], x, 0.8, 1, SIZE);
    hkd_denoise_mixture(&b, d[1], x, 0.8, 1, SIZE);
    CHECK(distance(d[0], d[1], SIZE) < 1e-14, "ranks change the answer by %g", distance(d[0], d[1], SIZE));
}

/* A mixture on a line has an exact flow: quantiles are carried along, F_sigma(x_sigma) = F_T(x_T). Unequal weights and widths
 * catch a responsibility without its determinant or weight. */
static double quantile(double x, double sigma, const double *m, const double *v, const double *w) {
    double sum = 0;
    for (int k = 0; k < 2; k++) sum += w[k] / 2 * erfc(-(x - m[k]) / sqrt(2 * (v[k] + sigma * sigma)));
    return sum;
}

static void mixture_carries_quantiles(void) {
    const double m[2] = {-1, 1.5}, v[2] = {0.04, 0.36}, w[2] = {0.3, 0.7}, unit = 1;
    const hkd_gaussian parts[2] = {{1, &m[0], &unit, &v[0], 0}, {1, &m[1], &unit, &v[1], 0}};
    hkd_mixture mixture = {2, parts, w};
    double grid[801], x[3] = {-30, 5, 60};
    for (int i = 0; i <= 800; i++) grid[i] = 80 * pow(1e-4, i / 799.0) * (i < 800);
    hkd_sampling s = {.denoise = hkd_denoise_mixture, .denoiser = &mixture, .n = 3, .size = 1};
    double before[3];
    for (int i = 0; i < 3; i++) before[i] = quantile(x[i], 80, m, v, w);
    CHECK(hkd_sample_edm(&s, x, grid, 800, &hkd_edm_heun) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < 3; i++) {
        const double after = quantile(x[i], 0, m, v, w);
        CHECK(fabs(after - before[i]) < 2e-5, "quantile %.7f became %.7f", before[i], after);
    }
}

/* The cloud: nearest point as sigma -> 0, mean of all as sigma -> infinity, without overflow in either limit. */
static void cloud_limits(void) {
    const float points[3 * SIZE] = {0, 0, 0, 1, 1, 1, 4, 0, -2};
    hkd_point_cloud cloud = {3, points};
    const double x[2 * SIZE] = {3, 0.5, -1, 0.2, 0.1, 0}, nearest[2 * SIZE] = {4, 0, -2, 0, 0, 0};
    const double middle[SIZE] = {5.0 / 3, 1.0 / 3, -1.0 / 3};
    double d[2 * SIZE];
    hkd_denoise_points(&cloud, d, x, 1e-4, 2, SIZE);
    CHECK(distance(d, nearest, 2 * SIZE) == 0, "sigma -> 0 is not the nearest point");
    hkd_denoise_points(&cloud, d, x, 1e8, 2, SIZE);
    CHECK(distance(d, middle, SIZE) < 1e-14 && distance(d + SIZE, middle, SIZE) < 1e-14, "sigma -> infinity is not the mean");
}

void test_teacher(void) {
    gaussian_is_posterior_mean();
    flow_solves_the_ode();
    mixture();
    mixture_of_ranks();
    mixture_carries_quantiles();
    cloud_limits();
}
