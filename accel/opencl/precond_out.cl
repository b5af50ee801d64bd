// precond_out - f has f_size elements per sample, of which the first `size` are used.

kernel void precond_out(global float *y, global const float *x, global const float *f, global const float *sigma,
                        const int rows, const int size, const int f_size, const int kind, const float data) {
    const run r = run_of(size);
    if (r.row >= rows) return;
    const float c_skip = precond_c_skip(sigma[r.row], kind, data), c_out = precond_c_out(sigma[r.row], kind, data);
    const vec part = c_out * row_part(f + r.row * f_size, r.at, size, 0.0f);
    vec_put(fma((vec)c_skip, row_part(x + r.row * size, r.at, size, 0.0f), part), y + r.row * size, r.at, size, 0);
}

// dx [n, size] for to_f = 0, df [n, length] for to_f = 1; `length` is the one or the other
kernel void precond_out_grad(global float *to, global const float *dy, global const float *sigma, const int rows,
                             const int length, const int size, const int kind, const float data, const int to_f,
                             const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const float c = to_f ? precond_c_out(sigma[r.row], kind, data) : precond_c_skip(sigma[r.row], kind, data);
    vec_put(c * row_part(dy + r.row * size, r.at, size, 0.0f), to + r.row * length, r.at, length, accumulate);
}
