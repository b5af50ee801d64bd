#include "feature_file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_device *dev;
    hkd_features *f = NULL;
    if (hkd_device_open_ref(&dev, &(hkd_device_options){0})) return 0;
    if (!hkd_features_load(&f, fuzz_file("f.safetensors", bytes, count), 8, 1, dev)) hkd_features_free(f);
    hkd_device_close(dev);
    return 0;
}
