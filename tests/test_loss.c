#include "on_cpu.h"
#include "test.h"
#include "verdict.h"

#include <math.h>
#include <stdlib.h>

/* 3-4-5 and its relatives: one value and one gradient of each loss in closed form. */
static void by_hand(void) {
    const double x[4] = {4, 1, 0, 2}, y[4] = {1, 1, 4, 2}, sigma = 2, dl = 10; /* differences 3, 0, -4, 0 */
    const hkd_precond_dims edm = {1, 4, 4, HKD_PRECOND_EDM, 0.5}, ve = {1, 4, 4, HKD_PRECOND_VE, 0.5};
    double l, dx[4] = {1, 1, 1, 1}, dy[4] = {0};
    hkd_ref_mse_loss(&l, x, y, 1, 4);
    CHECK(l == 6.25, "mse %g", l);
    hkd_ref_mse_loss_grad(dx, dy, &dl, x, y, 1, 4);
    CHECK(dx[0] == 1 + 15 && dx[1] == 1 && dx[2] == 1 - 20 && dy[0] == -15, "mse gradient %g, %g", dx[0], dy[0]);
    hkd_ref_edm_loss(&l, x, y, &sigma, &edm);
    CHECK(l == 25 * 4.25, "edm %g, expected 25 (4 + 1/4) / (2 1/2)^2", l);
    hkd_ref_edm_loss(&l, x, y, &sigma, &ve);
    CHECK(l == 25.0 / 4, "ve weighting %g", l);
    hkd_ref_l2_norm_loss(&l, x, y, 1, 4);
    CHECK(l == 5, "l2 norm %g", l);
    hkd_ref_pseudo_huber_loss(&l, x, y, 12, 1, 4);
    CHECK(l == 1, "pseudo-Huber of 5 with c = 12 is 13 - 12, not %g", l);
}

/* EDM's weight undoes c_out: an error of e in the network's output costs |e|^2 at every sigma. */
static void edm_weight(void) {
    const double y[2] = {0.25, -1}, e[2] = {0.5, 2}, zero[2] = {0};
    for (double sigma = 0.002; sigma < 100; sigma *= 5) {
        const hkd_precond_dims d = {1, 2, 2, HKD_PRECOND_EDM, 0.5};
        double x[2], l;
        hkd_ref_precond_out(x, zero, e, &sigma, &d);
        for (int i = 0; i < 2; i++) x[i] += y[i];
        hkd_ref_edm_loss(&l, x, y, &sigma, &d);
        CHECK(fabs(l - 4.25) < 1e-9, "sigma = %g: %.12g, expected 4.25", sigma, l);
    }
}

/* Pseudo-Huber is s^2 / 2c near 0, even where sqrt(s^2 + c^2) - c would cancel, and s - c far away. */
static void huber_limits(void) {
    double x = 1e-9, l;
    const double y = 0;
    hkd_ref_pseudo_huber_loss(&l, &x, &y, 0.03, 1, 1);
    CHECK(fabs(l / (x * x / 0.06) - 1) < 1e-12, "near 0: %g", l);
    x = 1e9;
    hkd_ref_pseudo_huber_loss(&l, &x, &y, 0.03, 1, 1);
    CHECK(fabs(l - (x - 0.03)) < 1e-6, "far away: %.10g", l);
}

/* Two equal samples: no NaN, gradient 0 by convention, and a bound of 0 where the result is exactly 0. */
static void at_zero(void) {
    const double x[3] = {1, 2, 3}, dl = 1;
    double l[1] = {1}, dx[3] = {0}, dy[3] = {0}, el, edx[3], edy[3], got[1];
    hkd_ref_l2_norm_loss(l, x, x, 1, 3);
    hkd_ref_l2_norm_loss_grad(dx, dy, &dl, x, x, 1, 3);
    hkd_ref_l2_norm_loss_bound(&el, edx, edy, &dl, x, x, 1, 3, HKD_KAPPA_WORST);
    CHECK(l[0] == 0 && el == 0, "|0| = %g with bound %g", l[0], el);
    for (int i = 0; i < 3; i++) CHECK(dx[i] == 0 && dy[i] == 0 && edx[i] == 0, "gradient of |x - y| at x = y: %g", dx[i]);
    const hkd_shape shape[2] = {hkd_shape_of(2, (int64_t)1, (int64_t)3), hkd_shape_of(2, (int64_t)1, (int64_t)3)};
    const double *in[2] = {x, x};
    double *out[1] = {got};
    on_cpu(out, "l2_norm_loss", NULL, shape, in, HKD_ACTIVATION, false);
    CHECK(got[0] == 0, "cpu: |0| = %g", got[0]);
}

/* A long sample with a common sign: a running float32 sum would drift past the bound. */
static void long_sums(void) {
    enum { SIZE = 1 << 18 };
    double *x = malloc(SIZE * sizeof *x), *y = calloc(SIZE, sizeof *y), l, el, got;
    for (int i = 0; i < SIZE; i++) x[i] = (double)(float)(1 + 1e-3 * (i % 7));
    const hkd_shape shape[2] = {hkd_shape_of(2, (int64_t)1, (int64_t)SIZE), hkd_shape_of(2, (int64_t)1, (int64_t)SIZE)};
    const double *in[2] = {x, y};
    double *out[1] = {&got};
    hkd_ref_mse_loss(&l, x, y, 1, SIZE);
    hkd_ref_mse_loss_bound(&el, NULL, NULL, NULL, x, y, 1, SIZE, HKD_KAPPA_EXACT);
    on_cpu(out, "mse_loss", NULL, shape, in, HKD_ACTIVATION, false);
    CHECK(share_of_allowance(got, l, el) <= 1, "mse of %d elements: %.9g, expected %.9g", SIZE, got, l);
    free(x);
    free(y);
}

/* Differences below 2^-126 have a gradient of length 1 still, although 1 / |x - y| is beyond float32. It is no vector, as a
 * device that makes subnormal numbers zero has 0 here, and may. */
static void below_normal_numbers(const char *device, const char *isa) {
    const hkd_case tiny = {"tiny", HKD_ADVERSARIAL, "", "", "x 3x7 tiny | y 3x7 tiny | ^l list:1,-3,0.5"};
    const hkd_device_options options = {.threads = 2, .isa = isa, .force = true};
    hkd_device *dev;
    hkd_profile profile;
    hkd_vector v;
    hkd_vector_result r;
    if (hkd_device_open(&dev, device, &options)) {
        test_skip(isa ? isa : device, hkd_last_error());
        return;
    }
    if (!CHECK(!hkd_probe(&profile, dev) && !hkd_vector_make(&v, hkd_find_op("l2_norm_loss"), &tiny) &&
                   !hkd_vector_run(&r, dev, &v), "%s", hkd_last_error())) return;
    for (int i = 0; i < 2 && !profile.flushes; i++) {
        const hkd_judged j = {v.grad[i], v.grad_bound[i], r.grad[i], &v.in_shape[i], 45, false, 1, v.op};
        const hkd_verdict verdict = hkd_judge(&j, &profile);
        CHECK(!verdict.wrong, "%s %s: |x - y| about 1e-39: gradient %g, expected %g", device, isa ? isa : "",
              r.grad[i][verdict.worst], v.grad[i][verdict.worst]);
    }
    hkd_vector_result_free(&r);
    hkd_vector_free(&v);
    hkd_device_close(dev);
}

void test_loss(void) {
    setenv("POCL_CACHE_DIR", "build/pocl", 0); /* not the home folder of whoever tests */
    by_hand();
    edm_weight();
    huber_limits();
    at_zero();
    long_sums();
    below_normal_numbers("ref", NULL);
    below_normal_numbers("cpu", "plain");
    below_normal_numbers("cpu", NULL);
    below_normal_numbers("opencl", NULL);
    below_normal_numbers("opencl", "gpu");
}
