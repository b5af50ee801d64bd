#include "foreign_rng.h"

#include "exact.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586476925286766559;

static const char *const names[] = {"hkd", "torch-cuda", "torch-cpu", "numpy", "jax", "jax-legacy", NULL};
const char *const hkd_rng_choices = "hkd|torch-cuda|torch-cpu|numpy|jax|jax-legacy";

int hkd_rng_of(const char *name) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(name, names[i])) return i;
    return strcmp(name, "edm") ? -1 : HKD_RNG_TORCH_CUDA;
}

const char *hkd_rng_name(hkd_rng_kind kind) { return names[kind]; }

/* ---- the Mersenne Twister MT19937 (Matsumoto & Nishimura 1998) -------------------------------------------------------- */

typedef struct {
    uint32_t state[624];
    int next;
} twister;

static void seed_twister(twister *t, uint32_t seed) {
    t->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) t->state[i] = 1812433253u * (t->state[i - 1] ^ t->state[i - 1] >> 30) + i;
    t->next = 624;
}

static uint32_t twister_word(twister *t) {
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

static double torch_uniform53(twister *t) {
    const uint64_t high = twister_word(t);
    return (double)((high << 32 | twister_word(t)) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

/* Pairs from two uniforms; of an odd last pair the second is dropped. */
static void torch_few(double *out, int64_t count, twister *t) {
    for (int64_t i = 0; i < count; i += 2) {
        const double theta = TWO_PI * torch_uniform53(t), r = sqrt(-2 * hkd_log(1 - torch_uniform53(t)));
        out[i] = (float)(r * hkd_cos(theta));
        if (i + 1 < count) out[i + 1] = (float)(r * hkd_sin(theta));
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

static void torch_uniform24(double *out, int64_t count, twister *t) {
    for (int64_t i = 0; i < count; i++) out[i] = (double)(twister_word(t) & 0xffffff) * 0x1p-24;
}

static void torch_cpu(double *out, int64_t count, twister *t) {
    if (count < 16) {
        torch_few(out, count, t);
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

static void cuda_words(uint32_t out[4], uint64_t seed, uint32_t block, uint32_t thread) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, counter[4] = {block, 0, thread, 0};
    hkd_philox(out, counter, key);
}

/* Element i is the first number of thread i. cuRAND forms its uniforms in float32, each by one fused multiply-add. */
static void torch_cuda(double *out, int64_t count, uint64_t seed) {
    const float turn = 1.46291807926715968052e-9f; /* 2 pi / 2^32, as cuRAND has it */
    for (int64_t i = 0; i < count; i++) {
        uint32_t w[4];
        cuda_words(w, seed, 0, (uint32_t)i);
        const float u = (float)((double)(float)w[0] * 0x1p-32 + 0x1p-33);
        const float v = (float)((double)(float)w[1] * (double)turn + (double)turn / 2);
        out[i] = (float)(sqrt(-2 * hkd_log((double)u)) * hkd_sin((double)v));
    }
}

/* ---- NumPy's RandomState ---------------------------------------------------------------------------------------------- */

static double numpy_uniform(twister *t) {
    const uint32_t high = twister_word(t) >> 5, low = twister_word(t) >> 6;
    return ((double)high * 67108864 + low) / 9007199254740992;
}

/* Marsaglia's polar method; the second number of a point comes out first. */
static void numpy(double *out, int64_t count, twister *t) {
    for (int64_t i = 0; i < count; i += 2) {
        double a, b, r2;
        do {
            a = 2 * numpy_uniform(t) - 1;
            b = 2 * numpy_uniform(t) - 1;
            r2 = a * a + b * b;
        } while (r2 >= 1 || r2 == 0);
        const double f = sqrt(-2 * hkd_log(r2) / r2);
        out[i] = f * b;
        if (i + 1 < count) out[i + 1] = f * a;
    }
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

/* 32 random bits of element i of `count`: now a hash of its own index; before, the two halves of an array shared one. */
static uint32_t jax_bits(int64_t i, int64_t count, uint32_t seed, bool legacy) {
    const int64_t half = (count + 1) / 2, first = legacy ? i % half : 0;
    uint32_t x[2] = {(uint32_t)((uint64_t)i >> 32), (uint32_t)i};
    if (!legacy) {
        threefry(x, 0, seed);
        return x[0] ^ x[1];
    }
    x[0] = (uint32_t)first;
    x[1] = first + half < count ? (uint32_t)(first + half) : 0; /* an odd array is filled up with 0 */
    threefry(x, 0, seed);
    return x[i >= half];
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

static void jax(double *out, int64_t count, uint64_t seed, bool legacy) {
    const double low = -1 + 0x1p-24;
    for (int64_t i = 0; i < count; i++) {
        const double u = (double)(jax_bits(i, count, (uint32_t)seed, legacy) >> 9) * 0x1p-23; /* [0, 1) */
        const float v = (float)(2 * u + low);
        out[i] = (float)(1.4142135623730950488 * inverse_erf(v));
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

static hkd_status check(int64_t count, uint64_t seed, hkd_rng_kind kind) {
    if (kind == HKD_RNG_TORCH_CUDA && count > CUDA_MOST)
        return hkd_fail(HKD_USAGE, "torch-cuda: noise of more than %d numbers depends on the model of the GPU", (int)CUDA_MOST);
    const bool jax = kind == HKD_RNG_JAX || kind == HKD_RNG_JAX_LEGACY;
    if (jax && seed >> 63) return hkd_fail(HKD_USAGE, "jax: seeds must be below 2^63");
    if (kind == HKD_RNG_NUMPY && seed >> 32) return hkd_fail(HKD_USAGE, "numpy: seeds must be below 2^32");
    return HKD_OK;
}

hkd_status hkd_foreign_normals(double *out, int64_t count, uint64_t seed, hkd_rng_kind kind) {
    const hkd_status status = check(count, seed, kind);
    twister t;
    if (status) return status;
    seed_twister(&t, (uint32_t)seed);
    switch (kind) {
    case HKD_RNG_HKD: hkd_random_normals(out, 0, count, &(hkd_stream){.seed = seed, .purpose = HKD_FOR_LATENTS}); break;
    case HKD_RNG_TORCH_CUDA: torch_cuda(out, count, seed); break;
    case HKD_RNG_TORCH_CPU: torch_cpu(out, count, &t); break;
    case HKD_RNG_NUMPY: numpy(out, count, &t); break;
    case HKD_RNG_JAX: jax(out, count, seed, false); break;
    case HKD_RNG_JAX_LEGACY: jax(out, count, seed, true); break;
    }
    return HKD_OK;
}

/* The words that `count` normals took from the twister. */
static int64_t torch_cpu_words(int64_t count) {
    if (count < 16) return (count + 1) / 2 * 4;
    return count + (count % 16 ? 16 : 0);
}

hkd_status hkd_foreign_label(int64_t *out, int64_t classes, int64_t count, uint64_t seed, hkd_rng_kind kind) {
    if (classes < 1 || classes > UINT32_MAX) return hkd_fail(HKD_USAGE, "the number of classes must be 1 to 2^32 - 1");
    const hkd_status status = check(count, seed, kind);
    twister t;
    uint32_t w[4];
    if (status) return status;
    if (kind == HKD_RNG_HKD) {
        *out = hkd_random_below(&(hkd_stream){.seed = seed, .purpose = HKD_FOR_LABEL}, 0, (uint64_t)classes);
        return HKD_OK;
    }
    if (kind == HKD_RNG_TORCH_CPU) {
        seed_twister(&t, (uint32_t)seed);
        for (int64_t i = torch_cpu_words(count); i > 0; i--) twister_word(&t);
        *out = twister_word(&t) % classes;
        return HKD_OK;
    }
    if (kind != HKD_RNG_TORCH_CUDA) return hkd_fail(HKD_USAGE, "%s: no class draw is defined, give the classes", names[kind]);
    cuda_words(w, seed, count > 0, 0); /* each call moves the generator on by one block of four words */
    *out = w[0] % classes;
    return HKD_OK;
}
