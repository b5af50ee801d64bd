/* reference_file.h - a Gaussian in a file as the tools for FID keep it: `mu` [dim] and `sigma` [dim, dim] (divided by n - 1),
 * in NumPy's .npz or in .safetensors. How many samples it was fitted to, and to what, such a file does not say. */
#ifndef HKD_REFERENCE_FILE_H
#define HKD_REFERENCE_FILE_H

#include "tensor_list.h"

/* Does the name end with .npz, or is it .safetensors with a tensor `sigma`? */
bool hkd_is_reference_file(const char *path);
/* The caller frees *mean and *covariance. */
hkd_status hkd_reference_load(double **mean, double **covariance, int64_t *dim, const char *path);
hkd_status hkd_reference_save(const char *path, const double *mean, const double *covariance, int64_t dim);

#endif
