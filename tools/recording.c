#include "recording.h"

#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_recorded *hkd_recording_append(hkd_recording *r, const char *name, bool given, const hkd_shape *shape) {
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
    hkd_recorded *t = hkd_recording_append(r, name, given, shape);
    if (!t) return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    memcpy(t->value, values, (size_t)hkd_count(shape) * sizeof *values);
    return HKD_OK;
}

hkd_status hkd_record_tensor(hkd_recording *r, const char *name, bool given, hkd_device *dev, const hkd_tensor *from) {
    hkd_recorded *t = hkd_recording_append(r, name, given, &from->shape);
    return t ? dev->download(dev, t->value, HKD_F64, from) : hkd_fail(HKD_RESOURCES, "out of memory for a recording");
}

hkd_status hkd_record_program(hkd_recording *r, const hkd_program *p, const hkd_plan *plan, hkd_device *dev) {
    hkd_status status = HKD_OK;
    r->name = calloc((size_t)p->n_vars + 1, sizeof *r->name);
    r->call = calloc((size_t)p->n_calls + 1, sizeof *r->call);
    if (!r->name || !r->call) return hkd_fail(HKD_RESOURCES, "out of memory for a recording");
    memcpy(r->call, p->call, (size_t)p->n_calls * sizeof *r->call);
    r->calls = p->n_calls;
    for (int v = 0; !status && v < p->n_vars; v++) {
        const hkd_tensor *t = hkd_plan_tensor(plan, v);
        hkd_var_name(r->name[v], sizeof r->name[v], p, v);
        if (t) status = hkd_record_tensor(r, r->name[v], p->var[v].kind != HKD_VAR_RESULT, dev, t);
    }
    return status;
}

const hkd_recorded *hkd_recording_find(const hkd_recording *r, const char *name) {
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->item[i].name, name)) return &r->item[i];
    return NULL;
}

double hkd_relative_error(const double *a, const double *b, int64_t n) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        if (isnan(d)) return INFINITY;
        off = fmax(off, d);
        size = fmax(size, fabs(b[i]));
    }
    return off == 0 ? 0 : off / size;
}

void hkd_recording_free(hkd_recording *r) {
    for (int i = 0; i < r->count; i++) free(r->item[i].value);
    free(r->item);
    free(r->call);
    free(r->name);
    *r = (hkd_recording){.count = 0};
}
