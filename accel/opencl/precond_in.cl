// precond_in - y [n, size] (+)= c_in x, forward and backward alike.

kernel void precond_in(global float *y, global const float *x, global const float *sigma, const int rows, const int size,
                       const int kind, const float data, const int accumulate) {
    const run r = run_of(size);
    if (r.row >= rows) return;
    const float c = precond_c_in(sigma[r.row], kind, data);
    vec_put(c * row_part(x + r.row * size, r.at, size, 0.0f), y + r.row * size, r.at, size, accumulate);
}
