/* Multistep sampling with a model that goes to the end in one step: predict the image, put it back to a lower noise level,
 * predict again. The prediction is a point at sigma_min, not at 0, so the noise added is that which is missing from there:
 *   x = D(x; sigma_0);  for i = 1 .. steps - 1:  x = D(x + sqrt(sigma_i^2 - sigma_min^2) z_i; sigma_i)
 * The samplers released with the paper clip every D to [-1, 1]; those of ECT (Geng et al. 2024) do not, and add sigma_i z_i.
 * Source: Consistency Models (Song et al. 2023), Algorithm 1. */
#include "sampler.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

hkd_status hkd_sample_multistep(hkd_sampling *s, double *x, const double *sigma, int64_t steps, double sigma_min, bool clip) {
    const int64_t count = s->n * s->size;
    for (int64_t i = 0; i < steps; i++)
        if (!(sigma[i] >= sigma_min && (i == 0 || sigma[i] < sigma[i - 1])))
            return hkd_fail(HKD_USAGE, "sampler: the noise levels must decrease and not fall below sigma_min");
    if (steps > 1 && !s->seeds) return hkd_fail(HKD_USAGE, "sampler: several steps need a seed for each image");
    double *d = malloc((size_t)count * sizeof *d + 1);
    hkd_status status = d ? HKD_OK : hkd_fail(HKD_RESOURCES, "sampler: out of memory");
    for (int64_t i = 0; i < steps && !status; i++) {
        if (i > 0) status = hkd_sampling_add_noise(s, x, sqrt(sigma[i] * sigma[i] - sigma_min * sigma_min), i);
        if (!status) status = hkd_sampling_watch(s, i, sigma[i], x);
        if (!status) status = hkd_sampling_denoise(s, d, x, sigma[i]);
        for (int64_t k = 0; k < count && !status; k++) x[k] = clip ? fmin(fmax(d[k], -1), 1) : d[k];
    }
    if (!status) status = hkd_sampling_watch(s, steps, 0, x);
    free(d);
    return status;
}
