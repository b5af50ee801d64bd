/* precond_noise - the noise level as the network's embedding wants to see it.
 *
 *   EDM, DECODER_ONLY   c = ln(sigma) / 4
 *   VP                  c = 999 t(sigma),  sigma^2 = exp(beta_d t^2 / 2 + beta_min t) - 1,  beta_d = 19.9, beta_min = 0.1
 *   VE                  c = ln(sigma / 2)
 *   IDDPM               c = 999 - j,  u_j the level nearest to sigma (ties: the noisier one)
 *
 * IDDPM levels: alpha_bar(j) = sin^2(pi/2 j / (1000 (C2 + 1))), C1 = 0.001, C2 = 0.008, u_1000 = 0 and
 *   u_{j-1} = sqrt((u_j^2 + 1) / max(alpha_bar(j-1) / alpha_bar(j), C1) - 1).
 *
 * Stability. t solves a quadratic: t = (sqrt(b^2 + 2 a L) - b) / a with L = ln(1 + sigma^2) cancels for small sigma, its
 * conjugate 2 L / (sqrt(b^2 + 2 a L) + b) does not. ln(1 + z) is ln(w) z / (w - 1), w = fl(1 + z) (Kahan).
 *
 * Bound. The running error of these formulas, with 1 + sigma^2 rounded as written (a plain logarithm is enough).
 * IDDPM gives whole numbers and no error: sigma midway between two levels is not a case to test. No gradient.
 *
 * Source: EDM (Karras et al. 2022), Table 1; Nichol & Dhariwal 2021.
 */
#include "bounded.h"
#include "exact.h"
#include "op.h"

static hkd_bounded vp_time(double sigma) {
    const double a = 19.9, b = 0.1, z = sigma * sigma, w = 1 + z;
    const double log1p = w == 1 ? z : hkd_log(w) * z / (w - 1);
    const hkd_bounded sum = hkd_sum2(hkd_exactly(1), (hkd_bounded){z, z});
    const hkd_bounded l = hkd_function(log1p, 1 / w, sum, HKD_C_LOG);
    const hkd_bounded b1 = {b, b}, b2 = {b * b, b * b}, a2 = {2 * a, 2 * a};
    const hkd_bounded root = hkd_root(hkd_sum2(b2, hkd_product(a2, l)));
    return hkd_quotient(hkd_product(hkd_exactly(2), l), hkd_sum2(root, b1));
}

void hkd_ref_iddpm_levels(double *u) {
    const double c1 = 0.001, c2 = 0.008, quarter_turn = 1.57079632679489661923;
    double after = 0; /* sqrt of alpha_bar(j) */
    u[HKD_IDDPM_STEPS] = 0;
    for (int j = HKD_IDDPM_STEPS; j >= 0; j--) {
        const double here = hkd_sin(quarter_turn * j / (HKD_IDDPM_STEPS * (c2 + 1)));
        if (j < HKD_IDDPM_STEPS) {
            const double ratio = here * here / (after * after);
            u[j] = sqrt((u[j + 1] * u[j + 1] + 1) / (ratio > c1 ? ratio : c1) - 1);
        }
        after = here;
    }
}

static double iddpm_noise(double sigma, const double *u) {
    int nearest = 0;
    for (int j = 1; j <= HKD_IDDPM_STEPS; j++)
        if (fabs(u[j] - sigma) < fabs(u[nearest] - sigma)) nearest = j;
    return HKD_IDDPM_STEPS - 1 - nearest;
}

static hkd_bounded c_noise(double sigma, hkd_precond kind, const double *u) {
    if (kind == HKD_PRECOND_IDDPM) return hkd_exactly(iddpm_noise(sigma, u));
    if (kind == HKD_PRECOND_VP) return hkd_product(hkd_exactly(HKD_IDDPM_STEPS - 1), vp_time(sigma));
    const double s = kind == HKD_PRECOND_VE ? sigma / 2 : sigma;
    const hkd_bounded l = hkd_function(hkd_log(s), 1 / s, hkd_exactly(s), HKD_C_LOG);
    return kind == HKD_PRECOND_VE ? l : hkd_product(hkd_exactly(0.25), l);
}

void hkd_ref_precond_noise(double *c, const double *sigma, int64_t n, hkd_precond kind) {
    double u[HKD_IDDPM_STEPS + 1];
    if (kind == HKD_PRECOND_IDDPM) hkd_ref_iddpm_levels(u);
    for (int64_t i = 0; i < n; i++) c[i] = c_noise(sigma[i], kind, u).v;
}

void hkd_ref_precond_noise_bound(double *ec, const double *sigma, int64_t n, hkd_precond kind) {
    double u[HKD_IDDPM_STEPS + 1];
    if (kind == HKD_PRECOND_IDDPM) hkd_ref_iddpm_levels(u);
    for (int64_t i = 0; ec && i < n; i++) ec[i] = c_noise(sigma[i], kind, u).e;
}

/* ---- the row ---- */

static const char *shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    if (in[0].rank != 1) return "sigma must be [n]";
    if (p[0] < HKD_PRECOND_EDM || p[0] > HKD_PRECOND_DECODER_ONLY)
        return "kind must be 0 (edm), 1 (vp), 2 (ve), 3 (iddpm) or 4 (decoder_only)";
    out[0] = in[0];
    return NULL;
}

static void forward(const hkd_ref_call *c) {
    hkd_ref_precond_noise(c->out[0], c->in[0], c->in_shape[0].dim[0], (hkd_precond)c->p[0]);
}

static void bound(const hkd_ref_call *c) {
    hkd_ref_precond_noise_bound(c->out_bound[0], c->in[0], c->in_shape[0].dim[0], (hkd_precond)c->p[0]);
}

const hkd_op hkd_op_precond_noise = {
    .name = "precond_noise",
    .formula = "c = c_noise(sigma)",
    .source = "EDM (Karras et al. 2022), Table 1",
    .in = {"sigma"},
    .out = {"c"},
    .param = {{"kind", 'i', HKD_PRECOND_EDM}},
    .no_grad = 1 << 0,
    .in_place = 1 << 0,
    .not_exact = "logarithms of anything but 1 are irrational",
    .shape = shape,
    .forward = forward,
    .bound = bound,
};
