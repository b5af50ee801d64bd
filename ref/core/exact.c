/* exp, log and pow in double-double (sin and cos: exact_trig.c; erf: exact_erf.c). */
#include "exact.h"

#include "dd.h"

#include <math.h>

/* The constants here and in the two other files are quotients, pi (Machin: 16 atan 1/5 - 4 atan 1/239), ln 2 (2 atanh 1/3) and
 * their products, computed with 1600-bit integers and rounded to the nearest double, then the rest to the nearest double. */

const hkd_dd hkd_inverse_factorial[29] = {
    {1, 0},
    {1, 0},
    {0x1p-1, 0},
    {0x1.5555555555555p-3, 0x1.5555555555555p-57},
    {0x1.5555555555555p-5, 0x1.5555555555555p-59},
    {0x1.1111111111111p-7, 0x1.1111111111111p-63},
    {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
    {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73},
    {0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
    {0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73},
    {0x1.27e4fb7789f5cp-22, 0x1.cbbc05b4fa99ap-76},
    {0x1.ae64567f544e4p-26, -0x1.c062e06d1f209p-80},
    {0x1.1eed8eff8d898p-29, -0x1.2aec959e14c06p-83},
    {0x1.6124613a86d09p-33, 0x1.f28e0cc748ebep-87},
    {0x1.93974a8c07c9dp-37, 0x1.05d6f8a2efd1fp-92},
    {0x1.ae7f3e733b81fp-41, 0x1.1d8656b0ee8cbp-97},
    {0x1.ae7f3e733b81fp-45, 0x1.1d8656b0ee8cbp-101},
    {0x1.952c77030ad4ap-49, 0x1.ac981465ddc6cp-103},
    {0x1.6827863b97d97p-53, 0x1.eec01221a8b0bp-107},
    {0x1.2f49b46814157p-57, 0x1.2650f61dbdcb4p-112},
    {0x1.e542ba4020225p-62, 0x1.ea72b4afe3c2fp-120},
    {0x1.71b8ef6dcf572p-66, -0x1.d043ae40c4647p-120},
    {0x1.0ce396db7f853p-70, -0x1.aebcdbd20331cp-124},
    {0x1.761b41316381ap-75, -0x1.3423c7d91404fp-130},
    {0x1.f2cf01972f578p-80, -0x1.9ada5fcc1ab14p-135},
    {0x1.3f3ccdd165fa9p-84, -0x1.58ddadf344487p-139},
    {0x1.88e85fc6a4e5ap-89, -0x1.71c37ebd16540p-143},
    {0x1.d1ab1c2dccea3p-94, 0x1.054d0c78aea14p-149},
    {0x1.0a18a2635085dp-98, 0x1.b9e2e28e1aa54p-153},
};

/* ln 2 in three parts, the first two of 42 bits: times an integer of 11 bits they are exact. */
static const double LN2_1 = 0x1.62e42fefa3800p-1, LN2_2 = 0x1.ef35793c76000p-45, LN2_3 = 0x1.cc01f97b57a08p-87;

static hkd_dd times_ln2(double k) {
    return hkd_dd_add_d(hkd_dd_sum(k * LN2_1, k * LN2_2), k * LN2_3);
}

double hkd_dd_round(hkd_dd a, int k) {
    const double first = hkd_power_of_two(k / 2), second = hkd_power_of_two(k - k / 2);
    if (a.hi == 0 || hkd_exponent(a.hi) + k >= -1022) return a.hi * first * second;
    const double grid = hkd_power_of_two(-1074 - k), big = 0x1.8p52 * grid; /* what the least subnormal is before scaling */
    double rounded = (a.hi + big) - big;
    const double rest = a.hi - rounded;
    if (fabs(rest) == grid / 2 && rest * a.lo > 0) rounded += 2 * rest; /* no tie: lo lies beyond it */
    return rounded * first * second;
}

/* a = k ln 2 + r, |r| < 0.35; then exp(r/32) - 1 by Taylor (|r/32| < 0.011: the term of r^13 is below 2^-110), doubled five
 * times by expm1(2 r) = expm1(r) (expm1(r) + 2). Terms from r^8 on need no more than a double. */
hkd_dd hkd_dd_expm1(int *k, hkd_dd a) {
    const double magic = 0x1.8p52, n = (a.hi * 0x1.71547652b82fep+0 + magic) - magic;
    const hkd_dd r = hkd_dd_times(hkd_dd_add_d(hkd_dd_add_d(hkd_dd_add_d(a, -n * LN2_1), -n * LN2_2), -n * LN2_3), 0x1p-5);
    double tail = 0;
    for (int i = 12; i >= 8; i--) tail = tail * r.hi + hkd_inverse_factorial[i].hi;
    hkd_dd e = hkd_dd_add_d(hkd_inverse_factorial[7], r.hi * tail);
    for (int i = 6; i >= 1; i--) e = hkd_dd_add(hkd_dd_mul(e, r), hkd_inverse_factorial[i]);
    e = hkd_dd_mul(e, r);
    for (int i = 0; i < 5; i++) e = hkd_dd_mul(e, hkd_dd_add_d(e, 2));
    *k = (int)n;
    return e;
}

static double exp_of(hkd_dd a) {
    if (a.hi > 710) return INFINITY;
    if (a.hi < -746) return 0;
    int k;
    const hkd_dd e = hkd_dd_expm1(&k, a);
    return hkd_dd_round(hkd_dd_add_d(e, 1), k);
}

double hkd_exp(double x) { return isnan(x) ? x : exp_of((hkd_dd){x, 0}); }

/* log(1 + d), |d| < 1/16: 2 atanh f with f = d / (2 + d); f^2 < 2^-10 leaves less than 2^-110 after 11 terms. */
static hkd_dd log_near_1(double d) {
    const hkd_dd f = hkd_dd_div((hkd_dd){d, 0}, hkd_dd_sum(2, d)), q = hkd_dd_mul(f, f);
    hkd_dd s = {0, 0};
    for (int i = 21; i >= 1; i -= 2) s = hkd_dd_add(hkd_dd_mul(s, q), hkd_dd_div((hkd_dd){1, 0}, (hkd_dd){i, 0}));
    return hkd_dd_times(hkd_dd_mul(s, f), 2);
}

/* x = m 2^k with m in [0.7, 1.42]. Near 1 a series; else an estimate y of log m and one Newton step on exp, log m = y + log(m
 * exp(-y)), whose last logarithm is that of 1 + 1e-15. x is positive and finite. */
static hkd_dd log_of(double x) {
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    int e = hkd_exponent(x);
    double m = x * hkd_power_of_two(-(e / 2)) * hkd_power_of_two(e / 2 - e);
    if (m > 1.41) {
        m /= 2;
        e++;
    }
    k += e;
    if (fabs(m - 1) < 0.0625) {
        const hkd_dd near = log_near_1(m - 1);
        return k ? hkd_dd_add(times_ln2(k), near) : near;
    }
    const double f = (m - 1) / (m + 1), q = f * f;
    double y = 0;
    for (int i = 21; i >= 1; i -= 2) y = y * q + 2.0 / i;
    y *= f;
    int zero;
    const hkd_dd grown = hkd_dd_expm1(&zero, (hkd_dd){-y, 0}); /* |y| < 0.35: not scaled by 2 (or once, at the border) */
    const hkd_dd one = hkd_dd_times(hkd_dd_mul_d(hkd_dd_add_d(grown, 1), m), hkd_power_of_two(zero));
    const hkd_dd d = hkd_dd_add_d(one, -1);
    const hkd_dd log_m = hkd_dd_add(hkd_dd_sum(y, -d.hi * d.hi / 2), d);
    return k ? hkd_dd_add(times_ln2(k), log_m) : log_m;
}

double hkd_log(double x) {
    if (isnan(x) || x == INFINITY) return x;
    if (x <= 0) return x == 0 ? -INFINITY : NAN;
    return log_of(x).hi;
}

double hkd_pow(double x, double y) {
    if (y == 0 || x == 1) return 1;
    if (isnan(x) || isnan(y) || x < 0) return NAN;
    if (x == 0 || x == INFINITY) return (x == 0) == (y < 0) ? INFINITY : 0;
    const hkd_dd l = log_of(x);
    const double size = y * l.hi;
    if (!(fabs(size) < 800)) return size > 0 ? INFINITY : 0;
    if (fabs(size) < 0x1p-60) return 1 + size;
    return exp_of(hkd_dd_mul_d(l, y));
}
