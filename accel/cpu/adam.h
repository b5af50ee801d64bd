/* adam.h - the step that adam and radam share, once per instruction set: over whole arrays, or over a stretch of them. */
#ifndef HKD_CPU_ADAM_H
#define HKD_CPU_ADAM_H

#include "cpu.h"

#include <math.h>

static inline hkd_adam_settings hkd_cpu_adam_settings(const double *p) {
    return (hkd_adam_settings){p[0], p[1], p[2], p[3], p[4], p[5] != 0, (int64_t)p[6]};
}

enum { HKD_STRETCH = 4096 }; /* weights whose arrays stay in the first caches together */

/* Stretches of `count` weights, and the length of number k. */
static inline int64_t hkd_stretches(int64_t count) { return (count + HKD_STRETCH - 1) / HKD_STRETCH; }
static inline int64_t hkd_stretch(int64_t count, int64_t k) {
    return count - k * HKD_STRETCH < HKD_STRETCH ? count - k * HKD_STRETCH : HKD_STRETCH;
}

/* Stretch k of a call with inputs p, m, v, g and outputs p, m, v. */
static inline void hkd_cpu_adam_stretch(const hkd_call *call, int64_t k, const hkd_adam_scalars *s) {
    const int64_t at = k * HKD_STRETCH, count = hkd_stretch(hkd_count(&call->in[0].shape), k);
    const float *p = hkd_cpu_data(&call->in[0]) + at, *m = hkd_cpu_data(&call->in[1]) + at;
    const float *v = hkd_cpu_data(&call->in[2]) + at, *g = hkd_cpu_data(&call->in[3]) + at;
    float *p_new = hkd_cpu_data(&call->out[0]) + at, *m_new = hkd_cpu_data(&call->out[1]) + at;
    float *v_new = hkd_cpu_data(&call->out[2]) + at;
    const float keep_m = (float)s->keep_m, take_m = (float)s->take_m, keep_v = (float)s->keep_v, take_v = (float)s->take_v;
    const float step = (float)s->step, root = (float)s->root, eps = (float)s->eps, l2 = (float)s->l2, shrink = (float)s->shrink;
    #pragma omp simd
    for (int64_t i = 0; i < count; i++) { /* each output may be its own input: every element is read before it is written */
        const float g1 = g[i] + l2 * p[i];
        const float m1 = keep_m * m[i] + take_m * g1;
        const float v1 = keep_v * v[i] + take_v * (g1 * g1);
        p_new[i] = shrink * p[i] - step * (m1 / (root * sqrtf(v1) + eps));
        m_new[i] = m1;
        v_new[i] = v1;
    }
}

static inline void hkd_cpu_adam_pass(const hkd_cpu *cpu, const hkd_call *call, const hkd_adam_scalars *s) {
    const int64_t count = hkd_count(&call->in[0].shape);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t k = 0; k < hkd_stretches(count); k++) hkd_cpu_adam_stretch(call, k, s);
}

#endif
