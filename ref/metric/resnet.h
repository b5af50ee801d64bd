/* resnet.h - the residual networks for 32 x 32 pictures (He et al. 2016, section 4.2: ResNet-20, -32, -44, -56, -110):
 *   3x3 convolution, BN, ReLU; stages of basic blocks, each stage twice as wide and half as large as the one before; the mean
 * over the picture. block(x) = ReLU(BN(conv3x3(ReLU(BN(conv3x3(x))))) + shortcut(x)) The shortcut into a new stage has no
 * parameters (option A): every second pixel, old channels in the middle of the new ones, zeros around them; recorded as a 1x1
 * convolution of stride 2 with a constant matrix of 0 and 1, which is exact.
 */
#ifndef HKD_RESNET_H
#define HKD_RESNET_H

#include "feature_net.h"

enum { HKD_RESNET_STAGES = 3 };
typedef struct {
    int blocks[HKD_RESNET_STAGES];
    int64_t width[HKD_RESNET_STAGES];
} hkd_resnet;

extern const hkd_pixel_scale hkd_resnet_scale; /* that of ImageNet */

/* "x" [n, 3, res, res] -> "features" [n, width, 1, 1]. NULL: out of memory. */
hkd_program *hkd_resnet_program(const hkd_resnet *net, int64_t n, int64_t res);
hkd_status hkd_resnet_constants(const hkd_weights *w); /* set what no file holds */

#endif
