/* edit.h - mix the latents of a reference into those of an image, on a band of modes and a region of the picture.
 *
 *   y = (1 - w) z + w z_ref,       w = r * band(mode) * region(position)
 *
 * w = 0 copies z and w = 1 copies z_ref, bit for bit, whatever the other one holds (infinities and -0 included).
 *
 * A finding. w is constant on both channels of a pair and A moves every pair by itself, so mixing commutes with evolution:
 *   exp(dt A) mix(z, z_ref) = mix(exp(dt A) z, exp(dt A) z_ref).
 * When the reference evolves by the same A, the time of the edit does not matter, although the paper edits "at the
 * midpoint". Time matters only for a reference that is encoded at that time.
 */
#ifndef HKD_EDIT_H
#define HKD_EDIT_H

#include "hkd_insight.h" /* regions */
#include "spectrum.h"

/* y, z, z_ref [n, d, h, w] of one level; y may be z. ratio in [0, 1]. band[m] is 0 or 1 per mode, region [h, w] in [0, 1];
 * NULL = everywhere. */
hkd_status hkd_mix(double *y, const double *z, const double *z_ref, int64_t n, const hkd_level *level, double ratio,
                   const unsigned char *band, const double *region);

#endif
