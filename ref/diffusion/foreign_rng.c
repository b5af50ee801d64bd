#include "foreign_rng.h"

#include "exact.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>

static const double TWO_PI = 6.283185307179586476925286766559;

static const char *const names[] = {"hkd", "edm", "torch-cuda", "torch-cpu", "numpy", "jax", "jax-legacy"};

const char *hkd_rng_name(hkd_rng_kind kind) { return names[kind]; }

/* ---- the Mersenne Twister MT19937 (Matsumoto & Nishimura 1998) -------------------------------------------------------- */

static void seed_twister(hkd_twister *t, uint32_t seed) {
    t->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) t->state[i] = 1812433253u * (t->state[i - 1] ^ t->state[i - 1] >> 30) + i;
    t->next = 624;
}

static uint32_t twister_word(hkd_twister *t) {
    if (t->next == 624) {
        for (int i = 0; i < 624; i++) {
            const uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
            t->state[i] = t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->next = 0;
    }
    uint32_t y = t->state[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* ---- PyTorch on the CPU ----------------------------------------------------------------------------------------------- */

static double torch_uniform53(hkd_twister *t) {
    const uint64_t high = twister_word(t);
    return (double)((high << 32 | twister_word(t)) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

/* Pairs from two uniforms; the second of a pair waits for the next number, also for that of a later call. */
static void torch_few(double *out, int64_t count, hkd_foreign *g) {
    for (int64_t i = 0; i < count; i++) {
        g->waits = !g->waits;
        if (!g->waits) {
            out[i] = (float)g->second;
            continue;
        }
        const double theta = TWO_PI * torch_uniform53(&g->twister), r = sqrt(-2 * hkd_log(1 - torch_uniform53(&g->twister)));
        out[i] = (float)(r * hkd_cos(theta));
        g->second = r * hkd_sin(theta);
    }
}

/* 16 uniforms become 16 normals in place: number j is paired with number j + 8. The angle is a float32, as there. */
static void torch_block(double *u) {
    for (int j = 0; j < 8; j++) {
        const double r = sqrt(-2 * hkd_log(1 - u[j])), theta = (double)((float)TWO_PI * (float)u[j + 8]);
        u[j] = (float)(r * hkd_cos(theta));
        u[j + 8] = (float)(r * hkd_sin(theta));
    }
}

static void torch_uniform24(double *out, int64_t count, hkd_twister *t) {
    for (int64_t i = 0; i < count; i++) out[i] = (double)(twister_word(t) & 0xffffff) * 0x1p-24;
}

static void torch_cpu(double *out, int64_t count, hkd_foreign *g) {
    hkd_twister *t = &g->twister;
    if (count < 16) {
        torch_few(out, count, g);
        return;
    }
    torch_uniform24(out, count, t);
    for (int64_t i = 0; i + 16 <= count; i += 16) torch_block(out + i);
    if (count % 16 == 0) return;
    torch_uniform24(out + count - 16, 16, t); /* the last 16 are drawn again */
    torch_block(out + count - 16);
}

/* ---- PyTorch on CUDA -------------------------------------------------------------------------------------------------- */

enum { CUDA_MOST = 12288 };

/* Every call moves the generator on by one block of four words; thread i makes element i from the first words of its block. */
static void cuda_words(uint32_t out[4], const hkd_foreign *g, uint32_t thread) {
    const uint32_t key[2] = {(uint32_t)g->seed, (uint32_t)(g->seed >> 32)}, counter[4] = {g->calls, 0, thread, 0};
    hkd_philox(out, counter, key);
}

/* cuRAND forms its uniforms in float32, each by one fused multiply-add. */
static void torch_cuda(double *out, int64_t count, const hkd_foreign *g) {
    const float turn = 1.46291807926715968052e-9f; /* 2 pi / 2^32, as cuRAND has it */
    for (int64_t i = 0; i < count; i++) {
        uint32_t w[4];
        cuda_words(w, g, (uint32_t)i);
        const float u = (float)((double)(float)w[0] * 0x1p-32 + 0x1p-33);
        const float v = (float)((double)(float)w[1] * (double)turn + (double)turn / 2);
        out[i] = (float)(sqrt(-2 * hkd_log((double)u)) * hkd_sin((double)v));
    }
}

/* ---- NumPy's RandomState ---------------------------------------------------------------------------------------------- */

static double numpy_uniform(hkd_twister *t) {
    const uint32_t high = twister_word(t) >> 5, low = twister_word(t) >> 6;
    return ((double)high * 67108864 + low) / 9007199254740992;
}

/* Marsaglia's polar method; the second number of a point comes out first, the first waits for the next call. */
static double numpy_normal(hkd_foreign *g) {
    double a, b, r2;
    g->waits = !g->waits;
    if (!g->waits) return g->second;
    do {
        a = 2 * numpy_uniform(&g->twister) - 1;
        b = 2 * numpy_uniform(&g->twister) - 1;
        r2 = a * a + b * b;
    } while (r2 >= 1 || r2 == 0);
    const double f = sqrt(-2 * hkd_log(r2) / r2);
    g->second = f * a;
    return f * b;
}

/* RandomState.randint: words under the smallest mask, until one is small enough. */
static int64_t numpy_below(int64_t classes, hkd_twister *t) {
    uint32_t mask = (uint32_t)(classes - 1), word;
    for (int by = 1; by < 32; by *= 2) mask |= mask >> by;
    if (classes == 1) return 0;
    do word = twister_word(t) & mask;
    while (word >= classes);
    return word;
}

/* ---- JAX -------------------------------------------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

/* Threefry2x32 of 20 rounds: x [2] in place. */
static void threefry(uint32_t *x, uint32_t key0, uint32_t key1) {
    static const int by[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t key[3] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDAu};
    x[0] += key[0];
    x[1] += key[1];
    for (uint32_t round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) {
            x[0] += x[1];
            x[1] = rotate(x[1], by[round % 2][i]) ^ x[0];
        }
        x[0] += key[(round + 1) % 3];
        x[1] += key[(round + 2) % 3] + round + 1;
    }
}

typedef struct {
    uint32_t word[2];
} jax_key;

static jax_key jax_hash(jax_key key, uint32_t x0, uint32_t x1) {
    jax_key out = {{x0, x1}};
    threefry(out.word, key.word[0], key.word[1]);
    return out;
}

/* JAX has keys in place of a stream: the first call uses key(seed), call k > 0 uses fold_in(key(seed), k). */
static jax_key jax_key_of(const hkd_foreign *g) {
    const jax_key key = {{0, (uint32_t)g->seed}};
    return g->calls ? jax_hash(key, 0, g->calls) : key;
}

/* 32 random bits of element i of `count`: now a hash of its own index; before, the two halves of an array shared one. */
static uint32_t jax_bits(int64_t i, int64_t count, jax_key key, bool legacy) {
    if (!legacy) {
        const jax_key x = jax_hash(key, (uint32_t)((uint64_t)i >> 32), (uint32_t)i);
        return x.word[0] ^ x.word[1];
    }
    const int64_t half = (count + 1) / 2, first = i % half;
    const uint32_t second = first + half < count ? (uint32_t)(first + half) : 0; /* an odd array is filled up with 0 */
    return jax_hash(key, (uint32_t)first, second).word[i >= half];
}

/* random.randint: the remainder of 64 bits, half of them from either of two keys split off. */
static int64_t jax_below(int64_t classes, const hkd_foreign *g) {
    const bool legacy = g->kind == HKD_RNG_JAX_LEGACY;
    const jax_key key = jax_key_of(g);
    jax_key a = jax_hash(key, 0, legacy ? 2 : 0), b = jax_hash(key, legacy ? 1 : 0, legacy ? 3 : 1);
    if (legacy) { /* there the first words of both made one key, the second words the other */
        const uint32_t word = a.word[1];
        a.word[1] = b.word[0];
        b.word[0] = word;
    }
    const uint32_t n = (uint32_t)classes, high = jax_bits(0, 1, a, legacy), low = jax_bits(0, 1, b, legacy);
    uint32_t power = (1u << 16) % n;
    power = power * power % n; /* 2^32 mod n, up to the overflow that JAX has, too */
    return (high % n * power + low % n) % n;
}

/* x with erf(x) = u, |u| < 1, by the polynomials of Giles 2012 ("Approximating the erfinv function") that JAX uses, and like
 * there from u^2 in float32: in the tails that rounding shows. */
static double inverse_erf(float u) {
    static const double middle[9] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                                     -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
    static const double tail[9] = {-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                                   -0.0076224613,   0.00943887047,  1.00167406,    2.83297682};
    const float square = u * u;
    const double w = -hkd_log(1 - (double)square), at = w < 5 ? w - 2.5 : sqrt(w) - 3;
    double p = 0;
    for (int i = 0; i < 9; i++) p = p * at + (w < 5 ? middle : tail)[i];
    return p * (double)u;
}

static void jax(double *out, int64_t count, const hkd_foreign *g) {
    const double low = -1 + 0x1p-24;
    const jax_key key = jax_key_of(g);
    for (int64_t i = 0; i < count; i++) {
        const double u = (double)(jax_bits(i, count, key, g->kind == HKD_RNG_JAX_LEGACY) >> 9) * 0x1p-23; /* [0, 1) */
        const float v = (float)(2 * u + low);
        out[i] = (float)(1.4142135623730950488 * inverse_erf(v));
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

hkd_status hkd_foreign_seed(hkd_foreign *g, uint64_t seed, hkd_rng_kind kind) {
    const bool jax = kind == HKD_RNG_JAX || kind == HKD_RNG_JAX_LEGACY;
    if (jax && seed >> 63) return hkd_fail(HKD_USAGE, "%s: seeds must be below 2^63", names[kind]);
    if (kind == HKD_RNG_NUMPY && seed >> 32) return hkd_fail(HKD_USAGE, "numpy: seeds must be below 2^32");
    *g = (hkd_foreign){.kind = kind, .seed = kind == HKD_RNG_EDM ? (uint32_t)seed : seed};
    if (kind == HKD_RNG_TORCH_CPU || kind == HKD_RNG_NUMPY) seed_twister(&g->twister, (uint32_t)seed);
    return HKD_OK;
}

hkd_status hkd_foreign_normals(double *out, int64_t count, hkd_foreign *g) {
    const hkd_stream own = {.seed = g->seed, .purpose = g->calls ? HKD_FOR_CHURN : HKD_FOR_LATENTS, .draw = g->calls};
    if ((g->kind == HKD_RNG_TORCH_CUDA || g->kind == HKD_RNG_EDM) && count > CUDA_MOST)
        return hkd_fail(HKD_USAGE, "%s: noise of more than %d numbers depends on the model of the GPU", names[g->kind],
                        (int)CUDA_MOST);
    switch (g->kind) {
    case HKD_RNG_HKD: hkd_random_normals(out, 0, count, &own); break;
    case HKD_RNG_EDM:
    case HKD_RNG_TORCH_CUDA: torch_cuda(out, count, g); break;
    case HKD_RNG_TORCH_CPU: torch_cpu(out, count, g); break;
    case HKD_RNG_NUMPY:
        for (int64_t i = 0; i < count; i++) out[i] = numpy_normal(g);
        break;
    case HKD_RNG_JAX:
    case HKD_RNG_JAX_LEGACY: jax(out, count, g); break;
    }
    g->calls++;
    return HKD_OK;
}

hkd_status hkd_foreign_label(int64_t *out, int64_t classes, hkd_foreign *g) {
    uint32_t w[4];
    if (classes < 1 || classes > INT32_MAX) return hkd_fail(HKD_USAGE, "the number of classes must be 1 to 2^31 - 1");
    switch (g->kind) {
    case HKD_RNG_HKD:
        *out = hkd_random_label(g->seed, classes);
        return HKD_OK; /* a stream of its own: nothing moves on */
    case HKD_RNG_EDM:
    case HKD_RNG_TORCH_CUDA:
        cuda_words(w, g, 0);
        *out = w[0] % classes;
        break;
    case HKD_RNG_TORCH_CPU: *out = twister_word(&g->twister) % classes; break;
    case HKD_RNG_NUMPY: *out = numpy_below(classes, &g->twister); break;
    case HKD_RNG_JAX:
    case HKD_RNG_JAX_LEGACY: *out = jax_below(classes, g); break;
    }
    g->calls++;
    return HKD_OK;
}
