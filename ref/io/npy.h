/* npy.h - NumPy's .npy files: reads versions 1 and 2 (little-endian numbers), writes version 1 in C order. */
#ifndef HKD_NPY_H
#define HKD_NPY_H

#include "os.h"
#include "stored.h"

/* The whole array as doubles; the caller frees *values. At most HKD_MAX_RANK extents. */
hkd_status hkd_npy_read(double **values, hkd_shape *shape, const char *path);
hkd_status hkd_npy_read_file(double **values, hkd_shape *shape, hkd_file *file); /* does not close the file */
hkd_status hkd_npy_write(const char *path, const hkd_shape *shape, hkd_stored type, const void *values, hkd_dtype as);

/* The pieces, for arrays inside other files. The header alone, and where the values begin; the file's length is checked.
 * `fortran`: the first extent runs fastest, not the last. */
hkd_status hkd_npy_header(hkd_stored *type, hkd_shape *shape, bool *fortran, uint64_t *data_offset, hkd_file *file);
enum { HKD_NPY_HEADER = 512 };
size_t hkd_npy_make_header(char out[HKD_NPY_HEADER], const hkd_shape *shape, hkd_stored type); /* its length; 0: not possible */

#endif
