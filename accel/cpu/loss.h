/* loss.h - what the four losses share: the squared distance of a sample, and a gradient along x - y. */
#ifndef HKD_CPU_LOSS_H
#define HKD_CPU_LOSS_H

#include "cpu.h"

typedef struct {
    int64_t n, size;
} hkd_cpu_samples;

static inline hkd_cpu_samples hkd_cpu_samples_of(const hkd_tensor *x) {
    const int64_t n = x->shape.dim[0];
    return (hkd_cpu_samples){n, n ? hkd_count(&x->shape) / n : 0};
}

/* |x - y|^2 of sample k: differences in float, their squares summed in double. x and y share a layout, so its order is free. */
static inline double hkd_cpu_squared_distance(const hkd_call *call, int64_t k) {
    const int64_t size = hkd_cpu_samples_of(&call->in[0]).size;
    const float *x = hkd_cpu_data(&call->in[0]) + k * size, *y = hkd_cpu_data(&call->in[1]) + k * size;
    double sum = 0;
    #pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < size; i++) {
        const double d = x[i] - y[i];
        sum += d * d;
    }
    return sum;
}

/* dx of sample k (+)= factor (x - y), and dy its negative. The factor stays in double: 1 / |x - y| may be beyond float. */
static inline void hkd_cpu_along_difference(const hkd_call *call, int64_t k, double factor) {
    const int64_t size = hkd_cpu_samples_of(&call->in[0]).size, start = k * size;
    const float *x = hkd_cpu_data(&call->in[0]) + start, *y = hkd_cpu_data(&call->in[1]) + start;
    for (int side = 0; side < 2; side++) {
        if (!call->grad[side].buffer) continue;
        float *to = hkd_cpu_data(&call->grad[side]) + start;
        const double f = side ? -factor : factor;
        if (call->accumulate[side])
            for (int64_t i = 0; i < size; i++) to[i] += (float)(f * (double)(x[i] - y[i]));
        else
            for (int64_t i = 0; i < size; i++) to[i] = (float)(f * (double)(x[i] - y[i]));
    }
}

#endif
