#include "fill.h"

#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Steele, Lea, Flood: SplitMix64. */
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint64_t seed_of(const char *stream) {
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (; *stream; stream++) h = (h ^ (unsigned char)*stream) * 0x100000001B3u;
    return h;
}

static double below(uint64_t *state, double n) { return floor((double)(next(state) >> 32) * n / 4294967296.0); }
static double unit(uint64_t *state) { return (double)(next(state) >> 40) / 16777216.0; }
static double sign(uint64_t *state) { return next(state) >> 63 ? -1 : 1; }
static double power(uint64_t *state, double most) { return ldexp(1, (int)(below(state, 2 * most + 1) - most)); }

/* Sum of four uniform variables (Irwin-Hall), variance 1, at most 3.46 in size. */
static double about_normal(uint64_t *state) {
    const uint64_t r = next(state);
    const double sum = (double)(r & 0xFFFF) + (double)(r >> 16 & 0xFFFF) + (double)(r >> 32 & 0xFFFF) + (double)(r >> 48);
    return (sum - 131070.0) / 37837.0;
}

typedef enum { INT, SIGN, POW2, LABELS, NORMAL, UNIFORM, CONST, RAMP, CANCEL, MIX, TINY, ONEHOT } way;
static const struct {
    const char *name;
    double a, b; /* arguments when not given */
} ways[] = {
    [INT] = {"int", 3, 0},        [SIGN] = {"sign", 0, 0},   [POW2] = {"pow2", 2, 0}, [LABELS] = {"labels", 1, 0},
    [NORMAL] = {"normal", 1, 0},  [UNIFORM] = {"uniform", 0, 1}, [CONST] = {"const", 0, 0}, [RAMP] = {"ramp", 1, 0},
    [CANCEL] = {"cancel", 1, 0},  [MIX] = {"mix", 20, 0},    [TINY] = {"tiny", 0, 0}, [ONEHOT] = {"onehot", 1, 0},
};

static double one(way w, double a, double b, int64_t i, uint64_t *s) {
    double size; /* formed before the sign: C leaves the order of two calls in one product open */
    switch (w) {
    case INT: return below(s, 2 * a + 1) - a;
    case SIGN: return sign(s);
    case POW2: size = power(s, a); return sign(s) * size;
    case LABELS: return below(s, a);
    case NORMAL: return b + a * about_normal(s);
    case UNIFORM: return a + (b - a) * unit(s);
    case CONST: return a;
    case RAMP: return b + a * (double)i;
    case CANCEL: return a * (i % 2 ? -1 : 1) * (1 + ldexp(unit(s), -12));
    case MIX: size = power(s, a); size += size * unit(s); return sign(s) * size;
    case TINY: size = ldexp(below(s, 4194304.0), -149); return sign(s) * size;
    case ONEHOT: break;
    }
    return 0;
}

static hkd_status fill_list(double *x, int64_t count, const char *how) {
    const char *at = how;
    for (int64_t i = 0; i < count; i++) {
        char *end;
        x[i] = (double)strtof(at, &end);
        if (end == at || (*end && *end != ',')) return hkd_fail(HKD_USAGE, "filling 'list:%s': expected numbers", how);
        at = *end ? end + 1 : how;
    }
    return HKD_OK;
}

hkd_status hkd_fill(double *x, int64_t count, const char *how, const char *stream) {
    if (!strncmp(how, "list:", 5)) return fill_list(x, count, how + 5);
    const size_t length = strcspn(how, ":"), n = sizeof ways / sizeof *ways;
    size_t w = 0;
    while (w < n && (strlen(ways[w].name) != length || strncmp(ways[w].name, how, length) != 0)) w++;
    if (w == n) return hkd_fail(HKD_USAGE, "filling '%s': unknown", how);
    double a = ways[w].a, b = ways[w].b;
    char *end = NULL;
    if (how[length]) {
        a = strtod(how + length + 1, &end);
        if (*end == ':') b = strtod(end + 1, &end);
        if (*end) return hkd_fail(HKD_USAGE, "filling '%s': expected numbers after ':'", how);
    }
    uint64_t state = seed_of(stream);
    for (int64_t i = 0; i < count; i++) x[i] = (double)(float)one((way)w, a, b, i, &state);
    for (int64_t i = 0; w == ONEHOT && i + (int64_t)a <= count; i += (int64_t)a) x[i + (int64_t)below(&state, a)] = 1;
    return HKD_OK;
}

double hkd_round_half(double x) {
    int e;
    if (x == 0 || !isfinite(x)) return x;
    frexp(x, &e);                                         /* |x| in [2^(e-1), 2^e) */
    const double ulp = ldexp(1, (e < -13 ? -13 : e) - 11); /* 11 bits; subnormals below 2^-14 */
    const double scaled = x / ulp, whole = floor(scaled), rest = scaled - whole;
    const bool up = rest > 0.5 || (rest == 0.5 && fmod(whole, 2) != 0);
    const double y = (whole + up) * ulp;
    return fabs(y) >= 65520 ? (y > 0 ? INFINITY : -INFINITY) : y;
}
