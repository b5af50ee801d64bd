/* Restoration: what is known stays (bits, luma, means), what is not known is generated as the closed form says; hkd inpaint and
 * hkd colorize keep the very bytes. */
#include "image.h"
#include "program.h"
#include "restore.h"
#include "rng.h"
#include "schedule.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, AREA = SIDE * SIDE, SIZE = 3 * AREA };

static double luma(const double *x, int i) { return 0.2989 * x[i] + 0.5870 * x[AREA + i] + 0.1140 * x[2 * AREA + i]; }

/* K is a projection: twice is once, y itself is left alone, and what is kept of x is y's. */
static void projections(void) {
    unsigned char known[AREA];
    double x[SIZE], y[SIZE], once[SIZE];
    for (int i = 0; i < AREA; i++) known[i] = i % 3 == 0;
    for (int keep = 0; keep < 3; keep++) {
        const hkd_known k = {(hkd_keep)keep, 3, SIDE, known, 4};
        hkd_random_normals(x, 0, SIZE, &(hkd_stream){.seed = 1, .purpose = HKD_FOR_TEST});
        hkd_random_normals(y, 0, SIZE, &(hkd_stream){.seed = 2, .purpose = HKD_FOR_TEST});
        double before[SIZE], worst = 0, again = 0, moved = 0;
        memcpy(before, x, sizeof x);
        hkd_known_restore(x, y, 1, &k);
        memcpy(once, x, sizeof x);
        hkd_known_restore(x, y, 1, &k);
        for (int i = 0; i < SIZE; i++) again = fmax(again, fabs(x[i] - once[i])), moved = fmax(moved, fabs(x[i] - before[i]));
        for (int i = 0; i < AREA && keep == HKD_KEEP_GRAY; i++) worst = fmax(worst, fabs(luma(x, i) - luma(y, i)));
        for (int i = 0; i < SIZE && keep == HKD_KEEP_PIXELS; i++)
            CHECK(x[i] == (known[i % AREA] ? y[i] : before[i]), "element %d of a masked picture is neither", i);
        for (int p = 0; p < 12 && keep == HKD_KEEP_MEANS; p++) {
            double mean[2] = {0, 0};
            for (int i = 0; i < 16; i++) {
                const int e = (p / 2 * 4 + i / 4) * SIDE + p % 2 * 4 + i % 4;
                mean[0] += x[e] / 16, mean[1] += y[e] / 16;
            }
            worst = fmax(worst, fabs(mean[0] - mean[1]));
        }
        CHECK(again < 1e-14 && moved > 0.1, "keep %d: moves by %g, then again by %g", keep, moved, again);
        CHECK(worst < 1e-14, "keep %d: what is known is off by %g", keep, worst);
    }
}

/* Data N(0.1, 0.2^2) per pixel, each pixel by itself: with the exact one-step map of that Gaussian the unknown pixels end with
 * that mean and spread, whatever the known ones are. Catches noise of the wrong level (too wide or too narrow in the end). */
static hkd_status flow(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    (void)self;
    const double shrink = sqrt((0.04 + 0.002 * 0.002) / (0.04 + sigma * sigma));
    for (int64_t i = 0; i < n * size; i++) d[i] = 0.1 + shrink * (x[i] - 0.1);
    return HKD_OK;
}

static void gaussian(void) {
    enum { N = 32, STEPS = 18 };
    static double x[N * SIZE], y[N * SIZE];
    unsigned char known[AREA];
    uint64_t seeds[N];
    double levels[STEPS], sum = 0, square = 0;
    int count = 0;
    for (int i = 0; i < N; i++) seeds[i] = (uint64_t)i;
    for (int i = 0; i < AREA; i++) known[i] = i < AREA / 2;
    for (int i = 0; i < N * SIZE; i++) y[i] = 0.7;
    for (int i = 0; i < STEPS; i++) levels[i] = fmax(0.002, hkd_karras_sigma(i / (STEPS - 1.0), 0.002, 80, 7));
    hkd_sampling s = {.denoise = flow, .n = N, .size = SIZE, .seeds = seeds};
    const hkd_known k = {HKD_KEEP_PIXELS, 3, SIDE, known, 0};
    CHECK(!hkd_restore(&s, x, y, &k, levels, STEPS, 0.002), "%s", hkd_last_error());
    CHECK(s.nfe == STEPS, "%d evaluations for %d levels", (int)s.nfe, (int)STEPS);
    for (int i = 0; i < N * SIZE; i++) {
        if (known[i % AREA]) CHECK(x[i] == 0.7, "a known pixel changed to %g", x[i]);
        else sum += x[i], square += x[i] * x[i], count++;
    }
    const double mean = sum / count, spread = sqrt(square / count - mean * mean);
    CHECK(fabs(mean - 0.1) < 5 * 0.2 / sqrt(count) && fabs(spread - 0.2) < 5 * 0.2 / sqrt(2 * count),
          "mean %g, spread %g, expected 0.1, 0.2",
          mean, spread);
    CHECK(hkd_restore(&s, x, y, &(hkd_known){HKD_KEEP_MEANS, 3, SIDE, NULL, 3}, levels, 2, 0.002) == HKD_USAGE,
          "8 is no multiple of 3");
    CHECK(hkd_restore(&s, x, y, &(hkd_known){HKD_KEEP_GRAY, 1, SIDE, NULL, 0}, levels, 2, 0.002) == HKD_USAGE,
          "gray has no colours");
}

/* The program: known pixels come back as the very bytes, for any mask; the hole changes; luma survives; every seed differs. */
static void verbs(const char *model) {
    hkd_image a, mask, b;
    char picture[512], hole[512];
    snprintf(picture, sizeof picture, "%s", scratch("a.ppm"));
    snprintf(hole, sizeof hole, "%s", scratch("hole.pgm"));
    CHECK(!hkd_image_new(&a, SIDE, SIDE, 3) && !hkd_image_new(&mask, SIDE, SIDE, 1), "%s", hkd_last_error());
    for (int i = 0; i < SIZE; i++) a.pixels[i] = (unsigned char)(i * 41);
    for (int i = 0; i < AREA; i++) mask.pixels[i] = i % 5 == 0 ? 255 : 0;
    CHECK(!hkd_image_write(picture, &a, NULL, 0) && !hkd_image_write(hole, &mask, NULL, 0), "%s", hkd_last_error());
    CHECK(program("inpaint --model %s %s --mask %s --seeds 4 --steps 4 --out %s", model, picture, hole, scratch("b.ppm")) == 0,
          "%s",
          program_err());
    if (CHECK(!hkd_image_read(&b, scratch("b.ppm")), "%s", hkd_last_error())) {
        int changed = 0;
        CHECK(b.width == SIDE && b.height == SIDE, "one seed gives %d x %d", (int)b.width, (int)b.height);
        for (int i = 0; i < SIZE; i++) {
            if (mask.pixels[i / 3]) changed += a.pixels[i] != b.pixels[i];
            else CHECK(a.pixels[i] == b.pixels[i], "known byte %d changed from %d to %d", i, a.pixels[i], b.pixels[i]);
        }
        CHECK(changed > 0, "the hole was not filled");
        hkd_image_free(&b);
    }
    CHECK(program("colorize --device ref --model %s %s --seeds 0-1 --steps 3 --out %s", model, picture,
                  scratch("c.safetensors")) == 0, "%s",
          program_err());
    double *x = tensor_in_file(scratch("c.safetensors"), "restored", NULL, NULL);
    double *y = tensor_in_file(scratch("c.safetensors"), "picture", NULL, NULL);
    double worst = 0;
    for (int i = 0; x && y && i < 2 * AREA; i++)
        worst = fmax(worst, fabs(luma(x + i / AREA * SIZE, i % AREA) - luma(y + i / AREA * SIZE, i % AREA)));
    CHECK(x && y && worst < 1e-14, "the luma is off by %g", worst);
    if (x) CHECK(memcmp(x, x + SIZE, SIZE * sizeof *x), "two seeds give the same colours");
    free(x), free(y);
    CHECK(program("inpaint --model %s %s --superres 4 --seeds 0 --steps 2 --out %s/", model, picture, scratch("large")) == 0,
          "%s",
          program_err());
    program_refuses(2, "expected a divisor", "inpaint --model %s %s --superres 3 --out %s", model, picture,
                    scratch("none.png"));
    program_refuses(2, "not both", "inpaint --model %s %s --superres 2 --mask %s --out %s", model, picture, hole,
                    scratch("none.png"));
    hkd_image_free(&mask);
    CHECK(!hkd_image_new(&mask, 4, 4, 1) && !hkd_image_write(hole, &mask, NULL, 0), "%s", hkd_last_error());
    program_refuses(3, "expected the model's 8 x 8", "inpaint --model %s %s --mask %s --out %s", model, picture, hole,
                    scratch("none.png"));
    program_refuses(3, "expected the model's 8 x 8", "colorize --model %s %s --out %s", model, hole, scratch("none.png"));
    hkd_image_free(&a);
    hkd_image_free(&mask);
}

void test_restore(void) {
    char path[512];
    const hkd_config c = small_config(true, 0);
    snprintf(path, sizeof path, "%s", scratch("restore.safetensors"));
    small_model_file(path, &c);
    projections();
    gaussian();
    verbs(path);
}
