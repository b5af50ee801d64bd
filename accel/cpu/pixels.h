/* pixels.h - a pixel as a weighted sum of other pixels, all channels at once: filters, pooling and interpolation. */
#ifndef HKD_CPU_PIXELS_H
#define HKD_CPU_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t at; /* pixel index */
    float w;
} hkd_tap;

/* y[c] (+)= sum over taps of w x[at][c], for the c channels of one pixel. */
static inline void hkd_mix_pixels(float *y, const float *x, const hkd_tap *tap, int taps, int64_t channels, bool add) {
    enum { BLOCK = 64 };
    for (int64_t c = 0; c < channels; c += BLOCK) {
        const int64_t width = channels - c < BLOCK ? channels - c : BLOCK;
        float sum[BLOCK] = {0};
        for (int t = 0; t < taps; t++) {
            const float *from = x + tap[t].at * channels + c, w = tap[t].w;
            for (int64_t k = 0; k < width; k++) sum[k] += w * from[k];
        }
        for (int64_t k = 0; k < width; k++) y[c + k] = (add ? y[c + k] : 0) + sum[k];
    }
}

#endif
