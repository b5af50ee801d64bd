/* dd.h - double-double arithmetic: a number as the unevaluated sum hi + lo, |lo| <= ulp(hi)/2, about 106 bits.
 *
 * Made of + - x / alone: no fused multiply-add, no extended precision (build with -ffp-contract=off, FLT_EVAL_METHOD 0), so
 * every platform computes the same bits. Each operation errs by a few 2^-104 of its result (Dekker 1971; Joldes, Muller,
 * Popescu 2017), barring overflow and underflow of the parts. */
#ifndef HKD_DD_H
#define HKD_DD_H

#include <stdint.h>
#include <string.h>

typedef struct {
    double hi, lo;
} hkd_dd;

/* a + b exactly, |a| >= |b| or a = 0. */
static inline hkd_dd hkd_dd_quick(double a, double b) {
    const double s = a + b;
    return (hkd_dd){s, b - (s - a)};
}

/* a + b exactly (Knuth). */
static inline hkd_dd hkd_dd_sum(double a, double b) {
    const double s = a + b, t = s - a;
    return (hkd_dd){s, (a - (s - t)) + (b - t)};
}

/* a b exactly (Veltkamp's split into halves of 26 bits). */
static inline hkd_dd hkd_dd_product(double a, double b) {
    const double split = 134217729, p = a * b, ca = split * a, cb = split * b;
    const double a1 = ca - (ca - a), a2 = a - a1, b1 = cb - (cb - b), b2 = b - b1;
    return (hkd_dd){p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2};
}

static inline hkd_dd hkd_dd_add(hkd_dd a, hkd_dd b) {
    const hkd_dd s = hkd_dd_sum(a.hi, b.hi), t = hkd_dd_sum(a.lo, b.lo);
    const hkd_dd u = hkd_dd_quick(s.hi, s.lo + t.hi);
    return hkd_dd_quick(u.hi, u.lo + t.lo);
}

static inline hkd_dd hkd_dd_add_d(hkd_dd a, double b) {
    const hkd_dd s = hkd_dd_sum(a.hi, b);
    return hkd_dd_quick(s.hi, s.lo + a.lo);
}

static inline hkd_dd hkd_dd_mul(hkd_dd a, hkd_dd b) {
    const hkd_dd p = hkd_dd_product(a.hi, b.hi);
    return hkd_dd_quick(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static inline hkd_dd hkd_dd_mul_d(hkd_dd a, double b) {
    const hkd_dd p = hkd_dd_product(a.hi, b);
    return hkd_dd_quick(p.hi, p.lo + a.lo * b);
}

static inline hkd_dd hkd_dd_times(hkd_dd a, double power_of_two) { /* exact */
    return (hkd_dd){a.hi * power_of_two, a.lo * power_of_two};
}

static inline hkd_dd hkd_dd_negative(hkd_dd a) { return (hkd_dd){-a.hi, -a.lo}; }

static inline hkd_dd hkd_dd_div(hkd_dd a, hkd_dd b) {
    const double q1 = a.hi / b.hi;
    const hkd_dd r = hkd_dd_add(a, hkd_dd_negative(hkd_dd_mul_d(b, q1)));
    const double q2 = r.hi / b.hi;
    const hkd_dd s = hkd_dd_add(r, hkd_dd_negative(hkd_dd_mul_d(b, q2)));
    return hkd_dd_add_d(hkd_dd_quick(q1, q2), s.hi / b.hi);
}

/* 2^k, -1022 <= k <= 1023. */
static inline double hkd_power_of_two(int k) {
    const uint64_t bits = (uint64_t)(k + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The k of 2^k <= |x| < 2^(k+1), x normal. */
static inline int hkd_exponent(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (int)(bits >> 52 & 0x7ff) - 1023;
}

/* 1/n! for n = 0 .. 28: quotients of integers, rounded to hi, the rest rounded to lo. */
extern const hkd_dd hkd_inverse_factorial[29];

/* exp(a) = 2^k (1 + e), |a| < 800 (ref/core/exact.c). */
hkd_dd hkd_dd_expm1(int *k, hkd_dd a);
/* a 2^k, rounded once, also among the subnormals. */
double hkd_dd_round(hkd_dd a, int k);

#endif
