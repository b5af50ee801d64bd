// resample2d - one work-item gathers one pixel. Both directions walk the pairs of a fine pixel 2 i - pad + p and a coarse i.

inline float resample2d_tap(const int taps, const int p) { return taps == 2 ? 0.5f : p == 0 || p == 3 ? 0.125f : 0.375f; }

// coarse (+)= gain * sum of f fine
kernel void resample2d_gather(global float *coarse, global const float *fine, const int count, const int h, const int w,
                              const int h_fine, const int w_fine, const int taps, const int pad, const float gain,
                              const int accumulate) {
    const int at = get_global_id(0);
    if (at >= count) return;
    const int j = at % w, i = at / w % h, plane = at / (w * h) * h_fine * w_fine;
    float sum = 0.0f;
    for (int p = 0; p < taps; p++) {
        const int row = 2 * i - pad + p;
        if (row < 0 || row >= h_fine) continue;
        for (int q = 0; q < taps; q++) {
            const int column = 2 * j - pad + q;
            if (column < 0 || column >= w_fine) continue;
            sum = fma(resample2d_tap(taps, p) * resample2d_tap(taps, q), fine[plane + row * w_fine + column], sum);
        }
    }
    put(gain * sum, coarse, at, accumulate);
}

// fine (+)= gain * sum of f coarse
kernel void resample2d_spread(global float *fine, global const float *coarse, const int count, const int h, const int w,
                              const int h_coarse, const int w_coarse, const int taps, const int pad, const float gain,
                              const int accumulate) {
    const int at = get_global_id(0);
    if (at >= count) return;
    const int j = at % w, i = at / w % h, plane = at / (w * h) * h_coarse * w_coarse;
    float sum = 0.0f;
    for (int p = (i + pad) % 2; p < taps; p += 2) {
        const int row = (i + pad - p) / 2;
        if (i + pad < p || row >= h_coarse) continue;
        for (int q = (j + pad) % 2; q < taps; q += 2) {
            const int column = (j + pad - q) / 2;
            if (j + pad < q || column >= w_coarse) continue;
            sum = fma(resample2d_tap(taps, p) * resample2d_tap(taps, q), coarse[plane + row * w_coarse + column], sum);
        }
    }
    put(gain * sum, fine, at, accumulate);
}
