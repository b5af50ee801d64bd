/* golden.h - what the tests of whole networks against golden files share. */
#ifndef HKD_GOLDEN_H
#define HKD_GOLDEN_H

#include "model_file.h"

/* All values of a tensor of the file; NULL: none. The caller frees them. */
double *golden_values(const hkd_safetensors *st, const char *name, int64_t *count);
/* A check: max|got - want| / max|want| <= limit. */
void golden_compare(const char *file, const char *what, const double *got, const double *want, int64_t n, double limit);
/* The HKD file to the last digits, `m` being its model on the reference (golden_hkd.c). */
void golden_hkd(const char *file, const hkd_safetensors *st, hkd_model *m);

#endif
