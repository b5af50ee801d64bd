#include "dataset.h"
#include "fuzz.h"

#include <stdlib.h>

/* The first half of the input is the image file, the second the label file. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_file *images, *labels;
    const size_t half = count / 2;
    hkd_dataset set = {.name = (char *)"fuzz"};
    if (hkd_file_from_memory(&images, "images", bytes, half)) return 0;
    if (hkd_file_from_memory(&labels, "labels", bytes + half, count - half)) labels = NULL;
    if (!hkd_open_idx_files(&set, images, labels) && set.count > 0 && set.resolution > 0) {
        hkd_image image = {0};
        int label;
        hkd_dataset_image(&set, set.count - 1, &image, &label);
        hkd_image_free(&image);
    }
    if (set.close) set.close(set.state);
    return 0;
}
