#include "rng.h"
#include "sampler_papers.h"
#include "teacher.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 4 };
static const double mean[SIZE] = {1, -1, 0.5, 0}, axes[2 * SIZE] = {1, 0, 0, 0, 0, 1, 0, 0}, variance[2] = {1, 0.04};
static const double start[SIZE] = {40, -90, 25, 110};

static hkd_gaussian data(void) { return (hkd_gaussian){2, mean, axes, variance, 0.25}; }

static hkd_sampling deterministic(hkd_gaussian *g) {
    return (hkd_sampling){.denoise = hkd_denoise_gaussian, .denoiser = g, .n = 1, .size = SIZE};
}

static double distance(const double *a, const double *b) {
    double worst = 0;
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* ---- EDM's ablation sampler ---- */

static const hkd_ablation_options plain = {.alpha = 1, .churn_max = HUGE_VAL, .churn_noise = 1};

static const hkd_clock clocks[] = {HKD_CLOCK_LINEAR, HKD_CLOCK_VP, HKD_CLOCK_VE};

/* Largest error against the exact flow from 80 to 0.5 in n steps that are equal in the clock's own time. */
static double ablation_error(int64_t n, const hkd_ablation_options *o) {
    hkd_gaussian g = data();
    hkd_sampling s = deterministic(&g);
    double *grid = malloc((size_t)(n + 1) * sizeof *grid), x[SIZE], exact[SIZE];
    const double first = o->clock == HKD_CLOCK_VP ? hkd_vp_time(80, &o->vp) : 0, last = hkd_vp_time(0.5, &o->vp);
    for (int64_t i = 0; i <= n; i++) {
        const double u = (double)i / (double)n;
        grid[i] = o->clock == HKD_CLOCK_VP ? hkd_vp_sigma(first + u * (last - first), &o->vp) : hkd_karras_sigma(u, 0.5, 80, 7);
    }
    memcpy(x, start, sizeof x);
    hkd_gaussian_flow(exact, x, 0.5, 80, &g, 1, SIZE);
    CHECK(!hkd_sample_ablation(&s, x, grid, n, o), "%s", hkd_last_error());
    CHECK(s.nfe == (o->alpha > 0 ? 2 * n : n), "%d evaluations for %d steps", (int)s.nfe, (int)n);
    free(grid);
    return distance(x, exact);
}

/* All clocks and scalings solve the same flow: halving the step divides Euler's error by 2, any second-order method's by 4 (the
 * midpoint's by 8 on some of these grids). A wrong derivative of sigma or s, or alpha in the wrong place, makes it less. */
static void ablation_orders(void) {
    static const double alphas[] = {0, 0.5, 0.7, 1};
    for (int c = 0; c < 3; c++)
        for (int scaling = 0; scaling < 2; scaling++)
            for (int a = 0; a < 4; a++) {
                const hkd_ablation_options o = {.clock = clocks[c], .vp_scaling = scaling, .vp = hkd_vp_default,
                                                .alpha = alphas[a]};
                const double coarse = ablation_error(640, &o), fine = ablation_error(1280, &o), order = a ? 2 : 1;
                CHECK(log2(coarse / fine) > order - 0.1,
                      "clock %d, scaling %d, alpha %g: errors %g, %g: order %g, expected %g", c,
                      scaling, alphas[a], coarse, fine, log2(coarse / fine), order);
            }
}

/* The step to 0 is Euler's in the clock's time t, which ends at the denoiser's image d for sigma = t alone. sigma = sqrt(t)
 * goes half the way there. VP: y = s x moves by -t (s'/s y + s sigma'/sigma (x - d)), sigma' = beta (1 + sigma^2) / (2 sigma),
 * s'/s = -beta / 2, beta = 0.1 + 19.9 t. */
static double last_step(hkd_schedule_kind kind, double x, double d, double sigma) {
    if (kind == HKD_SCHEDULE_VE) return (x + d) / 2;
    if (kind != HKD_SCHEDULE_VP) return d;
    const double t = 1e-3, beta = 0.1 + 19.9 * t, s = 1 / sqrt(1 + sigma * sigma);
    return s * x + t * beta / 2 * s * (x - (1 + sigma * sigma) / (sigma * sigma) * (x - d));
}

/* Largest error of a discretisation with its own clock and scaling: the exact flow to the last level, then the step to 0. */
static double discretisation_error(hkd_schedule_kind kind, int64_t n, double alpha) {
    static const hkd_clock own[] = {HKD_CLOCK_LINEAR, HKD_CLOCK_VP, HKD_CLOCK_VE, HKD_CLOCK_LINEAR};
    const hkd_schedule schedule = hkd_schedule_default(kind);
    const hkd_ablation_options o = {.clock = own[kind], .vp_scaling = kind == HKD_SCHEDULE_VP, .vp = hkd_vp_default,
                                    .alpha = alpha};
    hkd_gaussian g = data();
    hkd_sampling s = deterministic(&g);
    double *grid = malloc((size_t)(n + 1) * sizeof *grid), x[SIZE], end[SIZE], exact[SIZE];
    CHECK(!hkd_schedule_grid(grid, n, &schedule), "%s", hkd_last_error());
    memcpy(x, start, sizeof x);
    hkd_gaussian_flow(end, start, grid[n - 1], grid[0], &g, 1, SIZE);
    hkd_denoise_gaussian(&g, exact, end, grid[n - 1], 1, SIZE);
    for (int i = 0; i < SIZE; i++) exact[i] = last_step(kind, end[i], exact[i], grid[n - 1]);
    CHECK(!hkd_sample_ablation(&s, x, grid, n, &o), "%s", hkd_last_error());
    CHECK(s.nfe == (alpha > 0 ? 2 * n - 1 : n), "%d evaluations for %d steps", (int)s.nfe, (int)n);
    free(grid);
    return distance(x, exact);
}

/* Each of the four discretisations converges to where its exact flow and its last step end: Euler's error halves with the step,
 * a quarter of Heun's is left (iDDPM has 1000 levels, so that its halved steps are not quite that). Catches a grid that ends
 * elsewhere, a wrong derivative of sigma or s, another clock than the grid's in the last step, and a last step of order 2. */
static void discretisations(void) {
    static const char *const name[] = {"EDM", "VP", "VE", "iDDPM"};
    for (int kind = 0; kind < 4; kind++)
        for (int second = 0; second < 2; second++) {
            const double coarse = discretisation_error((hkd_schedule_kind)kind, 251, second);
            const double fine = discretisation_error((hkd_schedule_kind)kind, 501, second), order = second ? 2 : 1;
            CHECK(fabs(log2(coarse / fine) - order) < 0.1, "%s, alpha %d: errors %g, %g: order %g", name[kind], second, coarse,
                  fine, log2(coarse / fine));
        }
}

/* Linear clock, no scaling, alpha 1 is EDM's own Heun sampler, alpha 0 its Euler, with churn or without. */
static void ablation_is_edm(void) {
    hkd_gaussian g = data();
    const uint64_t seed = 5;
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    double grid[19];
    hkd_schedule_grid(grid, 18, &schedule);
    for (int i = 0; i < 4; i++) {
        const double churn = i & 1 ? 20 : 0;
        const hkd_edm_options edm = {i & 2 ? 1 : 2, churn, 0.05, 50, 1.003};
        const hkd_ablation_options o = {.alpha = i & 2 ? 0 : 1, .churn = churn, .churn_min = 0.05, .churn_max = 50,
                                        .churn_noise = 1.003};
        double x[SIZE], y[SIZE];
        memcpy(x, start, sizeof x);
        memcpy(y, start, sizeof y);
        hkd_sampling s = deterministic(&g), t = s;
        s.seeds = t.seeds = &seed;
        CHECK(!hkd_sample_edm(&s, x, grid, 18, &edm) && !hkd_sample_ablation(&t, y, grid, 18, &o), "%s", hkd_last_error());
        CHECK(distance(x, y) < 1e-12 && s.nfe == t.nfe, "case %d: %g apart, %d and %d evaluations", i, distance(x, y),
              (int)s.nfe,
              (int)t.nfe);
    }
}

/* A grid that rises, an alpha out of range and churn without seeds are refused. */
static void ablation_refuses(void) {
    hkd_gaussian g = data();
    hkd_sampling s = deterministic(&g);
    const double up[3] = {1, 2, 0}, fine[3] = {2, 1, 0};
    hkd_ablation_options o = plain;
    double x[SIZE] = {1, 2, 3, 4};
    CHECK(hkd_sample_ablation(&s, x, up, 2, &o) == HKD_USAGE, "a rising grid");
    o.alpha = 1.5;
    CHECK(hkd_sample_ablation(&s, x, fine, 2, &o) == HKD_USAGE, "alpha 1.5");
    o = plain;
    o.churn = 1;
    CHECK(hkd_sample_ablation(&s, x, fine, 2, &o) == HKD_USAGE, "churn without seeds");
    CHECK(hkd_sample_ddim(&s, x, fine, 2, 2) == HKD_USAGE && hkd_sample_ddim(&s, x, up, 2, 0) == HKD_USAGE,
          "DDIM: eta 2, or rising");
    CHECK(hkd_sample_ddpm(&s, x, fine, 2, false) == HKD_USAGE, "DDPM without seeds");
    CHECK(hkd_sample_rk45(&s, x, 1, 2, 1e-3, true) == HKD_USAGE, "Runge-Kutta upwards");
}

/* ---- DDIM, DDPM ---- */

/* eta = 0 is Euler in sigma. */
static void ddim_is_euler(void) {
    hkd_gaussian g = data();
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    double grid[19], x[SIZE], y[SIZE];
    hkd_sampling s = deterministic(&g);
    hkd_schedule_grid(grid, 18, &schedule);
    memcpy(x, start, sizeof x);
    memcpy(y, start, sizeof y);
    CHECK(!hkd_sample_ddim(&s, x, grid, 18, 0) && s.nfe == 18, "%s", hkd_last_error());
    hkd_sample_edm(&s, y, grid, 18, &hkd_edm_euler);
    CHECK(distance(x, y) < 1e-12, "DDIM with eta 0 and Euler are %g apart", distance(x, y));
}

/* ---- stochastic samplers on N(m, v), isotropic: sample moments against the exact recursion of the scheme ---- */

enum { IMAGES = 1000, SAMPLES = IMAGES * SIZE };

typedef struct {
    double m, v; /* of the state y */
} moments;

static moments of(const double *x) {
    moments r = {0, 0};
    for (int i = 0; i < SAMPLES; i++) r.m += x[i] / SAMPLES;
    for (int i = 0; i < SAMPLES; i++) r.v += (x[i] - r.m) * (x[i] - r.m) / (SAMPLES - 1);
    return r;
}

static const double centre = 0.7, middle[SIZE] = {0.7, 0.7, 0.7, 0.7};
static hkd_gaussian round_cloud(double v) { return (hkd_gaussian){.mean = middle, .rest = v}; }

/* An image of one number, with variance one_v of its cloud, and the noise that a sampler draws for it in step i. */
static const double one_v = 0.3;
static const uint64_t one_seed = 11;
static hkd_sampling one_number(hkd_gaussian *g) {
    return (hkd_sampling){.denoise = hkd_denoise_gaussian, .denoiser = g, .n = 1, .size = 1, .seeds = &one_seed};
}
static double own_noise(int i) {
    double z;
    hkd_random_normals(&z, 0, 1, &(hkd_stream){.seed = one_seed, .purpose = HKD_FOR_CHURN, .draw = (uint32_t)i});
    return z;
}

static hkd_sampling crowd(hkd_gaussian *g, uint64_t *seeds, double *x, double sigma) {
    for (int i = 0; i < IMAGES; i++) seeds[i] = (uint64_t)i;
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = g, .n = IMAGES, .size = SIZE, .seeds = seeds};
    hkd_draw_latents(x, &s, sigma);
    return s;
}

/* 5 standard deviations of the sample's own mean and variance. */
static void compare(const char *what, const double *x, moments expected) {
    const moments found = of(x);
    CHECK(fabs(found.m - expected.m) < 5 * sqrt(expected.v / SAMPLES), "%s: mean %g, expected %g", what, found.m, expected.m);
    CHECK(fabs(found.v / expected.v - 1) < 5 * sqrt(2.0 / SAMPLES), "%s: variance %g, expected %g", what, found.v, expected.v);
}

/* Ancestral sampling as DDPM's authors write it, on the state y = x sqrt(abar): mean and variance of the posterior, or beta. */
static moments ddpm_recursion(const double *sigma, int64_t steps, double v, bool large) {
    moments x = {0, sigma[0] * sigma[0]};
    for (int64_t i = 0; i < steps; i++) {
        const double abar = 1 / (1 + sigma[i] * sigma[i]), before = 1 / (1 + sigma[i + 1] * sigma[i + 1]),
            beta = 1 - abar / before;
        const double k = v / (v + sigma[i] * sigma[i]); /* D = centre + k (x - centre) */
        const double on_d = sqrt(before) * beta / (1 - abar), on_y = sqrt(abar / before) * (1 - before) / (1 - abar);
        const double small = (1 - before) / (1 - abar) * beta, noise = sigma[i + 1] > 0 ? large ? beta : small : 0;
        const double gain = (on_d * k + on_y * sqrt(abar)) / sqrt(before); /* of x */
        x.m = gain * x.m + on_d * (1 - k) * centre / sqrt(before);
        x.v = gain * gain * x.v + noise / before;
    }
    return x;
}

/* The same steps on an image of one number, with the sampler's own noise. */
static void ddpm_path(bool large) {
    enum { STEPS = 6 };
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    hkd_gaussian g = round_cloud(one_v);
    double grid[STEPS + 1], x = 55;
    hkd_sampling s = one_number(&g);
    hkd_schedule_grid(grid, STEPS, &schedule);
    double y = x / sqrt(1 + grid[0] * grid[0]);
    for (int i = 0; i < STEPS; i++) {
        const double abar = 1 / (1 + grid[i] * grid[i]), before = 1 / (1 + grid[i + 1] * grid[i + 1]), beta = 1 - abar / before;
        const double x0 = centre + abar * one_v / (abar * one_v + 1 - abar) * (y / sqrt(abar) - centre);
        const double posterior = (1 - before) / (1 - abar) * beta;
        const double z = own_noise(i);
        y = sqrt(before) * beta / (1 - abar) * x0 + sqrt(abar / before) * (1 - before) / (1 - abar) * y +
            (i + 1 < STEPS ? sqrt(large ? beta : posterior) * z : 0);
    }
    CHECK(!hkd_sample_ddpm(&s, &x, grid, STEPS, large), "%s", hkd_last_error());
    CHECK(fabs(x - y) < 1e-12, "DDPM, variance %d: %.15g, its definition gives %.15g", large, x, y);
}

/* Weak order 1, of the variance (the mean of a Gaussian is exact in any number of steps): the reverse SDE brings N(0, s^2) at
 * sigma = s to the variance v (1 - G^2), G = v / (v + s^2). */
static void ddpm_order(bool large) {
    enum { STEPS = 1000 };
    const double v = 0.3, G = v / (v + 6400), exact = v * (1 - G * G);
    double *grid = malloc((2 * STEPS + 1) * sizeof *grid), error[2];
    for (int k = 0; k < 2; k++) {
        const hkd_schedule schedule = {HKD_SCHEDULE_EDM, 0.002, 80, 7};
        hkd_schedule_grid(grid, STEPS << k, &schedule);
        const moments found = ddpm_recursion(grid, STEPS << k, v, large);
        error[k] = found.v - exact;
        CHECK(fabs(found.m - centre * (1 - G)) < 1e-9, "DDPM: mean %g", found.m);
    }
    CHECK(fabs(log2(error[0] / error[1]) - 1) < 0.05, "DDPM, variance %d: errors %g, %g", large, error[0], error[1]);
    free(grid);
}

static void ancestral(void) {
    const double v = 0.3;
    double grid[101], *x = malloc(SAMPLES * sizeof *x);
    uint64_t *seeds = malloc(IMAGES * sizeof *seeds);
    hkd_gaussian g = round_cloud(v);
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, 0.002, 80, 7};
    hkd_schedule_grid(grid, 100, &schedule);
    for (int large = 0; large < 2; large++) {
        hkd_sampling s = crowd(&g, seeds, x, grid[0]);
        const moments expected = ddpm_recursion(grid, 100, v, large);
        ddpm_path(large);
        ddpm_order(large);
        CHECK(!hkd_sample_ddpm(&s, x, grid, 100, large) && s.nfe == 100, "%s", hkd_last_error());
        compare(large ? "DDPM, large variance" : "DDPM", x, expected);
        CHECK(fabs(expected.m - centre) < 0.02 && fabs(expected.v / v - 1) < 0.2, "100 steps: N(%g, %g)", expected.m,
              expected.v);
    }
    free(seeds);
    free(x);
}

/* DDIM between Euler and ancestral sampling, as its authors write it on y = x sqrt(abar), Eq. 12 and 16:
 *   y' = sqrt(abar') x0 + sqrt(1 - abar' - s^2) eps + s z,  s = eta sqrt((1 - abar') / (1 - abar)) sqrt(1 - abar / abar') */
static moments ddim_recursion(const double *sigma, int64_t steps, double v, double eta) {
    moments y = {0, 1 - 1 / (1 + sigma[0] * sigma[0])};
    for (int64_t i = 0; i < steps; i++) {
        const double abar = 1 / (1 + sigma[i] * sigma[i]), after = 1 / (1 + sigma[i + 1] * sigma[i + 1]);
        const double s = eta * sqrt((1 - after) / (1 - abar)) * sqrt(1 - abar / after);
        const double k = abar * v / (abar * v + 1 - abar); /* x0 = centre + k (y / sqrt(abar) - centre) */
        const double on_x0 = sqrt(after), on_eps = sqrt(1 - after - s * s) / sqrt(1 - abar); /* eps ~ y - sqrt(abar) x0 */
        const double gain = on_x0 * k / sqrt(abar) + on_eps * (1 - k), shift = (on_x0 - on_eps * sqrt(abar)) * (1 - k) * centre;
        y.m = gain * y.m + shift;
        y.v = gain * gain * y.v + s * s;
    }
    return y;
}

/* The same step on an image of one number, with the sampler's own noise. */
static void ddim_path(double eta) {
    enum { STEPS = 6 };
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    hkd_gaussian g = round_cloud(one_v);
    double grid[STEPS + 1], x = 55;
    hkd_sampling s = one_number(&g);
    hkd_schedule_grid(grid, STEPS, &schedule);
    double y = x / sqrt(1 + grid[0] * grid[0]);
    for (int i = 0; i < STEPS; i++) {
        const double abar = 1 / (1 + grid[i] * grid[i]), after = 1 / (1 + grid[i + 1] * grid[i + 1]);
        const double share = eta * sqrt((1 - after) / (1 - abar)) * sqrt(1 - abar / after);
        const double x0 = centre + abar * one_v / (abar * one_v + 1 - abar) * (y / sqrt(abar) - centre);
        const double eps = (y - sqrt(abar) * x0) / sqrt(1 - abar);
        const double z = own_noise(i);
        y = sqrt(after) * x0 + sqrt(1 - after - share * share) * eps + share * z;
    }
    CHECK(!hkd_sample_ddim(&s, &x, grid, STEPS, eta), "%s", hkd_last_error());
    CHECK(fabs(x - y) < 1e-12, "DDIM with eta %g: %.15g, its definition gives %.15g", eta, x, y);
}

/* Catches eta that is squared or applied to the wrong root, noise of the wrong share, and noise in the step to the image. */
static void between(void) {
    const double v = 0.3;
    double grid[7], *x = malloc(SAMPLES * sizeof *x);
    uint64_t *seeds = malloc(IMAGES * sizeof *seeds);
    hkd_gaussian g = round_cloud(v);
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, 0.02, 80, 7};
    hkd_schedule_grid(grid, 6, &schedule);
    for (int k = 1; k < 4; k++) {
        const double eta = 0.3 * k;
        ddim_path(eta);
        char what[40];
        hkd_sampling s = crowd(&g, seeds, x, grid[0]);
        const moments expected = ddim_recursion(grid, 6, v, eta);
        snprintf(what, sizeof what, "DDIM, eta %g", eta);
        CHECK(!hkd_sample_ddim(&s, x, grid, 6, eta) && s.nfe == 6, "%s", hkd_last_error());
        compare(what, x, expected);
    }
    free(seeds);
    free(x);
}

/* The table of f, g^2, a and b^2 a second time. */
typedef struct {
    double f, g2, a, b2;
} sde_row;

static sde_row sde_at(double t, const hkd_sde_options *o) {
    const double B = o->vp.beta_min * t + o->vp.beta_d * t * t / 2, beta = o->vp.beta_min + o->vp.beta_d * t;
    const double level = o->sigma_min * pow(o->sigma_max / o->sigma_min, t), grown = 1 - exp(-B);
    if (o->kind == HKD_SDE_VE) return (sde_row){0, 2 * level * level * log(o->sigma_max / o->sigma_min), 1, level * level};
    if (o->kind == HKD_SDE_VP) return (sde_row){-beta / 2, beta, exp(-B / 2), grown};
    return (sde_row){-beta / 2, beta * (1 - exp(-2 * B)), exp(-B / 2), grown * grown};
}

/* Euler-Maruyama of the reverse SDE dy = (-f y + g^2 score) dt + g dw, written for a Gaussian: y ~ N(a centre, a^2 v + b^2). */
static moments sde_recursion(int64_t steps, double v, const hkd_sde_options *o) {
    const double dt = (1 - o->t_min) / (double)steps;
    moments y = {0, sde_at(1, o).b2};
    for (int64_t i = 0; i < steps; i++) {
        const sde_row r = sde_at(1 - (double)i * dt, o);
        const double total = r.a * r.a * v + r.b2, gain = 1 - r.f * dt - r.g2 * dt / total;
        y.m = gain * y.m + r.g2 * dt / total * r.a * centre;
        y.v = gain * gain * y.v + (i + 1 < steps ? r.g2 * dt : 0);
    }
    const double a = sde_at(o->t_min, o).a;
    return (moments){y.m / a, y.v / (a * a)};
}

/* The same steps on an image of one number, with the sampler's own noise. */
static void sde_path(const hkd_sde_options *o, const char *name) {
    enum { STEPS = 7 };
    const double dt = (1 - o->t_min) / STEPS, start_x = 0.8 * hkd_sde_sigma(1, o);
    hkd_gaussian g = round_cloud(one_v);
    double x = start_x, y = start_x * sde_at(1, o).a;
    hkd_sampling s = one_number(&g);
    for (int i = 0; i < STEPS; i++) {
        const sde_row r = sde_at(1 - i * dt, o);
        const double score = (r.a * centre - y) / (r.a * r.a * one_v + r.b2);
        const double z = own_noise(i);
        y += (-r.f * y + r.g2 * score) * dt + (i + 1 < STEPS ? sqrt(r.g2 * dt) * z : 0);
    }
    y /= sde_at(o->t_min, o).a;
    CHECK(!hkd_sample_sde(&s, &x, STEPS, o), "%s", hkd_last_error());
    CHECK(fabs(x - y) < 1e-10 * fmax(1, fabs(y)), "%s: %.15g, its definition gives %.15g", name, x, y);
}

/* What the reverse SDE itself makes of N(0, b^2) at t = 1: a difference to the true N(a c, T), T = a^2 v + b^2, is carried to t
 * by the factor G = T(t) / T(1) a(1) / a(t). */
static moments sde_exact(double v, const hkd_sde_options *o) {
    const sde_row first = sde_at(1, o), last = sde_at(o->t_min, o);
    const double T1 = first.a * first.a * v + first.b2, T = last.a * last.a * v + last.b2, G = T / T1 * first.a / last.a;
    return (moments){centre - G * first.a * centre / last.a, (T + G * G * (first.b2 - T1)) / (last.a * last.a)};
}

/* Weak order 1: twice the steps, half the error, here of the mean (VE's variance does better). That the sampler follows the
 * recursion is what sde_path and the moments of many images say. */
static void sde_order(const hkd_sde_options *o, const char *name) {
    const double v = 0.3, exact = sde_exact(v, o).m;
    const double coarse = sde_recursion(1000, v, o).m - exact, fine = sde_recursion(2000, v, o).m - exact;
    CHECK(fabs(log2(coarse / fine) - 1) < 0.05, "%s: errors %g, %g", name, coarse, fine);
}

static void score_sde(void) {
    static const hkd_sde_options options[] = {
        {.kind = HKD_SDE_VE, .sigma_min = 0.01, .sigma_max = 50, .t_min = 1e-5, .snr = 0.16},
        {.kind = HKD_SDE_VP, .vp = {19.9, 0.1}, .t_min = 1e-3, .snr = 0.16},
        {.kind = HKD_SDE_SUB_VP, .vp = {19.9, 0.1}, .t_min = 1e-3, .snr = 0.16},
    };
    static const char *const names[] = {"VE", "VP", "sub-VP"};
    const double v = 0.3;
    double *x = malloc(SAMPLES * sizeof *x);
    uint64_t *seeds = malloc(IMAGES * sizeof *seeds);
    hkd_gaussian g = round_cloud(v);
    for (int i = 0; i < 3; i++) {
        const moments expected = sde_recursion(200, v, &options[i]), limit = sde_recursion(40000, v, &options[i]);
        sde_path(&options[i], names[i]);
        sde_order(&options[i], names[i]);
        hkd_sampling s = crowd(&g, seeds, x, hkd_sde_sigma(1, &options[i]));
        CHECK(!hkd_sample_sde(&s, x, 200, &options[i]) && s.nfe == 200, "%s", hkd_last_error());
        compare(names[i], x, expected);
        CHECK(fabs(limit.m - centre) < 5e-3 && fabs(limit.v / v - 1) < 5e-3, "%s tends to N(%g, %g)", names[i], limit.m,
              limit.v);
        hkd_sde_options corrected = options[i];
        corrected.correctors = 1;
        s = crowd(&g, seeds, x, hkd_sde_sigma(1, &options[i]));
        CHECK(!hkd_sample_sde(&s, x, 50, &corrected) && s.nfe == 100, "%s", hkd_last_error());
        double alone[SIZE];
        hkd_sampling one = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = SIZE, .seeds = seeds + 17};
        hkd_draw_latents(alone, &one, hkd_sde_sigma(1, &options[i]));
        hkd_sample_sde(&one, alone, 50, &corrected);
        CHECK(distance(alone, x + 17 * SIZE) == 0, "%s: image 17 depends on its batch", names[i]);
    }
    free(seeds);
    free(x);
}

/* With many dimensions the ratio of norms is nearly constant, and a Langevin step on N(0, V) gives V' = (1 - e/V)^2 V + 2 e,
 * e = 2 snr^2 V: it settles at V / (1 - snr^2), 2.6 % above. A lost sqrt(2), or snr unsquared, ends elsewhere. */
static void corrector(void) {
    enum { WIDE = 400, PEOPLE = 10, STEPS = 200 };
    double zero[WIDE] = {0}, *x = malloc(WIDE * PEOPLE * sizeof *x), second = 0;
    uint64_t seeds[PEOPLE];
    hkd_gaussian g = {.mean = zero, .rest = 0.3};
    for (int i = 0; i < PEOPLE; i++) seeds[i] = (uint64_t)i;
    const hkd_sde_options o = {.kind = HKD_SDE_VE, .sigma_min = 0.01, .sigma_max = 50, .t_min = 1e-5, .correctors = 2,
                               .snr = 0.16};
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = PEOPLE, .size = WIDE, .seeds = seeds};
    hkd_draw_latents(x, &s, hkd_sde_sigma(1, &o));
    CHECK(!hkd_sample_sde(&s, x, STEPS, &o) && s.nfe == 3 * STEPS, "%s", hkd_last_error());
    for (int i = 0; i < WIDE * PEOPLE; i++) second += x[i] * x[i] / (WIDE * PEOPLE);
    CHECK(fabs(second / 0.3 - 1.0 / (1 - 0.16 * 0.16)) < 0.05, "variance %g with the corrector, expected near 0.308", second);
    free(x);
}

/* ---- Runge-Kutta ---- */

/* The error follows the tolerance down to the exact flow; six evaluations per step and one to begin; a batch is its images. */
static void runge_kutta(void) {
    hkd_gaussian g = data();
    double exact[SIZE], x[SIZE], pair[2 * SIZE], last = 1;
    int64_t evaluations = 0;
    hkd_gaussian_flow(exact, start, 0.01, 80, &g, 1, SIZE);
    for (double tolerance = 1e-3; tolerance > 1e-10; tolerance /= 100) {
        hkd_sampling s = deterministic(&g);
        memcpy(x, start, sizeof x);
        CHECK(!hkd_sample_rk45(&s, x, 80, 0.01, tolerance, false), "%s", hkd_last_error());
        const double error = distance(x, exact);
        CHECK(error < 20 * tolerance && error < last, "tolerance %g: error %g", tolerance, error);
        CHECK(s.nfe % 6 == 1 && s.nfe > evaluations, "%d evaluations", (int)s.nfe);
        last = error;
        evaluations = s.nfe;
    }
    memcpy(pair, start, sizeof start);
    for (int i = 0; i < SIZE; i++) pair[SIZE + i] = 0.1 * start[i];
    hkd_sampling two = deterministic(&g);
    two.n = 2;
    hkd_sample_rk45(&two, pair, 80, 0.01, 1e-9, false);
    CHECK(distance(pair, x) == 0, "an image depends on its batch");
    memcpy(x, start, sizeof x);
    hkd_sampling s = deterministic(&g);
    hkd_sample_rk45(&s, x, 80, 0.01, 1e-9, true);
    hkd_denoise_gaussian(&g, exact, pair, 0.01, 1, SIZE);
    CHECK(distance(exact, x) == 0 && s.nfe % 6 == 2, "the last evaluation is the denoiser's");
}

void test_sampler_papers(void) {
    ablation_orders();
    discretisations();
    ablation_is_edm();
    ablation_refuses();
    ddim_is_euler();
    ancestral();
    between();
    score_sde();
    corrector();
    runge_kutta();
}
