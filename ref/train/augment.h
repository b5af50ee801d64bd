/* augment.h - EDM's augmentation of training images: flips, scale, rotation, stretch and shift, told to the network as a label.
 *
 * Each change happens with probability p (the horizontal flip is always drawn, a fair coin); what does not happen is 0 in the
 * label of nine numbers, so that zeros mean an image as it is:
 *   xflip, yflip, scale, cos(angle) - 1, sin(angle), stretch cos(axis), stretch sin(axis), shift x, shift y
 * Flips are exact. The rest is one affine map of the plane about the image's centre; an output pixel at p shows the input at
 *   S R K T p:  T shift back by (shift_x W / 8, shift_y H / 8);  K squeeze by 2^(0.2 stretch) along the axis,
     stretch across it;
 *   R turn by `angle` (x to the right, y down);  S shrink by 2^(0.2 scale)
 * done on a grid of twice the resolution made with the 12-tap wavelet sym6, bilinearly, and brought back with the same filter:
 * orthogonal, so that the identity is exact. Outside, the image is reflected once, then 0.
 * Source: EDM (Karras et al. 2022), Appendix F.2; StyleGAN2-ADA (Karras et al. 2020), Appendix B; Daubechies 1992 (sym6).
 */
#ifndef HKD_AUGMENT_H
#define HKD_AUGMENT_H

#include "hkd.h"

#include <stdbool.h>

typedef struct {
    bool xflip, yflip;
    double scale;            /* N(0, 1): the image grows by 2^(0.2 scale) */
    double angle;            /* uniform in (-pi, pi) */
    double stretch, axis;    /* N(0, 1); the axis' angle: uniform, or 0 half of the time */
    double shift_x, shift_y; /* N(0, 1), eighths of the image */
} hkd_augment;

enum { HKD_AUGMENT_LABELS = 9 };

/* What happens to picture `index` of a run: depends on (p, seed, index) alone. EDM's p: 0.12 for CIFAR-10, 0.15 for FFHQ. */
hkd_augment hkd_augment_draw(double p, uint64_t seed, uint32_t index);
void hkd_augment_label(double label[HKD_AUGMENT_LABELS], const hkd_augment *a);
/* out, in [channels, height, width]; they may be the same array. */
hkd_status hkd_augment_apply(double *out, const double *in, int64_t channels, int64_t height, int64_t width,
                             const hkd_augment *a);

#endif
