// softmax - one row of numbers is one row of work.

kernel void softmax(global float *y, global const float *x, const int length) {
    local float shared[LANES];
    x += group_row() * length;
    y += group_row() * length;
    vec largest = -INFINITY, total = 0.0f;
    FOR_ROW(at, length) largest = fmax(largest, row_part(x, at, length, -INFINITY));
    const float top = row_max(largest, shared);
    FOR_ROW(at, length) total += exp(row_part(x, at, length, -INFINITY) - top);
    const float sum = row_sum(total, shared);
    FOR_ROW(at, length) vec_put(exp(row_part(x, at, length, 0.0f) - top) / sum, y, at, length, 0);
}

kernel void softmax_grad(global float *dx, global const float *dy, global const float *y, const int length,
                         const int accumulate) {
    local float shared[LANES];
    y += group_row() * length;
    dy += group_row() * length;
    dx += group_row() * length;
    vec part = 0.0f;
    FOR_ROW(at, length) part = fma(row_part(y, at, length, 0.0f), row_part(dy, at, length, 0.0f), part);
    const float d = row_sum(part, shared);
    FOR_ROW(at, length)
        vec_put(row_part(y, at, length, 0.0f) * (row_part(dy, at, length, 0.0f) - d), dx, at, length, accumulate);
}
