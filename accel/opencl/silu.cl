// silu - its gate stands in silu.clh.

kernel void silu(global float *y, global const float *x, const int rows, const int length) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec v = row_part(x, r.at, length, 0.0f);
    vec_put(v * silu_gate_of(v).s, y, r.at, length, 0);
}

kernel void silu_grad(global float *dx, global const float *dy, global const float *x, const int rows, const int length,
                      const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec v = row_part(x, r.at, length, 0.0f);
    vec_put(row_part(dy, r.at, length, 0.0f) * silu_slope(v), dx, r.at, length, accumulate);
}
