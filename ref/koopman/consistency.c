/* Propositions C.2 and C.3, corrected: see propositions.h. */
#include "propositions.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

static double mean_product(const double *a, const double *b, int64_t count, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return n ? sum / (double)n : 0;
}

/* E|sum_l Delta_l|^2 = sum of all products; rho the largest correlation of two levels. */
static void image_side(hkd_consistency *out, const double *const *delta, int64_t outputs, int64_t n, int64_t count) {
    for (int64_t l = 0; l < count; l++) {
        const double ll = mean_product(delta[l], delta[l], n * outputs, n);
        out->loss += ll;
        for (int64_t k = 0; k < l; k++) {
            const double lk = mean_product(delta[l], delta[k], n * outputs, n);
            const double size = sqrt(ll * mean_product(delta[k], delta[k], n * outputs, n));
            out->loss += 2 * lk;
            if (size > 0) out->rho = fmax(out->rho, fmin(fabs(lk) / size, 1));
        }
    }
}

/* Of sample i: |z - e^{(t-T) A} w_T|^2 and |e^{(eps-t) A} (z - e^{(t-T) A} w_T)|^2, the error at t and what becomes of it. */
static void latent_gap(double *now, double *later, const double *z, const double *w, int64_t i, const hkd_level *level,
                       double to_end, double from_T) {
    const int64_t area = level->h * level->w, modes = hkd_mode_count(level);
    *now = *later = 0;
    for (int64_t k = 0; k < level->d / 2; k++)
        for (int64_t s = 0; s < area; s++) {
            const int64_t m = hkd_mode_of(level, k, s), at = (i * level->d + 2 * k) * area + s, next = at + area;
            const hkd_complex e = hkd_discrete_eigenvalue(level->a[m], level->a[modes + m], from_T);
            const double g0 = z[at] - (e.re * w[at] + e.im * w[next]), g1 = z[next] - (e.re * w[next] - e.im * w[at]);
            *now += g0 * g0 + g1 * g1;
            *later += hkd_exp(-2 * level->a[m] * to_end) * (g0 * g0 + g1 * g1);
        }
}

/* eta_l e^{-2 alpha_l (t - eps)} E|gap|^2 of one level. */
static double latent_side(const double *delta, int64_t outputs, const double *z, const double *w, int64_t n,
                          const hkd_level *level, double to_end, double from_T) {
    double eta = INFINITY, gap = 0;
    for (int64_t i = 0; i < n; i++) {
        double now, later;
        latent_gap(&now, &later, z, w, i, level, to_end, from_T);
        gap += now / (double)n;
        const double *change = delta + i * outputs;
        if (later > 0) eta = fmin(eta, mean_product(change, change, outputs, 1) / later);
    }
    return gap > 0 && isfinite(eta) ? eta * hkd_exp(-2 * hkd_summarise_level(level, 0).alpha_max * to_end) * gap : 0;
}

hkd_status hkd_consistency_sides(hkd_consistency *out, const double *const *delta, int64_t outputs, const double *const *z,
                                 const double *const *w, int64_t n, const hkd_level *levels, int64_t count, double eps,
                                 double T, double t) {
    const hkd_status checked = hkd_levels_check(levels, count);
    if (checked != HKD_OK) return checked;
    if (!(t >= eps && t <= T)) return hkd_fail(HKD_USAGE, "time %g: expected [%g, %g]", t, eps, T);
    *out = (hkd_consistency){0};
    image_side(out, delta, outputs, n, count);
    double sum = 0;
    for (int64_t l = 0; l < count; l++) sum += latent_side(delta[l], outputs, z[l], w[l], n, &levels[l], t - eps, t - T);
    const double factor = 1 - out->rho * (double)(count - 1);
    out->bound = factor * sum;
    out->meaningful = factor > 0;
    return HKD_OK;
}
