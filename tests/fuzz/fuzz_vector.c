#include "fuzz.h"
#include "vector_file.h"

/* A vector, the same file as a port's answer to it, and small ones computed by the reference: parameters are hostile too. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const char *path = fuzz_file("f.safetensors", bytes, count);
    hkd_vector v;
    hkd_vector_result r;
    hkd_device *ref;
    int64_t elements = 0;
    if (hkd_vector_load(&v, path)) return 0;
    if (!hkd_vector_result_load(&r, &v, path)) hkd_vector_result_free(&r);
    for (int i = 0; i < hkd_op_outputs(v.op); i++) elements += hkd_count(&v.out_shape[i]);
    for (int i = 0; i < hkd_op_inputs(v.op); i++) elements += hkd_count(&v.in_shape[i]);
    if (elements <= 4096 && !hkd_device_open_ref(&ref, &(hkd_device_options){0})) {
        if (!hkd_vector_run(&r, ref, &v)) hkd_vector_result_free(&r);
        hkd_device_close(ref);
    }
    hkd_vector_free(&v);
    return 0;
}
