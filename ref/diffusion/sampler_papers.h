/* sampler_papers.h - the samplers that the papers' tables compare, each for any denoiser (sampler.h), in float64.
 *
 * All take and return states in the coordinates x = image + sigma noise, whatever scaling a sampler uses inside. */
#ifndef HKD_SAMPLER_PAPERS_H
#define HKD_SAMPLER_PAPERS_H

#include "sampler.h"
#include "schedule.h"

#include <stdbool.h>

/* ---- EDM's ablation sampler (sampler_ablation.c): any clock sigma(t), any scaling s(t), Euler or second order ---- */

typedef enum { HKD_CLOCK_LINEAR, HKD_CLOCK_VP, HKD_CLOCK_VE } hkd_clock; /* sigma(t) = t, sigma_VP(t), sqrt(t) */

typedef struct {
    hkd_clock clock;
    bool vp_scaling;     /* s = 1 / sqrt(1 + sigma^2); else 1 */
    hkd_vp vp;           /* of the clock */
    double alpha;        /* 0 Euler, 1 Heun, 1/2 midpoint; any other in (0, 1] is a second-order method, too */
    double churn, churn_min, churn_max, churn_noise; /* as in hkd_edm_options */
} hkd_ablation_options;

/* sigma [steps + 1] decreases; the last may be 0, and the step to 0 is Euler's. */
hkd_status hkd_sample_ablation(hkd_sampling *s, double *x, const double *sigma, int64_t steps,
                               const hkd_ablation_options *options);

/* ---- DDIM and DDPM (sampler_ddim.c) ---- */

/* eta = 0: deterministic, Euler's steps in sigma; eta = 1: ancestral sampling with the posterior's variance. */
hkd_status hkd_sample_ddim(hkd_sampling *s, double *x, const double *sigma, int64_t steps, double eta);
/* DDPM's ancestral sampling; large_variance: beta_t in place of the posterior's (no noise in the step to 0). */
hkd_status hkd_sample_ddpm(hkd_sampling *s, double *x, const double *sigma, int64_t steps, bool large_variance);

/* ---- Score-SDE (sampler_sde.c): Euler-Maruyama, and with a Langevin corrector ---- */

typedef enum { HKD_SDE_VE, HKD_SDE_VP, HKD_SDE_SUB_VP } hkd_sde_kind;

typedef struct {
    hkd_sde_kind kind;
    double sigma_min, sigma_max; /* VE */
    hkd_vp vp;                   /* VP and sub-VP */
    double t_min;                /* where the way from t = 1 ends: 1e-3 for VP, 1e-5 for VE in the paper's code */
    int64_t correctors;          /* Langevin steps before each predictor step; 0: Euler-Maruyama alone */
    double snr;                  /* of the corrector: 0.16 in the paper */
} hkd_sde_options;

double hkd_sde_sigma(double t, const hkd_sde_options *o); /* noise level of the denoiser at time t */
/* x: in, the state at hkd_sde_sigma(1); out, the images. */
hkd_status hkd_sample_sde(hkd_sampling *s, double *x, int64_t steps, const hkd_sde_options *options);

/* ---- the probability-flow ODE by an adaptive Runge-Kutta 4(5) pair (sampler_rk45.c) ---- */

/* From sigma_max down to sigma_min, each image with steps of its own; then, if asked, one evaluation that removes the rest of
 * the noise. s->nfe adds up the evaluations of single images. The watcher is told of each image's own steps (n = 1), and of
 * the end of all. */
hkd_status hkd_sample_rk45(hkd_sampling *s, double *x, double sigma_max, double sigma_min, double tolerance, bool denoise);

#endif
