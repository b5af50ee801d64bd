#include "schedule.h"

#include "exact.h"
#include "hkd_ref.h"
#include "status.h"

#include <math.h>

static const double VP_T_MIN = 1e-3; /* where EDM's VP sampler stops */
const hkd_vp hkd_vp_default = {19.9, 0.1};

hkd_schedule hkd_schedule_default(hkd_schedule_kind kind) {
    switch (kind) {
    case HKD_SCHEDULE_VP:
        return (hkd_schedule){kind, hkd_vp_sigma(VP_T_MIN, &hkd_vp_default), hkd_vp_sigma(1, &hkd_vp_default), 0};
    case HKD_SCHEDULE_VE: return (hkd_schedule){kind, 0.02, 100, 0};
    case HKD_SCHEDULE_IDDPM: return (hkd_schedule){kind, 0.002, 81, 0};
    case HKD_SCHEDULE_EDM: break;
    }
    return (hkd_schedule){HKD_SCHEDULE_EDM, 0.002, 80, 7};
}

/* ---- EDM ---- */

double hkd_karras_sigma(double u, double sigma_min, double sigma_max, double rho) {
    const double low = hkd_pow(sigma_min, 1 / rho), high = hkd_pow(sigma_max, 1 / rho);
    if (u == 0) return sigma_max;
    return u == 1 ? sigma_min : hkd_pow(high + u * (low - high), rho);
}

/* ---- VP ---- */

/* exp(x) - 1 and ln(1 + z) without cancellation near 0 (Kahan). */
static double exp_minus_1(double x) {
    const double e = hkd_exp(x);
    if (e == 1) return x;
    return fabs(x) < 0.5 ? (e - 1) * x / hkd_log(e) : e - 1;
}

static double log_1_plus(double z) {
    const double w = 1 + z;
    return w == 1 ? z : hkd_log(w) * z / (w - 1);
}

hkd_vp hkd_vp_of_range(double sigma_min, double sigma_max, double t_min) {
    const double low = log_1_plus(sigma_min * sigma_min), high = log_1_plus(sigma_max * sigma_max);
    const double beta_d = 2 * (low / t_min - high) / (t_min - 1);
    return (hkd_vp){beta_d, high - beta_d / 2};
}

double hkd_vp_sigma(double t, const hkd_vp *vp) { return sqrt(exp_minus_1(vp->beta_d * t * t / 2 + vp->beta_min * t)); }

/* beta_min may be below 0, and 0 / 0 at sigma = 0. */
double hkd_vp_time(double sigma, const hkd_vp *vp) {
    const double l = log_1_plus(sigma * sigma);
    return l > 0 ? 2 * l / (sqrt(vp->beta_min * vp->beta_min + 2 * vp->beta_d * l) + vp->beta_min) : 0;
}

/* ---- what networks know ---- */

void hkd_level_range(double range[2], hkd_precond precond) {
    double u[HKD_IDDPM_STEPS + 1];
    range[0] = 0;
    range[1] = HUGE_VAL;
    if (precond == HKD_PRECOND_VE) range[0] = 0.02, range[1] = 100;
    if (precond == HKD_PRECOND_VP) range[0] = hkd_vp_sigma(1e-5, &hkd_vp_default), range[1] = hkd_vp_sigma(1, &hkd_vp_default);
    if (precond != HKD_PRECOND_IDDPM) return;
    hkd_ref_iddpm_levels(u);
    range[0] = u[HKD_IDDPM_STEPS - 1];
    range[1] = u[0];
}

double hkd_iddpm_round(double sigma) {
    double u[HKD_IDDPM_STEPS + 1];
    int nearest = 0;
    hkd_ref_iddpm_levels(u);
    for (int j = 1; j < HKD_IDDPM_STEPS; j++)
        if (fabs(u[j] - sigma) < fabs(u[nearest] - sigma)) nearest = j;
    return u[nearest];
}

/* ---- grids ---- */

static hkd_status iddpm_grid(double *sigma, int64_t n, const hkd_schedule *s) {
    double u[HKD_IDDPM_STEPS + 1];
    hkd_ref_iddpm_levels(u);
    int first = 0, last = HKD_IDDPM_STEPS;
    while (first <= HKD_IDDPM_STEPS && u[first] > s->sigma_max) first++;
    while (last >= 0 && u[last] < s->sigma_min) last--;
    if (last < first) return hkd_fail(HKD_USAGE, "schedule: no iddpm level between %g and %g", s->sigma_min, s->sigma_max);
    for (int64_t i = 0; i < n; i++) {
        const double share = n > 1 ? (double)i / (double)(n - 1) : 0;
        sigma[i] = u[first + (int)rint(share * (last - first))];
    }
    return HKD_OK;
}

hkd_status hkd_schedule_grid(double *sigma, int64_t n, const hkd_schedule *s) {
    if (n < 1) return hkd_fail(HKD_USAGE, "schedule: at least one step is needed");
    if (!(s->sigma_min > 0 && s->sigma_max > s->sigma_min))
        return hkd_fail(HKD_USAGE, "schedule: 0 < sigma_min < sigma_max expected");
    if (s->kind == HKD_SCHEDULE_EDM && !(s->rho > 0)) return hkd_fail(HKD_USAGE, "schedule: rho must be positive");
    sigma[n] = 0;
    if (s->kind == HKD_SCHEDULE_IDDPM) return iddpm_grid(sigma, n, s);
    const hkd_vp vp = hkd_vp_of_range(s->sigma_min, s->sigma_max, VP_T_MIN);
    for (int64_t i = 0; i < n; i++) {
        const double u = n > 1 ? (double)i / (double)(n - 1) : 0;
        if (s->kind == HKD_SCHEDULE_EDM) sigma[i] = hkd_karras_sigma(u, s->sigma_min, s->sigma_max, s->rho);
        else if (s->kind == HKD_SCHEDULE_VP) sigma[i] = hkd_vp_sigma(1 + u * (VP_T_MIN - 1), &vp);
        else sigma[i] = s->sigma_max * hkd_pow(s->sigma_min / s->sigma_max, u);
    }
    return HKD_OK;
}
