/* lpips.h - learned perceptual image patch similarity (Zhang et al. 2018, version 0.1): how different two pictures look.
 *
 *   l(x, y) = sum over taps k of mean over pixels of sum over channels c of w_kc (u_kc(x) - u_kc(y))^2,     w >= 0,
 *
 * u_k = the activations of a classifier behind tap k, divided per pixel by their length over the channels. Pictures have values
 * in [-1, 1] (those in [0, 1] give other numbers without any other sign). w goes into both u as sqrt(w), so the sum is a mean
 * squared error times the number of channels, and every gradient is that of an operator of the table.
 *
 * Layers are named as in torchvision's files (features.0.weight), weights as lin0.weight [1, C, 1, 1].
 */
#ifndef HKD_LPIPS_H
#define HKD_LPIPS_H

#include "plan.h"

typedef enum { HKD_LPIPS_SQUEEZE, HKD_LPIPS_ALEX, HKD_LPIPS_VGG, HKD_LPIPS_BACKBONES } hkd_backbone;
enum { HKD_LPIPS_FIRST = 64, HKD_LPIPS_WIDTHS = 16 };

const char *hkd_backbone_name(hkd_backbone backbone); /* "squeeze" */

typedef struct {
    hkd_device *dev;       /* not owned */
    int64_t n, channels, h, w;
    bool gradient;
    hkd_program *program;
    hkd_weights *weights;  /* undefined until set, then hkd_lpips_prepare */
    hkd_plan *plan;
} hkd_lpips;

/* For pictures of h x w with 1 or 3 channels (a gray one counts as RGB), at most n at once. Every layer has 1/narrower of its
 * width: 1, or another divisor of HKD_LPIPS_WIDTHS. The first has HKD_LPIPS_FIRST. */
hkd_status hkd_lpips_new(hkd_lpips **out, hkd_backbone backbone, int64_t narrower, int64_t n, int64_t channels, int64_t h,
                         int64_t w, bool gradient, hkd_device *dev);
/* Once the weights are those of a file: sets the constants, and makes sqrt(w) of w. HKD_BAD_FILE when a w is negative. */
hkd_status hkd_lpips_prepare(hkd_lpips *net);
void hkd_lpips_free(hkd_lpips *net); /* NULL is fine */

/* l [n] of x and y [n, channels, h, w]. HKD_USAGE when a value lies outside [-1, 1]. */
hkd_status hkd_lpips_distance(hkd_lpips *net, double *l, const double *x, const double *y, int64_t n);
/* Also dx = d (sum over i of weight[i] l[i]) / dx. x may lie outside: networks in training do. */
hkd_status hkd_lpips_gradient(hkd_lpips *net, double *l, double *dx, const double *x, const double *y, const double *weight,
                              int64_t n);

#endif
