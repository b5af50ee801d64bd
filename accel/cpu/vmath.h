/* vmath.h - elementary functions in float32 that compilers turn into vector code by themselves.
 *
 * No branches, tables or calls: a loop over any of them becomes SIMD at -O3, without fast-math. NaN gives NaN; overflow,
 * underflow to subnormals and infinities are as in C. Polynomials are Taylor series cut where the rest is below 2^-27.
 * Adding and subtracting 1.5 * 2^23 (2^52) rounds a float (double) to the nearest integer.
 */
#ifndef HKD_VMATH_H
#define HKD_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float hkd_v_float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t hkd_v_bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* exp(x - n ln 2), where the difference is at most ln 2 / 2. */
static inline float hkd_v_exp_rest(float x, float n) {
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* ln 2 in two parts, n * first is exact */
    const float high = 1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040)));
    return 1 + r * (1 + r * (0.5f + r * (1.0f / 6 + r * high)));
}

/* exp(x), error below 1.3 ulp. 2^n in two factors, for neither end of n fits one. */
static inline float hkd_v_exp(float x) {
    x = x > 89.0f ? 89.0f : x;     /* exp(89) overflows */
    x = x < -104.0f ? -104.0f : x; /* exp(-104) rounds to 0 */
    const float magic = 12582912.0f, shifted = x * 1.44269504f + magic, n = shifted - magic;
    const uint32_t k = hkd_v_bits_of(shifted) - hkd_v_bits_of(magic), half = (k + 256) >> 1; /* k: n, as an integer */
    return hkd_v_exp_rest(x, n) * hkd_v_float_of((half - 1) << 23) * hkd_v_float_of((k + 255 - half) << 23);
}

/* The same for x <= 0, in fewer steps: n >= -150, so 2^(n + 64) is a float; n + 64 + 127 are the last bits of `shifted`. */
static inline float hkd_v_exp_negative(float x) {
    x = x < -104.0f ? -104.0f : x;
    const float magic = 12582912.0f + 191, shifted = x * 1.44269504f + magic, n = shifted - magic;
    return hkd_v_exp_rest(x, n) * hkd_v_float_of(hkd_v_bits_of(shifted) << 23) * 5.42101086e-20f; /* 2^-64 */
}

/* 1 / (1 + exp(-x)), error below 2.5 ulp, by exp(-|x|) so that neither end overflows or cancels. */
static inline float hkd_v_sigmoid(float x) {
    const float e = hkd_v_exp_negative(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* Cosine and sine of an angle in radians, error below 2 ulp for |x| < 10^6, growing slowly beyond. The multiple of pi/2 is
 * taken off in double: n * first part is exact for n < 2^20. */
static inline void hkd_v_cos_sin(float *cosine, float *sine, float x) {
    const double magic = 6755399441055744.0;
    const double n = ((double)x * 0.63661977236758134 + magic) - magic;
    const float r = (float)(((double)x - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11);
    const float quadrant = (float)(n - 4 * ((n * 0.25 + magic) - magic)); /* -2, -1, 0, 1 or 2 */
    const float q = r * r;
    const float s = r + r * q * (-1.0f / 6 + q * (1.0f / 120 + q * (-1.0f / 5040 + q * (1.0f / 362880))));
    const float c = 1 + q * (-0.5f + q * (1.0f / 24 + q * (-1.0f / 720 + q * (1.0f / 40320 + q * -2.7557319e-7f))));
    const float odd = quadrant * quadrant == 1.0f ? 1.0f : 0.0f;
    const float cosine_size = odd == 0 ? c : s, sine_size = odd == 0 ? s : c;
    *cosine = quadrant > -1.5f && quadrant < 0.5f ? cosine_size : -cosine_size;
    *sine = quadrant > -0.5f && quadrant < 1.5f ? sine_size : -sine_size;
}

/* erf(x), error below 3.1 ulp: a Taylor series up to |x| = 0.9; beyond, 1 - exp(-x^2) t p(t) with t = 1/(1 + x/2), where p is a
 * least-squares fit to exp(x^2) erfc(x) / t on [0.9, 4]; from 4 on erf rounds to 1. */
static inline float hkd_v_erf(float x) {
    const float a = x < 0 ? -x : x, q = x * x, t = 1.0f / (1.0f + 0.5f * a);
    const float top = -1.0f / 75600 + q * (1.0f / 685440 + q * (-1.0f / 6894720));
    const float high = 1.0f / 216 + q * (-1.0f / 1320 + q * (1.0f / 9360 + q * top));
    const float series = 1 + q * (-1.0f / 3 + q * (1.0f / 10 + q * (-1.0f / 42 + q * high)));
    const float last = 0.42136232f + t * (-0.088001463f - 0.039304287f * t);
    const float p = 0.27813648f + t * (0.31943056f + t * (0.10799027f + t * last));
    const float near = a * series * 1.12837917f, far = 1 - hkd_v_exp_negative(-q) * t * p; /* 2/sqrt(pi) */
    const float size = a < 0.9f ? near : a >= 4.0f ? 1.0f : far;
    return x < 0 ? -size : size;
}

#endif
