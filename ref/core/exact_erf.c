/* erf and erfc in double-double. */
#include "exact.h"

#include "dd.h"

#include <math.h>

static const hkd_dd TWO_OVER_ROOT_PI = {0x1.20dd750429b6dp+0, 0x1.1ae3a914fed80p-56};

/* exp(-x^2) = 2^k times the result; x^2 enters exactly. */
static hkd_dd bell(int *k, double x) {
    return hkd_dd_add_d(hkd_dd_expm1(k, hkd_dd_negative(hkd_dd_product(x, x))), 1);
}

/* erf(x) = 2/sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (1 3 5 .. (2n+1)): all terms positive. 0 < x < 2. */
static hkd_dd erf_series(double x) {
    const hkd_dd q = hkd_dd_times(hkd_dd_product(x, x), 2);
    hkd_dd term = {x, 0}, sum = term;
    for (int i = 3; term.hi > 0x1p-110 * sum.hi; i += 2) {
        term = hkd_dd_div(hkd_dd_mul(term, q), (hkd_dd){i, 0});
        sum = hkd_dd_add(sum, term);
    }
    int k;
    const hkd_dd b = bell(&k, x);
    return hkd_dd_times(hkd_dd_mul(hkd_dd_mul(b, sum), TWO_OVER_ROOT_PI), hkd_power_of_two(k));
}

/* erfc(x) = exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))) = 2^k times the result. 2 <= x < 28. N levels
 * err by about exp(-2 x sqrt(2 N)); N = 30 + 800/x^2 makes that less than 2^-110. */
static hkd_dd erfc_fraction(int *k, double x) {
    hkd_dd f = {x, 0};
    for (int n = 30 + (int)(800 / (x * x)); n >= 1; n--) f = hkd_dd_add_d(hkd_dd_div((hkd_dd){n * 0.5, 0}, f), x);
    return hkd_dd_div(hkd_dd_times(hkd_dd_mul(bell(k, x), TWO_OVER_ROOT_PI), 0.5), f);
}

/* 1 - erfc(x) for x >= 2. */
static hkd_dd from_fraction(double x) {
    int k;
    const hkd_dd c = erfc_fraction(&k, x);
    return hkd_dd_add_d(hkd_dd_negative(hkd_dd_times(c, hkd_power_of_two(k))), 1);
}

double hkd_erf(double x) {
    const double a = fabs(x);
    if (isnan(x) || x == 0) return x;
    double y;
    if (a < 0x1p-300) y = hkd_dd_round(hkd_dd_mul_d(TWO_OVER_ROOT_PI, a * 0x1p300), -300);
    else if (a < 2) y = erf_series(a).hi;
    else y = a < 6 ? from_fraction(a).hi : 1;
    return x < 0 ? -y : y;
}

double hkd_erfc(double x) {
    if (isnan(x)) return x;
    if (x >= 28) return 0;
    if (x >= 2) {
        int k;
        const hkd_dd c = erfc_fraction(&k, x);
        return hkd_dd_round(c, k);
    }
    if (fabs(x) < 0x1p-60) return 1;
    if (x > 0) return hkd_dd_add_d(hkd_dd_negative(erf_series(x)), 1).hi;
    return hkd_dd_add_d(x > -2 ? erf_series(-x) : x > -6 ? from_fraction(-x) : (hkd_dd){1, 0}, 1).hi;
}
