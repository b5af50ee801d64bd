/* feature_file.h - networks that measure pictures, in safetensors files; recognised by the names of their tensors. Tensors that
 * the network has no place for (the classifier's last layers) are not read. */
#ifndef HKD_FEATURE_FILE_H
#define HKD_FEATURE_FILE_H

#include "feature_net.h"
#include "lpips.h"
#include "safetensors.h"

/* A residual network for CIFAR-10, or Inception-v3, for pictures of res x res, at most `batch` at once. HKD_BAD_FILE when it is
 * neither. */
hkd_status hkd_features_load(hkd_features **out, const char *path, int64_t res, int64_t batch, hkd_device *dev);
bool hkd_features_is_inception(const char *path);

/* Any of the backbones, with the weights of its taps. */
hkd_status hkd_lpips_load(hkd_lpips **out, const char *path, int64_t n, int64_t channels, int64_t h, int64_t w, bool gradient,
                          hkd_device *dev);

#endif
