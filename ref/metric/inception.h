/* inception.h - the network of the Frechet inception distance: Inception-v3 as of 2015-12-05 (Szegedy et al. 2016; Heusel et
 * al. 2017), up to its 2048 pooled features. Layers are named as in the PyTorch files (Mixed_5b.branch1x1.conv.weight).
 *
 * What differs from later versions: pictures are resized to 299 x 299 without half-pixel offset, average pools do not count
 * their padding, and the pool of the last block takes the largest value. The pixels' scale (byte - 128) / 128 is applied before
 * the resize, which is linear and keeps constants; it is exact in float32.
 */
#ifndef HKD_INCEPTION_H
#define HKD_INCEPTION_H

#include "feature_net.h"

enum { HKD_INCEPTION_FIRST = 32, HKD_INCEPTION_WIDTHS = 16 };

extern const hkd_pixel_scale hkd_inception_scale;

/* "x" [n, 3, res, res] -> "features" [n, 2048 / narrower, 1, 1]. Every layer has 1/narrower of its width: 1, or another divisor
 * of HKD_INCEPTION_WIDTHS, which all widths are multiples of. The first has HKD_INCEPTION_FIRST. NULL: out of memory. */
hkd_program *hkd_inception_program(int64_t narrower, int64_t n, int64_t res);

#endif
