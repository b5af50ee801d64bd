#include "fuzz.h"
#include "model_file.h"

#include <string.h>

/* A whole model file. Networks that a config may rightly ask for and that take long to build are left out. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_file *file;
    hkd_safetensors *st;
    hkd_config c;
    hkd_device *dev;
    hkd_model *m;
    if (hkd_file_from_memory(&file, "fuzz", bytes, count) || hkd_safetensors_open_file(&st, file)) return 0;
    if (!hkd_model_file_config(&c, st) && c.img_resolution <= 16 && c.img_channels <= 4 && c.model_channels <= 16 &&
        c.num_blocks <= 2 && c.levels <= 2 && c.channel_mult[0] <= 2 && c.channel_mult[1] <= 2 && c.label_dim <= 8 &&
        c.augment_dim <= 16 && c.channel_mult_emb <= 4 && !hkd_device_open_ref(&dev, &(hkd_device_options){0})) {
        if (!hkd_model_new(&m, &c, dev)) {
            hkd_model_file_weights(m, st, "", true);
            hkd_model_free(m);
        }
        hkd_device_close(dev);
    }
    hkd_safetensors_close(st);
    return 0;
}
