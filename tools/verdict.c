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

double hkd_ulp32(double y) { return ulp(y, 24, -149); }

double hkd_allowance(double y, double bound, double n, const hkd_profile *profile) {
    const double floor_unit = profile->flushes ? 0x1p-126 : 0x1p-149;
    /* A whole ulp for float16: not every device rounds to nearest when it stores. */
    const double store = profile->half_store ? ulp(y, 11, -24) : hkd_ulp32(y) / 2;
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
    /* overflow is right where the largest allowed value is beyond the largest number that the results are stored in */
    const double most = profile->half_store ? 65504 : (double)FLT_MAX;
    if (isinf(got)) return (got > 0) == (y > 0) && fabs(y) + allowed > most ? 0 : INFINITY;
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
