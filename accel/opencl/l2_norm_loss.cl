// l2_norm_loss - the walk is that of loss.clh; the gradient at x = y is 0.
//
// Squares of differences below 2^-63 vanish and 1 / |x - y| may overflow: small differences are taken in units of 2^-100.

inline float l2_unit(global const float *x, global const float *y, const int size, local float *shared) {
    vec most = 0.0f;
    FOR_ROW(at, size) most = fmax(most, fabs(row_part(x, at, size, 0.0f) - row_part(y, at, size, 0.0f)));
    return row_max(most, shared) < 0x1p-50f ? 0x1p100f : 1.0f;
}

kernel void l2_norm_loss(global float *l, global const float *x, global const float *y, global const float *sigma,
                         const int size, const int kind, const float setting) {
    local float shared[LANES];
    const int n = group_row();
    const float unit = l2_unit(x + n * size, y + n * size, size, shared);
    const float s = loss_squares(x + n * size, y + n * size, size, unit, shared);
    if (get_local_id(0) == 0) l[n] = sqrt(s) / unit;
}

kernel void l2_norm_loss_grad(global float *dx, global float *dy, global const float *dl, global const float *x,
                              global const float *y, global const float *sigma, const int size, const int kind,
                              const float setting, const int accumulate_x, const int accumulate_y) {
    local float shared[LANES];
    const int n = group_row();
    const float unit = l2_unit(x + n * size, y + n * size, size, shared);
    const float root = sqrt(loss_squares(x + n * size, y + n * size, size, unit, shared)); // |x - y| * unit
    const float of_x = root > 1.0f ? 1.0f : unit; // below 2^-100 the factor would overflow, above it vanish in that unit
    const float factor = root > 0.0f ? dl[n] / (root * (of_x / unit)) : 0.0f;
    loss_spread(loss_sample(dx, size), loss_sample(dy, size), x + n * size, y + n * size, size, of_x, factor, accumulate_x,
                accumulate_y);
}
