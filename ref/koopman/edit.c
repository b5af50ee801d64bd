#include "edit.h"

#include "status.h"

#include <math.h>

hkd_status hkd_mix(double *y, const double *z, const double *z_ref, int64_t n, const hkd_level *level, double ratio,
                   const unsigned char *band, const double *region) {
    if (!(ratio >= 0 && ratio <= 1)) return hkd_fail(HKD_USAGE, "ratio %g: expected a number in [0, 1]", ratio);
    const int64_t area = level->h * level->w;
    for (int64_t c = 0; c < n * level->d; c++)
        for (int64_t s = 0; s < area; s++) {
            const int64_t at = c * area + s;
            const bool on = !band || band[hkd_mode_of(level, c % level->d / 2, s)];
            const double weight = on ? ratio * (region ? region[s] : 1) : 0;
            y[at] = weight == 0 ? z[at] : weight == 1 ? z_ref[at] : (1 - weight) * z[at] + weight * z_ref[at];
        }
    return HKD_OK;
}

void hkd_region_triangle(double *region, int64_t h, int64_t w) {
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) region[i * w + j] = i * w >= j * h;
}

hkd_status hkd_region_rectangle(double *region, int64_t h, int64_t w, double top, double bottom, double left, double right) {
    if (!(top >= 0 && top <= bottom && bottom <= 1 && left >= 0 && left <= right && right <= 1))
        return hkd_fail(HKD_USAGE, "rectangle %g:%g,%g:%g: expected 0 <= top <= bottom <= 1 and 0 <= left <= right <= 1", top,
                        bottom, left, right);
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            const double row = ((double)i + 0.5) / (double)h, col = ((double)j + 0.5) / (double)w;
            region[i * w + j] = row >= top && row < bottom && col >= left && col < right;
        }
    return HKD_OK;
}

/* How far cell k of n and cell q of m overlap when both divide the same line, in units of 1/(n m): whole numbers. */
static int64_t overlap(int64_t k, int64_t n, int64_t q, int64_t m) {
    const int64_t from = k * m > q * n ? k * m : q * n, to = (k + 1) * m < (q + 1) * n ? (k + 1) * m : (q + 1) * n;
    return to > from ? to - from : 0;
}

hkd_status hkd_region_resample(double *region, int64_t h, int64_t w, const double *mask, int64_t mh, int64_t mw) {
    if (mh < 1 || mw < 1) return hkd_fail(HKD_USAGE, "the mask is empty");
    for (int64_t i = 0; i < mh * mw; i++)
        if (!(mask[i] >= 0 && mask[i] <= 1))
            return hkd_fail(HKD_USAGE, "mask pixel %lld is %g: expected [0, 1]", (long long)i, mask[i]);
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            double sum = 0;
            for (int64_t p = i * mh / h; p < mh && p * h < (i + 1) * mh; p++)
                for (int64_t q = j * mw / w; q < mw && q * w < (j + 1) * mw; q++)
                    sum += mask[p * mw + q] * (double)(overlap(i, h, p, mh) * overlap(j, w, q, mw));
            region[i * w + j] = sum / (double)(mh * mw);
        }
    return HKD_OK;
}
