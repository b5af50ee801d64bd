// resize_bilinear - places come from whole numbers; unsigned, since a product of two sides may need all 32 bits.

// how much of source place `at` enters result i along one axis
inline float resize_share(const uint i, const uint at, const uint in, const uint out) {
    const uint lower = i * in / out, upper = min(lower + 1u, in - 1u);
    const float f = (float)(i * in % out) / (float)out;
    return (lower == at ? 1.0f - f : 0.0f) + (upper == at ? f : 0.0f);
}

kernel void resize_bilinear(global float *y, global const float *x, const int count, const int h, const int w, const int h_out,
                            const int w_out) {
    const int id = get_global_id(0);
    if (id >= count) return;
    const uint i = id / w_out % h_out, j = id % w_out;
    const uint top = i * (uint)h / (uint)h_out, left = j * (uint)w / (uint)w_out;
    x += id / (h_out * w_out) * h * w;
    float sum = 0.0f;
    for (uint row = top; row <= min(top + 1u, (uint)h - 1u); row++)
        for (uint column = left; column <= min(left + 1u, (uint)w - 1u); column++)
            sum = fma(resize_share(i, row, h, h_out) * resize_share(j, column, w, w_out), x[row * (uint)w + column], sum);
    y[id] = sum;
}

// the results that read source place `at`: first .. end - 1
inline uint resize_first(const uint at, const uint in, const uint out) {
    return at == 0u ? 0u : ((at - 1u) * out + in - 1u) / in;
}
inline uint resize_end(const uint at, const uint in, const uint out) {
    return at + 1u == in ? out : ((at + 1u) * out + in - 1u) / in;
}

kernel void resize_bilinear_grad(global float *dx, global const float *dy, const int count, const int h, const int w,
                                 const int h_out, const int w_out, const int accumulate) {
    const int id = get_global_id(0);
    if (id >= count) return;
    const uint row = id / w % h, column = id % w;
    dy += id / (h * w) * h_out * w_out;
    float sum = 0.0f;
    for (uint i = resize_first(row, h, h_out); i < resize_end(row, h, h_out); i++)
        for (uint j = resize_first(column, w, w_out); j < resize_end(column, w, w_out); j++)
            sum = fma(resize_share(i, row, h, h_out) * resize_share(j, column, w, w_out), dy[i * (uint)w_out + j], sum);
    put(sum, dx, id, accumulate);
}
