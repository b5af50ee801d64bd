#include "fuzz.h"
#include "npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_file *file;
    double *values;
    hkd_shape shape;
    if (hkd_file_from_memory(&file, "fuzz", bytes, count)) return 0;
    hkd_npy_read_file(&values, &shape, file);
    free(values);
    hkd_file_close(file);
    return 0;
}
