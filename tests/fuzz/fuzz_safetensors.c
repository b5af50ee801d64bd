#include "fuzz.h"
#include "safetensors.h"

#include <stdlib.h>

/* Opens the file and reads every tensor that fits into a megabyte. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_file *file;
    hkd_safetensors *st;
    if (hkd_file_from_memory(&file, "fuzz", bytes, count) || hkd_safetensors_open_file(&st, file)) return 0;
    for (size_t i = 0; i < st->count; i++) {
        const hkd_safetensor *t = &st->tensor[i];
        hkd_shape shape;
        if (hkd_safetensors_shape(&shape, st, t) || t->count > 1 << 17) continue;
        double *values = malloc((size_t)t->count * sizeof *values + 1);
        if (values) hkd_safetensors_read(st, t, values, HKD_F64);
        free(values);
    }
    hkd_safetensors_metadata(st, "hkd.config");
    hkd_safetensors_close(st);
    return 0;
}
