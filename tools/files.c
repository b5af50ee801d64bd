#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *hkd_shape_text(char *out, size_t size, int rank, const int64_t *dim) {
    size_t at = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && at < size; i++) {
        const char *comma = i ? "," : "";
        if (dim[i] == HKD_ANY) at += (size_t)snprintf(out + at, size - at, "%sN", comma);
        else at += (size_t)snprintf(out + at, size - at, "%s%lld", comma, (long long)dim[i]);
    }
    if (at < size) snprintf(out + at, size - at, "]");
    return out;
}

static bool fits(const hkd_safetensor *t, const hkd_shape *want) {
    bool fits = t->rank == want->rank;
    for (int i = 0; fits && i < t->rank; i++) fits = want->dim[i] == HKD_ANY || want->dim[i] == t->dim[i];
    return fits;
}

hkd_status hkd_read_tensor(double **out, hkd_shape *want, const hkd_safetensors *st, const char *name, bool optional) {
    const char *file = hkd_file_name(st->file);
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    char expected[96], found[512];
    *out = NULL;
    if (!t && optional) return HKD_OK;
    hkd_shape_text(expected, sizeof expected, want->rank, want->dim);
    if (!t) return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing, expected %s", file, name, expected);
    if (!fits(t, want))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is %s, expected %s", file, name,
                        hkd_shape_text(found, sizeof found, t->rank, t->dim), expected);
    hkd_status status = hkd_safetensors_shape(want, st, t);
    if (status) return status;
    *out = malloc((size_t)t->count * sizeof **out + 1);
    if (!*out) return hkd_fail(HKD_RESOURCES, "%s: out of memory for tensor '%s'", file, name);
    status = hkd_safetensors_read(st, t, *out, HKD_F64);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

bool hkd_ends_with(const char *path, const char *ending) {
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcmp(path + n - m, ending);
}

bool hkd_names_picture(const char *path) { return hkd_ends_with(path, ".png") || hkd_ends_with(path, ".ppm"); }
