// precond_noise - one number per image. `levels` [1001], the noise levels of IDDPM, is NULL for the other kinds.

kernel void precond_noise(global float *c, global const float *sigma, global const float *levels, const int count,
                          const int kind) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const float s = sigma[i];
    float noise = 0.25f * log(s);
    if (kind == PRECOND_VE) noise = log(0.5f * s);
    if (kind == PRECOND_VP) {
        const float twice_l = 2.0f * log(fma(s, s, 1.0f));
        noise = 999.0f * (twice_l / (sqrt(fma(19.9f, twice_l, 0.01f)) + 0.1f));
    }
    if (kind == PRECOND_IDDPM) {
        int nearest = 0;
        for (int j = 1; j <= 1000; j++)
            if (fabs(levels[j] - s) < fabs(levels[nearest] - s)) nearest = j;
        noise = (float)(999 - nearest);
    }
    c[i] = noise;
}
