/* DDIM and DDPM in the coordinates x = image + sigma noise. With alpha_bar = 1 / (1 + sigma^2) and DDPM's state
 * sqrt(alpha_bar) x, a DDIM step from sigma to tau < sigma is
 *   x <- D + sqrt(tau^2 - r^2) (x - D) / sigma + r z,     r = eta tau sqrt(1 - tau^2 / sigma^2):
 * the posterior of the forward process given the image D for eta = 1, a line towards D for eta = 0. DDPM's larger choice of
 * variance, beta_t = 1 - alpha_bar(sigma) / alpha_bar(tau), is r^2 = (sigma^2 - tau^2) (1 + tau^2) / (1 + sigma^2) with the
 * posterior's mean. Source: DDIM (Song et al. 2021), Eq. 12 and 16; DDPM (Ho et al. 2020), Section 3.2. */
#include "sampler_papers.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double keep, noise; /* x <- D + keep (x - D) + noise z */
} weights;

static weights ddim(double sigma, double tau, double eta) {
    const double r = eta * tau * sqrt(1 - tau * tau / (sigma * sigma));
    return (weights){sqrt(tau * tau - r * r) / sigma, r};
}

static weights ddpm_large(double sigma, double tau) {
    const double r2 = (sigma * sigma - tau * tau) * (1 + tau * tau) / (1 + sigma * sigma);
    return (weights){ddim(sigma, tau, 1).keep, tau > 0 ? sqrt(r2) : 0};
}

static hkd_status sample(hkd_sampling *s, double *x, const double *sigma, int64_t steps, double eta, bool large) {
    if ((eta > 0 || large) && !s->seeds) return hkd_fail(HKD_USAGE, "sampler: ancestral steps need a seed for each image");
    if (steps < 1 || !(sigma[steps] >= 0)) return hkd_fail(HKD_USAGE,
                                                           "sampler: the grid must have a step and end with 0 or above");
    for (int64_t i = 0; i < steps; i++)
        if (!(sigma[i] >= sigma[i + 1] && sigma[i] > 0)) return hkd_fail(HKD_USAGE, "sampler: the noise levels must decrease");
    double *d = malloc((size_t)(s->n * s->size) * sizeof *d + 1);
    hkd_status status = d ? HKD_OK : hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t i = 0; i < steps && !status; i++) {
        const weights w = large ? ddpm_large(sigma[i], sigma[i + 1]) : ddim(sigma[i], sigma[i + 1], eta);
        status = hkd_sampling_watch(s, i, sigma[i], x);
        if (!status) status = hkd_sampling_denoise(s, d, x, sigma[i]);
        for (int64_t k = 0; k < s->n * s->size && !status; k++) x[k] = d[k] + w.keep * (x[k] - d[k]);
        if (!status && w.noise > 0) status = hkd_sampling_add_noise(s, x, w.noise, i);
    }
    if (!status) status = hkd_sampling_watch(s, steps, sigma[steps], x);
    free(d);
    return status;
}

hkd_status hkd_sample_ddim(hkd_sampling *s, double *x, const double *sigma, int64_t steps, double eta) {
    if (!(eta >= 0 && eta <= 1)) return hkd_fail(HKD_USAGE, "sampler: eta must lie in [0, 1]");
    return sample(s, x, sigma, steps, eta, false);
}

hkd_status hkd_sample_ddpm(hkd_sampling *s, double *x, const double *sigma, int64_t steps, bool large_variance) {
    return sample(s, x, sigma, steps, 1, large_variance);
}
