#include "recording.h"

#include "safetensors.h"
#include "status.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more tensor; NULL: out of memory. */
static hkd_recorded *append(hkd_recording *r, const char *name, bool given, const hkd_shape *shape) {
    hkd_recorded *larger = realloc(r->item, ((size_t)r->count + 1) * sizeof *larger);
    double *value = larger ? calloc((size_t)hkd_count(shape) + 1, sizeof *value) : NULL;
    if (larger) r->item = larger;
    if (!value) return NULL;
    hkd_recorded *t = &r->item[r->count++];
    *t = (hkd_recorded){.given = given, .shape = *shape, .value = value};
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

hkd_status hkd_record_values(hkd_recording *r, const char *name, bool given, const hkd_shape *shape, const double *values) {
    hkd_recorded *t = append(r, name, given, shape);
    if (!t) return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    memcpy(t->value, values, (size_t)hkd_count(shape) * sizeof *values);
    return HKD_OK;
}

hkd_status hkd_record_tensor(hkd_recording *r, const char *name, bool given, hkd_device *dev, const hkd_tensor *from) {
    hkd_recorded *t = append(r, name, given, &from->shape);
    return t ? dev->download(dev, t->value, HKD_F64, from) : hkd_fail(HKD_RESOURCES, "out of memory for a recording");
}

hkd_status hkd_record_program(hkd_recording *r, const hkd_program *p, const hkd_plan *plan, const hkd_weights *w) {
    char name[96];
    hkd_status status = HKD_OK;
    r->calls = hkd_trace_calls(p);
    if (!r->calls) return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    for (int v = 0; !status && v < p->n_vars; v++) {
        const hkd_weight *weight = p->var[v].kind == HKD_VAR_WEIGHT ? hkd_weights_find(w, p->var[v].name) : NULL;
        const hkd_tensor *t = weight ? &weight->value : hkd_plan_tensor(plan, v);
        hkd_trace_name(name, sizeof name, p, v);
        if (t) status = hkd_record_tensor(r, name, p->var[v].kind != HKD_VAR_RESULT, w->dev, t);
    }
    return status;
}

const hkd_recorded *hkd_recording_find(const hkd_recording *r, const char *name) {
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->item[i].name, name)) return &r->item[i];
    return NULL;
}

hkd_status hkd_recording_save(const char *path, const hkd_recording *r) {
    hkd_saved *saved = calloc((size_t)r->count + 1, sizeof *saved);
    if (!saved) return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    for (int i = 0; i < r->count; i++)
        saved[i] = (hkd_saved){.name = r->item[i].name, .type = HKD_DOUBLE, .shape = r->item[i].shape, .as = HKD_F64,
                               .data = r->item[i].value};
    const hkd_metadata metadata[] = {{"hkd.trace", "1"}, {"hkd.device", "ref"}, {"hkd.calls", r->calls ? r->calls : "[]"}};
    const hkd_status status = hkd_safetensors_save(path, saved, (size_t)r->count, metadata, 3);
    free(saved);
    return status;
}

hkd_status hkd_recording_load(hkd_recording *out, const char *path) {
    *out = (hkd_recording){.count = 0};
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    for (size_t i = 0; !status && i < st->count; i++) {
        hkd_shape shape;
        status = hkd_safetensors_shape(&shape, st, &st->tensor[i]);
        hkd_recorded *t = status ? NULL : append(out, st->tensor[i].name, false, &shape);
        if (!status && !t) status = hkd_fail(HKD_RESOURCES, "out of memory for a recording");
        if (!status) t->half = st->tensor[i].type == HKD_F16;
        if (!status) status = hkd_safetensors_read(st, &st->tensor[i], t->value, HKD_F64);
    }
    hkd_safetensors_close(st);
    if (status) hkd_recording_free(out);
    return status;
}

void hkd_recording_free(hkd_recording *r) {
    for (int i = 0; i < r->count; i++) free(r->item[i].value);
    free(r->item);
    free(r->calls);
    *r = (hkd_recording){.count = 0};
}
