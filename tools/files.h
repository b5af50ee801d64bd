/* files.h - what verbs ask of files that the user names: tensors of the shape their place needs, results that can be made. */
#ifndef HKD_FILES_H
#define HKD_FILES_H

#include "safetensors.h"

#define HKD_ANY (-1) /* an extent that the file may choose */

/* The tensor `name` as doubles, of shape `want` but for extents HKD_ANY, which are set from the file. *out is NULL when it is
 * missing and `optional`; the caller frees it. Messages name file, tensor and expectation. */
hkd_status hkd_read_tensor(double **out, hkd_shape *want, const hkd_safetensors *st, const char *name, bool optional);
/* "[2,3,16,16]", with N for HKD_ANY. */
const char *hkd_shape_text(char *out, size_t size, int rank, const int64_t *dim);

bool hkd_ends_with(const char *path, const char *ending); /* ".png" */
bool hkd_names_picture(const char *path);                 /* .png or .ppm */

#endif
