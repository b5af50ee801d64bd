// edm_loss - weighted by the noise level; the walk is that of loss.clh, `setting` is sigma_data.

inline float edm_weight(const float sigma, const int kind, const float data) {
    if (kind != PRECOND_EDM) return 1.0f / (sigma * sigma);
    const float product = sigma * data;
    return fma(sigma, sigma, data * data) / (product * product);
}

kernel void edm_loss(global float *l, global const float *x, global const float *y, global const float *sigma, const int size,
                     const int kind, const float setting) {
    local float shared[LANES];
    const int n = group_row();
    const float s = loss_squares(x + n * size, y + n * size, size, 1.0f, shared);
    if (get_local_id(0) == 0) l[n] = edm_weight(sigma[n], kind, setting) * s;
}

kernel void edm_loss_grad(global float *dx, global float *dy, global const float *dl, global const float *x,
                          global const float *y, global const float *sigma, const int size, const int kind,
                          const float setting, const int accumulate_x, const int accumulate_y) {
    const int n = group_row();
    const float factor = 2.0f * edm_weight(sigma[n], kind, setting) * dl[n];
    loss_spread(loss_sample(dx, size), loss_sample(dy, size), x + n * size, y + n * size, size, 1.0f, factor,
                accumulate_x, accumulate_y);
}
