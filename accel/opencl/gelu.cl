// gelu - the exact form, with erf.

inline vec gelu_below(const vec x) { return 0.5f * (1.0f + erf(0.70710678f * x)); }

kernel void gelu(global float *y, global const float *x, const int rows, const int length) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec v = row_part(x, r.at, length, 0.0f);
    vec_put(v * gelu_below(v), y, r.at, length, 0);
}

kernel void gelu_grad(global float *dx, global const float *dy, global const float *x, const int rows, const int length,
                      const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec v = row_part(x, r.at, length, 0.0f), density = 0.39894228f * exp(-0.5f * v * v);
    vec_put(row_part(dy, r.at, length, 0.0f) * fma(v, density, gelu_below(v)), dx, r.at, length, accumulate);
}
