/* bounded.h - a value that carries its first-order float32 error bound, in units of u = 2^-24.
 *
 * The rules of every hkd_ref_NAME_bound, written once: one rounding costs |result|, a function f with error constant C
 * costs |f'| E + C |f|, a sum of n terms costs kappa(n) sum|terms| + sum E(term). Terms of second order, u E E, count only
 * where a value is nearly all error; they stand where that happens (tiny variances, large angles).
 */
#ifndef HKD_BOUNDED_H
#define HKD_BOUNDED_H

#include "hkd_ref.h"

#include <math.h>

#define HKD_U 0x1p-24           /* half the distance from 1 to the next float32 */
#define HKD_UNDERFLOW 0x1p-125  /* one rounding among the subnormals, 2^-149, in units of u */

typedef struct {
    double v, e; /* value, bound */
} hkd_bounded;

static inline hkd_bounded hkd_exactly(double v) { return (hkd_bounded){v, 0}; }
static inline hkd_bounded hkd_negative(hkd_bounded a) { return (hkd_bounded){-a.v, a.e}; }

static inline hkd_bounded hkd_sum2(hkd_bounded a, hkd_bounded b) {
    return (hkd_bounded){a.v + b.v, a.e + b.e + fabs(a.v) + fabs(b.v)};
}

static inline hkd_bounded hkd_product(hkd_bounded a, hkd_bounded b) {
    return (hkd_bounded){a.v * b.v, fabs(a.v) * b.e + fabs(b.v) * a.e + HKD_U * a.e * b.e + fabs(a.v * b.v)};
}

static inline hkd_bounded hkd_quotient(hkd_bounded a, hkd_bounded b) {
    const double q = a.v / b.v;
    return (hkd_bounded){q, (a.e + fabs(q) * b.e) / fabs(b.v) + HKD_C_DIV * fabs(q)};
}

static inline hkd_bounded hkd_root(hkd_bounded a) {
    const double r = sqrt(a.v);
    return (hkd_bounded){r, r > 0 ? a.e / (2 * r) + HKD_C_SQRT * r : 0};
}

/* |x - y|^2 over `size` elements that are exact: each term is rounded three times over, a difference and its square. */
static inline hkd_bounded hkd_squared_distance(const double *x, const double *y, int64_t size, hkd_kappa_rule kappa) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return (hkd_bounded){sum, (hkd_kappa(kappa, (double)size) + 3) * sum};
}

/* y = f(a) with derivative `slope` and error constant `c` (HKD_C_...). */
static inline hkd_bounded hkd_function(double y, double slope, hkd_bounded a, double c) {
    return (hkd_bounded){y, fabs(slope) * a.e + c * fabs(y)};
}

/* y = cos or sin of an angle, `other` = the other one. A large angle's error may be a good part of a turn, so the second
 * order counts; no error exceeds the 2 that part -1 from 1. */
static inline hkd_bounded hkd_turn(double y, double other, hkd_bounded angle, double c) {
    return (hkd_bounded){y, fmin(fabs(other) * angle.e + HKD_U / 2 * angle.e * angle.e + c * fabs(y), 2 / HKD_U)};
}

#endif
