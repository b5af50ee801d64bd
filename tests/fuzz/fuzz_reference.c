#include "fuzz.h"
#include "reference_file.h"

#include <stdlib.h>

/* Statistics as the tools for FID keep them: whatever the bytes begin with. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const char *path = fuzz_file("f.safetensors", bytes, count);
    double *mean, *covariance;
    int64_t dim;
    hkd_is_reference_file(path);
    if (hkd_reference_load(&mean, &covariance, &dim, path)) return 0;
    for (int64_t i = 0; i < dim; i++)
        if (!(mean[i] - mean[i] == 0)) abort(); /* what is loaded is finite */
    free(mean);
    free(covariance);
    return 0;
}
