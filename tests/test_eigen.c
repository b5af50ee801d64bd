/* Dense linear algebra against definitions, and what is built on it: trajectories and the corrected propositions. */
#include "eigen.h"
#include "exact.h"
#include "hkd_insight.h"
#include "hkd_ref.h"
#include "propositions.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <string.h>

static void normals(double *x, int count, uint32_t draw) {
    const hkd_stream s = {.seed = 6, .purpose = HKD_FOR_TEST, .draw = draw};
    hkd_random_normals(x, 0, count, &s);
}

/* A = V diag V^T with orthonormal V, for a random and for a rank-1 matrix. Catches a transposed V, a lost sort. */
static void symmetric(void) {
    enum { N = 12 };
    double x[N * N], a[N * N], values[N], v[N * N];
    for (int rank = 1; rank <= N; rank += N - 1) {
        normals(x, N * N, (uint32_t)rank);
        for (int i = 0; i < N * N; i++) {
            a[i] = 0;
            for (int k = 0; k < rank; k++) a[i] += x[i / N * N + k] * x[i % N * N + k];
        }
        CHECK(hkd_eigen_symmetric(values, v, a, N) == HKD_OK, "%s", hkd_last_error());
        for (int i = 0; i < N * N; i++) {
            double back = 0, unit = 0;
            for (int k = 0; k < N; k++) {
                back += values[k] * v[k * N + i / N] * v[k * N + i % N];
                unit += v[i / N * N + k] * v[i % N * N + k];
            }
            CHECK(fabs(back - a[i]) < 1e-13 * values[0], "rank %d, element %d: %g, expected %g", rank, i, back, a[i]);
            CHECK(fabs(unit - (i / N == i % N)) < 1e-14, "vectors %d and %d are not orthonormal", i / N, i % N);
        }
        for (int k = 1; k < N; k++) CHECK(values[k - 1] >= values[k], "values are not descending");
    }
    a[3] = NAN;
    CHECK(hkd_eigen_symmetric(values, v, a, N) == HKD_USAGE, "NaN accepted");
}

/* sigma^2 are the eigenvalues of A^T A (an independent algorithm), both orientations, rank-deficient too. Catches a
 * reflector with the wrong sign, a tail that is dropped. */
static void singular(void) {
    enum { M = 15, N = 9 };
    double a[M * N], t[M * N], gram[N * N], values[N], vectors[N * N], s[N], st[N];
    for (int rank = 2; rank <= N; rank += N - 2) {
        double x[M * N], y[N * N];
        normals(x, M * N, 3);
        normals(y, N * N, 4);
        for (int i = 0; i < M * N; i++) {
            a[i] = 0;
            for (int k = 0; k < rank; k++) a[i] += x[i / N * N + k] * y[k * N + i % N];
            t[i % N * M + i / N] = a[i];
        }
        for (int i = 0; i < N * N; i++) {
            gram[i] = 0;
            for (int k = 0; k < M; k++) gram[i] += a[k * N + i / N] * a[k * N + i % N];
        }
        hkd_eigen_symmetric(values, vectors, gram, N);
        CHECK(hkd_singular_values(s, a, M, N) == HKD_OK, "%s", hkd_last_error());
        CHECK(hkd_singular_values(st, t, N, M) == HKD_OK, "%s", hkd_last_error());
        for (int k = 0; k < N; k++) {
            CHECK(fabs(s[k] * s[k] - fmax(values[k], 0)) < 1e-13 * values[0], "sigma %d: %g^2, not %g", k, s[k], values[k]);
            CHECK(fabs(s[k] - st[k]) < 1e-14 * s[0], "a matrix and its transpose differ at %d", k);
            CHECK(k < rank || s[k] < 1e-14 * s[0], "rank %d: sigma %d is %g, not 0 to working precision", rank, k, s[k]);
        }
    }
    const double zero[4] = {0};
    CHECK(hkd_singular_values(s, zero, 2, 2) == HKD_OK && s[0] == 0 && s[1] == 0, "the zero matrix");
    const double tiny[4] = {3e-200, 0, 0, 4e-200};
    hkd_singular_values(s, tiny, 2, 2);
    CHECK(fabs(s[0] / 4e-200 - 1) < 1e-14 && fabs(s[1] / 3e-200 - 1) < 1e-14, "small numbers underflow: %g %g", s[0], s[1]);
}

/* K v = lambda v, and the trace. Catches a wrong rotation, an eigenvector of the transpose. */
static void general(void) {
    enum { N = 10 };
    double a[N * N];
    hkd_complex values[N], v[N * N];
    normals(a, N * N, 5);
    CHECK(hkd_eigen_general(values, v, a, N) == HKD_OK, "%s", hkd_last_error());
    double trace = 0, sum = 0;
    for (int k = 0; k < N; k++) {
        trace += a[k * N + k];
        sum += values[k].re;
        for (int i = 0; i < N; i++) {
            double re = 0, im = 0;
            for (int j = 0; j < N; j++) {
                re += a[i * N + j] * v[j * N + k].re;
                im += a[i * N + j] * v[j * N + k].im;
            }
            re -= values[k].re * v[i * N + k].re - values[k].im * v[i * N + k].im;
            im -= values[k].re * v[i * N + k].im + values[k].im * v[i * N + k].re;
            CHECK(fabs(re) + fabs(im) < 1e-13 * N, "pair %d, row %d: residual %g %g", k, i, re, im);
        }
    }
    CHECK(fabs(trace - sum) < 1e-13 * N, "trace %g, sum of eigenvalues %g", trace, sum);
    const double turn[9] = {0, 0, 1, 1, 0, 0, 0, 1, 0}; /* a cyclic shift: the cube roots of 1, all of one modulus */
    CHECK(hkd_eigen_general(values, v, turn, 3) == HKD_OK, "%s", hkd_last_error());
    for (int k = 0; k < 3; k++)
        CHECK(fabs(values[k].re * values[k].re + values[k].im * values[k].im - 1) < 1e-14, "root %d of a cyclic shift", k);
}

/* e^{-t (K - I)} of k [m, m], by scaling and squaring of the Taylor series: independent of eigenvalues. */
static void exponential(double *out, const double *k, int m, double t) {
    double x[64], term[64], next[64];
    for (int i = 0; i < m * m; i++) {
        x[i] = -t * (k[i] - (i % (m + 1) == 0)) / 16;
        out[i] = term[i] = i % (m + 1) == 0;
    }
    for (int order = 1; order < 20; order++) {
        for (int i = 0; i < m * m; i++) {
            next[i] = 0;
            for (int j = 0; j < m; j++) next[i] += term[i / m * m + j] * x[j * m + i % m] / order;
        }
        for (int i = 0; i < m * m; i++) out[i] += term[i] = next[i];
    }
    for (int square = 0; square < 4; square++) {
        for (int i = 0; i < m * m; i++) {
            next[i] = 0;
            for (int j = 0; j < m; j++) next[i] += out[i / m * m + j] * out[j * m + i % m];
        }
        memcpy(out, next, (size_t)(m * m) * sizeof *out);
    }
}

/* P~ e^{-t (K~ - I)} Q~ = e^{-t (K - I)} with the reference evolve as the middle factor (D6). Without the factor sqrt2 the
 * result is 0.707 of the truth; with blocks turning the wrong way it is not even close. */
static void proposition_c1(void) {
    static const double k[3][16] = {
        {0.9, 0.3, 0, 0.1, -0.3, 0.9, 0.2, 0, 0, 0.1, 0.5, 0.2, 0.3, 0, 0, 1.4}, /* complex and real eigenvalues */
        {0.5, 0.1, 0, 0, 0.1, 0.7, 0, 0, 0, 0, 0.7, 0.2, 0, 0, 0.2, 0.9},        /* symmetric: all real */
        {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1},                        /* a multiple eigenvalue with a full basis */
    };
    static const int64_t expected_blocks[3] = {3, 4, 4};
    for (int c = 0; c < 3; c++) {
        double p[32], q[32], alpha[4], beta[4], a[8], truth[16], middle[8], worst = 0;
        int64_t blocks = 0;
        const double t = 0.8, dt = -t;
        if (!CHECK(hkd_block_diagonalise(p, q, alpha, beta, &blocks, k[c], 4) == HKD_OK, "%s", hkd_last_error())) continue;
        CHECK(blocks == expected_blocks[c], "matrix %d: %d blocks, expected m - (complex pairs) = %d", c, (int)blocks,
              (int)expected_blocks[c]);
        for (int b = 0; b < blocks; b++) a[b] = alpha[b], a[blocks + b] = beta[b];
        exponential(truth, k[c], 4, t);
        for (int col = 0; col < 4; col++) {
            double z[8];
            const hkd_koopman_dims dims = {1, 2 * blocks, 1, 1, 1, 1};
            for (int i = 0; i < 2 * blocks; i++) z[i] = q[i * 4 + col];
            hkd_ref_koopman_evolve(middle, z, a, &dt, &dims);
            for (int row = 0; row < 4; row++) {
                double sum = 0;
                for (int i = 0; i < 2 * blocks; i++) sum += p[row * 2 * blocks + i] * middle[i];
                worst = fmax(worst, fabs(sum - truth[row * 4 + col]));
            }
        }
        CHECK(worst < 1e-13, "matrix %d: off by %g", c, worst);
    }
    static const double jordan[4] = {1, 1, 0, 1}, turned[4] = {2, 1, -1, 0}; /* both have one eigenvector, to 1 */
    double p[8], q[8], alpha[2], beta[2];
    int64_t blocks;
    CHECK(hkd_block_diagonalise(p, q, alpha, beta, &blocks, jordan, 2) == HKD_CHECK_FAILED, "a Jordan block was diagonalised");
    CHECK(hkd_block_diagonalise(p, q, alpha, beta, &blocks, turned, 2) == HKD_CHECK_FAILED, "a hidden Jordan block passed");
}

/* Three levels under a linear decoder. The corrected bound holds for every t; for two opposite differences the loss is 0
 * and so must be the bound (D7), where the printed factor 1 - rho^2 L / 4 claims more than 0. */
static void proposition_c3(void) {
    enum { N = 6, D = 4, OUT = 5, L = 3 };
    double a[L][D], z[L][N * D], w[L][N * D], weight[L][OUT * D], delta[L][N * OUT];
    hkd_level levels[L];
    const double *zs[L], *ws[L], *ds[L];
    for (int l = 0; l < L; l++) {
        normals(a[l], D, 20 + (uint32_t)l);
        normals(z[l], N * D, 30 + (uint32_t)l);
        normals(w[l], N * D, 40 + (uint32_t)l);
        normals(weight[l], OUT * D, 50 + (uint32_t)l);
        levels[l] = (hkd_level){a[l], D, 1, 1, 1, 1};
        zs[l] = z[l], ws[l] = w[l], ds[l] = delta[l];
    }
    for (int step = 0; step <= 4; step++) {
        const double t = step / 4.0;
        double direct = 0, total[N * OUT] = {0};
        for (int l = 0; l < L; l++) {
            const hkd_koopman_dims dims = {N, D, 1, 1, 1, 1};
            double from_t[N * D], from_T[N * D], dt[N], one[N];
            for (int i = 0; i < N; i++) dt[i] = -t, one[i] = -1;
            hkd_ref_koopman_evolve(from_t, z[l], a[l], dt, &dims);
            hkd_ref_koopman_evolve(from_T, w[l], a[l], one, &dims);
            for (int i = 0; i < N * OUT; i++) {
                delta[l][i] = 0;
                for (int j = 0; j < D; j++)
                    delta[l][i] += weight[l][i % OUT * D + j] * (from_t[i / OUT * D + j] - from_T[i / OUT * D + j]);
                total[i] += delta[l][i];
            }
        }
        for (int i = 0; i < N * OUT; i++) direct += total[i] * total[i] / N;
        hkd_consistency sides;
        CHECK(hkd_consistency_sides(&sides, ds, OUT, zs, ws, N, levels, L, 0, 1, t) == HKD_OK, "%s", hkd_last_error());
        CHECK(fabs(sides.loss - direct) < 1e-12 * direct, "loss %.15g, directly %.15g", sides.loss, direct);
        CHECK(sides.loss >= sides.bound, "t %g: loss %g below the bound %g", t, sides.loss, sides.bound);
        CHECK(sides.meaningful == (sides.rho < 0.5), "three levels: meaningful below rho = 1/2, here %g", sides.rho);
    }
    /* One level, one output: the bound is reached with equality when H is the identity on a pair and A = 0. */
    const double still[2] = {0}, here[2] = {3, 4}, there[2] = {0}, change[2] = {3, 4}, opposite[2] = {-3, -4};
    const hkd_level flat[2] = {{still, 2, 1, 1, 1, 1}, {still, 2, 1, 1, 1, 1}};
    const double *both[2] = {change, opposite}, *zz[2] = {here, here}, *ww[2] = {there, there};
    hkd_consistency sides;
    hkd_consistency_sides(&sides, both, 2, zz, ww, 1, flat, 1, 0, 1, 0.5);
    CHECK(sides.loss == 25 && sides.bound == 25 && sides.rho == 0, "identity: loss %g, bound %g", sides.loss, sides.bound);
    hkd_consistency_sides(&sides, both, 2, zz, ww, 1, flat, 2, 0, 1, 0.5);
    CHECK(sides.loss == 0 && sides.rho == 1 && sides.bound == 0, "opposite differences: bound %g", sides.bound);
    CHECK(!sides.meaningful, "a bound of 0 called meaningful");
}

/* A quarter turn in equal angles: EV1 = (1/2 - 1/pi) / (1 - 8/pi^2), two components explain all, the rotation is exact (A8).
 * The Riemann sum over T points is within 1/T of the integral. */
static void quarter_arc(void) {
    enum { T = 400, D = 7 };
    static double x[T * D], a[T], s[T], explained[T], scores[T * 2], residual[T], norm[T];
    const double quarter = 2 * atan(1.0), expected = (0.5 - 1 / (2 * quarter)) / (1 - 8 / (4 * quarter * quarter));
    CHECK(fabs(expected - 0.959138) < 1e-6, "the closed form itself: %.7f", expected);
    double noise[D] = {0}, image[D] = {0};
    noise[1] = 3;
    image[4] = -3;
    for (int t = 0; t < T; t++) {
        const double theta = quarter * t / (T - 1);
        a[t] = sin(theta), s[t] = cos(theta);
        for (int j = 0; j < D; j++) x[t * D + j] = a[t] * image[j] + s[t] * noise[j];
    }
    CHECK(hkd_trajectory_pca(explained, scores, 2, x, T, D) == HKD_OK, "%s", hkd_last_error());
    CHECK(fabs(explained[0] - expected) < 1.0 / T, "EV1 %.6f, expected %.6f", explained[0], expected);
    CHECK(fabs(explained[1] - 1) < 1e-12 && explained[T - 1] <= 1 + 1e-15, "EV1+2 %.15g", explained[1]);
    CHECK(fabs(hkd_angle(x, x + (T - 1) * D, D) - quarter) < 1e-15, "the angle is a quarter turn");
    for (int best = 0; best < 2; best++) {
        hkd_rotation_residual(residual, norm, best ? NULL : a, best ? NULL : s, x, T, D);
        for (int t = 0; t < T; t++)
            CHECK(residual[t] < 1e-28 && fabs(norm[t] - 9) < 1e-13, "state %d: residual %g", t, residual[t]);
    }
    for (int t = 0; t < T; t++) x[t * D + 6] = 3; /* a constant offset: outside the plane of two states only after scaling */
    hkd_trajectory_pca(explained, NULL, 0, x, T, D);
    CHECK(fabs(explained[0] - expected) < 1.0 / T, "PCA is not centred: EV1 %.6f", explained[0]);
    hkd_rotation_residual(residual, NULL, a, s, x, T, D);
    const double extra = 3 * (a[100] + s[100] - 1);
    CHECK(fabs(residual[100] - extra * extra / 18) < 1e-12, "residual %g, expected %g", residual[100], extra * extra / 18);
    double first = 0, path = 0; /* scores keep distances: from the first to the last state it is |x_T - x_0| */
    for (int k = 0; k < 2; k++) {
        first += (scores[k] - scores[(T - 1) * 2 + k]) * (scores[k] - scores[(T - 1) * 2 + k]);
        CHECK(scores[(T - 1) * 2 + k] >= 0, "the sign of component %d is not fixed", k);
    }
    path = sqrt(first);
    CHECK(fabs(path - sqrt(18)) < 1e-12, "the chord in component space is %g", path);
    double still[2 * D] = {0};
    hkd_trajectory_pca(explained, NULL, 0, still, 2, D);
    CHECK(explained[0] == 0 && explained[1] == 0, "a path that does not move has no variance to explain");
}

void test_eigen(void) {
    symmetric();
    singular();
    general();
    proposition_c1();
    proposition_c3();
    quarter_arc();
}
