#include "fuzz.h"
#include "recording.h"
#include "trace.h"

/* A trace or composite with its calls, a port's tensors for it, and the tensors alone. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const char *path = fuzz_file("f.safetensors", bytes, count);
    hkd_trace t;
    hkd_recording r;
    if (!hkd_trace_load(&t, path)) {
        hkd_trace_values(&t, path);
        hkd_trace_free(&t);
    }
    if (!hkd_recording_load(&r, path)) hkd_recording_free(&r);
    return 0;
}
