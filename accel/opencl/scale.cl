// scale - to (+)= s x; also what copies a gradient (s = 1).

kernel void scale(global float *to, global const float *x, const int rows, const int length, const float s,
                  const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    vec_put(s * row_part(x, r.at, length, 0.0f), to, r.at, length, accumulate);
}
