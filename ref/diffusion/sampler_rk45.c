/* The probability-flow ODE dx/dtau = x - D(x; e^tau), tau = ln sigma, by Dormand and Prince's pair of orders 5 and 4. Its last
 * slope is the next step's first, so an accepted step costs six evaluations. The step follows from the error: the root mean
 * square of (fifth - fourth order) / (tolerance (1 + |x|)) is kept below 1.
 * Source: Dormand & Prince 1980; Score-SDE (Song et al. 2021), Section 4.3; Hairer, Norsett & Wanner, II.4. */
#include "sampler_papers.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 7, MOST_STEPS = 100000 };

static const double when[STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
static const double from[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}, /* the solution itself */
};
static const double error_of[STAGES] = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

typedef struct {
    hkd_sampling one;       /* a single image */
    double *slope[STAGES];  /* [size] each */
    double *next;
} run;

static hkd_status slope_at(run *r, int stage, const double *x, double tau) {
    double *k = r->slope[stage];
    const hkd_status status = hkd_sampling_denoise(&r->one, k, x, hkd_exp(tau));
    for (int64_t i = 0; i < r->one.size && !status; i++) k[i] = x[i] - k[i];
    return status;
}

/* next = x after a step of length h; *error = its size in units of the tolerance. slope[0] is known. */
static hkd_status try_step(run *r, const double *x, double tau, double h, double tolerance, double *error) {
    const int64_t size = r->one.size;
    hkd_status status = HKD_OK;
    for (int stage = 1; stage < STAGES && !status; stage++) {
        for (int64_t i = 0; i < size; i++) {
            double sum = 0;
            for (int j = 0; j < stage; j++) sum += from[stage][j] * r->slope[j][i];
            r->next[i] = x[i] + h * sum;
        }
        status = slope_at(r, stage, r->next, tau + when[stage] * h);
    }
    double total = 0;
    for (int64_t i = 0; i < size; i++) {
        double e = 0;
        for (int j = 0; j < STAGES; j++) e += error_of[j] * r->slope[j][i];
        e *= h / (tolerance * (1 + fmax(fabs(x[i]), fabs(r->next[i]))));
        total += e * e;
    }
    *error = sqrt(total / (double)(size > 0 ? size : 1));
    return status;
}

static hkd_status solve(run *r, double *x, double tau, double end, double tolerance) {
    double h = -0.1, error = 0;
    hkd_status status = slope_at(r, 0, x, tau);
    for (int64_t i = 0; tau > end && !status; i++) {
        if (i == MOST_STEPS) return hkd_fail(HKD_RESOURCES, "sampler: more than %d steps: the tolerance cannot be met",
                                             MOST_STEPS);
        if ((status = hkd_sampling_watch(&r->one, i, hkd_exp(tau), x))) return status;
        const bool last = tau + h <= end;
        if (last) h = end - tau;
        status = try_step(r, x, tau, h, tolerance, &error);
        if (status) return status;
        if (error <= 1) {
            double *first = r->slope[0];
            r->slope[0] = r->slope[STAGES - 1];
            r->slope[STAGES - 1] = first;
            if (r->one.size) memcpy(x, r->next, (size_t)r->one.size * sizeof *x);
            tau = last ? end : tau + h;
        }
        h *= fmin(5, fmax(0.2, 0.9 * hkd_pow(fmax(error, 1e-10), -0.2)));
    }
    return status;
}

hkd_status hkd_sample_rk45(hkd_sampling *s, double *x, double sigma_max, double sigma_min, double tolerance, bool denoise) {
    if (!(sigma_min > 0 && sigma_min < sigma_max && tolerance > 0))
        return hkd_fail(HKD_USAGE, "sampler: 0 < sigma_min < sigma_max and a tolerance above 0 expected");
    double *memory = malloc((size_t)s->size * (STAGES + 1) * sizeof *memory + 1);
    hkd_status status = memory ? HKD_OK : hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t k = 0; k < s->n && !status; k++) {
        run r = {.one = *s, .next = memory + STAGES * s->size};
        r.one.n = 1;
        r.one.nfe = 0;
        for (int j = 0; j < STAGES; j++) r.slope[j] = memory + j * s->size;
        status = solve(&r, x + k * s->size, hkd_log(sigma_max), hkd_log(sigma_min), tolerance);
        if (!status && denoise && !(status = hkd_sampling_denoise(&r.one, r.next, x + k * s->size, sigma_min)) && s->size)
            memcpy(x + k * s->size, r.next, (size_t)s->size * sizeof *x);
        s->nfe += r.one.nfe;
    }
    if (!status) status = hkd_sampling_watch(s, 1, denoise ? 0 : sigma_min, x);
    free(memory);
    return status;
}
