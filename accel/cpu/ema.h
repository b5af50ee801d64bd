/* ema.h - the average's step over a stretch of weights, once per instruction set. */
#ifndef HKD_CPU_EMA_H
#define HKD_CPU_EMA_H

#include "cpu.h"

/* From the nearer end of the two, so that a decay near 1 loses nothing. */
static inline void hkd_cpu_ema_stretch(float *e_new, const float *e, const float *p, int64_t count, double decay) {
    const bool near_p = decay < 0.5;
    const float *start = near_p ? p : e, *end = near_p ? e : p;
    const float w = (float)(near_p ? decay : 1 - decay);
    #pragma omp simd
    for (int64_t i = 0; i < count; i++) e_new[i] = start[i] + w * (end[i] - start[i]);
}

#endif
