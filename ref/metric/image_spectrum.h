/* image_spectrum.h - how the power of an image is spread over spatial frequencies.
 *
 *   F(u, v) = sum_{i,j} x(i, j) e^{-2 pi i (u i / h + v j / w)},    power |F|^2 / (h w),    shell k = round(sqrt(u^2 + v^2))
 *
 * with u, v the signed frequencies in cycles per picture. Shells go from 0 (the mean) to K = min(h, w) / 2; the corners beyond
 * are gathered in shell K + 1, so the shells' energies add up to sum x^2 (Parseval). White noise of variance s^2 has mean
 * power s^2 in every shell.
 */
#ifndef HKD_IMAGE_SPECTRUM_H
#define HKD_IMAGE_SPECTRUM_H

#include "hkd.h"

int64_t hkd_spectrum_shells(int64_t h, int64_t w); /* K + 2 */

/* energy [shells] (sum over the shell, mean over the planes) and size [shells] (frequencies in it); energy / size is the
 * radial power spectrum. x [planes, h, w]: channels, images, or both. */
hkd_status hkd_image_spectrum(double *energy, int64_t *size, const double *x, int64_t planes, int64_t h, int64_t w);

/* Shares of the energy in low (0 < k <= K/3), middle (to 2K/3) and high (beyond, corners too) frequencies. The mean of the
 * image (k = 0) is no structure and is left out; all 0 for a constant image. */
void hkd_spectrum_bands(double share[3], const double *energy, int64_t shells);
/* The mean shell, weighted by energy, without k = 0: one number for "how high". 0 for a constant image. */
double hkd_spectrum_centroid(const double *energy, int64_t shells);

#endif
