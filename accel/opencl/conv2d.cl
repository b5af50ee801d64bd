// conv2d - a padded copy of the picture, on which contract (contract.cl) runs; see conv2d.c. A row is one of the c * n * h_to.

// to [c, n, h_to, w_to], channels `step` apart = from [n, c, h, w], moved down by `top` and right by `left` >= 0, both within
// `to`; 0 elsewhere. Runs are those of the picture; the first and the last of a row write what lies beside it.
kernel void conv2d_pad(global float *to, global const float *from, const int rows, const int w_to, const int h_to, const int n,
                       const int c, const int h, const int w, const int step, const int top, const int left) {
    const run r = run_of(w);
    if (r.row >= rows) return;
    const int plane = r.row / h_to, row = r.row - plane * h_to, i = row - top;
    const int channel = plane / n, image = plane - channel * n;
    to += channel * step + (image * h_to + row) * w_to;
    from += ((image * c + channel) * h + clamp(i, 0, h - 1)) * w;
    const vec v = i >= 0 && i < h ? row_part(from, r.at, w, 0.0f) : (vec)0.0f;
    vec_put(v, to + left, r.at, w, 0);
    for (int k = 0; r.at == 0 && k < left; k++) to[k] = 0.0f;
    for (int k = left + w; r.at + WIDTH >= w && k < w_to; k++) to[k] = 0.0f;
}

// to [c, q, n, h_to, w], channels `step` apart, a row of `image` = h_to * w elements per image: pixel (i, j) of the copy for
// tap column q is (i - top, j + q - left) of from [n, c, area / w, w], or 0. w is a power of two.
kernel void conv2d_copies(global float *to, global const float *from, const int rows, const int image, const int n, const int c,
                          const int area, const int w, const int step, const int top, const int left) {
    const run r = run_of(image);
    if (r.row >= rows) return;
    const int copies = rows / (c * n), which = r.row % n, q = r.row / n % copies, channel = r.row / (n * copies);
    const int shift = q - left, first = r.at - top * w + shift; // where the run begins in the picture
    from += (which * c + channel) * area;
    to += channel * step + (q * n + which) * image;
    vec v;
    if (first >= 0) {
        v = row_part(from, first, area, 0.0f);
    } else {
        float part[WIDTH];
        for (int k = 0; k < WIDTH; k++) part[k] = first + k >= 0 ? from[first + k] : 0.0f;
        v = vec_load(0, part);
    }
    const ints column = ((r.at + vec_lanes()) & (w - 1)) + shift;
    vec_put(select(v, (vec)0.0f, column < 0 || column >= w), to, r.at, image, 0); // nothing of the row beside
}

// conv2d_pad with pixels `spread` apart, and perhaps beyond the border of `to`.
kernel void conv2d_spread(global float *to, global const float *from, const int rows, const int w_to, const int h_to,
                          const int n, const int c, const int h, const int w, const int step, const int top, const int left,
                          const int spread) {
    const run r = run_of(w_to);
    if (r.row >= rows) return;
    const int plane = r.row / h_to, i = r.row - plane * h_to - top, channel = plane / n, image = plane - channel * n;
    const int row = i / spread, first = r.at - left;
    to += channel * step + (image * h_to + i + top) * w_to;
    vec v = 0.0f;
    if (i >= 0 && row < h && row * spread == i) {
        from += ((image * c + channel) * h + row) * w;
        float part[WIDTH];
        for (int k = 0; k < WIDTH; k++) {
            const int at = first + k, column = at / spread;
            part[k] = at >= 0 && column < w && column * spread == at ? from[column] : 0.0f;
        }
        v = vec_load(0, part);
    }
    vec_put(v, to, r.at, w_to, 0);
}
