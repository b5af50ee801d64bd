/* small_model.h - tiny networks with weights that are not near 0, for tests of what is built on networks. */
#ifndef HKD_SMALL_MODEL_H
#define HKD_SMALL_MODEL_H

#include "model_file.h"

/* 8x8 RGB, two levels, attention, `classes` classes; operators (is_hkd) of size about 0.3. */
hkd_config small_config(bool is_hkd, int classes);
/* The caller frees it; NULL after a failed check. */
hkd_model *small_model(const hkd_config *c, hkd_device *dev);
/* Save one to `path`. */
void small_model_file(const char *path, const hkd_config *c);

/* Save one tensor or more: (name, values, shape) up to `count`. */
typedef struct {
    const char *name;
    const double *values;
    hkd_shape shape;
    hkd_stored type;
} small_tensor;
void small_tensor_file(const char *path, const small_tensor *t, int count);
/* All values of a tensor in a file; NULL after a failed check. The caller frees them. */
double *tensor_in_file(const char *path, const char *name, hkd_stored *type, int64_t *count);

#endif
