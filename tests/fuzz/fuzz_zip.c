#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_dataset("f.zip", bytes, count);
    return 0;
}
