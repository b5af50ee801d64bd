#include "on_cpu.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <string.h>

enum { N = 6, SIZE = 4096 };
static double ones[N * SIZE], y[N * SIZE], z[N * SIZE];

static int kept_in(const double *a, int count) {
    int kept = 0;
    for (int i = 0; i < count; i++) kept += a[i] != 0;
    return kept;
}

static int differences(const double *a, const double *b, int count) {
    int different = 0;
    for (int i = 0; i < count; i++) different += a[i] != b[i];
    return different;
}

/* The right share is kept, to four standard errors, and scaled so that the mean stays: p taken for 1 - p, a lost scale. */
static void share(void) {
    for (double p = 0; p < 1; p += 0.19) {
        const hkd_random_dims d = {N, SIZE, 3, 0, 0};
        hkd_ref_dropout(y, ones, p, &d);
        const double kept = kept_in(y, N * SIZE), expected = (1 - p) * N * SIZE;
        CHECK(fabs(kept - expected) <= 4 * sqrt(expected * p), "p = %g keeps %g of %d", p, kept, N * SIZE);
        int scaled = 0;
        for (int i = 0; i < N * SIZE; i++) scaled += y[i] == 1 / (1 - p);
        CHECK(scaled == kept, "p = %g: %g kept, %d of them scaled by 1 / (1 - p)", p, kept, scaled);
    }
}

/* The mask of an image depends on its index in the run alone, not on the batch it shares; layers and seeds differ. */
static void streams(void) {
    const hkd_random_dims all = {N, SIZE, 3, 100, 0}, two = {2, SIZE, 3, 103, 0}, layer = {N, SIZE, 3, 100, 1};
    const hkd_random_dims seed = {N, SIZE, 3 + ((uint64_t)1 << 32), 100, 0};
    hkd_ref_dropout(y, ones, 0.5, &all);
    hkd_ref_dropout(z, ones, 0.5, &two);
    CHECK(!memcmp(z, y + 3 * SIZE, 2 * SIZE * sizeof *z), "images 103 and 104 have other masks in another batch");
    const double half = N * SIZE / 2.0, width = 4 * sqrt(half / 2);
    hkd_ref_dropout(z, ones, 0.5, &layer);
    const int by_draw = differences(y, z, N * SIZE);
    CHECK(fabs(by_draw - half) < width, "another draw: masks differ in %d places", by_draw);
    hkd_ref_dropout(z, ones, 0.5, &seed);
    const int by_seed = differences(y, z, N * SIZE);
    CHECK(fabs(by_seed - half) < width, "another seed: masks differ in %d places", by_seed);
    const int neighbours = differences(y, y + SIZE, SIZE);
    CHECK(fabs(neighbours - SIZE / 2.0) < 4 * sqrt(SIZE / 4.0), "two images of a batch differ in %d places", neighbours);
}

/* Backward passes exactly where forward did. */
static void gradient_mask(void) {
    const hkd_random_dims d = {N, SIZE, 3, 7, 2};
    memset(z, 0, sizeof z);
    hkd_ref_dropout(y, ones, 0.3, &d);
    hkd_ref_dropout_grad(z, ones, 0.3, &d);
    CHECK(!memcmp(y, z, sizeof y), "the gradient has another mask");
}

/* Every layout of the cpu keeps the reference's elements: channels in sixteens and pixels in fours, odd shapes, weights. */
static void layouts(void) {
    static const int64_t extents[4][4] = {{2, 32, 4, 8}, {2, 16, 3, 5}, {3, 7, 4, 4}, {1, 48, 2, 2}};
    const double p[5] = {0.37, 123, 0, 9, 4};
    for (int k = 0; k < 4; k++)
        for (int weight = 0; weight < 2; weight++) {
            const hkd_shape shape = {4, {extents[k][0], extents[k][1], extents[k][2], extents[k][3]}};
            const int count = (int)hkd_count(&shape);
            const hkd_random_dims d = {shape.dim[0], count / shape.dim[0], 123, 9, 4};
            const double *in[1] = {ones};
            double *out[1] = {z};
            hkd_ref_dropout(y, ones, p[0], &d);
            on_cpu(out, "dropout", p, &shape, in, weight ? HKD_WEIGHT : HKD_ACTIVATION, true);
            int wrong = 0;
            for (int i = 0; i < count; i++) wrong += (y[i] != 0) != (z[i] != 0);
            CHECK(!wrong, "shape %d, %s: %d of %d decided otherwise", k, weight ? "weight" : "activation", wrong, count);
        }
}

/* An image's noise: the same alone, in a batch, as the sampler draws it, and in the cpu's layout. */
static void noise(void) {
    const hkd_random_dims all = {3, 30, 77, 5, 0}, last = {1, 30, 77, 7, 0};
    const hkd_shape shape = hkd_shape_of(4, (int64_t)3, (int64_t)2, (int64_t)3, (int64_t)5);
    const double p[5] = {77, 0, 5, 0, HKD_FOR_TRAIN_NOISE}, *in[1] = {ones};
    double *out[1] = {z};
    hkd_ref_random_normal(y, HKD_FOR_TRAIN_NOISE, &all);
    on_cpu(out, "random_normal", p, &shape, in, HKD_ACTIVATION, false);
    CHECK(!memcmp(y, z, 90 * sizeof *y), "cpu draws other bits than ref");
    hkd_ref_random_normal(z, HKD_FOR_TRAIN_NOISE, &last);
    CHECK(!memcmp(y + 60, z, 30 * sizeof *y), "an image's noise depends on its batch");
    const hkd_stream s = {77, HKD_FOR_TRAIN_NOISE, 7, 0};
    CHECK(hkd_random_normal(&s, 29) == z[29], "the row and hkd_random_normal disagree");
}

void test_dropout(void) {
    for (int i = 0; i < N * SIZE; i++) ones[i] = 1;
    share();
    streams();
    gradient_mask();
    layouts();
    noise();
}
