/* bands.h - groups of modes by rank: "the slowest third", "the fastest tenth".
 *
 * Modes are sorted by a key, stably by their index, within each level or jointly over all levels; the band [from, to) of N
 * modes holds the ranks round(from N) to round(to N) - 1. Bands whose intervals partition [0, 1] partition the modes.
 * A mask is constant on both channels of a pair, so masking commutes with evolution.
 */
#ifndef HKD_BANDS_H
#define HKD_BANDS_H

#include "spectrum.h"

typedef enum {
    HKD_BY_ALPHA,     /* alpha, signed, ascending (default) */
    HKD_BY_ABS_ALPHA, /* |alpha|, ascending (caption of the paper's Figure 4) */
    HKD_BY_GROWTH,    /* e^{alpha dt}, ascending: against alpha when dt < 0 */
    HKD_BY_MEASURE    /* what the caller measured, ascending (detail.h) */
} hkd_band_key;

typedef struct {
    hkd_band_key key;
    double dt;        /* for HKD_BY_GROWTH */
    bool joint;       /* one ranking over all levels instead of one per level */
    double *const *measure; /* [levels][modes] for HKD_BY_MEASURE; needed only while ranking */
} hkd_band_rule;

/* rank[l][m] = the rank of every mode, from 0, in its level or over all levels. One array per level, hkd_mode_count each. */
hkd_status hkd_mode_ranks(int64_t *const *rank, const hkd_level *levels, int64_t count, const hkd_band_rule *rule);

/* mask[l][m] = 1 inside [from, to), else 0. 0 <= from <= to <= 1. */
hkd_status hkd_band_mask(unsigned char *const *mask, int64_t *const *rank, const hkd_level *levels, int64_t count,
                         const hkd_band_rule *rule, double from, double to);

/* y = z where the mask is on, 0 elsewhere; z, y [n, d, h, w] of this level, may be the same array. */
void hkd_band_keep(double *y, const double *z, const unsigned char *mask, const hkd_level *level, int64_t n);

#endif
