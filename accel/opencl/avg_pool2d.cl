// avg_pool2d - in backward every pixel gathers from the windows it lies in.

// one divided by the number of places that window (i, j) counts
inline float avg_pool_weight(const hkd_pool_shape d, const int count_pad, const int i, const int j) {
    const int top = i * d.stride - d.pad, left = j * d.stride - d.pad, pad = count_pad ? d.pad : 0;
    const int rows = min(top + d.k_h, d.h + pad) - max(top, -pad), columns = min(left + d.k_w, d.w + pad) - max(left, -pad);
    return 1.0f / (float)(rows * columns);
}

kernel void avg_pool2d(global float *y, global const float *x, const int count, const hkd_pool_shape d, const int count_pad) {
    const int at = get_global_id(0);
    if (at >= count) return;
    const int i = at / d.w_out % d.h_out, j = at % d.w_out, top = i * d.stride - d.pad, left = j * d.stride - d.pad;
    x += at / (d.h_out * d.w_out) * d.h * d.w;
    float sum = 0.0f;
    for (int row = max(top, 0); row < min(top + d.k_h, d.h); row++)
        for (int column = max(left, 0); column < min(left + d.k_w, d.w); column++) sum += x[row * d.w + column];
    y[at] = sum * avg_pool_weight(d, count_pad, i, j);
}

kernel void avg_pool2d_grad(global float *dx, global const float *dy, const int count, const hkd_pool_shape d,
                            const int count_pad, const int accumulate) {
    const int at = get_global_id(0);
    if (at >= count) return;
    const int plane = at / (d.h * d.w), row = at / d.w % d.h, column = at % d.w;
    dy += plane * d.h_out * d.w_out;
    float sum = 0.0f;
    for (int i = pool_first(row, d.k_h, d.stride, d.pad); i <= pool_last(row, d.h_out, d.stride, d.pad); i++)
        for (int j = pool_first(column, d.k_w, d.stride, d.pad); j <= pool_last(column, d.w_out, d.stride, d.pad); j++)
            sum = fma(avg_pool_weight(d, count_pad, i, j), dy[i * d.w_out + j], sum);
    put(sum, dx, at, accumulate);
}
