// pseudo_huber_loss - the walk is that of loss.clh, `setting` is c.

kernel void pseudo_huber_loss(global float *l, global const float *x, global const float *y, global const float *sigma,
                              const int size, const int kind, const float setting) {
    local float shared[LANES];
    const int n = group_row();
    const float s = loss_squares(x + n * size, y + n * size, size, 1.0f, shared);
    if (get_local_id(0) == 0) l[n] = s / (sqrt(fma(setting, setting, s)) + setting);
}

kernel void pseudo_huber_loss_grad(global float *dx, global float *dy, global const float *dl, global const float *x,
                                   global const float *y, global const float *sigma, const int size, const int kind,
                                   const float setting, const int accumulate_x, const int accumulate_y) {
    local float shared[LANES];
    const int n = group_row();
    const float s = loss_squares(x + n * size, y + n * size, size, 1.0f, shared);
    loss_spread(loss_sample(dx, size), loss_sample(dy, size), x + n * size, y + n * size, size, 1.0f,
                dl[n] / sqrt(fma(setting, setting, s)), accumulate_x, accumulate_y);
}
