// batch_norm - by recorded statistics. In backward a channel of one image is a row.

kernel void batch_norm(global float *y, global const float *x, global const float *gamma, global const float *beta,
                       global const float *mean, global const float *var, const int count, const int c, const int area,
                       const float eps) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const int k = i / area % c;
    const float g = gamma[k] / sqrt(var[k] + eps);
    y[i] = fma(g, x[i] - mean[k], beta[k]);
}

// dgamma, dbeta [n, c]: of each image alone; dx may be NULL
kernel void batch_norm_grad(global float *dx, global float *dgamma, global float *dbeta, global const float *dy,
                            global const float *x, global const float *gamma, global const float *mean, global const float *var,
                            const int c, const int area, const float eps, const int accumulate) {
    local float shared[LANES];
    const int row = group_row(), k = row % c;
    const float s = sqrt(var[k] + eps);
    x += row * area;
    dy += row * area;
    vec part = 0.0f, part_h = 0.0f;
    FOR_ROW(at, area) {
        const vec d = row_part(dy, at, area, 0.0f);
        part += d;
        part_h = fma(d, row_part(x, at, area, 0.0f) - mean[k], part_h);
        if (dx) vec_put(gamma[k] / s * d, dx + row * area, at, area, accumulate);
    }
    const float sum = row_sum(part, shared), sum_h = row_sum(part_h, shared);
    if (get_local_id(0) == 0) {
        dbeta[row] = sum;
        dgamma[row] = sum_h / s;
    }
}
