/* sampler.h - from noise to pictures with any denoiser: a network, a one-step model, a closed form.
 *
 * A denoiser is a function D(x; sigma) on n images at once; the state of a sampler is float64. A sampler is a function of
 * one file that steps x along a given grid of noise levels; what all of them need stands here. Sources with each sampler. */
#ifndef HKD_SAMPLER_H
#define HKD_SAMPLER_H

#include "foreign_rng.h"

/* d = D(x; sigma); x, d [n, size]. */
typedef hkd_status hkd_denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size);

/* Told before each step i where the sampler stands, and at the end with i = steps and sigma = 0. Anything but HKD_OK stops
 * the sampler, which returns it: trajectories, progress and interruption all hang on this. */
typedef hkd_status hkd_watch(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size);

/* Where the normals of a run come from instead: the generators of another tool, or an array. Each draw takes the next ones. */
typedef struct {
    hkd_foreign *generator; /* [n], one for each image; or NULL */
    const double *given;    /* [n, draws, size] */
    int64_t draws, used;
} hkd_noise;

/* One run. The denoiser, the noise and the watcher belong to the caller. */
typedef struct {
    hkd_denoise *denoise;
    void *denoiser;
    int64_t n, size;        /* images, elements per image */
    const uint64_t *seeds;  /* [n], the seed of each image; deterministic samplers do without (NULL) */
    hkd_noise *noise;       /* NULL: this project's own stream of each seed (rng.h) */
    double (*round)(double sigma); /* to a level that the denoiser knows (schedule.h); NULL: it knows all */
    hkd_watch *watch;       /* NULL: nobody */
    void *watcher;
    int64_t nfe;            /* calls of the denoiser so far */
} hkd_sampling;

/* x [n, size] = sigma times each image's own unit normals (float32 values): the start of every sampler. */
hkd_status hkd_draw_latents(double *x, const hkd_sampling *s, double sigma);

/* ---- for the files of samplers ---- */

hkd_status hkd_sampling_denoise(hkd_sampling *s, double *d, const double *x, double sigma); /* counts */
hkd_status hkd_sampling_watch(const hkd_sampling *s, int64_t i, double sigma, const double *x);
/* x += scale N(0, 1) of this step. Scale 0 leaves x as it is, but a foreign generator moves on. */
hkd_status hkd_sampling_add_noise(const hkd_sampling *s, double *x, double scale, int64_t step);

/* ---- EDM: Euler or Heun, deterministic or with churn ---- */

typedef struct {
    int order;                            /* 1 Euler: N evaluations; 2 Heun: 2N - 1 */
    double churn, churn_min, churn_max;   /* noise added per step in the range of sigma; 0 = deterministic */
    double churn_noise;                   /* standard deviation of the added noise, a little above 1 in EDM's settings */
} hkd_edm_options;
extern const hkd_edm_options hkd_edm_heun, hkd_edm_euler; /* deterministic */

/* x [n, size]: in, the state at noise level sigma[0]; out, the images. sigma [steps + 1] decreases to 0.
 * Any tail of a grid is a grid: sampling may start at a later level. Levels may repeat. */
hkd_status hkd_sample_edm(hkd_sampling *s, double *x, const double *sigma, int64_t steps, const hkd_edm_options *options);

/* ---- a one-step model, once or again and again (sampler_multistep.c) ---- */

/* x [n, size]: in, the state at noise level sigma[0]; out, the images. sigma [steps] decreases and stays >= sigma_min, the
 * level of what the model predicts. clip: every prediction is brought into [-1, 1]. */
hkd_status hkd_sample_multistep(hkd_sampling *s, double *x, const double *sigma, int64_t steps, double sigma_min, bool clip);

#endif
