/* What hkd sample --out F.safetensors writes: the tensor x [N, 1 or 3, R, R] of values in [-1, 1], seen as 8-bit images. */
#include "dataset.h"

#include <stdlib.h>

typedef struct {
    hkd_safetensors *st;
    const hkd_safetensor *x;
    double *values; /* of one image */
    uint64_t *seed; /* NULL: not said */
} samples;

static void close_samples(void *state) {
    samples *s = state;
    hkd_safetensors_close(s->st);
    free(s->values);
    free(s->seed);
    free(s);
}

static hkd_status get(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    const samples *s = set->state;
    const size_t size = (size_t)(image->width * image->height * image->channels);
    const hkd_status status = hkd_safetensors_read_part(s->st, s->x, (uint64_t)index * size, size, s->values, HKD_F64);
    if (!status) hkd_image_set(image, s->values);
    *label = -1;
    return status;
}

static hkd_status read_seeds(hkd_dataset *set, samples *s) {
    const hkd_safetensor *t = hkd_safetensors_find(s->st, "seeds");
    if (!t) return HKD_OK;
    if (t->rank != 1 || t->dim[0] != set->count)
        return hkd_fail(HKD_BAD_FILE, "%s: tensor 'seeds': expected [%lld], a seed for each image", set->name,
                        (long long)set->count);
    s->seed = malloc((size_t)t->count * sizeof *s->seed + 1);
    if (!s->seed) return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    set->seed = s->seed;
    return hkd_safetensors_read_u64(s->st, t, s->seed);
}

hkd_status hkd_open_samples(hkd_dataset *set) {
    samples *s = calloc(1, sizeof *s);
    if (!s) return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    set->state = s;
    set->close = close_samples;
    set->get = get;
    const hkd_status status = hkd_safetensors_open(&s->st, set->name);
    if (status) return status;
    const hkd_safetensor *x = s->x = hkd_safetensors_find(s->st, "x");
    if (!x || x->rank != 4 || (x->dim[1] != 1 && x->dim[1] != 3) || x->dim[2] != x->dim[3] || x->dim[2] > 4096 ||
        !hkd_stored_convertible(x->type))
        return hkd_fail(HKD_BAD_FILE, "%s: expected samples: a tensor 'x' [N, 1 or 3, R, R]", set->name);
    set->count = x->dim[0];
    set->channels = (int)x->dim[1];
    set->resolution = (int)x->dim[2];
    s->values = malloc((size_t)(x->dim[1] * x->dim[2] * x->dim[3]) * sizeof *s->values + 1);
    return s->values ? read_seeds(set, s) : hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
}
