/* EDM's generalised sampler. The probability-flow ODE in any clock sigma(t) and scaling s(t), for the state y = s x:
 *   dy/dt = (sigma'/sigma + s'/s) y - (sigma' s / sigma) D(y / s; sigma)
 * One step of length h with parameter alpha: d = dy/dt at t, y' = y + alpha h d, d' = dy/dt at t + alpha h,
 *   y + h ((1 - 1/(2 alpha)) d + 1/(2 alpha) d')
 * linear clock, no scaling, alpha = 1 is EDM's Heun sampler. Source: EDM (Karras et al. 2022), Eq. 4 and Algorithm 3. */
#include "sampler_papers.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double t, sigma, sigma_slope, scale, scale_slope; /* slopes: d/dt */
} moment;

static double time_of(double sigma, const hkd_ablation_options *o) {
    if (o->clock == HKD_CLOCK_LINEAR) return sigma;
    return o->clock == HKD_CLOCK_VE ? sigma * sigma : hkd_vp_time(sigma, &o->vp);
}

static moment moment_at(double t, const hkd_ablation_options *o) {
    moment m = {.t = t, .sigma = t, .sigma_slope = 1, .scale = 1};
    if (o->clock == HKD_CLOCK_VE) {
        m.sigma = sqrt(t);
        m.sigma_slope = 1 / (2 * m.sigma);
    } else if (o->clock == HKD_CLOCK_VP) {
        m.sigma = hkd_vp_sigma(t, &o->vp);
        m.sigma_slope = (o->vp.beta_min + o->vp.beta_d * t) / 2 * (m.sigma + 1 / m.sigma);
    }
    if (o->vp_scaling) {
        m.scale = 1 / sqrt(1 + m.sigma * m.sigma);
        m.scale_slope = -m.sigma * m.sigma_slope * m.scale * m.scale * m.scale;
    }
    return m;
}

/* slope = dy/dt at y; `image` is scratch. */
static hkd_status slope_at(hkd_sampling *s, double *slope, double *image, const double *y, const moment *m) {
    const double a = m->sigma_slope / m->sigma + m->scale_slope / m->scale, b = m->sigma_slope * m->scale / m->sigma;
    for (int64_t i = 0; i < s->n * s->size; i++) image[i] = y[i] / m->scale;
    const hkd_status status = hkd_sampling_denoise(s, slope, image, m->sigma);
    for (int64_t i = 0; i < s->n * s->size && !status; i++) slope[i] = a * y[i] - b * slope[i];
    return status;
}

/* y moves from m to time t; scratch [3] arrays like y. */
static hkd_status step(hkd_sampling *s, double *y, double *const *scratch, const moment *m, double t, double alpha,
                       const hkd_ablation_options *o) {
    double *d = scratch[0], *other = scratch[1], *there = scratch[2];
    const double h = t - m->t, second = alpha > 0 ? 1 / (2 * alpha) : 0;
    hkd_status status = slope_at(s, d, there, y, m);
    if (!status && second > 0) {
        const moment later = moment_at(m->t + alpha * h, o);
        for (int64_t i = 0; i < s->n * s->size; i++) other[i] = y[i] + alpha * h * d[i];
        for (int64_t i = 0; i < s->n * s->size; i++) y[i] += h * (1 - second) * d[i];
        status = slope_at(s, d, there, other, &later);
    }
    for (int64_t i = 0; i < s->n * s->size && !status; i++) y[i] += h * (second > 0 ? second : 1) * d[i];
    return status;
}

static void rescale(double *y, const hkd_sampling *s, double factor) {
    for (int64_t i = 0; i < s->n * s->size; i++) y[i] *= factor;
}

/* Raise the noise as EDM's stochastic sampler does, which draws outside the range, too; *sigma is the level after it. */
static hkd_status raise(hkd_sampling *s, double *x, double *sigma, int64_t i, int64_t steps, const hkd_ablation_options *o) {
    const double before = *sigma;
    if (o->churn > 0 && before >= o->churn_min && before <= o->churn_max) {
        *sigma = before * (1 + fmin(o->churn / (double)steps, sqrt(2) - 1));
        if (s->round) *sigma = fmax(s->round(*sigma), before);
    }
    return o->churn > 0 ? hkd_sampling_add_noise(s, x, o->churn_noise * sqrt(*sigma * *sigma - before * before), i) : HKD_OK;
}

static hkd_status check(const hkd_sampling *s, const double *sigma, int64_t steps, const hkd_ablation_options *o) {
    if (!(o->alpha >= 0 && o->alpha <= 1)) return hkd_fail(HKD_USAGE, "sampler: alpha must lie in [0, 1]");
    if (o->churn > 0 && !s->seeds) return hkd_fail(HKD_USAGE, "sampler: churn needs a seed for each image");
    if (steps < 1 || !(sigma[steps] >= 0)) return hkd_fail(HKD_USAGE,
                                                           "sampler: the grid must have a step and end with 0 or above");
    for (int64_t i = 0; i < steps; i++)
        if (!(sigma[i] >= sigma[i + 1] && sigma[i] > 0)) return hkd_fail(HKD_USAGE, "sampler: the noise levels must decrease");
    return HKD_OK;
}

hkd_status hkd_sample_ablation(hkd_sampling *s, double *x, const double *sigma, int64_t steps, const hkd_ablation_options *o) {
    hkd_status status = check(s, sigma, steps, o);
    if (status) return status;
    const size_t count = (size_t)(s->n * s->size);
    double *memory = malloc(3 * count * sizeof *memory + 1), *scratch[3] = {memory, memory + count, memory + 2 * count};
    if (!memory) return hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t i = 0; i < steps && !status; i++) { /* x between steps, y = s x within */
        double level = sigma[i];
        status = hkd_sampling_watch(s, i, level, x);
        if (!status) status = raise(s, x, &level, i, steps, o);
        if (status) break;
        const moment m = moment_at(time_of(level, o), o);
        rescale(x, s, m.scale);
        const double t = time_of(sigma[i + 1], o);
        status = step(s, x, scratch, &m, t, sigma[i + 1] > 0 ? o->alpha : 0, o);
        if (sigma[i + 1] > 0) rescale(x, s, 1 / moment_at(t, o).scale); /* s = 1 at sigma = 0 */
    }
    if (!status) status = hkd_sampling_watch(s, steps, sigma[steps], x);
    free(memory);
    return status;
}
