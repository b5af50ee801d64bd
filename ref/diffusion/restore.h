/* restore.h - zero-shot restoration: what is known of a picture stays, the rest is generated around it.
 *
 * Algorithm 4 of "Consistency Models" (Song et al. 2023). K keeps what is known (a linear projection), y is the picture, f a
 * one-step model, t_1 > ... > t_N noise levels:
 *   x ~ N(K y, t_1^2 I);  x <- f(x, t_1), clipped to [-1, 1];  x <- K y + (1 - K) x
 *   for n = 2 .. N:  x += sqrt(t_n^2 - sigma_min^2) N(0, I);  x <- f(x, t_n), clipped;  x <- K y + (1 - K) x
 * The paper's step 2 starts around K y; the noise of t_1 = 80 drowns the difference.
 */
#ifndef HKD_RESTORE_H
#define HKD_RESTORE_H

#include "sampler.h"

typedef enum {
    HKD_KEEP_PIXELS, /* K = mask: inpainting */
    HKD_KEEP_GRAY,   /* K = the projection on luma, g (g . x) per pixel with g ~ (0.2989, 0.587, 0.114): colorisation */
    HKD_KEEP_MEANS   /* K = the mean of each patch x patch square: super-resolution */
} hkd_keep;

typedef struct {
    hkd_keep keep;
    int64_t channels, side;      /* of the pictures [channels, side, side] */
    const unsigned char *known;  /* PIXELS: [side, side], 1 = known */
    int64_t patch;               /* MEANS: divides side */
} hkd_known;

/* HKD_USAGE unless GRAY has 3 channels and `patch` divides the side. */
hkd_status hkd_known_check(const hkd_known *k);
/* x <- K y + (1 - K) x for n pictures. Known pixels become y's, bit for bit; luma and means equal y's to rounding. */
void hkd_known_restore(double *x, const double *y, int64_t n, const hkd_known *k);

/* x [n, size] out. s->denoise is f, s->seeds draw the noise. y [n, size]; sigma [steps] decreasing, >= sigma_min. */
hkd_status hkd_restore(hkd_sampling *s, double *x, const double *y, const hkd_known *k, const double *sigma, int64_t steps,
                       double sigma_min);

#endif
