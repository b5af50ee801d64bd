// channel_norm - one work-item walks over the channels of a run of WIDTH pixels.

kernel void channel_norm(global float *y, global const float *x, const int rows, const int area, const int c, const float eps) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const int at = r.at;
    x += r.row * c * area;
    y += r.row * c * area;
    vec squares = 0.0f;
    for (int k = 0; k < c; k++) {
        const vec v = row_part(x + k * area, at, area, 0.0f);
        squares = fma(v, v, squares);
    }
    const vec q = sqrt(squares) + eps;
    for (int k = 0; k < c; k++) vec_put(row_part(x + k * area, at, area, 0.0f) / q, y + k * area, at, area, 0);
}

kernel void channel_norm_grad(global float *dx, global const float *dy, global const float *x, const int rows,
                              const int area, const int c, const float eps, const int accumulate) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const int at = r.at;
    x += r.row * c * area;
    dy += r.row * c * area;
    dx += r.row * c * area;
    vec squares = 0.0f, product = 0.0f;
    for (int k = 0; k < c; k++) {
        const vec v = row_part(x + k * area, at, area, 0.0f);
        squares = fma(v, v, squares);
        product = fma(v, row_part(dy + k * area, at, area, 0.0f), product);
    }
    const vec size = sqrt(squares), q = size + eps;
    const vec slope = select(product / q / size, (vec)0.0f, size == 0.0f); // (p / q) / r, 0 where the length is 0
    for (int k = 0; k < c; k++) {
        const vec d = row_part(dy + k * area, at, area, 0.0f) - row_part(x + k * area, at, area, 0.0f) * slope;
        vec_put(d / q, dx + k * area, at, area, accumulate);
    }
}
