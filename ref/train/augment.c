#include "augment.h"

#include "exact.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- what happens ----------------------------------------------------------------------------------------------------- */

hkd_augment hkd_augment_draw(double p, uint64_t seed, uint32_t index) {
    const hkd_stream chance = {.seed = seed, .purpose = HKD_FOR_AUGMENT, .index = index, .draw = 0};
    const hkd_stream amount = {.seed = seed, .purpose = HKD_FOR_AUGMENT, .index = index, .draw = 1};
    bool happens[6];
    double z[4], u[2];
    for (uint64_t i = 0; i < 6; i++) happens[i] = hkd_random_uniform(&chance, i) < (i ? p : p > 0); /* xflip: always drawn */
    for (uint64_t i = 0; i < 4; i++) z[i] = hkd_random_normal(&amount, i);
    for (uint64_t i = 0; i < 2; i++) u[i] = (2 * hkd_random_uniform(&amount, 4 + i) - 1) * PI;
    return (hkd_augment){
        .xflip = happens[0] && hkd_random_uniform(&chance, 6) < 0.5,
        .yflip = happens[1] && hkd_random_uniform(&chance, 7) < 0.5,
        .scale = happens[2] ? z[0] : 0,
        .angle = happens[3] ? u[0] : 0,
        .stretch = happens[4] ? z[1] : 0,
        .axis = happens[4] && hkd_random_uniform(&chance, 8) < 0.5 ? u[1] : 0,
        .shift_x = happens[5] ? z[2] : 0,
        .shift_y = happens[5] ? z[3] : 0,
    };
}

void hkd_augment_label(double label[HKD_AUGMENT_LABELS], const hkd_augment *a) {
    const double values[HKD_AUGMENT_LABELS] = {
        a->xflip, a->yflip, a->scale, hkd_cos(a->angle) - 1, hkd_sin(a->angle), a->stretch * hkd_cos(a->axis),
        a->stretch * hkd_sin(a->axis), a->shift_x, a->shift_y,
    };
    memcpy(label, values, sizeof values);
}

/* ---- the affine map --------------------------------------------------------------------------------------------------- */

typedef struct {
    double xx, xy, x0, yx, yy, y0; /* x' = xx x + xy y + x0 */
} affine;

static affine turn(double angle) { return (affine){hkd_cos(angle), -hkd_sin(angle), 0, hkd_sin(angle), hkd_cos(angle), 0}; }

/* a after b */
static affine after(affine a, affine b) {
    return (affine){a.xx * b.xx + a.xy * b.yx, a.xx * b.xy + a.xy * b.yy, a.xx * b.x0 + a.xy * b.y0 + a.x0,
                    a.yx * b.xx + a.yy * b.yx, a.yx * b.xy + a.yy * b.yy, a.yx * b.x0 + a.yy * b.y0 + a.y0};
}

/* From a place in the output to the place in the input that it shows, both from the centre in pixels. */
static affine input_of_output(const hkd_augment *a, double width, double height) {
    const double shrink = hkd_pow(2, -0.2 * a->scale), squeeze = hkd_pow(2, -0.2 * a->stretch);
    const affine scale = {shrink, 0, 0, 0, shrink, 0}, along = {squeeze, 0, 0, 0, 1 / squeeze, 0};
    const affine back = {1, 0, -a->shift_x * width / 8, 0, 1, -a->shift_y * height / 8};
    const affine stretch = after(turn(a->axis), after(along, turn(-a->axis)));
    return after(scale, after(turn(a->angle), after(stretch, back)));
}

/* ---- twice the resolution and back ------------------------------------------------------------------------------------ */

enum { TAPS = 12, REACH = 5 };

/* sym6's low-pass filter: sum sqrt(2), orthonormal to its shifts by 2. It is not symmetric; its mean lies at tap 5.1, so tap 5
 * is taken for its centre: fine sample j sits at place j / 2. */
static const double sym6[TAPS] = {
    0.015404109327027373,  0.0034907120842174702, -0.11799011114819057, -0.048311742585633,   0.4910559419267466,
    0.787641141030194,     0.3379294217276218,    -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
};

/* An image with a border: value i of a line stands for place i - border. */
typedef struct {
    double *values;
    int64_t width, height, border_x, border_y;
} plane;

static int64_t reflected(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i; }

/* The fine grid over one channel and its reflections, w - 1 and h - 1 pixels to each side; `half`: scratch of that size. */
static void refine(plane *fine, double *half, const double *in, int64_t h, int64_t w) {
    const int64_t wide = 3 * w - 2, tall = 3 * h - 2;
    for (int64_t y = 0; y < tall; y++)
        for (int64_t j = 0; j < fine->width; j++) {
            double sum = 0;
            for (int64_t n = (j - 6) / 2; n <= (j + REACH) / 2; n++) {
                const int64_t tap = j - 2 * n + REACH;
                if (n >= 0 && n < wide && tap >= 0 && tap < TAPS)
                    sum += in[reflected(y - (h - 1), h) * w + reflected(n - (w - 1), w)] * sym6[tap];
            }
            half[y * fine->width + j] = sqrt(2) * sum;
        }
    for (int64_t j = 0; j < fine->height; j++)
        for (int64_t x = 0; x < fine->width; x++) {
            double sum = 0;
            for (int64_t n = (j - 6) / 2; n <= (j + REACH) / 2; n++) {
                const int64_t tap = j - 2 * n + REACH;
                if (n >= 0 && n < tall && tap >= 0 && tap < TAPS) sum += half[n * fine->width + x] * sym6[tap];
            }
            fine->values[j * fine->width + x] = sqrt(2) * sum;
        }
}

static double at(const plane *p, int64_t y, int64_t x) {
    return y >= 0 && y < p->height && x >= 0 && x < p->width ? p->values[y * p->width + x] : 0;
}

static double bilinear(const plane *p, double y, double x) {
    const double fy = floor(y), fx = floor(x), b = y - fy, a = x - fx;
    const int64_t iy = (int64_t)fmax(fmin(fy, 1e9), -1e9), ix = (int64_t)fmax(fmin(fx, 1e9), -1e9);
    return (1 - b) * ((1 - a) * at(p, iy, ix) + a * at(p, iy, ix + 1)) + b * ((1 - a) * at(p, iy + 1, ix) + a * at(p, iy + 1,
                                                                                                                   ix + 1));
}

/* Places that differ from a pixel's by rounding alone are that pixel: the identity stays exact. */
static double snapped(double v) { return fabs(v - rint(v)) < 1e-9 ? rint(v) : v; }

/* out [h, w] = the fine grid seen through `map`, filtered and thinned out. rows: scratch [2 h + 10, 2 w + 10]. */
static void resample(double *out, double *rows, const plane *fine, const affine *map, int64_t h, int64_t w) {
    const int64_t wide = 2 * w + 2 * REACH, tall = 2 * h + 2 * REACH;
    for (int64_t j = 0; j < tall; j++)
        for (int64_t i = 0; i < wide; i++) {
            const double x = (double)(i - REACH) / 2 + 0.5 - (double)w / 2;
            const double y = (double)(j - REACH) / 2 + 0.5 - (double)h / 2;
            const double from_x = map->xx * x + map->xy * y + map->x0, from_y = map->yx * x + map->yy * y + map->y0;
            rows[j * wide + i] = bilinear(fine, snapped(2 * from_y + (double)(h - 1 + fine->border_y)),
                                          snapped(2 * from_x + (double)(w - 1 + fine->border_x)));
        }
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            double sum = 0;
            for (int64_t k = 0; k < TAPS; k++) {
                double line = 0;
                for (int64_t l = 0; l < TAPS; l++) line += sym6[l] * rows[(2 * y + k) * wide + 2 * x + l];
                sum += sym6[k] * line;
            }
            out[y * w + x] = sum / 2;
        }
}

/* ---- all of it -------------------------------------------------------------------------------------------------------- */

static void flip(double *image, int64_t h, int64_t w, bool xflip, bool yflip) {
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const int64_t other = (yflip ? h - 1 - y : y) * w + (xflip ? w - 1 - x : x), own = y * w + x;
            if (other <= own) continue;
            const double v = image[own];
            image[own] = image[other];
            image[other] = v;
        }
}

hkd_status hkd_augment_apply(double *out, const double *in, int64_t channels, int64_t h, int64_t w, const hkd_augment *a) {
    const bool moves = a->scale != 0 || a->angle != 0 || a->stretch != 0 || a->shift_x != 0 || a->shift_y != 0;
    if (h < 0 || w < 0 || h > 4096 || w > 4096) return hkd_fail(HKD_USAGE,
                                                                "augment: images of at most 4096 pixels a side expected");
    if (out != in && channels * h * w > 0) memcpy(out, in, (size_t)(channels * h * w) * sizeof *out);
    for (int64_t c = 0; c < channels; c++) flip(out + c * h * w, h, w, a->xflip, a->yflip);
    if (!moves || h == 0 || w == 0) return HKD_OK;
    plane fine = {.width = 2 * (3 * w - 2), .height = 2 * (3 * h - 2), .border_x = 2 * (w - 1), .border_y = 2 * (h - 1)};
    const size_t size = (size_t)(fine.width * fine.height), rows = (size_t)((2 * w + 2 * REACH) * (2 * h + 2 * REACH));
    double *memory = malloc((2 * size + rows) * sizeof *memory);
    if (!memory) return hkd_fail(HKD_RESOURCES, "augment: out of memory");
    const affine map = input_of_output(a, (double)w, (double)h);
    fine.values = memory;
    for (int64_t c = 0; c < channels; c++) {
        refine(&fine, memory + size, out + c * h * w, h, w);
        resample(out + c * h * w, memory + 2 * size, &fine, &map, h, w);
    }
    free(memory);
    return HKD_OK;
}
