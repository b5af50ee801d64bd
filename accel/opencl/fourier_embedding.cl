// fourier_embedding - y [n, 2 f]

inline float fourier_angle(const float frequency, const float c) { return 6.2831853f * frequency * c; }

kernel void fourier_embedding(global float *y, global const float *c, global const float *freqs, const int count, const int f,
                              const int swap) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const int k = i % f, n = i / f, at = n * 2 * f + k;
    const float theta = fourier_angle(freqs[k], c[n]);
    y[at + (swap ? f : 0)] = cos(theta);
    y[at + (swap ? 0 : f)] = sin(theta);
}

// terms [n, f] of dc
kernel void fourier_embedding_grad(global float *terms, global const float *dy, global const float *c,
                                   global const float *freqs, const int count, const int f, const int swap) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const int k = i % f, n = i / f, at = n * 2 * f + k;
    const float theta = fourier_angle(freqs[k], c[n]);
    const float dcos = dy[at + (swap ? f : 0)], dsin = dy[at + (swap ? 0 : f)];
    terms[i] = fourier_angle(freqs[k], 1.0f) * fma(cos(theta), dsin, -(sin(theta) * dcos));
}
