/* moments_file.h - statistics in safetensors files: kept, merged with those of other runs, compared later.
 *
 * Metadata hkd.statistics = "1" and hkd.of (what the vectors are; only equal ones are comparable). For each part of the tree:
 * part.first and part.count [k] (I64), part.mean [k, dim] and part.m2 [k, dim (dim+1) / 2] (F64). Where seeds of samples are
 * known, their ranges: seed.first and seed.last [r] (U64). */
#ifndef HKD_MOMENTS_FILE_H
#define HKD_MOMENTS_FILE_H

#include "moments.h"
#include "safetensors.h"

hkd_status hkd_moments_save(const hkd_moments *m, const char *path, const char *of); /* sealed */
/* Add a file's parts to *m, which is made when NULL. HKD_BAD_FILE when malformed, of something else than `of` (NULL: anything),
 * or holding samples or seeds that are counted already. */
hkd_status hkd_moments_load(hkd_moments **m, const char *path, const char *of);
/* Is this file one of them? */
bool hkd_is_moments_file(const char *path);

#endif
