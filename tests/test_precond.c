#include "on_cpu.h"
#include "op_case.h"
#include "schedule.h"
#include "test.h"

#include <math.h>

static double c_skip(double sigma, hkd_precond kind) {
    const hkd_precond_dims d = {1, 1, 1, kind, 0.5};
    const double x = 1, f = 0;
    double y;
    hkd_ref_precond_out(&y, &x, &f, &sigma, &d);
    return y;
}

static double c_out(double sigma, hkd_precond kind) {
    const hkd_precond_dims d = {1, 1, 1, kind, 0.5};
    const double x = 0, f = 1;
    double y;
    hkd_ref_precond_out(&y, &x, &f, &sigma, &d);
    return y;
}

static double c_in(double sigma, hkd_precond kind) {
    const hkd_precond_dims d = {1, 1, 1, kind, 0.5};
    const double x = 1;
    double y;
    hkd_ref_precond_in(&y, &x, &sigma, &d);
    return y;
}

static double c_noise(double sigma, hkd_precond kind) {
    double c;
    hkd_ref_precond_noise(&c, &sigma, 1, kind);
    return c;
}

/* EDM's coefficients to eight digits: a swapped pair, sigma for sigma^2, a lost sigma_data. */
static void known_values(void) {
    static const double known[4][5] = {{80, 3.906097e-5, 0.49999023, 0.012499756, 1.09550666},
                                       {2.5152189765, 0.03801515, 0.49040413, 0.38994947, 0.23058996},
                                       {0.5, 0.5, 0.35355339, 1.41421356, -0.17328680},
                                       {0.002, 0.99998400, 0.00199998, 1.99998400, -1.55365202}};
    for (int i = 0; i < 4; i++) {
        const double sigma = known[i][0];
        const double got[4] = {c_skip(sigma, HKD_PRECOND_EDM), c_out(sigma, HKD_PRECOND_EDM), c_in(sigma, HKD_PRECOND_EDM),
                               c_noise(sigma, HKD_PRECOND_EDM)};
        static const char *const name[4] = {"c_skip", "c_out", "c_in", "c_noise"};
        for (int k = 0; k < 4; k++)
            CHECK(fabs(got[k] - known[i][k + 1]) < 2e-8 && fabs(got[k] / known[i][k + 1] - 1) < 3e-6,
                  "%s(%g) = %.9g, expected %.9g", name[k], sigma, got[k], known[i][k + 1]);
    }
    CHECK(c_skip(3, HKD_PRECOND_DECODER_ONLY) == 0 && c_out(3, HKD_PRECOND_DECODER_ONLY) == 0.5, "decoder_only output");
    CHECK(c_in(3, HKD_PRECOND_DECODER_ONLY) == c_in(3, HKD_PRECOND_EDM), "decoder_only c_in is not EDM's");
    CHECK(c_noise(3, HKD_PRECOND_DECODER_ONLY) == c_noise(3, HKD_PRECOND_EDM), "decoder_only c_noise is not EDM's");
}

/* EDM's design: input and training target have unit variance at every sigma, for data of standard deviation 0.5. */
static void unit_variance(void) {
    for (double sigma = 0.001; sigma < 1000; sigma *= 3) {
        const hkd_precond edm = HKD_PRECOND_EDM;
        const double in = c_in(sigma, edm), skip = c_skip(sigma, edm), out = c_out(sigma, edm);
        CHECK(fabs(in * in * (0.25 + sigma * sigma) - 1) < 1e-14, "input variance at %g", sigma);
        const double target = ((1 - skip) * (1 - skip) * 0.25 + skip * skip * sigma * sigma) / (out * out);
        CHECK(fabs(target - 1) < 1e-11, "target variance at %g is %.15g", sigma, target);
    }
}

/* The older parametrisations: VP counts time, VE halves sigma, iDDPM names its own levels, rounding to the nearest. */
static void others(void) {
    for (double t = 1e-5; t <= 1; t *= 4)
        CHECK(fabs(c_noise(hkd_vp_sigma(t, &hkd_vp_default), HKD_PRECOND_VP) / (999 * t) - 1) < 1e-12, "VP at t = %g", t);
    CHECK(c_skip(3, HKD_PRECOND_VP) == 1 && c_out(3, HKD_PRECOND_VP) == -3, "VP output");
    CHECK(fabs(c_in(3, HKD_PRECOND_VP) - 1 / sqrt(10)) < 1e-16, "VP input");
    CHECK(c_skip(3, HKD_PRECOND_VE) == 1 && c_out(3, HKD_PRECOND_VE) == 3 && c_in(3, HKD_PRECOND_VE) == 1, "VE");
    CHECK(c_noise(2, HKD_PRECOND_VE) == 0 && fabs(c_noise(2 * exp(1), HKD_PRECOND_VE) - 1) < 1e-15, "VE noise");
    double u[HKD_IDDPM_STEPS + 1];
    hkd_ref_iddpm_levels(u);
    for (int j = 0; j <= HKD_IDDPM_STEPS; j += 25) {
        CHECK(c_noise(u[j], HKD_PRECOND_IDDPM) == 999 - j, "iDDPM level %d", j);
        if (j == HKD_IDDPM_STEPS) break;
        CHECK(c_noise(0.55 * u[j] + 0.45 * u[j + 1], HKD_PRECOND_IDDPM) == 999 - j, "iDDPM near level %d", j);
    }
    CHECK(c_skip(3, HKD_PRECOND_IDDPM) == 1 && c_out(3, HKD_PRECOND_IDDPM) == -3, "iDDPM output");
}

/* iDDPM's variance channels change nothing, on either device's layout, and get the gradient 0. */
static void extra_channels(void) {
    enum { N = 2, C = 3, AREA = 6 };
    const hkd_shape shape[3] = {hkd_shape_of(4, (int64_t)N, (int64_t)C, (int64_t)2, (int64_t)3),
                                hkd_shape_of(4, (int64_t)N, (int64_t)(2 * C), (int64_t)2, (int64_t)3),
                                hkd_shape_of(1, (int64_t)N)};
    const double sigma[N] = {2, 3}, p[2] = {HKD_PRECOND_IDDPM, 0.5};
    double x[N * C * AREA], f[N * 2 * C * AREA], y[N * C * AREA], df[N * 2 * C * AREA] = {0};
    for (int i = 0; i < N * C * AREA; i++) x[i] = i;
    for (int i = 0; i < N * 2 * C * AREA; i++) f[i] = i / AREA % (2 * C) < C ? i % 5 : NAN;
    const double *in[3] = {x, f, sigma};
    double *out[1] = {y};
    on_cpu(out, "precond_out", p, shape, in, HKD_ACTIVATION, false);
    int right = 0;
    for (int i = 0; i < N * C * AREA; i++) right += y[i] == x[i] - sigma[i / (C * AREA)] * f[i + i / (C * AREA) * C * AREA];
    CHECK(right == N * C * AREA, "%d of %d elements used the right channel of f", right, N * C * AREA);
    const hkd_precond_dims d = {N, C * AREA, 2 * C * AREA, HKD_PRECOND_IDDPM, 0.5};
    hkd_ref_precond_out_grad(NULL, df, x, sigma, &d);
    CHECK(df[C * AREA] == 0 && df[1] == -2 && df[2 * C * AREA] == -3.0 * C * AREA, "gradient of f with extra channels");
    hkd_shape wrong[1];
    const double edm[2] = {HKD_PRECOND_EDM, 0.5};
    CHECK(hkd_op_shapes(hkd_find_op("precond_out"), wrong, shape, edm) == HKD_USAGE, "6 channels for 3 accepted by EDM");
}

/* cpu against the reference over the whole range of noise, not only near 1: catches a formula that cancels. */
static void wide_range(void) {
    enum { N = 40 };
    double sigma[N], y[N], bound[N], got[N], worst = 0;
    const hkd_shape shape = hkd_shape_of(1, (int64_t)N);
    const double *in[1] = {sigma};
    double *out[1] = {got};
    for (int i = 0; i < N; i++) sigma[i] = (double)(float)(0.001 * pow(1e5, i / (N - 1.0)));
    for (int kind = 0; kind <= HKD_PRECOND_DECODER_ONLY; kind++) {
        const double p[1] = {kind};
        hkd_ref_precond_noise(y, sigma, N, (hkd_precond)kind);
        hkd_ref_precond_noise_bound(bound, sigma, N, (hkd_precond)kind);
        on_cpu(out, "precond_noise", p, &shape, in, HKD_ACTIVATION, true);
        for (int i = 0; i < N; i++) worst = fmax(worst, share_of_allowance(got[i], y[i], bound[i]));
        CHECK(worst <= 1, "precond_noise kind %d: %g of the allowance", kind, worst);
    }
}

void test_precond(void) {
    const op_case decoder_only = {"precond_out", "2x3x5x4 2x3x5x4 +2", "kind=4 sigma_data=0.7", false};
    check_agreement(&decoder_only); /* not in the common table: its gradient for x is zero everywhere */
    known_values();
    unit_variance();
    others();
    extra_channels();
    wide_range();
}
