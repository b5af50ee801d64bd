/* unet.h - EDM's SongUNet as two halves, so that time can pass between them. */
#ifndef HKD_UNET_H
#define HKD_UNET_H

#include "layers.h"

/* What the encoder hands to the decoder: the skip stack and the bottleneck. In a plain U-Net the bottleneck is the very
 * tensor that lies on top of the stack; HKD moves the two through time by operators of their own. */
typedef struct {
    int count;
    hkd_var skip[HKD_MAX_LATENTS];
    hkd_var bottleneck;
} hkd_latents;

/* c_noise [n] (and one-hot class_labels [n, label_dim], augment_labels [n, augment_dim], or HKD_NO_VAR) -> emb. */
hkd_var hkd_unet_embedding(hkd_net *net, hkd_var c_noise, hkd_var class_labels, hkd_var augment_labels);
/* x [n, img_channels, R, R] -> latents. */
void hkd_unet_encode(hkd_net *net, hkd_latents *out, hkd_var x, hkd_var emb);
/* latents -> raw output F [n, out_channels, R, R]; out_channels = img_channels, twice that for iDDPM. */
hkd_var hkd_unet_decode(hkd_net *net, const hkd_latents *z, hkd_var emb);

/* The shapes of the latents of one image, in the order of the skip stack; returns how many skips there are. */
int hkd_unet_latent_shapes(const hkd_config *c, hkd_shape *shape);

#endif
