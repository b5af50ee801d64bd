// concat - `length` of every `from_step` elements to the same place of every `to_step`.

kernel void concat(global float *to, global const float *from, const int rows, const int length, const int to_step,
                   const int to_start, const int from_step, const int from_start, const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    vec_put(row_part(from + r.row * from_step + from_start, r.at, length, 0.0f), to + r.row * to_step + to_start, r.at, length,
            accumulate);
}
