#include "dataset.h"
#include "fuzz.h"

/* The bytes as a data set; its last image is read when there is one of a size that fits a test. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_dataset *set;
    hkd_image image = {0};
    int label;
    if (hkd_dataset_open(&set, fuzz_file("f.bin", bytes, count))) return 0;
    if (set->count > 0 && set->resolution <= 512) hkd_dataset_image(set, set->count - 1, &image, &label);
    hkd_image_free(&image);
    hkd_dataset_close(set);
    return 0;
}
