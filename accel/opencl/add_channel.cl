// add_channel - y = x + b, b constant over the pixels of a channel; b_rows is n, or 1 when all images share it.

kernel void add_channel(global float *y, global const float *x, global const float *b, const int rows, const int area,
                        const int c, const int b_rows) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const float shift = b[b_rows == 1 ? r.row % c : r.row];
    vec_put(row_part(x + r.row * area, r.at, area, 0.0f) + shift, y + r.row * area, r.at, area, 0);
}
