/* feature_net.h - a classifier without its last layer: pictures become vectors in which a Frechet distance says more than in
 * pixels.
 *
 * The networks are the residual networks for 32 x 32 pictures (He et al. 2016, section 4.2: ResNet-20, -32, -44, -56, -110):
 *   3x3 convolution, BN, ReLU; stages of basic blocks, each stage twice as wide and half as large as the one before; the mean
 * over the picture. block(x) = ReLU(BN(conv3x3(ReLU(BN(conv3x3(x))))) + shortcut(x)) The shortcut into a new stage has no
 * parameters (option A): every second pixel, old channels in the middle of the new ones, zeros around them; recorded as a 1x1
 * convolution of stride 2 with a constant matrix of 0 and 1, which is exact.
 */
#ifndef HKD_FEATURE_NET_H
#define HKD_FEATURE_NET_H

#include "plan.h"

enum { HKD_RESNET_STAGES = 3 };
typedef struct {
    int blocks[HKD_RESNET_STAGES];
    int64_t width[HKD_RESNET_STAGES];
} hkd_resnet;

typedef struct {
    hkd_device *dev;       /* not owned */
    int64_t dim, res, batch;
    hkd_program *program;
    hkd_weights *weights;  /* named as in the files of that network: layer1.0.conv1.weight; undefined until set */
    hkd_plan *plan;
} hkd_features;

/* For pictures of res x res, `batch` at once. */
hkd_status hkd_features_new(hkd_features **out, const hkd_resnet *net, int64_t res, int64_t batch, hkd_device *dev);
void hkd_features_free(hkd_features *f); /* NULL is fine */

/* features [n, dim] of pictures [n, 3, res, res] in bytes, RGB. */
hkd_status hkd_features_run(hkd_features *f, double *features, const unsigned char *rgb, int64_t n);

#endif
