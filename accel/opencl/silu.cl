// silu - exp of -|x| alone: it cannot overflow, and 1 - s is its own quotient instead of a difference.

// s(x) and 1 - s(x)
typedef struct {
    vec s, rest;
} silu_gate;

inline silu_gate silu_gate_of(const vec x) {
    const vec e = exp(-fabs(x)), large = 1.0f / (1.0f + e), small = e * large;
    silu_gate g;
    g.s = select(large, small, x < 0.0f);
    g.rest = select(small, large, x < 0.0f);
    return g;
}

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
    const silu_gate g = silu_gate_of(v);
    vec_put(row_part(dy, r.at, length, 0.0f) * fma(v * g.s, g.rest, g.s), dx, r.at, length, accumulate);
}
