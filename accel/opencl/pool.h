/* pool.h - from a call of a pool to pool_shape.h. */
#ifndef HKD_CL_POOL_H
#define HKD_CL_POOL_H

#include "opencl.h"
#include "pool_shape.h"

enum { HKD_POOL_KERNEL, HKD_POOL_STRIDE, HKD_POOL_PAD };

/* A kernel of 0 is the whole picture. */
static inline hkd_pool_shape hkd_cl_pool_of(const hkd_shape *x, const hkd_shape *y, const double *p) {
    const int64_t k = (int64_t)p[HKD_POOL_KERNEL];
    return (hkd_pool_shape){.h = (int)x->dim[2], .w = (int)x->dim[3], .h_out = (int)y->dim[2], .w_out = (int)y->dim[3],
                         .k_h = (int)(k ? k : x->dim[2]), .k_w = (int)(k ? k : x->dim[3]),
                         .stride = (int)p[HKD_POOL_STRIDE], .pad = (int)p[HKD_POOL_PAD]};
}

#endif
