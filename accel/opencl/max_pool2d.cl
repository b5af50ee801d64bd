// max_pool2d - in backward every pixel asks the windows it lies in whether they chose it, so nothing is written twice.

inline int max_pool_choice(global const float *x, const hkd_pool_shape d, const int i, const int j) {
    const int top = i * d.stride - d.pad, left = j * d.stride - d.pad;
    int best = -1;
    for (int row = max(top, 0); row < min(top + d.k_h, d.h); row++)
        for (int column = max(left, 0); column < min(left + d.k_w, d.w); column++) {
            const int at = row * d.w + column;
            if (best < 0 || x[at] > x[best] || (isnan(x[at]) && !isnan(x[best]))) best = at;
        }
    return best;
}

kernel void max_pool2d(global float *y, global const float *x, const int count, const hkd_pool_shape d) {
    const int at = get_global_id(0);
    if (at >= count) return;
    x += at / (d.h_out * d.w_out) * d.h * d.w;
    y[at] = x[max_pool_choice(x, d, at / d.w_out % d.h_out, at % d.w_out)];
}

kernel void max_pool2d_grad(global float *dx, global const float *dy, global const float *x, const int count,
                            const hkd_pool_shape d, const int accumulate) {
    const int at = get_global_id(0);
    if (at >= count) return;
    const int plane = at / (d.h * d.w), row = at / d.w % d.h, column = at % d.w;
    x += plane * d.h * d.w;
    dy += plane * d.h_out * d.w_out;
    float sum = 0.0f;
    for (int i = pool_first(row, d.k_h, d.stride, d.pad); i <= pool_last(row, d.h_out, d.stride, d.pad); i++)
        for (int j = pool_first(column, d.k_w, d.stride, d.pad); j <= pool_last(column, d.w_out, d.stride, d.pad); j++)
            if (max_pool_choice(x, d, i, j) == row * d.w + column) sum += dy[i * d.w_out + j];
    put(sum, dx, at, accumulate);
}
