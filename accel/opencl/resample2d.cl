// resample2d - a run of pixels per work-item. Both directions walk the pairs of a fine pixel 2 i - pad + p and a coarse i.

inline float resample2d_tap(const int taps, const int p) { return taps == 2 ? 0.5f : p == 0 || p == 3 ? 0.125f : 0.375f; }

// Two taps without padding, as most networks have them: the columns 2 j and 2 j + 1 of two rows, a vector of j at a time.
inline vec resample2d_gather_pairs(global const float *fine, const int i, const int at, const int h_fine, const int w_fine) {
    vec sum = 0.0f;
    for (int row = 2 * i; row < min(2 * i + 2, h_fine); row++) {
        const vec a = row_part(fine + row * w_fine, 2 * at, w_fine, 0.0f);
        const vec b = row_part(fine + row * w_fine, 2 * at + WIDTH, w_fine, 0.0f);
        sum = fma((vec)0.25f, vec_evens(a, b), sum);
        sum = fma((vec)0.25f, vec_odds(a, b), sum);
    }
    return sum;
}

// coarse (+)= gain * sum of f fine; a row is one of those of all coarse planes
kernel void resample2d_gather(global float *coarse, global const float *fine, const int rows, const int h, const int w,
                              const int h_fine, const int w_fine, const int taps, const int pad, const float gain,
                              const int accumulate) {
    const run r = run_of(w);
    if (r.row >= rows) return;
    const int i = r.row % h;
    float part[WIDTH];
    fine += r.row / h * h_fine * w_fine;
    if (taps == 2 && pad == 0) {
        vec_put(gain * resample2d_gather_pairs(fine, i, r.at, h_fine, w_fine), coarse + r.row * w, r.at, w, accumulate);
        return;
    }
    for (int k = 0; k < WIDTH; k++) {
        const int j = min(r.at + k, w - 1);
        part[k] = 0.0f;
        for (int p = 0; p < taps; p++) {
            const int row = 2 * i - pad + p;
            if (row < 0 || row >= h_fine) continue;
            for (int q = 0; q < taps; q++) {
                const int column = 2 * j - pad + q;
                if (column < 0 || column >= w_fine) continue;
                part[k] = fma(resample2d_tap(taps, p) * resample2d_tap(taps, q), fine[row * w_fine + column], part[k]);
            }
        }
    }
    vec_put(gain * vec_load(0, part), coarse + r.row * w, r.at, w, accumulate);
}

// fine (+)= gain * sum of f coarse; a row is one of those of all fine planes
kernel void resample2d_spread(global float *fine, global const float *coarse, const int rows, const int h, const int w,
                              const int h_coarse, const int w_coarse, const int taps, const int pad, const float gain,
                              const int accumulate) {
    const run r = run_of(w);
    if (r.row >= rows) return;
    const int i = r.row % h;
    float part[WIDTH];
    coarse += r.row / h * h_coarse * w_coarse;
    if (taps == 2 && pad == 0) { // as above: each coarse pixel twice
        const vec pairs = i / 2 < h_coarse ? row_part(coarse + i / 2 * w_coarse, r.at / 2, w_coarse, 0.0f) : (vec)0.0f;
        vec_put(gain * (0.25f * vec_twice(pairs)), fine + r.row * w, r.at, w, accumulate);
        return;
    }
    for (int k = 0; k < WIDTH; k++) {
        const int j = min(r.at + k, w - 1);
        part[k] = 0.0f;
        for (int p = (i + pad) % 2; p < taps; p += 2) {
            const int row = (i + pad - p) / 2;
            if (i + pad < p || row >= h_coarse) continue;
            for (int q = (j + pad) % 2; q < taps; q += 2) {
                const int column = (j + pad - q) / 2;
                if (j + pad < q || column >= w_coarse) continue;
                part[k] = fma(resample2d_tap(taps, p) * resample2d_tap(taps, q), coarse[row * w_coarse + column], part[k]);
            }
        }
    }
    vec_put(gain * vec_load(0, part), fine + r.row * w, r.at, w, accumulate);
}
