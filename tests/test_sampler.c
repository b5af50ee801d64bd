#include "rng.h"
#include "sampler.h"
#include "schedule.h"
#include "status.h"
#include "teacher.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 4 };
static const double mean[SIZE] = {1, -1, 0.5, 0}, axes[2 * SIZE] = {1, 0, 0, 0, 0, 1, 0, 0}, variance[2] = {1, 0.04};

static hkd_gaussian data(void) { return (hkd_gaussian){2, mean, axes, variance, 0.25}; }

/* Largest error of a sampler with n steps against the closed-form flow, from sigma = 80 down to 0.5. */
static double error_of(int64_t n, const hkd_edm_options *options) {
    hkd_gaussian g = data();
    double *grid = malloc((size_t)(n + 2) * sizeof *grid), x[SIZE] = {40, -90, 25, 110}, at[SIZE], exact[SIZE], worst = 0;
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = SIZE};
    for (int64_t i = 0; i <= n; i++) grid[i] = hkd_karras_sigma((double)i / (double)n, 0.5, 80, 7);
    grid[n + 1] = 0;
    hkd_gaussian_flow(at, x, 0.5, 80, &g, 1, SIZE);
    hkd_denoise_gaussian(&g, exact, at, 0.5, 1, SIZE); /* the last step of a grid, always Euler, is the denoiser itself */
    hkd_sample_edm(&s, x, grid, n + 1, options);
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(x[i] - exact[i]));
    free(grid);
    return worst;
}

/* Halving the step divides Euler's error by 2 and Heun's by 4: catches a slope at the wrong level or a lost half. */
static void orders(void) {
    const double euler = error_of(160, &hkd_edm_euler) / error_of(320, &hkd_edm_euler);
    const double heun = error_of(160, &hkd_edm_heun) / error_of(320, &hkd_edm_heun);
    CHECK(fabs(euler - 2) < 0.05, "Euler: error ratio %g, expected 2", euler);
    CHECK(fabs(heun - 4) < 0.1, "Heun: error ratio %g, expected 4", heun);
}

typedef struct {
    int64_t calls, stop_at;
    double sigma[32], first[32];
} record;

static hkd_status watch(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    record *l = self;
    (void)n, (void)size;
    if (i == l->stop_at) return hkd_fail(HKD_RESOURCES, "interrupted");
    l->sigma[l->calls] = sigma;
    l->first[l->calls++] = x[0];
    return HKD_OK;
}

/* Heun costs 2N - 1 evaluations, Euler N; the watcher sees every level and can stop the run. */
static void evaluations(void) {
    hkd_gaussian g = data();
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    double grid[19], x[SIZE] = {40, -90, 25, 110};
    record l = {.stop_at = -1};
    hkd_schedule_grid(grid, 18, &schedule);
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = SIZE, .watch = watch, .watcher = &l};
    CHECK(hkd_sample_edm(&s, x, grid, 18, &hkd_edm_heun) == HKD_OK && s.nfe == 35, "Heun with 18 steps: %d", (int)s.nfe);
    CHECK(l.calls == 19 && !memcmp(l.sigma, grid, sizeof grid), "the watcher saw %d levels", (int)l.calls);
    CHECK(l.first[0] == 40 && l.first[18] == x[0], "the watcher saw another start or end");
    s.nfe = 0;
    l = (record){.stop_at = 5};
    CHECK(hkd_sample_edm(&s, x, grid, 18, &hkd_edm_euler) == HKD_RESOURCES && s.nfe == 5, "an interruption at step 5 cost %d",
          (int)s.nfe);
    s.watch = NULL;
    s.nfe = 0;
    CHECK(hkd_sample_edm(&s, x, grid, 18, &hkd_edm_euler) == HKD_OK && s.nfe == 18, "Euler with 18 steps: %d", (int)s.nfe);
    const double upwards[3] = {1, 2, 0}, endless[2] = {2, 1};
    CHECK(hkd_sample_edm(&s, x, upwards, 2, &hkd_edm_heun) == HKD_USAGE, "increasing levels accepted");
    CHECK(hkd_sample_edm(&s, x, endless, 1, &hkd_edm_heun) == HKD_USAGE, "a grid that does not end with 0 accepted");
    const hkd_edm_options churn = {.order = 2, .churn = 40, .churn_max = 50, .churn_noise = 1};
    CHECK(hkd_sample_edm(&s, x, grid, 18, &churn) == HKD_USAGE, "churn without seeds accepted");
}

/* One step of Heun from 2 to 1, then Euler to 0, on D = x / 2 by hand: x = 8 -> slope 2, x' = 6, slope' 3, x = 5.5 -> 2.75. */
static hkd_status halve(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    (void)self, (void)sigma;
    for (int64_t i = 0; i < n * size; i++) d[i] = x[i] / 2;
    return HKD_OK;
}

static void by_hand(void) {
    const double grid[3] = {2, 1, 0};
    double x = 8;
    hkd_sampling s = {.denoise = halve, .n = 1, .size = 1};
    hkd_sample_edm(&s, &x, grid, 2, &hkd_edm_heun);
    CHECK(x == 2.75, "two steps by hand give 2.75, not %g", x);
}

/* With churn the samples keep the data's variance (1 on the first axis), though each path is random; an image depends on its
 * own seed only, not on the batch; and churn confined to an empty range changes nothing. */
static void churn(void) {
    enum { N = 2000 };
    hkd_gaussian g = data();
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    const hkd_edm_options options = {.order = 2, .churn = 30, .churn_min = 0.01, .churn_max = 50, .churn_noise = 1};
    double grid[41], m = 0, v = 0, *x = malloc(N * SIZE * sizeof *x), alone[SIZE];
    uint64_t seeds[N];
    hkd_schedule_grid(grid, 40, &schedule);
    for (int k = 0; k < N; k++) seeds[k] = (uint64_t)k + ((uint64_t)5 << 32);
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = N, .size = SIZE, .seeds = seeds};
    hkd_draw_latents(x, &s, grid[0]);
    CHECK(hkd_sample_edm(&s, x, grid, 40, &options) == HKD_OK && s.nfe == 79, "%s", hkd_last_error());
    for (int k = 0; k < N; k++) m += x[k * SIZE] / N;
    for (int k = 0; k < N; k++) v += (x[k * SIZE] - m) * (x[k * SIZE] - m) / N;
    CHECK(fabs(m - 1) < 4 / sqrt(N), "mean %g, expected 1", m);
    CHECK(fabs(v - 1) < 4 * sqrt(2.0 / N) + 0.02, "variance %g, expected 1", v); /* 0.02: the error of 40 steps */
    hkd_sampling one = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = SIZE, .seeds = seeds + 77};
    hkd_draw_latents(alone, &one, grid[0]);
    hkd_sample_edm(&one, alone, grid, 40, &options);
    CHECK(!memcmp(alone, x + 77 * SIZE, sizeof alone), "image 77 depends on its batch");
    double quiet[SIZE], plain[SIZE];
    const hkd_edm_options nowhere = {.order = 2, .churn = 30, .churn_min = 100, .churn_max = 200, .churn_noise = 1};
    hkd_draw_latents(quiet, &one, grid[0]);
    memcpy(plain, quiet, sizeof plain);
    hkd_sample_edm(&one, quiet, grid, 40, &nowhere);
    hkd_sample_edm(&one, plain, grid, 40, &hkd_edm_heun);
    CHECK(!memcmp(quiet, plain, sizeof plain), "churn outside its range of sigma");
    CHECK(memcmp(alone, plain, sizeof plain), "churn inside its range does nothing");
    free(x);
}

void test_sampler(void) {
    orders();
    evaluations();
    by_hand();
    churn();
}
