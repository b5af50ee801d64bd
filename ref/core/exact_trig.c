/* sin and cos in double-double, for any finite angle. */
#include "exact.h"

#include "dd.h"

#include <math.h>

/* The first 1280 bits of 2/pi. */
static const uint32_t two_over_pi[40] = {
    0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u,
    0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu, 0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u,
    0xe99c7026u, 0xb45f7e41u, 0x3991d639u, 0x835339f4u, 0x9c845f8bu, 0xbdf9283bu, 0x1ff897ffu, 0xde05980fu,
    0xef2f118bu, 0x5a0a6d1fu, 0x6d367ecfu, 0x27cb09b7u, 0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu,
    0x3d0739f7u, 0x8a5292eau, 0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u, 0xfc7b6babu, 0xf0cfbc20u, 0x9af4361du,
};

static const hkd_dd HALF_PI = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};

/* 32 bits of 2/pi from bit `at` on; bit 0 is worth 1/2, those before it are 0. */
static uint32_t bits_of_two_over_pi(int at) {
    const int limb = at >= 0 ? at / 32 : (at - 31) / 32, shift = at - 32 * limb;
    const uint64_t high = limb >= 0 ? two_over_pi[limb] : 0, low = limb >= -1 ? two_over_pi[limb + 1] : 0;
    return (uint32_t)((high << 32 | low) >> (32 - shift));
}

/* x = quadrant pi/2 + r modulo 2 pi, |r| <= pi/4 (Payne & Hanek 1983), x > 0. With x = m 2^e, the product of m and the 256 bits
 * of 2/pi that matter modulo 4 gives x 2/pi modulo 4 with 254 bits behind the point, of which truncation leaves 200 right; no
 * double comes nearer to a multiple of pi/2 than 2^-62, so r keeps more than the 106 bits it needs. */
static hkd_dd reduce(int *quadrant, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int e = (int)(bits >> 52) - 1075;
    const uint64_t m = (bits & 0xfffffffffffffu) | 0x10000000000000u, digits[2] = {m & 0xffffffffu, m >> 32};
    uint32_t p[8] = {0};
    for (int j = 0; j < 2; j++) {
        uint64_t carry = 0;
        for (int i = 7; i >= j; i--) {
            carry += digits[j] * bits_of_two_over_pi(e - 2 + 32 * i) + p[i - j];
            p[i - j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    *quadrant = (int)(p[0] >> 30);
    const uint32_t minus = p[0] >> 29 & 1 ? 0xffffffffu : 0; /* the nearest multiple lies above: r = -(1 - fraction) */
    *quadrant = (*quadrant + (minus ? 1 : 0)) & 3;
    p[0] = (p[0] ^ minus) & 0x3fffffffu;
    for (int i = 1; i < 8; i++) p[i] ^= minus; /* one's complement: a 2^-254 off */
    hkd_dd r = {0, 0};
    for (int i = 0; i < 8; i++) r = hkd_dd_add_d(r, p[i] * hkd_power_of_two(2 - 32 * (i + 1)));
    r = hkd_dd_mul(r, HALF_PI);
    return minus ? hkd_dd_negative(r) : r;
}

/* sum of (-1)^j q^j / (first + 2 j)! to j = 12; what follows is less than 2^-106 of the whole at q <= (pi/4)^2. Terms from q^8
 * on are below 2^-49 and need no more than a double. */
static hkd_dd series(hkd_dd q, int first) {
    const int middle = first + 14;
    double tail = 0;
    for (int i = first + 24; i > middle; i -= 2) tail = hkd_inverse_factorial[i].hi - q.hi * tail;
    hkd_dd s = hkd_dd_add_d(hkd_inverse_factorial[middle], -(q.hi * tail));
    for (int i = middle - 2; i >= first; i -= 2)
        s = hkd_dd_add(hkd_inverse_factorial[i], hkd_dd_negative(hkd_dd_mul(s, q)));
    return s;
}

static hkd_dd sine(hkd_dd r) { /* r - r q (1/3! - q/5! + ...) */
    const hkd_dd q = hkd_dd_mul(r, r);
    return hkd_dd_add(r, hkd_dd_negative(hkd_dd_mul(hkd_dd_mul(series(q, 3), q), r)));
}

static hkd_dd cosine(hkd_dd r) { /* 1 - q (1/2! - q/4! + ...) */
    const hkd_dd q = hkd_dd_mul(r, r);
    return hkd_dd_add_d(hkd_dd_negative(hkd_dd_mul(series(q, 2), q)), 1);
}

/* sin(x + shift pi/2), x >= 0 and finite. */
static double turned(double x, int shift) {
    int quadrant = 0;
    const hkd_dd r = x < 0.785 ? (hkd_dd){x, 0} : reduce(&quadrant, x);
    quadrant += shift;
    const double y = quadrant & 1 ? cosine(r).hi : sine(r).hi;
    return quadrant & 2 ? -y : y;
}

double hkd_sin(double x) {
    if (isnan(x) || isinf(x)) return NAN;
    if (fabs(x) < 0x1p-27) return x;
    return x < 0 ? -turned(-x, 0) : turned(x, 0);
}

double hkd_cos(double x) {
    if (isnan(x) || isinf(x)) return NAN;
    if (fabs(x) < 0x1p-28) return 1;
    return turned(fabs(x), 1);
}
