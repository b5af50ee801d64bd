/* Score-SDE. The forward process dy = f y dt + g dw takes an image x_0 to y ~ N(a x_0, b^2):
 *   VE      f = 0,        g^2 = d sigma^2/dt,              a = 1,          b^2 = sigma(t)^2
 *   VP      f = -beta/2,  g^2 = beta,                      a = e^(-B/2),   b^2 = 1 - e^-B,        B = int beta
 *   sub-VP  f = -beta/2,  g^2 = beta (1 - e^(-2B)),        a = e^(-B/2),   b   = 1 - e^-B
 * (VE from sigma_min on, as in the paper's Eq. 30) and its score is (a D(y/a; b/a) - y) / b^2. Backwards in N equal steps dt
 * of t, from 1 to t_min (Euler-Maruyama):
 *   y <- y + (-f y + g^2 score) dt + g sqrt(dt) z,  the last step without its noise.
 * The corrector walks along the score: y <- y + e score + sqrt(2 e) z, e = 2 c (snr |z| / |score|)^2, where c = 1 for VE and
 * 1 - beta dt else; norms are taken per image, so that an image does not depend on its batch (the paper's code averages them).
 * Source: Song et al. 2021, "Score-based generative modeling through SDEs", Eq. 6, Section 3.4, Algorithms 2 to 5. */
#include "sampler_papers.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double f, g2, a, b, c;
} coefficients;

static double e_minus_1(double x) { return fabs(x) < 1e-5 ? x + x * x / 2 + x * x * x / 6 : hkd_exp(x) - 1; }

static coefficients at(double t, double dt, const hkd_sde_options *o) {
    if (o->kind == HKD_SDE_VE) {
        const double rate = hkd_log(o->sigma_max / o->sigma_min), level = o->sigma_min * hkd_exp(rate * t);
        return (coefficients){0, 2 * rate * level * level, 1, level, 1};
    }
    const double beta = o->vp.beta_min + o->vp.beta_d * t, integral = o->vp.beta_min * t + o->vp.beta_d * t * t / 2;
    const double a = hkd_exp(-integral / 2), grown = -e_minus_1(-integral), c = fmax(1 - beta * dt, 0);
    if (o->kind == HKD_SDE_VP) return (coefficients){-beta / 2, beta, a, sqrt(grown), c};
    return (coefficients){-beta / 2, beta * -e_minus_1(-2 * integral), a, grown, c};
}

double hkd_sde_sigma(double t, const hkd_sde_options *o) {
    const coefficients c = at(t, 0, o);
    return c.b / c.a;
}

/* score [n, size] of the state y. */
static hkd_status score_at(hkd_sampling *s, double *score, double *scratch, const double *y, const coefficients *c) {
    for (int64_t i = 0; i < s->n * s->size; i++) scratch[i] = y[i] / c->a;
    const hkd_status status = hkd_sampling_denoise(s, score, scratch, c->b / c->a);
    for (int64_t i = 0; i < s->n * s->size && !status; i++) score[i] = (c->a * score[i] - y[i]) / (c->b * c->b);
    return status;
}

static double norm(const double *v, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static hkd_status correct(hkd_sampling *s, double *y, double *score, double *z, const coefficients *c, double snr,
                          int64_t draw) {
    hkd_status status = score_at(s, score, z, y, c);
    if (status) return status;
    for (int64_t i = 0; i < s->n * s->size; i++) z[i] = 0;
    if ((status = hkd_sampling_add_noise(s, z, 1, draw))) return status;
    for (int64_t k = 0; k < s->n; k++) {
        double *own = y + k * s->size, *noise = z + k * s->size, *slope = score + k * s->size;
        const double length = norm(slope, s->size), ratio = length > 0 ? snr * norm(noise, s->size) / length : 0;
        const double e = 2 * c->c * ratio * ratio;
        for (int64_t i = 0; i < s->size; i++) own[i] += e * slope[i] + sqrt(2 * e) * noise[i];
    }
    return HKD_OK;
}

static hkd_status check(const hkd_sampling *s, int64_t steps, const hkd_sde_options *o) {
    if (!s->seeds) return hkd_fail(HKD_USAGE, "sampler: a stochastic sampler needs a seed for each image");
    if (steps < 1 || !(o->t_min > 0 && o->t_min < 1)) return hkd_fail(HKD_USAGE,
                                                                      "sampler: a step, and 0 < t_min < 1 are needed");
    if (o->kind == HKD_SDE_VE && !(o->sigma_min > 0 && o->sigma_min < o->sigma_max))
        return hkd_fail(HKD_USAGE, "sampler: 0 < sigma_min < sigma_max expected");
    if (o->correctors < 0 || o->correctors > 100) return hkd_fail(HKD_USAGE, "sampler: 0 to 100 corrector steps expected");
    return HKD_OK;
}

hkd_status hkd_sample_sde(hkd_sampling *s, double *x, int64_t steps, const hkd_sde_options *o) {
    hkd_status status = check(s, steps, o);
    if (status) return status;
    const int64_t count = s->n * s->size, draws = o->correctors + 1;
    const double dt = (1 - o->t_min) / (double)steps, start = at(1, dt, o).a;
    double *score = malloc((size_t)count * sizeof *score + 1), *scratch = malloc((size_t)count * sizeof *scratch + 1);
    if (!score || !scratch) status = hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t k = 0; k < count && !status; k++) x[k] *= start; /* y = a x from here on */
    for (int64_t i = 0; i < steps && !status; i++) {
        const coefficients c = at(1 - (double)i * dt, dt, o);
        status = hkd_sampling_watch(s, i, c.b / c.a, x);
        for (int64_t j = 0; j < o->correctors && !status; j++) status = correct(s, x, score, scratch, &c, o->snr,
                                                                                i * draws + j + 1);
        if (!status) status = score_at(s, score, scratch, x, &c);
        for (int64_t k = 0; k < count && !status; k++) x[k] += (-c.f * x[k] + c.g2 * score[k]) * dt;
        if (!status && i + 1 < steps) status = hkd_sampling_add_noise(s, x, sqrt(c.g2 * dt), i * draws);
    }
    for (int64_t k = 0; k < count && !status; k++) x[k] /= at(o->t_min, dt, o).a;
    if (!status) status = hkd_sampling_watch(s, steps, hkd_sde_sigma(o->t_min, o), x);
    free(scratch);
    free(score);
    return status;
}
