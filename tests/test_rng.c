#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The published answers of Random123 (kat_vectors, philox4x32 10): a wrong constant, round count or word order fails. */
static void known_answers(void) {
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int k = 0; k < 3; k++) {
        uint32_t out[4];
        hkd_philox(out, kat[k].counter, kat[k].key);
        CHECK(!memcmp(out, kat[k].answer, sizeof out), "Philox known answer %d: got %08x", k, (unsigned)out[0]);
    }
    const hkd_stream pi = {.seed = 0x299f31d0a4093822, .purpose = (hkd_purpose)0x03707344, .index = 0x13198a2e,
                           .draw = 0x85a308d3};
    CHECK(hkd_random_word(&pi, 4 * (uint64_t)0x243f6a88 + 2) == 0x5001e420, "counter or key fields sit in the wrong words");
}

/* Moments of 2^16 normals, four standard errors wide: catches a lost sqrt, factor 2 or pi, and sine without cosine. */
static void moments(void) {
    enum { COUNT = 1 << 16 };
    double *z = malloc(COUNT * sizeof *z), m[5] = {0}, cross = 0;
    const hkd_stream s = {.seed = 7, .purpose = HKD_FOR_TEST};
    hkd_random_normals(z, 0, COUNT, &s);
    for (int i = 0; i < COUNT; i++)
        for (int k = 1; k < 5; k++) m[k] += pow(z[i], k) / COUNT;
    for (int i = 0; i < COUNT; i += 2) cross += z[i] * z[i + 1] / (COUNT / 2);
    const double se = 4 / sqrt((double)COUNT);
    CHECK(fabs(m[1]) < se, "mean %g", m[1]);
    CHECK(fabs(m[2] - 1) < se * sqrt(2), "variance %g", m[2]);
    CHECK(fabs(m[3]) < se * sqrt(15), "third moment %g", m[3]);
    CHECK(fabs(m[4] - 3) < se * sqrt(96), "fourth moment %g", m[4]);
    CHECK(fabs(cross) < se * sqrt(2), "correlation within a pair %g", cross);
    int same = 0;
    for (int i = 0; i < COUNT; i += 997) same += z[i] == hkd_random_normal(&s, (uint64_t)i) && z[i] == (double)(float)z[i];
    CHECK(same == COUNT / 997 + 1, "an element's normal depends on how it is asked for, or is not a float32");
    free(z);
}

/* Whole numbers below 3 and 10 are even to four standard errors; every field of the stream matters. */
static void integers(void) {
    enum { COUNT = 30000 };
    hkd_stream s = {.seed = 11, .purpose = HKD_FOR_TEST};
    for (uint64_t n = 3; n <= 10; n += 7) {
        int seen[10] = {0};
        for (uint64_t i = 0; i < COUNT; i++) seen[hkd_random_below(&s, i, n)]++;
        for (uint64_t k = 0; k < n; k++) {
            const double expected = (double)COUNT / (double)n;
            CHECK(fabs(seen[k] - expected) < 4 * sqrt(expected), "below %d: %d came %d times", (int)n, (int)k, seen[k]);
        }
    }
    CHECK(hkd_random_below(&s, 0, 1) == 0, "below 1 is not 0");
    const uint32_t word = hkd_random_word(&s, 5);
    const hkd_stream others[] = {{12, HKD_FOR_TEST, 0, 0}, {11 + ((uint64_t)1 << 32), HKD_FOR_TEST, 0, 0},
                                 {11, HKD_FOR_DATA, 0, 0}, {11, HKD_FOR_TEST, 1, 0}, {11, HKD_FOR_TEST, 0, 1}};
    for (int k = 0; k < 5; k++) CHECK(hkd_random_word(&others[k], 5) != word, "field %d of the stream is ignored", k);
}

void test_rng(void) {
    known_answers();
    moments();
    integers();
}
