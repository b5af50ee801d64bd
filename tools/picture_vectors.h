/* picture_vectors.h - the pictures of a data set as vectors: features of a network, or pixels. */
#ifndef HKD_PICTURE_VECTORS_H
#define HKD_PICTURE_VECTORS_H

#include "dataset.h"
#include "feature_file.h"

typedef struct {
    hkd_dataset *set;
    hkd_features *net;  /* NULL: pixels, byte / 127.5 - 1, averaged over blocks to side x side */
    int64_t side, dim;
} hkd_vectors;

/* `features` names a network, or is NULL; `side` 0: pixels as they are. */
hkd_status hkd_vectors_open(hkd_vectors *out, const char *set, const char *features, int64_t side, hkd_device *dev);
void hkd_vectors_close(hkd_vectors *v);
/* rows [n, dim] of pictures first .. first + n - 1 */
hkd_status hkd_vectors_get(const hkd_vectors *v, double *rows, int64_t first, int64_t n);

#endif
