/* schedule.h - noise levels: where a sampler stands after a share of its way, and the grids it steps along.
 *
 * EDM (Karras) is linear in sigma^(1/rho): with progress u from 0 (noise) to 1 (data),
 *   sigma(u) = (sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho.
 * The Koopman time of this project is tau = 1 - u: 1 at sigma_max, 0 at sigma_min. The other three are the discretisations
 * of the methods that EDM unifies. All give decreasing levels and end with an appended 0.
 * Source: EDM (Karras et al. 2022), Eq. 5 and Table 1. */
#ifndef HKD_SCHEDULE_H
#define HKD_SCHEDULE_H

#include "hkd.h"
#include "hkd_ref.h"

typedef enum { HKD_SCHEDULE_EDM, HKD_SCHEDULE_VP, HKD_SCHEDULE_VE, HKD_SCHEDULE_IDDPM } hkd_schedule_kind;

typedef struct {
    hkd_schedule_kind kind;
    double sigma_min, sigma_max;
    double rho; /* EDM only */
} hkd_schedule;

/* EDM 0.002..80 with rho 7, VP 0.010486..152.167, VE 0.02..100, IDDPM 0.002..81: the ranges of EDM's samplers. */
hkd_schedule hkd_schedule_default(hkd_schedule_kind kind);

/* sigma [n + 1] = the n levels of the grid, then 0. n = 1 gives {sigma_max, 0} (IDDPM: its largest level inside the range). */
hkd_status hkd_schedule_grid(double *sigma, int64_t n, const hkd_schedule *s);

/* The levels that a network with this preconditioning was made for, least and greatest: EDM's any. */
void hkd_level_range(double range[2], hkd_precond precond);
double hkd_iddpm_round(double sigma); /* to the nearest of IDDPM's levels, the only ones that its networks know */

/* EDM's level after progress u, 0 <= u <= 1. Back: hkd_time_of_sigma (config.h). */
double hkd_karras_sigma(double u, double sigma_min, double sigma_max, double rho);

/* VP: sigma^2 = exp(beta_d t^2 / 2 + beta_min t) - 1, beta_d = 19.9 and beta_min = 0.1 unless a range fixes them. */
typedef struct {
    double beta_d, beta_min;
} hkd_vp;
extern const hkd_vp hkd_vp_default;
hkd_vp hkd_vp_of_range(double sigma_min, double sigma_max, double t_min); /* sigma(t_min) = sigma_min, sigma(1) = sigma_max */
double hkd_vp_sigma(double t, const hkd_vp *vp);
double hkd_vp_time(double sigma, const hkd_vp *vp);

#endif
