/* Koopman evolution on Gaussian data, where everything is known: the probability-flow ODE of a principal component with
 * variance lambda is dc/dsigma = sigma c / (lambda + sigma^2), so c(sigma) = c_T sqrt((lambda + sigma^2) / (lambda + T^2)).
 * These tests say what one linear operator can and cannot do, and use the reference operators alone. */
#include "hkd_ref.h"
#include "propositions.h"
#include "rng.h"
#include "test.h"

#include <math.h>

static const double T = 80, EPS = 0.002;
static const double lambda[3] = {25, 1, 0.04};

/* c_T -> c(sigma) by Runge-Kutta in ln sigma: independent of the closed form. */
static double integrate(double c, double lam, double to) {
    enum { STEPS = 2000 };
    const double h = log(to / T) / STEPS;
    for (int i = 0; i < STEPS; i++) {
        const double s0 = T * exp(i * h), s1 = T * exp((i + 0.5) * h), s2 = T * exp((i + 1) * h);
        const double k1 = s0 * s0 / (lam + s0 * s0) * c, k2 = s1 * s1 / (lam + s1 * s1) * (c + h / 2 * k1);
        const double k3 = s1 * s1 / (lam + s1 * s1) * (c + h / 2 * k2), k4 = s2 * s2 / (lam + s2 * s2) * (c + h * k3);
        c += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    }
    return c;
}

static double evolve(double z, double alpha, double dt) {
    const double pair[2] = {z, 0}, a[2] = {alpha, 0};
    const hkd_koopman_dims dims = {1, 2, 1, 1, 1, 1};
    double y[2];
    hkd_ref_koopman_evolve(y, pair, a, &dt, &dims);
    return y[0];
}

static double karras_time(double sigma) { /* 1 at T, 0 at EPS */
    const double low = pow(EPS, 1.0 / 7), high = pow(T, 1.0 / 7);
    return (pow(sigma, 1.0 / 7) - low) / (high - low);
}

static double log_time(double sigma) { return log(sigma / EPS) / log(T / EPS); }

/* The rate that takes T to EPS in one unit of any time. */
static double one_step_rate(double lam) { return 0.5 * log((lam + T * T) / (lam + EPS * EPS)); }

/* D2: one rate per component makes the one-step map exact with a linear encoder that does not know the time. Catches a
 * direction of time that runs backwards, growth where there is decay. */
static void one_step_is_exact(void) {
    for (int k = 0; k < 3; k++) {
        const double truth = integrate(1.7, lambda[k], EPS), got = evolve(1.7, one_step_rate(lambda[k]), -1);
        CHECK(fabs(got - truth) < 1e-9 * truth, "lambda %g: %.12g, integrated %.12g", lambda[k], got, truth);
    }
    CHECK(one_step_rate(0.04) > one_step_rate(1) && one_step_rate(1) > one_step_rate(25), "small variance, large alpha");
}

/* D3: between the ends the same operator is wrong, in log sigma by up to 9.308 at the sigma where the true rate
 * sigma^2 / (1 + sigma^2) equals the mean rate; in Karras time by 4.166. A linear operator and a time-independent
 * encoder cannot do better, so a trajectory loss needs an encoder that sees sigma. */
static void between_it_is_wrong(void) {
    double worst[2] = {0}, at = 0;
    for (int i = 0; i <= 20000; i++) {
        const double sigma = EPS * pow(T / EPS, i / 20000.0), truth = sqrt((1 + sigma * sigma) / (1 + T * T));
        const double factor[2] = {evolve(1, one_step_rate(1), log_time(sigma) - 1) / truth,
                                  evolve(1, one_step_rate(1), karras_time(sigma) - 1) / truth};
        for (int v = 0; v < 2; v++) {
            const double wrong = factor[v] < 1 ? 1 / factor[v] : factor[v];
            if (wrong > worst[v] && v == 0) at = sigma;
            worst[v] = fmax(worst[v], wrong);
        }
    }
    CHECK(fabs(worst[0] - 9.308) < 1e-3 && fabs(worst[1] - 4.166) < 1e-3, "factors %.4f, %.4f", worst[0], worst[1]);
    const double mean_rate = one_step_rate(1) / log(T / EPS), expected = sqrt(mean_rate / (1 - mean_rate));
    CHECK(fabs(at - expected) < 2e-3, "worst at sigma %.4f, expected %.4f", at, expected);
}

/* D4: with one variance for all, time 1/2 ln(lambda + sigma^2) and alpha = 1 are exact at every time. */
static void isotropic_is_exact(void) {
    for (int i = 0; i <= 10; i++) {
        const double sigma = EPS * pow(T / EPS, i / 10.0), dt = 0.5 * log((0.25 + sigma * sigma) / (0.25 + T * T));
        const double truth = integrate(-3, 0.25, sigma);
        CHECK(fabs(evolve(-3, 1, dt) - truth) < 1e-9 * fabs(truth), "sigma %g", sigma);
    }
}

/* D5: (c^2, c^2 / (lambda + s)), s = sigma^2, moves by the Jordan block [[0, 1], [0, 0]] whatever lambda is: an exact lift
 * that a block-diagonal A cannot hold. */
static void jordan_lift(void) {
    const double jordan[4] = {1, 1, 0, 1}; /* K = I + A */
    double p[8], q[8], alpha[2], beta[2];
    int64_t blocks;
    for (int k = 0; k < 3; k++) {
        const double c_T = 2, c = integrate(c_T, lambda[k], 0.5), rate_T = c_T * c_T / (lambda[k] + T * T);
        const double rate = c * c / (lambda[k] + 0.25), moved = c_T * c_T + (0.25 - T * T) * rate_T;
        CHECK(fabs(rate / rate_T - 1) < 1e-8, "lambda %g: the second observable moved", lambda[k]);
        CHECK(fabs(moved - c * c) < 1e-8 * c_T * c_T, "lambda %g: c^2 is %g, by the lift %g", lambda[k], c * c, moved);
    }
    CHECK(hkd_block_diagonalise(p, q, alpha, beta, &blocks, jordan, 2) == HKD_CHECK_FAILED, "the lift was diagonalised");
}

/* D13: an encoder that knows sigma makes any A exact: z = exp(u A) c / sqrt(lambda + sigma(u)^2), decoder gain
 * sqrt(lambda + EPS^2). So a spectrum learned that way is a gauge, not a property of the data. */
static void any_operator_will_do(void) {
    enum { D = 6 };
    double a[D], c_T[D];
    const hkd_koopman_dims dims = {1, D, 1, 1, 1, 1};
    hkd_random_normals(a, 0, D, &(hkd_stream){.seed = 13, .purpose = HKD_FOR_TEST});
    hkd_random_normals(c_T, 0, D, &(hkd_stream){.seed = 14, .purpose = HKD_FOR_TEST});
    for (int zero = 0; zero < 2; zero++)
        for (int i = 0; i <= 10; i++) {
            const double sigma = EPS * pow(T / EPS, i / 10.0), u = karras_time(sigma), back = -u;
            double white[D], z[D], z_eps[D];
            for (int j = 0; j < D; j++) {
                if (zero) a[j] = 0;
                const double lam = lambda[j / 2], c = c_T[j] * sqrt((lam + sigma * sigma) / (lam + T * T));
                white[j] = c / sqrt(lam + sigma * sigma);
            }
            hkd_ref_koopman_evolve(z, white, a, &u, &dims);
            hkd_ref_koopman_evolve(z_eps, z, a, &back, &dims);
            for (int j = 0; j < D; j++) {
                const double lam = lambda[j / 2], truth = c_T[j] * sqrt((lam + EPS * EPS) / (lam + T * T));
                const double got = z_eps[j] * sqrt(lam + EPS * EPS);
                CHECK(fabs(got - truth) < 1e-12 * fabs(c_T[j]), "A %s, sigma %g", zero ? "zero" : "random", sigma);
            }
        }
}

/* D14: a picture whose Haar bands each have one variance: one rate per band maps noise to picture exactly, and the pictures of
 * the bands alone add up to the whole. The encoder is the transform, the decoder its inverse. */
static void hierarchy(void) {
    enum { SIDE = 8, PIXELS = SIDE * SIDE, AREA = PIXELS / 4 };
    const hkd_haar2d_dims forth = {1, 1, SIDE / 2, SIDE / 2, 0}, back = {1, 1, SIDE / 2, SIDE / 2, 1};
    const double variance[4] = {9, 0.5, 0.5, 0.01}; /* LL, LH, HL, HH */
    double x[PIXELS], bands[PIXELS], z[4][2 * AREA], whole[PIXELS] = {0}, sum[PIXELS] = {0}, truth[PIXELS];
    hkd_random_normals(x, 0, PIXELS, &(hkd_stream){.seed = 15, .purpose = HKD_FOR_TEST});
    for (int i = 0; i < PIXELS; i++) x[i] *= T;
    hkd_ref_haar2d(bands, x, &forth);
    for (int i = 0; i < PIXELS; i++) {
        const double lam = variance[i / AREA];
        whole[i] = bands[i] * sqrt((lam + EPS * EPS) / (lam + T * T));
    }
    hkd_ref_haar2d(truth, whole, &back);
    for (int b = 0; b < 4; b++) { /* one level per band: its coefficients are one channel of a pair */
        const double a[2] = {one_step_rate(variance[b]), 0}, dt = -1;
        const hkd_koopman_dims dims = {1, 2, SIDE / 2, SIDE / 2, 1, 1};
        double start[2 * AREA] = {0}, alone[PIXELS] = {0}, picture[PIXELS];
        for (int i = 0; i < AREA; i++) start[i] = bands[b * AREA + i];
        hkd_ref_koopman_evolve(z[b], start, a, &dt, &dims);
        for (int i = 0; i < AREA; i++) alone[b * AREA + i] = whole[b * AREA + i] = z[b][i];
        hkd_ref_haar2d(picture, alone, &back);
        for (int i = 0; i < PIXELS; i++) sum[i] += picture[i];
    }
    hkd_ref_haar2d(x, whole, &back);
    for (int i = 0; i < PIXELS; i++) {
        CHECK(fabs(x[i] - truth[i]) < 1e-13, "pixel %d: one step gives %g, the flow %g", i, x[i], truth[i]);
        CHECK(fabs(sum[i] - x[i]) < 1e-13, "pixel %d: the bands' pictures add up to %g, not %g", i, sum[i], x[i]);
    }
}

void test_gaussian_koopman(void) {
    one_step_is_exact();
    between_it_is_wrong();
    isotropic_is_exact();
    jordan_lift();
    any_operator_will_do();
    hierarchy();
}
