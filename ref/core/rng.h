/* rng.h - random numbers that depend on what they are for, not on who draws them or when.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a keyed bijection of 128-bit counters.
 *   key     = the 64-bit seed of the image (sampling) or of the run (training), low word first
 *   counter = (element / 4, draw, index in the run, purpose)      element e takes word e % 4 of its block
 * So a number is a pure function of (seed, purpose, index, draw, element): the same on any device, for any number of threads,
 * any batch size and any platform. Elements are counted within one image, in row-major [C, H, W] order, and stay below 2^34.
 *
 * From words to numbers:
 *   uniform   u(w) = (w + 1/2) / 2^32: exact in double, symmetric, never 0 and never 1
 *   normal    words (a, b) = (0, 1) or (2, 3) of a block: r = sqrt(-2 ln u(a)), theta = 2 pi u(b); the first element of
 *             the pair is r cos(theta), the second r sin(theta), each rounded once to float32. |normal| < 6.8
 *   below n   floor(W n / 2^64) with the 64-bit W of two words (high word first): a value's probability differs from 1/n by
 *             less than 2^-64, so no rejection is needed (a remainder W % n would need it no less, and a 32-bit word more)
 */
#ifndef HKD_RNG_H
#define HKD_RNG_H

#include <stdint.h>

/* What a number is for. Values are part of every recorded result: append only. */
typedef enum {
    HKD_FOR_LATENTS = 0,      /* the initial noise of an image; draw 0 */
    HKD_FOR_LABEL = 1,        /* the class label of an image */
    HKD_FOR_CHURN = 2,        /* noise that a stochastic sampler adds; draw = step */
    HKD_FOR_DROPOUT = 3,      /* draw = one per layer and pass */
    HKD_FOR_NOISE_LEVEL = 4,  /* sigma or time of a training image */
    HKD_FOR_TRAIN_NOISE = 5,  /* n ~ N(0, sigma^2) of a training image */
    HKD_FOR_AUGMENT = 6,
    HKD_FOR_WEIGHTS = 7,      /* initial weights; draw = number of the tensor */
    HKD_FOR_ORDER = 8,        /* shuffling a data set; draw = epoch */
    HKD_FOR_DATA = 9,         /* procedural data */
    HKD_FOR_METRIC = 10,      /* random projections, subsets, bootstrap */
    HKD_FOR_TEST = 11         /* test data, test directions, recorded vectors */
} hkd_purpose;

typedef struct {
    uint64_t seed;
    hkd_purpose purpose;
    uint32_t index, draw;
} hkd_stream;

/* One block: out [4] = Philox4x32-10 of counter [4] under key [2]. */
void hkd_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);

uint32_t hkd_random_word(const hkd_stream *s, uint64_t element);
double hkd_random_uniform(const hkd_stream *s, uint64_t element);
double hkd_random_normal(const hkd_stream *s, uint64_t element); /* a float32 value */
/* Elements first .. first + count - 1; `first` is a multiple of 4, the length of a block. */
void hkd_random_normals(double *out, int64_t first, int64_t count, const hkd_stream *s);
/* A whole number in [0, n), 1 <= n <= 2^32, from words 2 element and 2 element + 1. */
uint32_t hkd_random_below(const hkd_stream *s, uint64_t element, uint64_t n);
/* The class that an image's seed draws, in [0, classes). */
int64_t hkd_random_label(uint64_t seed, int64_t classes);

#endif
