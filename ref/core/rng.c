#include "rng.h"

#include "exact.h"

#include <math.h>

void hkd_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t left = (uint64_t)0xD2511F53u * a, right = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(right >> 32) ^ b ^ k0;
        b = (uint32_t)right;
        c = (uint32_t)(left >> 32) ^ d ^ k1;
        d = (uint32_t)left;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

static void block_of(uint32_t *words, const hkd_stream *s, uint64_t block) {
    const uint32_t counter[4] = {(uint32_t)block, s->draw, s->index, (uint32_t)s->purpose};
    const uint32_t key[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)};
    hkd_philox(words, counter, key);
}

static double uniform(uint32_t word) { return ((double)word + 0.5) / 4294967296.0; }

/* The four normals of a block. */
static void box_muller(double *z, const uint32_t *words) {
    for (int pair = 0; pair < 4; pair += 2) {
        const double r = sqrt(-2 * hkd_log(uniform(words[pair])));
        const double theta = 6.283185307179586477 * uniform(words[pair + 1]);
        z[pair] = (double)(float)(r * hkd_cos(theta));
        z[pair + 1] = (double)(float)(r * hkd_sin(theta));
    }
}

uint32_t hkd_random_word(const hkd_stream *s, uint64_t element) {
    uint32_t words[4];
    block_of(words, s, element / 4);
    return words[element % 4];
}

double hkd_random_uniform(const hkd_stream *s, uint64_t element) { return uniform(hkd_random_word(s, element)); }

double hkd_random_normal(const hkd_stream *s, uint64_t element) {
    uint32_t words[4];
    double z[4];
    block_of(words, s, element / 4);
    box_muller(z, words);
    return z[element % 4];
}

void hkd_random_normals(double *out, int64_t first, int64_t count, const hkd_stream *s) {
    for (int64_t start = 0; start < count; start += 4) {
        uint32_t words[4];
        double z[4];
        block_of(words, s, (uint64_t)(first + start) / 4);
        box_muller(z, words);
        for (int64_t i = start; i < count && i < start + 4; i++) out[i] = z[i - start];
    }
}

uint32_t hkd_random_below(const hkd_stream *s, uint64_t element, uint64_t n) {
    uint32_t words[4];
    block_of(words, s, element / 2);
    const uint64_t high = words[element % 2 * 2], low = words[element % 2 * 2 + 1];
    return (uint32_t)((high * n + (low * n >> 32)) >> 32);
}

int64_t hkd_random_label(uint64_t seed, int64_t classes) {
    return hkd_random_below(&(hkd_stream){.seed = seed, .purpose = HKD_FOR_LABEL}, 0, (uint64_t)classes);
}
