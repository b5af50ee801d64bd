/* teacher.h - denoisers in closed form: what a perfectly trained network would answer for simple data.
 *
 * D(x; sigma) = E[x_0 | x_0 + sigma n = x], sigma > 0; the score is (D - x) / sigma^2. Each is an hkd_denoise (sampler.h)
 * whose `self` is the struct before it; the arrays belong to the caller. Ground truth for samplers, cheap teachers for
 * training. Source: Wang & Vastola 2023 ("Painters"), the Gaussian theory of diffusion; EDM (Karras et al. 2022), Appendix
 * B.3. */
#ifndef HKD_TEACHER_H
#define HKD_TEACHER_H

#include "hkd.h"

/* N(mean, U^T diag(variance) U + rest (1 - U^T U)): `rank` orthonormal directions with a variance each, and one variance for
 * all directions outside them (0: the data lie in mean + span U; rank 0: an isotropic Gaussian). */
typedef struct {
    int64_t rank;
    const double *mean;      /* [size] */
    const double *basis;     /* U [rank, size], orthonormal rows */
    const double *variance;  /* [rank] */
    double rest;
} hkd_gaussian;
hkd_status hkd_denoise_gaussian(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size);

/* The probability-flow ODE dx/dsigma = (x - D) / sigma solved exactly: to [n, size] at sigma_to from x at sigma_from. */
void hkd_gaussian_flow(double *to, const double *x, double sigma_to, double sigma_from, const hkd_gaussian *g, int64_t n,
                       int64_t size);

/* sum of weight[k] N_k; the weights are positive and need not add up to 1. */
typedef struct {
    int64_t count;
    const hkd_gaussian *component; /* [count] */
    const double *weight;          /* [count] */
} hkd_mixture;
hkd_status hkd_denoise_mixture(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size);

/* The training set itself: D is the average of the points weighted by exp(-|x - point|^2 / 2 sigma^2). */
typedef struct {
    int64_t count;
    const float *points; /* [count, size] */
} hkd_point_cloud;
hkd_status hkd_denoise_points(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size);

#endif
