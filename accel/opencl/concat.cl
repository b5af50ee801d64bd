// concat - the rows of a, then those of b, `longest` elements at most, each to its share of every image.

kernel void concat(global float *to, global const float *a, global const float *b, const int rows, const int longest,
                   const int length_a, const int length_b) {
    const run r = run_of(longest);
    if (r.row >= rows) return;
    const int second = r.row >= rows / 2, image = second ? r.row - rows / 2 : r.row, length = second ? length_b : length_a;
    if (r.at >= length) return;
    global const float *from = second ? b : a;
    vec_put(row_part(from + image * length, r.at, length, 0.0f),
            to + image * (length_a + length_b) + (second ? length_a : 0), r.at, length, 0);
}

// to [rows, length] (+)= its share of every image, which has `whole` elements
kernel void concat_grad(global float *to, global const float *from, const int rows, const int length, const int whole,
                        const int start, const int accumulate) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    vec_put(row_part(from + r.row * whole + start, r.at, length, 0.0f), to + r.row * length, r.at, length, accumulate);
}
