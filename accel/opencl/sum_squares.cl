// sum_squares - each group sums its part of `length` elements; sum_rows joins them.

kernel void sum_squares(global float *parts, global const float *x, const int count, const int length) {
    local float shared[LANES];
    const int first = group_row() * length, size = min(length, count - first);
    vec squares = 0.0f;
    FOR_ROW(at, size) {
        const vec v = row_part(x + first, at, size, 0.0f);
        squares = fma(v, v, squares);
    }
    const float sum = row_sum(squares, shared);
    if (get_local_id(0) == 0) parts[group_row()] = sum;
}

kernel void sum_squares_grad(global float *dx, global const float *dy, global const float *x, const int rows, const int length,
                             const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    vec_put(2.0f * row_part(x, r.at, length, 0.0f) * dy[0], dx, r.at, length, accumulate);
}
