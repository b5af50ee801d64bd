/* model_path.h - a model's own path from noise to picture, and the teacher's beside it.
 *
 * One pass of the encoder gives z_T; z(tau) = exp((t(tau) - T) A) z_T for any tau, and the decoder shows it. A teacher's true
 * state x_tau at the same noise level can be encoded there: if the model were exact, E(x_tau; sigma(tau)) = z(tau).
 */
#ifndef HKD_MODEL_PATH_H
#define HKD_MODEL_PATH_H

#include "model_inputs.h"
#include "model_levels.h"
#include "sampler.h"

/* y[i] [n, d, h, w] = the latents z[i] moved by dt; those that no operator moves are copied. y may be z. */
hkd_status hkd_model_evolve(double *const *y, const double *const *z, int64_t n, double dt, const hkd_model *m,
                            const hkd_model_levels *levels);

/* |y - z|^2 / |z|^2 over all latents that an operator moves: gap [n]. */
void hkd_model_latent_gap(double *gap, const double *const *y, const double *const *z, int64_t n,
                          const hkd_model_levels *levels);

/* HKD_USAGE unless it is a denoiser of m's pictures and classes. */
hkd_status hkd_teacher_check(const hkd_model *teacher, const hkd_model *m);

/* A denoiser's own states at decreasing times (1 noise, 0 its picture): state [count, n, size], by Heun along EDM's grid of
 * `steps` for the noise levels of m, which goes through them. noise: x at the largest level, labels. */
hkd_status hkd_teacher_states(double *state, hkd_model *teacher, const hkd_model *m, const hkd_model_input *noise,
                              const double *times, int64_t count, int64_t steps, const hkd_ticker *ticker);

/* The sampler's states at given levels: state [count, n, size] at `level` [count] (decreasing; 0 = the end), Heun along the
 * union of these levels and `grid` [steps + 1]. x [n, size] is the noise at grid[0], and ends as the picture. */
hkd_status hkd_sample_through(double *state, const double *level, int64_t count, hkd_sampling *s, double *x, const double *grid,
                              int64_t steps);

#endif
