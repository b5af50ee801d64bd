/* vector_file.h - vectors on disk: DIR/OP/CASE.safetensors, one case each.
 *
 * Tensors: in.NAME and up.NAME (float32, or float16 in half cases), out.NAME and grad.NAME (float64), bound.out.NAME and
 * bound.grad.NAME (float32, rounded up, in units of 2^-24). Metadata: hkd.vector = "1", op, case, class, flags, storage,
 * accumulator, n (for the floor) and params ("stride=2 pad_h=1 ..."). manifest.json and index.tsv list all files.
 */
#ifndef HKD_VECTOR_FILE_H
#define HKD_VECTOR_FILE_H

#include "safetensors.h"
#include "test_vector.h"

#define HKD_VECTOR_FORMAT "1"

hkd_status hkd_vector_save(const char *path, const hkd_vector *v);
hkd_status hkd_vector_load(hkd_vector *out, const char *path);
/* A port's answer to a vector: the tensors out.NAME and grad.NAME in float32, float16 or float64; what the file lacks stays
 * NULL. */
hkd_status hkd_vector_result_load(hkd_vector_result *out, const hkd_vector *v, const char *path);

#endif
