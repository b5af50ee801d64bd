// mse_loss - the walk is that of loss.clh.

kernel void mse_loss(global float *l, global const float *x, global const float *y, global const float *sigma, const int size,
                     const int kind, const float setting) {
    local float shared[LANES];
    const int n = group_row();
    const float s = loss_squares(x + n * size, y + n * size, size, 1.0f, shared);
    if (get_local_id(0) == 0) l[n] = s / (float)size;
}

kernel void mse_loss_grad(global float *dx, global float *dy, global const float *dl, global const float *x,
                          global const float *y, global const float *sigma, const int size, const int kind,
                          const float setting, const int accumulate_x, const int accumulate_y) {
    const int n = group_row();
    loss_spread(loss_sample(dx, size), loss_sample(dy, size), x + n * size, y + n * size, size, 1.0f,
                2.0f * dl[n] / (float)size, accumulate_x, accumulate_y);
}
