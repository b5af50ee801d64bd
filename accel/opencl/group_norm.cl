// group_norm - a group of channels of a sample is one row: mean, then the variance around it, then the result. In backward
// the sums over each channel (dbeta and dgamma of this sample) come first, dx follows from them. With `silu` the row is fused
// with the silu behind it: nothing is kept between the two, the way back makes what silu saw again.

typedef struct {
    float mean, r; // r = 1 / sqrt(var + eps)
} group_norm_moments;

inline group_norm_moments group_norm_moments_of(global const float *x, const int length, const float eps, local float *shared) {
    group_norm_moments of;
    vec sum = 0.0f, squares = 0.0f;
    FOR_ROW(at, length) sum += row_part(x, at, length, 0.0f);
    of.mean = row_sum(sum, shared) / (float)length;
    FOR_ROW(at, length) {
        const vec away = row_part(x, at, length, of.mean) - of.mean;
        squares = fma(away, away, squares);
    }
    of.r = 1.0f / sqrt(row_sum(squares, shared) / (float)length + eps);
    return of;
}

// x, y [rows, channels, area]; gamma, beta [groups, channels], rows = n * groups
kernel void group_norm(global float *y, global const float *x, global const float *gamma, global const float *beta,
                       const int channels, const int area, const int groups, const float eps, const int silu) {
    local float shared[LANES];
    const int row = group_row(), first = row % groups * channels;
    x += row * channels * area;
    y += row * channels * area;
    const group_norm_moments of = group_norm_moments_of(x, channels * area, eps, shared);
    for (int c = 0; c < channels; c++)
        FOR_ROW(at, area) {
            const vec h = (row_part(x + c * area, at, area, 0.0f) - of.mean) * of.r;
            const vec z = fma((vec)gamma[first + c], h, (vec)beta[first + c]);
            vec_put(silu ? z * silu_gate_of(z).s : z, y + c * area, at, area, 0);
        }
}

// What reaches the normalised values: dy itself, or behind silu.
inline vec group_norm_upstream(const vec dy, const vec h, const float gamma, const float beta, const int silu) {
    return silu ? dy * silu_slope(fma((vec)gamma, h, (vec)beta)) : dy;
}

// dgamma, dbeta [rows, channels]: of this sample alone; dx may be NULL
kernel void group_norm_grad(global float *dx, global float *dgamma, global float *dbeta, global const float *dy,
                            global const float *x, global const float *gamma, global const float *beta, const int channels,
                            const int area, const int groups, const float eps, const int silu, const int accumulate) {
    local float shared[LANES];
    const int row = group_row(), first = row % groups * channels, length = channels * area;
    x += row * length;
    dy += row * length;
    const group_norm_moments of = group_norm_moments_of(x, length, eps, shared);
    float sum_g = 0.0f, sum_gh = 0.0f;
    for (int c = 0; c < channels; c++) {
        vec part = 0.0f, part_h = 0.0f;
        FOR_ROW(at, area) {
            const vec h = (row_part(x + c * area, at, area, 0.0f) - of.mean) * of.r;
            const vec dz = row_part(dy + c * area, at, area, 0.0f);
            const vec d = group_norm_upstream(dz, h, gamma[first + c], beta[first + c], silu);
            part += d;
            part_h = fma(d, h, part_h);
        }
        const float sum = row_sum(part, shared), sum_h = row_sum(part_h, shared);
        sum_g = fma(gamma[first + c], sum, sum_g);
        sum_gh = fma(gamma[first + c], sum_h, sum_gh);
        if (get_local_id(0) == 0) {
            dbeta[row * channels + c] = sum;
            dgamma[row * channels + c] = sum_h;
        }
    }
    if (!dx) return;
    dx += row * length;
    const float mean_g = sum_g / (float)length, mean_gh = sum_gh / (float)length;
    for (int c = 0; c < channels; c++)
        FOR_ROW(at, area) {
            const vec h = (row_part(x + c * area, at, area, 0.0f) - of.mean) * of.r;
            const vec dz = row_part(dy + c * area, at, area, 0.0f);
            const vec d = group_norm_upstream(dz, h, gamma[first + c], beta[first + c], silu);
            const vec g = gamma[first + c] * d;
            vec_put(of.r * (g - mean_g - h * mean_gh), dx + c * area, at, area, accumulate);
        }
}
