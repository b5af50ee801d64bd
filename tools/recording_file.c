/* Recordings on disk: as traces are (trace.h). */
#include "recording.h"

#include "safetensors.h"
#include "status.h"
#include "trace.h"

#include <stdlib.h>

hkd_status hkd_recording_save(const char *path, const hkd_recording *r) {
    hkd_saved *saved = calloc((size_t)r->count + 1, sizeof *saved);
    char *calls = saved ? hkd_trace_calls(r->call, r->calls, r->name) : NULL;
    if (!calls) {
        free(saved);
        return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    }
    for (int i = 0; i < r->count; i++)
        saved[i] = (hkd_saved){.name = r->item[i].name, .type = HKD_DOUBLE, .shape = r->item[i].shape, .as = HKD_F64,
                               .data = r->item[i].value};
    const hkd_metadata metadata[] = {{"hkd.trace", "1"}, {"hkd.device", "ref"}, {"hkd.calls", calls}};
    const hkd_status status = hkd_safetensors_save(path, saved, (size_t)r->count, metadata, 3);
    free(saved);
    free(calls);
    return status;
}

hkd_status hkd_recording_load(hkd_recording *out, const char *path) {
    *out = (hkd_recording){.count = 0};
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    for (size_t i = 0; !status && i < st->count; i++) {
        hkd_shape shape;
        status = hkd_safetensors_shape(&shape, st, &st->tensor[i]);
        hkd_recorded *t = status ? NULL : hkd_recording_append(out, st->tensor[i].name, false, &shape);
        if (!status && !t) status = hkd_fail(HKD_RESOURCES, "out of memory for a recording");
        if (!status) t->half = st->tensor[i].type == HKD_F16;
        if (!status) status = hkd_safetensors_read(st, &st->tensor[i], t->value, HKD_F64);
    }
    hkd_safetensors_close(st);
    if (status) hkd_recording_free(out);
    return status;
}
