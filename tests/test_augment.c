#include "augment.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { W = 32, H = 32, N = 64 };

static double largest(const double *a, const double *b, int64_t from, int64_t to, int64_t width) {
    double worst = 0;
    for (int64_t y = from; y < to; y++)
        for (int64_t x = from; x < to; x++) worst = fmax(worst, fabs(a[y * width + x] - b[y * width + x]));
    return worst;
}

/* Some number for each pixel, neither symmetric nor smooth. */
static void fill(double *image, int64_t count) {
    for (int64_t i = 0; i < count; i++) image[i] = (double)((i * 7919 + 13) % 101) / 50 - 1;
}

/* Nothing happens: the same bits. Flips: exact, twice is once more the image. */
static void flips(void) {
    double in[2 * H * W], out[2 * H * W];
    fill(in, 2 * H * W);
    hkd_augment_apply(out, in, 2, H, W, &(hkd_augment){0});
    CHECK(!memcmp(in, out, sizeof in), "nothing changes something");
    hkd_augment_apply(out, in, 2, H, W, &(hkd_augment){.xflip = true});
    CHECK(out[H * W + 3 * W + 5] == in[H * W + 3 * W + W - 6], "xflip");
    hkd_augment_apply(out, out, 2, H, W, &(hkd_augment){.xflip = true});
    CHECK(!memcmp(in, out, sizeof in), "xflip twice");
    hkd_augment_apply(out, in, 2, H, W, &(hkd_augment){.yflip = true});
    CHECK(out[H * W + 3 * W + 5] == in[H * W + (H - 4) * W + 5], "yflip");
    hkd_augment_apply(out, in, 2, H, W, &(hkd_augment){.xflip = true, .yflip = true});
    CHECK(out[3 * W + 5] == in[(H - 4) * W + W - 6], "both flips");
}

/* Movements that send pixels onto pixels pass through both filters unchanged, because sym6 is orthogonal: a wrong tap, gain or
 * phase, or a filter mirrored on one side, fails. A shift of 1 is 4 pixels of 32. */
static void whole_pixels(void) {
    double in[H * W], out[H * W];
    const double pi = 3.14159265358979323846;
    fill(in, H * W);
    hkd_augment_apply(out, in, 1, H, W, &(hkd_augment){.shift_x = 1, .shift_y = -0.5});
    double worst = 0;
    for (int y = 0; y < H - 2; y++)
        for (int x = 4; x < W; x++) worst = fmax(worst, fabs(out[y * W + x] - in[(y + 2) * W + x - 4]));
    CHECK(worst < 1e-11, "a shift by 4 and -2 pixels: %g off", worst);
    CHECK(fabs(out[5 * W + 1] - in[7 * W + 3]) < 1e-11, "the left border is not the reflected image");
    hkd_augment_apply(out, in, 1, H, W, &(hkd_augment){.angle = 2 * pi});
    CHECK(largest(out, in, 0, W, W) < 1e-11, "a whole turn: %g", largest(out, in, 0, W, W));
}

/* A smooth picture, moved, against the same formula at the place it came from. */
static double scene(double x, double y) { return cos(0.31 * x + 0.4) * cos(0.23 * y - 0.3) + 0.3 * sin(0.2 * (x + y)); }

/* (x, y) of the output shows (u, v) of the input: written here from the definition, one change at a time. */
static void came_from(double *u, double *v, double x, double y, const hkd_augment *a) {
    x -= a->shift_x * N / 8;
    y -= a->shift_y * N / 8;
    const double along = x * cos(a->axis) + y * sin(a->axis), across = -x * sin(a->axis) + y * cos(a->axis);
    const double s = pow(2, 0.2 * a->stretch), grown = pow(2, 0.2 * a->scale);
    x = along / s * cos(a->axis) - across * s * sin(a->axis);
    y = along / s * sin(a->axis) + across * s * cos(a->axis);
    *u = (x * cos(a->angle) - y * sin(a->angle)) / grown;
    *v = (x * sin(a->angle) + y * cos(a->angle)) / grown;
}

/* Allowed: 0.02 of an amplitude of 1.3. Bilinear sampling of the doubled grid errs by (0.31 / 2)^2 / 8 = 0.003 per axis, the
 * filters' uneven phase by 0.05 pixels where the image turns. A wrong sign, order or centre (half a pixel is 0.15) fails. */
static void smooth(void) {
    static const hkd_augment cases[] = {
        {.scale = 1.5}, {.scale = -1}, {.angle = 0.5}, {.stretch = 1.2}, {.stretch = 1.2, .axis = 0.7},
            {.shift_x = 0.33, .shift_y = 0.2},
        {.scale = 0.7, .angle = -0.4, .stretch = -0.8, .axis = 2.2, .shift_x = 0.3, .shift_y = -0.4},
    };
    double *in = malloc(2 * N * N * sizeof *in), *out = in + N * N;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) in[y * N + x] = scene(x + 0.5 - N / 2.0, y + 0.5 - N / 2.0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double worst = 0, u, v;
        int compared = 0;
        hkd_augment_apply(out, in, 1, N, N, &cases[i]);
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                came_from(&u, &v, x + 0.5 - N / 2.0, y + 0.5 - N / 2.0, &cases[i]);
                if (fabs(u) > N / 2.0 - 6 || fabs(v) > N / 2.0 - 6) continue; /* near the border the reflection comes in */
                worst = fmax(worst, fabs(out[y * N + x] - scene(u, v)));
                compared++;
            }
        CHECK(compared > N * N / 8 && worst < 0.02, "case %d: %g off over %d pixels", (int)i, worst, compared);
    }
    free(in);
}

/* Frequencies of each change, independence of pictures, and the label's nine numbers. */
static void draws(void) {
    enum { PICTURES = 20000 };
    int count[6] = {0}, axis = 0;
    for (uint32_t k = 0; k < PICTURES; k++) {
        const hkd_augment a = hkd_augment_draw(0.12, 9, k);
        count[0] += a.xflip;
        count[1] += a.yflip;
        count[2] += a.scale != 0;
        count[3] += a.angle != 0;
        count[4] += a.stretch != 0;
        count[5] += a.shift_x != 0;
        axis += a.axis != 0;
    }
    static const double share[6] = {0.5, 0.06, 0.12, 0.12, 0.12, 0.12};
    for (int i = 0; i < 6; i++)
        CHECK(fabs(count[i] - PICTURES * share[i]) < 5 * sqrt(PICTURES * share[i] * (1 - share[i])), "change %d: %d of %d", i,
              count[i],
              PICTURES);
    CHECK(fabs(axis - PICTURES * 0.06) < 5 * sqrt(PICTURES * 0.06), "axes: %d", axis);
    const hkd_augment none = hkd_augment_draw(0, 9, 4);
    double label[HKD_AUGMENT_LABELS];
    hkd_augment_label(label, &none);
    for (int i = 0; i < HKD_AUGMENT_LABELS; i++) CHECK(label[i] == 0, "p = 0: label %d is %g", i, label[i]);
    const hkd_augment a = {true, false, 0.5, 0.3, 2, 0.7, -1, 0.25};
    const double expected[] = {1, 0, 0.5, cos(0.3) - 1, sin(0.3), 2 * cos(0.7), 2 * sin(0.7), -1, 0.25};
    hkd_augment_label(label, &a);
    for (int i = 0; i < HKD_AUGMENT_LABELS; i++) CHECK(fabs(label[i] - expected[i]) < 1e-15, "label %d is %g", i, label[i]);
}

void test_augment(void) {
    flips();
    whole_pixels();
    smooth();
    draws();
}
