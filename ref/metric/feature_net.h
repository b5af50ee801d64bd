/* feature_net.h - a classifier without its last layer: pictures become vectors in which a distance says more than in pixels.
 * resnet.h and inception.h record such networks; here one gets weights, memory, and pictures.
 */
#ifndef HKD_FEATURE_NET_H
#define HKD_FEATURE_NET_H

#include "plan.h"

/* Weights of this prefix are constants of the network: no file holds them. */
#define HKD_CONSTANT "constant."

/* What a network sees of a byte: (byte / unit - mean[c]) / deviation[c]. */
typedef struct {
    double unit, mean[3], deviation[3];
} hkd_pixel_scale;

typedef struct {
    hkd_device *dev;       /* not owned */
    int64_t dim, res, batch;
    hkd_pixel_scale scale;
    hkd_program *program;
    hkd_weights *weights;  /* named as in the files of that network: layer1.0.conv1.weight; undefined until set */
    hkd_plan *plan;
} hkd_features;

/* Takes over the program, also when it fails: input "x" [batch, 3, res, res], output "features" [batch, dim, 1, 1]. */
hkd_status hkd_features_new(hkd_features **out, hkd_program *p, const hkd_pixel_scale *scale, hkd_device *dev);
void hkd_features_free(hkd_features *f); /* NULL is fine */

/* features [n, dim] of pictures [n, 3, res, res] in bytes, RGB. */
hkd_status hkd_features_run(hkd_features *f, double *features, const unsigned char *rgb, int64_t n);

#endif
