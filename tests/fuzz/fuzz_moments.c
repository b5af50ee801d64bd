#include "fuzz.h"
#include "moments_file.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_moments *m = NULL;
    const char *path = fuzz_file("f.safetensors", bytes, count);
    if (hkd_is_moments_file(path)) hkd_moments_load(&m, path, NULL);
    hkd_moments_free(m);
    return 0;
}
