#include "fuzz.h"
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_file *file;
    hkd_image image;
    if (hkd_file_from_memory(&file, "fuzz", bytes, count)) return 0;
    hkd_image_read_file(&image, file);
    hkd_image_free(&image);
    hkd_file_close(file);
    return 0;
}
