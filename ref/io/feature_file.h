/* feature_file.h - feature networks in safetensors files, recognised by the names of their tensors. */
#ifndef HKD_FEATURE_FILE_H
#define HKD_FEATURE_FILE_H

#include "feature_net.h"
#include "safetensors.h"

/* HKD_BAD_FILE when the tensors are not those of a residual network for CIFAR-10. */
hkd_status hkd_features_load(hkd_features **out, const char *path, int64_t res, int64_t batch, hkd_device *dev);

#endif
