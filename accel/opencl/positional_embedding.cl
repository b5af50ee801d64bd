// positional_embedding - y [n, 2 h] from c [n] and frequencies [h]

kernel void positional_embedding(global float *y, global const float *c, global const float *frequencies, const int count,
                                 const int h, const int swap) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const int k = i % h, n = i / h, at = n * 2 * h + k;
    const float theta = c[n] * frequencies[k];
    y[at + (swap ? h : 0)] = cos(theta);
    y[at + (swap ? 0 : h)] = sin(theta);
}

// terms [n, h] of dc
kernel void positional_embedding_grad(global float *terms, global const float *dy, global const float *c,
                                      global const float *frequencies, const int count, const int h, const int swap) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const int k = i % h, n = i / h, at = n * 2 * h + k;
    const float f = frequencies[k], theta = c[n] * f;
    const float dcos = dy[at + (swap ? h : 0)], dsin = dy[at + (swap ? 0 : h)];
    terms[i] = f * fma(cos(theta), dsin, -(sin(theta) * dcos));
}
