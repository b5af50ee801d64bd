#include "verdict.h"

#include "status.h"

#include <float.h>
#include <stdio.h>

/* Distance between neighbours at y in a binary format of `digits` digits whose least positive number is 2^lowest. */
static double ulp(double y, int digits, int lowest) {
    int e;
    if (y == 0) return ldexp(1, lowest);
    frexp(y, &e);
    return ldexp(1, e - digits > lowest ? e - digits : lowest);
}

double hkd_allowance(double y, double bound, double n, const hkd_profile *profile) {
    const double floor_unit = profile->flushes ? 0x1p-126 : 0x1p-149;
    /* A whole ulp for float16: not every device rounds to nearest when it stores. */
    const double store = profile->half_store ? ulp(y, 11, -24) : ulp(y, 24, -149) / 2;
    return HKD_U * bound + store + n * floor_unit;
}

/* Share of the allowance that one element uses; NaN expects NaN, infinity its own sign. */
static double share(const hkd_judged *j, int64_t i, const hkd_profile *profile) {
    const double y = j->expected[i] * j->repeats, got = j->got[i];
    if (isnan(y)) return isnan(got) ? 0 : INFINITY;
    if (got == y) return 0;
    if (isnan(got) || isinf(y)) return INFINITY;
    const int repeats = j->repeats == 1 ? 1 : 3;
    if (j->exact && !profile->half_store) return INFINITY;
    const double allowed = repeats * hkd_allowance(y, j->bound[i], j->n, profile);
    /* float32 overflow is right where the largest allowed value is beyond the largest float32 */
    if (isinf(got)) return (got > 0) == (y > 0) && fabs(y) + allowed > (double)FLT_MAX ? 0 : INFINITY;
    return fabs(got - y) / allowed;
}

hkd_verdict hkd_judge(const hkd_judged *j, const hkd_profile *profile) {
    hkd_verdict v = {.first = -1, .count = hkd_count(j->shape)};
    for (int64_t i = 0; i < v.count; i++) {
        const double s = share(j, i, profile);
        if (!(s <= 1)) {
            if (v.first < 0) v.first = i;
            v.wrong++;
        }
        if (!(s <= v.used)) {
            v.used = s;
            v.worst = i;
        }
    }
    return v;
}

void hkd_coordinates(char *out, size_t size, const hkd_shape *shape, int64_t index) {
    int64_t at[HKD_MAX_RANK];
    for (int d = shape->rank - 1; d >= 0; d--) {
        at[d] = index % shape->dim[d];
        index /= shape->dim[d];
    }
    size_t used = (size_t)snprintf(out, size, "(");
    for (int d = 0; d < shape->rank && used < size; d++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", d ? ", " : "", (long long)at[d]);
    if (used < size) snprintf(out + used, size - used, ")");
}

/* ---- the device's arithmetic ---- */

/* y = w x + b in a 1x1 convolution of one pixel. */
static hkd_status multiply_add(double *y, hkd_device *dev, double w, double x, double b) {
    const hkd_shape one = {4, {1, 1, 1, 1}}, bias = {1, {1, 0, 0, 0}};
    double none = 0;
    hkd_vector v = {.op = hkd_find_op("conv2d"), .p = {1, 0, 0, 1}, .in_shape = {one, one, bias}, .in = {&x, &w, &b},
                    .out_shape = {one}, .out = {&none}};
    if (!dev->supports(dev, v.op, false)) return hkd_fail(HKD_DEVICE, "no conv2d to probe the device with");
    hkd_vector_result r;
    const hkd_status status = hkd_vector_run(&r, dev, &v);
    if (!status) *y = r.out[0][0];
    hkd_vector_result_free(&r);
    return status;
}

hkd_status hkd_probe(hkd_profile *out, hkd_device *dev) {
    double once = 0, small = 0;
    *out = (hkd_profile){false, false, false};
    /* (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24: the last bit survives only when the product is not rounded by itself */
    hkd_status status = multiply_add(&once, dev, 1 + 0x1p-12, 1 + 0x1p-12, -(1 + 0x1p-11));
    if (!status) status = multiply_add(&small, dev, 1, 0x1p-140, 0);
    out->fma = once != 0;
    out->flushes = !status && small == 0;
    return status;
}

void hkd_profile_text(char *out, size_t size, const hkd_profile *profile) {
    snprintf(out, size, "FMA %s, subnormals %s", profile->fma ? "yes" : "no", profile->flushes ? "flushed to zero" : "kept");
}
