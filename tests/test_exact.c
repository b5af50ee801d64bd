/* exact.h against correctly rounded values that come from elsewhere, special values, and identities. */
#include "exact.h"
#include "test.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    double (*f)(double);
    double (*g)(double, double);
    double x, y, want;
} point;

/* Multiples of pi/2, subnormal results, arguments near 1 and up to the largest double: every bit must be right. Catches a
 * reduction that runs out of digits, a constant with a wrong digit, rounding twice among the subnormals. */
static void points(void) {
    static const point table[] = {
#include "exact_points.h"
    };
    int odd = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const point *p = &table[i];
        const double got = p->f ? p->f(p->x) : p->g(p->x, p->y);
        CHECK(got == p->want, "line %d of exact_points.h: f(%a, %g) = %a, expected %a", (int)i + 2, p->x, p->y, got, p->want);
        if (p->f == hkd_sin || p->f == hkd_erf)
            odd += CHECK(p->f(-p->x) == -got, "f(%a) is not odd", p->x);
        if (p->f == hkd_cos) CHECK(hkd_cos(-p->x) == got, "cos(%a) is not even", p->x);
    }
    CHECK(odd > 150, "only %d points of odd functions", odd);
}

static bool same(double a, double b) { return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b); }

/* What C99 Annex F says about zeros, infinities and NaN, and the ends of the range. */
static void specials(void) {
    static const point table[] = {
        {hkd_exp, NULL, 0.0, 0, 1}, {hkd_exp, NULL, -0.0, 0, 1}, {hkd_exp, NULL, INFINITY, 0, INFINITY},
        {hkd_exp, NULL, -INFINITY, 0, 0.0}, {hkd_exp, NULL, NAN, 0, NAN}, {hkd_exp, NULL, 709.783, 0, INFINITY},
        {hkd_exp, NULL, -745.14, 0, 0.0}, {hkd_exp, NULL, -745.13, 0, 0x1p-1074}, {hkd_exp, NULL, DBL_MAX, 0, INFINITY},
        {hkd_exp, NULL, 0x1p-60, 0, 1}, {hkd_log, NULL, 1, 0, 0.0}, {hkd_log, NULL, 0.0, 0, -INFINITY},
        {hkd_log, NULL, -0.0, 0, -INFINITY}, {hkd_log, NULL, -1, 0, NAN}, {hkd_log, NULL, INFINITY, 0, INFINITY},
        {hkd_log, NULL, -INFINITY, 0, NAN}, {hkd_log, NULL, NAN, 0, NAN}, {hkd_sin, NULL, -0.0, 0, -0.0},
        {hkd_sin, NULL, 0x1p-1074, 0, 0x1p-1074}, {hkd_sin, NULL, INFINITY, 0, NAN}, {hkd_sin, NULL, NAN, 0, NAN},
        {hkd_cos, NULL, 0.0, 0, 1}, {hkd_cos, NULL, -INFINITY, 0, NAN}, {hkd_cos, NULL, NAN, 0, NAN},
        {hkd_erf, NULL, -0.0, 0, -0.0},
        {hkd_erf, NULL, INFINITY, 0, 1}, {hkd_erf, NULL, -7, 0, -1}, {hkd_erf, NULL, NAN, 0, NAN},
        {hkd_erfc, NULL, INFINITY, 0, 0.0}, {hkd_erfc, NULL, -INFINITY, 0, 2}, {hkd_erfc, NULL, -7, 0, 2},
        {hkd_erfc, NULL, 0.0, 0, 1}, {hkd_erfc, NULL, NAN, 0, NAN}, {hkd_erfc, NULL, 28, 0, 0.0},
        {NULL, hkd_pow, 2, 10, 1024}, {NULL, hkd_pow, 10, -400, 0.0}, {NULL, hkd_pow, 10, 400, INFINITY},
        {NULL, hkd_pow, 7, 0, 1}, {NULL, hkd_pow, 1, NAN, 1}, {NULL, hkd_pow, NAN, 0, 1}, {NULL, hkd_pow, NAN, 1, NAN},
        {NULL, hkd_pow, 0.0, 3, 0.0}, {NULL, hkd_pow, 0.0, -3, INFINITY}, {NULL, hkd_pow, INFINITY, 2, INFINITY},
        {NULL, hkd_pow, INFINITY, -2, 0.0}, {NULL, hkd_pow, 2, INFINITY, INFINITY}, {NULL, hkd_pow, 0.5, INFINITY, 0.0},
        {NULL, hkd_pow, 2, -INFINITY, 0.0}, {NULL, hkd_pow, 3, 5, 243}, {NULL, hkd_pow, 0.25, 0.5, 0.5},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const point *p = &table[i];
        const double got = p->f ? p->f(p->x) : p->g(p->x, p->y);
        CHECK(same(got, p->want), "special value %d: f(%g, %g) = %g, expected %g", (int)i, p->x, p->y, got, p->want);
    }
}

/* Relations between the functions over their whole range: catch a seam between two ranges of one of them. The limits are the
 * rounding of the terms. */
static void identities(void) {
    for (int i = 1; i < 3000; i++) {
        const double x = i * 0x1.9p-3 * (i % 2 ? 1 : -1), s = hkd_sin(x), c = hkd_cos(x); /* up to 585 */
        CHECK(fabs(s * s + c * c - 1) < 4e-16, "sin^2 + cos^2 = 1 + %g at %g", s * s + c * c - 1, x);
        const double e = hkd_exp(x / 2);
        CHECK(fabs(hkd_log(e) - x / 2) <= 2.3e-16 * (1 + fabs(x / 2)), "log(exp(%g)) = %.17g", x / 2, hkd_log(e));
        const double t = i * 0x1p-9; /* up to 5.86 */
        CHECK(fabs(hkd_erf(t) + hkd_erfc(t) - 1) < 3e-16, "erf + erfc = 1 + %g at %g", hkd_erf(t) + hkd_erfc(t) - 1, t);
        CHECK(hkd_erf(t) >= hkd_erf(t - 0x1p-9), "erf falls at %g", t);
    }
}

void test_exact(void) {
    points();
    specials();
    identities();
}
