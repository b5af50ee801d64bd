// l2_norm_loss - the walk is that of loss.clh; the gradient at x = y is 0.

kernel void l2_norm_loss(global float *l, global const float *x, global const float *y, global const float *sigma,
                         const int size, const int kind, const float setting) {
    local float shared[LANES];
    const int n = group_row();
    const float s = loss_squares(x + n * size, y + n * size, size, shared);
    if (get_local_id(0) == 0) l[n] = sqrt(s);
}

kernel void l2_norm_loss_grad(global float *dx, global float *dy, global const float *dl, global const float *x,
                              global const float *y, global const float *sigma, const int size, const int kind,
                              const float setting, const int accumulate_x, const int accumulate_y) {
    local float shared[LANES];
    const int n = group_row();
    const float root = sqrt(loss_squares(x + n * size, y + n * size, size, shared));
    loss_spread(loss_sample(dx, size), loss_sample(dy, size), x + n * size, y + n * size, size,
                root > 0.0f ? dl[n] / root : 0.0f, accumulate_x, accumulate_y);
}
