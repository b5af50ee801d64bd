/* Normalisation, activations, attention and embeddings: closed forms and invariants, on the reference and every cpu build.
 * Gradients, the bound on ordinary data, threads and `accumulate` are checked for every row by tests/op_cases.c. */
#include "cpu.h"
#include "op_case.h"
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUILDS = 4 };
static const char *const builds[BUILDS] = {"ref", "plain", "avx2", "avx512"};

static bool open_build(hkd_device **dev, int build) {
    const hkd_device_options options = {.threads = 2, .isa = build ? builds[build] : NULL};
    return (build ? hkd_device_open_cpu : hkd_device_open_ref)(dev, &options) == HKD_OK;
}

/* y = op(in) on a device; shapes and arrays of the inputs as in a reference call. */
static void apply(hkd_device *dev, double *y, const char *name, const hkd_shape *shapes, double *const *in, const double *p) {
    hkd_call call = {.op = hkd_find_op(name)};
    hkd_shape out[HKD_MAX_OUT];
    for (int i = 0; i < hkd_op_params(call.op); i++) call.p[i] = p[i];
    CHECK(hkd_op_shapes(call.op, out, shapes, p) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < hkd_op_inputs(call.op); i++) {
        hkd_tensor_new(dev, &call.in[i], &shapes[i], shapes[i].rank == 1 && i ? HKD_WEIGHT : HKD_ACTIVATION);
        dev->upload(dev, &call.in[i], in[i], HKD_F64);
    }
    hkd_tensor_new(dev, &call.out[0], &out[0], HKD_ACTIVATION);
    CHECK(hkd_device_forward(dev, &call) == HKD_OK, "%s", hkd_last_error());
    dev->download(dev, y, HKD_F64, &call.out[0]);
    for (int i = 0; i < hkd_op_inputs(call.op); i++) hkd_tensor_free(dev, &call.in[i]);
    hkd_tensor_free(dev, &call.out[0]);
}

static double ulp32(double y) {
    int exponent;
    frexp(y, &exponent);
    return ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

/* Deviations +-s around a large offset: h is exactly +-s/sqrt(s^2 + eps). Catches mean(x^2) - mean^2 (which leaves nothing
 * of the variance), the unbiased variance, and eps outside of the root or doubled. */
static void group_norm_closed_form(hkd_device *dev, const char *build) {
    static const struct {
        double offset, s, eps;
    } cases[] = {{0, 1, 1e-6}, {0, 0x1p-7, 1e-6}, {0, 0x1p-10, 1e-6}, {1e4, 0x1p-7, 1e-6}, {-65536, 1, 1e-6}, {3, 0, 1e-6},
                 {0, 0x1p-10, 1e-5}, {16384, 2, 0}};
    enum { C = 4, H = 9, W = 10, COUNT = C * H * W };
    const hkd_shape shapes[3] = {hkd_shape_of(4, (int64_t)1, (int64_t)C, (int64_t)H, (int64_t)W), hkd_shape_of(1, (int64_t)C),
                                 hkd_shape_of(1, (int64_t)C)};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double x[COUNT], y[COUNT], e[COUNT], gamma[C] = {1, -2, 0.5, 3}, beta[C] = {0, 0, 1, 0};
        for (int i = 0; i < COUNT; i++) x[i] = cases[k].offset + (i * 7 % 2 ? cases[k].s : -cases[k].s);
        const double p[] = {2, cases[k].eps};
        const hkd_group_norm_dims d = {1, C, H * W, 2, cases[k].eps};
        apply(dev, y, "group_norm", shapes, (double *[]){x, gamma, beta}, p);
        hkd_ref_group_norm_bound(e, NULL, NULL, NULL, NULL, x, gamma, beta, &d, HKD_KAPPA_RANDOM);
        double worst = 0, bound = 0;
        for (int i = 0; i < COUNT; i++) {
            const int c = i / (H * W);
            const double h = (i * 7 % 2 ? 1 : -1) * cases[k].s / sqrt(cases[k].s * cases[k].s + cases[k].eps);
            const double want = gamma[c] * h + beta[c];
            worst = fmax(worst, fabs(y[i] - want) / (0x1p-24 * e[i] + ulp32(want) / 2 + 0x1p-149));
            bound = fmax(bound, 0x1p-24 * e[i]);
        }
        CHECK(worst <= 1, "%s: group_norm of %g +- %g: %.3g of the allowance", build, cases[k].offset, cases[k].s, worst);
        if (cases[k].offset == 0)
            CHECK(bound < 1e-4, "group_norm of +- %g: a bound of %g judges nothing", cases[k].s, bound);
    }
}

/* Only v of channel 0 is not 0, and all logits are 0: y = mean of v in channel 0. Planar q, k, v would find it in q. Then one
 * query meets one key in channel 1: catches a missing 1/sqrt(c) and a softmax over queries. */
static void attention_by_hand(hkd_device *dev, const char *build) {
    enum { C = 4, P = 6 };
    double x[3 * C * P] = {0}, y[C * P];
    const hkd_shape shape = hkd_shape_of(4, (int64_t)1, (int64_t)(3 * C), (int64_t)2, (int64_t)3);
    for (int j = 0; j < P; j++) x[2 * P + j] = j; /* channel 3 * 0 + 2 */
    apply(dev, y, "attention", &shape, (double *[]){x}, (double[]){1});
    for (int i = 0; i < C * P; i++)
        CHECK(fabs(y[i] - (i < P ? 2.5 : 0)) < 1e-6, "%s: attention, uniform weights: y[%d] = %g", build, i, y[i]);
    x[3 * P + 2] = 5; /* the query of position 2 likes ... */
    x[4 * P + 4] = 3; /* ... the key of position 4: logit 15/sqrt(4) against 0 */
    apply(dev, y, "attention", &shape, (double *[]){x}, (double[]){1});
    const double e = exp(7.5), want = (0 + 1 + 2 + 3 + 4 * e + 5) / (e + 5);
    CHECK(fabs(y[2] - want) < 1e-5, "%s: attention, one strong pair: %.9g, expected %.9g", build, y[2], want);
    CHECK(fabs(y[4] - 2.5) < 1e-6, "%s: attention: a strong key must not change other queries: %g", build, y[4]);
    apply(dev, y, "attention", &shape, (double *[]){x}, (double[]){2});
    const double e2 = exp(15 / sqrt(2)), want2 = (0 + 1 + 2 + 3 + 4 * e2 + 5) / (e2 + 5);
    CHECK(fabs(y[2] - want2) < 1e-5, "%s: attention, two heads: %.9g, expected %.9g (scale by the head's width)", build, y[2],
          want2);
}

/* Permuting positions permutes the result: catches a position that is skipped, counted twice or a wrong row length.
 * Logits up to several hundred: catches exp without subtracting the largest. */
static void attention_invariants(hkd_device *dev, const char *build) {
    enum { C = 6, P = 45, COUNT = 3 * C * P };
    double x[COUNT], permuted[COUNT], y[C * P], z[C * P];
    const hkd_shape shape = hkd_shape_of(4, (int64_t)1, (int64_t)(3 * C), (int64_t)5, (int64_t)9);
    for (int big = 1; big <= 64; big *= 64) {
        for (int i = 0; i < COUNT; i++) x[i] = (i * 7919 % 1013 / 506.0 - 1) * (i / P % 3 < 2 ? big : 1);
        for (int i = 0; i < COUNT; i++) permuted[i] = x[i / P * P + i % P * 7 % P];
        apply(dev, y, "attention", &shape, (double *[]){x}, (double[]){2});
        apply(dev, z, "attention", &shape, (double *[]){permuted}, (double[]){2});
        double worst = 0;
        for (int i = 0; i < C * P; i++) {
            const double gap = fabs(z[i] - y[i / P * P + i % P * 7 % P]);
            worst = gap <= worst ? worst : gap;
        }
        CHECK(worst < (big > 1 ? 2e-3 : 2e-6), "%s: attention is not equivariant at size %d: %g", build, big, worst);
    }
}

/* Values for EDM's 128 channels, stated for exact frequencies. The network's frequencies are float32 numbers, which turns an
 * angle theta by up to theta 2^-24. */
static void positional_vectors(hkd_device *dev, const char *build) {
    static const int at[] = {0, 1, 63, 64, 65, 127};
    static const double want[2][6] = {
        {0.88916020794, 0.81137761670, 1.0955066565e-4, 0.45759602774, 0.58452233756, 0.99999999400},
        {-0.99985304005, -0.97401656959, -1.5536520183e-4, 0.01714346234, 0.22647675855, 0.99999998793}};
    double c[] = {1.0955066586684703, -1.5536520246055479}, y[256];
    const hkd_shape shape = hkd_shape_of(1, (int64_t)2);
    apply(dev, y, "positional_embedding", &shape, (double *[]){c}, (double[]){128, 10000, 1, 1});
    for (int n = 0; n < 2; n++)
        for (int k = 0; k < 6; k++) {
            const double got = y[n * 128 + at[k]], limit = strcmp(build, "ref") ? 1e-6 : 1e-7;
            CHECK(fabs(got - want[n][k]) <= limit, "%s: embedding[%d][%d] = %.12g, expected %.12g", build, n, at[k], got,
                  want[n][k]);
        }
}

/* Activations where float32 gets hard: both ends of exp's range, results below the smallest normal number. */
static void activation_ends(hkd_device *dev, const char *build) {
    enum { COUNT = 20 };
    double x[COUNT] = {0,    1,    -1,    80,        -80,   88.5, -88.5, -100, -104, -110,
                       1000, -1000, 0x1p-140, -3e38, 3e38, 1.272, 1.273, -1.273, -5,   4},
           y[COUNT], e[COUNT];
    const hkd_shape shape = hkd_shape_of(1, (int64_t)COUNT);
    for (int i = 0; i < COUNT; i++) x[i] = (double)(float)x[i];
    for (int gelu = 0; gelu < 2; gelu++) {
        apply(dev, y, gelu ? "gelu" : "silu", &shape, (double *[]){x}, NULL);
        (gelu ? hkd_ref_gelu_bound : hkd_ref_silu_bound)(e, NULL, NULL, x, COUNT);
        for (int i = 0; i < COUNT; i++) {
            const double s = x[i] < 0 ? exp(x[i]) / (1 + exp(x[i])) : 1 / (1 + exp(-x[i]));
            const double want = x[i] * (gelu ? erfc(-x[i] / sqrt(2)) / 2 : s);
            CHECK(fabs(y[i] - want) <= 0x1p-24 * e[i] + ulp32(want) / 2 + 0x1p-149, "%s: %s(%g) = %g, expected %g", build,
                  gelu ? "gelu" : "silu", x[i], y[i], want);
        }
    }
}

/* Rows sum to 1, adding a constant changes nothing, and a row of huge numbers does not overflow: catches a sum over the wrong
 * axis and a softmax without the maximum. */
static void softmax_invariants(hkd_device *dev, const char *build) {
    enum { N = 3, C = 37 };
    double x[N * C], shifted[N * C], y[N * C], z[N * C];
    const hkd_shape shape = hkd_shape_of(2, (int64_t)N, (int64_t)C);
    for (int i = 0; i < N * C; i++) x[i] = i * 7919 % 1024 / 32.0;
    for (int i = 0; i < N * C; i++) shifted[i] = x[i] + (i / C == 1 ? -3000 : 1000);
    apply(dev, y, "softmax", &shape, (double *[]){x}, NULL);
    apply(dev, z, "softmax", &shape, (double *[]){shifted}, NULL);
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int j = 0; j < C; j++) sum += y[n * C + j];
        CHECK(fabs(sum - 1) < 1e-6, "%s: softmax: row %d sums to %.9g", build, n, sum);
    }
    for (int i = 0; i < N * C; i++)
        CHECK(fabs(y[i] - z[i]) <= 1e-6 * y[i], "%s: softmax of a shifted row: %g instead of %g", build, z[i], y[i]);
    const double ratio = y[1] / y[0], want = exp(x[1] - x[0]);
    CHECK(fabs(ratio / want - 1) < 1e-5, "%s: softmax: neighbours' ratio %g, expected %g", build, ratio, want);
}

/* Angles of some thousand, products exact in float32: only the rounding of 2 pi and of the angle is left, 3 |theta| u. Catches
 * a range reduction in float32, and a bound that forgets the angle. */
static void fourier_large_angles(hkd_device *dev, const char *build) {
    double b[] = {1, 64, -3.5, 1000, 0}, c[] = {1.25, 7.0625}, y[20], e[20];
    const hkd_shape shapes[2] = {hkd_shape_of(1, (int64_t)2), hkd_shape_of(1, (int64_t)5)};
    const hkd_fourier_embedding_dims d = {2, 5, true};
    apply(dev, y, "fourier_embedding", shapes, (double *[]){c, b}, (double[]){1});
    hkd_ref_fourier_embedding_bound(e, NULL, NULL, c, b, &d, HKD_KAPPA_RANDOM);
    for (int n = 0; n < 2; n++)
        for (int k = 0; k < 10; k++) {
            const double turns = b[k % 5] * c[n], angle = 6.283185307179586477 * (turns - floor(turns)); /* exact turns */
            const double want = k < 5 ? sin(angle) : cos(angle), error = fabs(y[n * 10 + k] - want);
            CHECK(error <= 0x1p-24 * e[n * 10 + k] + 0x1p-24, "%s: fourier_embedding, %g turns: %g, expected %g", build, turns,
                  y[n * 10 + k], want);
            CHECK(0x1p-24 * e[n * 10 + k] < 1e-6 + 1.3e-6 * fabs(turns), "a bound of %g judges nothing",
                  0x1p-24 * e[n * 10 + k]);
        }
}

void test_norm(void) {
    for (int build = 0; build < BUILDS; build++) {
        hkd_device *dev;
        if (!open_build(&dev, build)) continue;
        group_norm_closed_form(dev, builds[build]);
        attention_by_hand(dev, builds[build]);
        attention_invariants(dev, builds[build]);
        positional_vectors(dev, builds[build]);
        activation_ends(dev, builds[build]);
        softmax_invariants(dev, builds[build]);
        fourier_large_angles(dev, builds[build]);
        hkd_device_close(dev);
    }
}
