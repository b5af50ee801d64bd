#include "stored.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bits;
    char kind; /* i, u: integers; f: IEEE layout; ' ': not convertible */
    int exponent; /* f: bits of the exponent */
} types[HKD_STORED_TYPES] = {
    [HKD_BOOL] = {"BOOL", 8, 'u', 0},
    [HKD_F4] = {"F4", 4, ' ', 0},
    [HKD_F6_E2M3] = {"F6_E2M3", 6, ' ', 0},
    [HKD_F6_E3M2] = {"F6_E3M2", 6, ' ', 0},
    [HKD_U8] = {"U8", 8, 'u', 0},
    [HKD_I8] = {"I8", 8, 'i', 0},
    [HKD_F8_E5M2] = {"F8_E5M2", 8, ' ', 0},
    [HKD_F8_E4M3] = {"F8_E4M3", 8, ' ', 0},
    [HKD_F8_E8M0] = {"F8_E8M0", 8, ' ', 0},
    [HKD_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8, ' ', 0},
    [HKD_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8, ' ', 0},
    [HKD_I16] = {"I16", 16, 'i', 0},
    [HKD_U16] = {"U16", 16, 'u', 0},
    [HKD_F16] = {"F16", 16, 'f', 5},
    [HKD_BF16] = {"BF16", 16, 'f', 8},
    [HKD_I32] = {"I32", 32, 'i', 0},
    [HKD_U32] = {"U32", 32, 'u', 0},
    [HKD_FLOAT] = {"F32", 32, 'f', 8},
    [HKD_C64] = {"C64", 64, ' ', 0},
    [HKD_DOUBLE] = {"F64", 64, 'f', 11},
    [HKD_I64] = {"I64", 64, 'i', 0},
    [HKD_U64] = {"U64", 64, 'u', 0},
};

const char *hkd_stored_name(hkd_stored type) { return types[type].name; }
unsigned hkd_stored_bits(hkd_stored type) { return types[type].bits; }
bool hkd_stored_convertible(hkd_stored type) { return types[type].kind != ' '; }

hkd_stored hkd_stored_by_name(const char *name) {
    int i = 0;
    while (i < HKD_STORED_TYPES && strcmp(name, types[i].name)) i++;
    return (hkd_stored)i;
}

/* ---- one element ------------------------------------------------------------------------------------------------------ */

static uint64_t get_bytes(const unsigned char *from, unsigned n) {
    uint64_t bits = 0;
    for (unsigned i = n; i-- > 0;) bits = bits << 8 | from[i];
    return bits;
}

static void put_bytes(unsigned char *to, uint64_t bits, unsigned n) {
    for (unsigned i = 0; i < n; i++, bits >>= 8) to[i] = (unsigned char)bits;
}

/* A float of 16 bits: sign, e exponent bits, m = 15 - e fraction bits f. (-1)^s 2^(E - bias) 1.f; E = 0: 2^(1 - bias) 0.f */
static double small_to_double(uint64_t bits, int e) {
    const int m = 15 - e, bias = (1 << (e - 1)) - 1, top = (1 << e) - 1;
    const int exponent = (int)(bits >> m) & top, fraction = (int)bits & ((1 << m) - 1);
    double v = exponent ? ldexp(fraction + (1 << m), exponent - bias - m) : ldexp(fraction, 1 - bias - m);
    if (exponent == top) v = fraction ? (double)NAN : (double)INFINITY;
    return bits >> 15 ? -v : v;
}

/* The carry of rounding up a full fraction walks into the exponent by itself, as far as infinity. */
static uint64_t small_from_double(double x, int e) {
    const int m = 15 - e, bias = (1 << (e - 1)) - 1;
    const uint64_t sign = signbit(x) ? 1u << 15 : 0, infinity = ((uint64_t)(1 << e) - 1) << m;
    if (isnan(x)) return sign | infinity | (uint64_t)1 << (m - 1);
    if (x == 0) return sign;
    int exponent = 0;
    frexp(x, &exponent); /* |x| in [2^(exponent-1), 2^exponent) */
    if (isinf(x) || exponent > bias + 1) return sign | infinity;
    exponent = exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    const uint64_t rounded = (uint64_t)rint(ldexp(fabs(x), m - exponent));
    return sign | (((uint64_t)(exponent + bias - 1) << m) + rounded);
}

static double get(uint64_t bits, hkd_stored type) {
    const unsigned n = types[type].bits;
    if (type == HKD_DOUBLE) {
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    if (type == HKD_FLOAT) {
        const uint32_t word = (uint32_t)bits;
        float v;
        memcpy(&v, &word, sizeof v);
        return (double)v;
    }
    if (types[type].kind == 'f') return small_to_double(bits, types[type].exponent);
    const bool negative = types[type].kind == 'i' && bits >> (n - 1);
    return negative ? -(double)((n < 64 ? (uint64_t)1 << n : 0) - bits) : (double)bits;
}

static uint64_t put(double v, hkd_stored type) {
    uint64_t bits = 0;
    if (type == HKD_DOUBLE) {
        memcpy(&bits, &v, sizeof v);
        return bits;
    }
    if (type == HKD_FLOAT) {
        const float f = (float)v;
        uint32_t word;
        memcpy(&word, &f, sizeof f);
        return word;
    }
    if (types[type].kind == 'f') return small_from_double(v, types[type].exponent);
    const bool is_signed = types[type].kind == 'i';
    const double span = ldexp(1, type == HKD_BOOL ? 1 : (int)types[type].bits - is_signed); /* largest value + 1 */
    if (isnan(v)) return 0;
    v = rint(v);
    const uint64_t largest = type == HKD_BOOL ? 1 : UINT64_MAX >> (64 - types[type].bits + is_signed);
    if (v >= span) return largest;
    if (v >= 0) return (uint64_t)v;
    return !is_signed ? 0 : v <= -span ? largest + 1 : ~(uint64_t)(-v) + 1;
}

/* ---- many ------------------------------------------------------------------------------------------------------------- */

void hkd_stored_decode(void *to, hkd_dtype as, const unsigned char *from, hkd_stored type, size_t count) {
    const unsigned n = types[type].bits / 8;
    if (as == HKD_F64)
        for (size_t i = 0; i < count; i++) ((double *)to)[i] = get(get_bytes(from + i * n, n), type);
    else
        for (size_t i = 0; i < count; i++) ((float *)to)[i] = (float)get(get_bytes(from + i * n, n), type);
}

void hkd_stored_encode(unsigned char *to, hkd_stored type, const void *from, hkd_dtype as, size_t count) {
    const unsigned n = types[type].bits / 8;
    if (as == HKD_F64)
        for (size_t i = 0; i < count; i++) put_bytes(to + i * n, put(((const double *)from)[i], type), n);
    else
        for (size_t i = 0; i < count; i++) put_bytes(to + i * n, put((double)((const float *)from)[i], type), n);
}

void hkd_stored_decode_u64(uint64_t *to, const unsigned char *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = get_bytes(from + 8 * i, 8);
}

void hkd_stored_encode_u64(unsigned char *to, const uint64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) put_bytes(to + 8 * i, from[i], 8);
}
