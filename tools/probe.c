/* The device's arithmetic, measured with its own operators on numbers whose right result is known. */
#include "status.h"
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>

/* Run one row forward; got[i] receives the first `count` elements of its result. False: the device lacks the row. */
static bool run(hkd_status *status, double *got, int64_t count, hkd_device *dev, const char *op, const hkd_shape *in_shape,
                double *const *in) {
    hkd_vector v = {.op = hkd_find_op(op)};
    hkd_vector_result r;
    if (!v.op || !dev->supports(dev, v.op, false)) return false;
    *status = hkd_vector_params_read(&v, "");
    for (int i = 0; i < hkd_op_inputs(v.op); i++) v.in_shape[i] = in[i] ? in_shape[i] : HKD_ABSENT, v.in[i] = in[i];
    if (!*status) *status = hkd_op_shapes(v.op, v.out_shape, v.in_shape, v.p);
    if (!*status) *status = hkd_vector_run(&r, dev, &v);
    if (*status) return false;
    for (int64_t i = 0; i < count; i++) got[i] = r.out[0][i];
    hkd_vector_result_free(&r);
    return true;
}

/* w0 x0 + w1 x1: two channels of a 1x1 convolution of one pixel. */
static hkd_status two_products(double *y, hkd_device *dev, double w0, double x0, double w1, double x1) {
    double x[] = {x0, x1}, w[] = {w0, w1};
    double *const in[] = {x, w, NULL};
    const hkd_shape shape[] = {{4, {1, 2, 1, 1}}, {4, {1, 2, 1, 1}}, HKD_ABSENT};
    hkd_status status = HKD_OK;
    if (run(&status, y, 1, dev, "conv2d", shape, in) || status) return status;
    return hkd_fail(HKD_DEVICE, "no conv2d to probe the device with");
}

/* (1 + e)^2 - (1 + 2 e) = e^2, with e^2 below the last digit of 1: it survives only where the product is not rounded by itself,
 * and which of the two products that is depends on the order of the sum. */
static hkd_status fuses(bool *fma, hkd_device *dev, double e) {
    double first = 0, last = 0;
    hkd_status status = two_products(&first, dev, 1 + e, 1 + e, 1, -(1 + 2 * e));
    if (!status) status = two_products(&last, dev, 1, -(1 + 2 * e), 1 + e, 1 + e);
    *fma = first != 0 || last != 0;
    return status;
}

static double in_ulps(double got, double y) { return fabs(got - y) / hkd_ulp32(y); }

/* softmax of m equal numbers divides 1 by m. */
static hkd_status divides(double *worst, hkd_device *dev) {
    enum { MOST = 64 };
    double zeros[MOST] = {0}, got[1];
    double *const in[] = {zeros};
    hkd_status status = HKD_OK;
    for (int m = 3; m < MOST; m += 2) {
        const hkd_shape row = {2, {1, m}};
        if (!run(&status, got, 1, dev, "softmax", &row, in)) break;
        *worst = fmax(*worst, in_ulps(got[0], 1.0 / m));
    }
    return status;
}

/* The distance of (k, 1) from (0, 0) is the root of a whole number. */
static hkd_status takes_roots(double *worst, hkd_device *dev) {
    enum { N = 200 };
    double x[2 * N], zeros[2 * N] = {0}, got[N];
    double *const in[] = {x, zeros};
    const hkd_shape shape[] = {{2, {N, 2}}, {2, {N, 2}}};
    hkd_status status = HKD_OK;
    for (int k = 0; k < N; k++) x[2 * k] = k, x[2 * k + 1] = 1;
    if (run(&status, got, N, dev, "l2_norm_loss", shape, in))
        for (int k = 0; k < N; k++) *worst = fmax(*worst, in_ulps(got[k], sqrt((double)k * k + 1)));
    return status;
}

hkd_status hkd_probe(hkd_profile *out, hkd_device *dev) {
    double y = 0;
    *out = (hkd_profile){.divide = -1, .square_root = -1};
    hkd_status status = two_products(&y, dev, 1, 1, 1, 0x1p-40);
    out->wide = y > 1;
    if (!status) status = two_products(&y, dev, 1, 1, 1, 0x1p-12);
    out->half_store = y == 1;
    if (out->half_store) return status; /* what is finer than float16 cannot be seen */
    if (!status) status = fuses(&out->fma, dev, out->wide ? 0x1p-27 : 0x1p-12);
    if (!status) status = two_products(&y, dev, 1, 0x1p-140, 1, 0);
    out->flushes = !status && y == 0;
    if (!status) status = divides(&out->divide, dev);
    return status ? status : takes_roots(&out->square_root, dev);
}

static void ulps_text(char *out, size_t size, double ulps) {
    if (ulps >= 0) snprintf(out, size, "%.2f ulp", ulps);
    else snprintf(out, size, "not measured");
}

void hkd_profile_text(char *out, size_t size, const hkd_profile *profile) {
    char divide[32], root[32];
    if (profile->half_store) {
        snprintf(out, size, "results stored as float16, which hides the arithmetic");
        return;
    }
    ulps_text(divide, sizeof divide, profile->divide);
    ulps_text(root, sizeof root, profile->square_root);
    snprintf(out, size, "FMA %s, subnormals %s, divide %s, square root %s, results stored as %s", profile->fma ? "yes" : "no",
             profile->flushes ? "flushed to zero" : "kept", divide, root,
             profile->wide ? "float64" : "float32");
}
