// pool_shape.h - what the kernels of the pools are told, on host and device.
#ifndef HKD_POOL_SHAPE_H
#define HKD_POOL_SHAPE_H

typedef struct {
    int h, w, h_out, w_out, k_h, k_w, stride, pad;
} hkd_pool_shape;

#endif
