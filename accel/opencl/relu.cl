// relu - not fmax: NaN stays NaN.

kernel void relu(global float *y, global const float *x, const int rows, const int length) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec v = row_part(x, r.at, length, 0.0f);
    vec_put(select(v, (vec)0.0f, v <= 0.0f), y, r.at, length, 0);
}

kernel void relu_grad(global float *dx, global const float *dy, global const float *y, const int rows, const int length,
                      const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec passed = select((vec)0.0f, row_part(dy, r.at, length, 0.0f), row_part(y, r.at, length, 0.0f) > 0.0f);
    vec_put(passed, dx, r.at, length, accumulate);
}
