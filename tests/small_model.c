#include "small_model.h"

#include "init.h"
#include "rng.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

hkd_config small_config(bool is_hkd, int classes) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = 8;
    c.model_channels = 8;
    c.num_blocks = 1;
    c.levels = 2;
    c.channel_mult[0] = 1;
    c.channel_mult[1] = 2;
    c.attn_resolutions[0] = 4;
    c.label_dim = classes;
    c.is_hkd = is_hkd;
    return c;
}

static hkd_status move_operators(const hkd_weights *w) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < w->count && !status; i++) {
        if (strncmp(w->item[i].name, "koopman.", 8)) continue;
        const int64_t n = hkd_count(&w->item[i].value.shape);
        const hkd_stream stream = {.purpose = HKD_FOR_TEST, .draw = (uint32_t)i};
        double *a = malloc((size_t)n * sizeof *a + 1);
        hkd_random_normals(a, 0, n, &stream);
        for (int64_t k = 0; k < n; k++) a[k] = (float)(0.3 * a[k]);
        status = w->dev->upload(w->dev, &w->item[i].value, a, HKD_F64);
        free(a);
    }
    return status;
}

hkd_model *small_model(const hkd_config *c, hkd_device *dev) {
    hkd_model *m;
    hkd_status status = hkd_model_new(&m, c, dev);
    if (!status) status = hkd_init_weights(m->weights, 1, true);
    if (!status) status = move_operators(m->weights);
    if (CHECK(!status, "%s", hkd_last_error())) return m;
    hkd_model_free(m);
    return NULL;
}

void small_model_file(const char *path, const hkd_config *c) {
    hkd_device *dev;
    if (!CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}), "%s", hkd_last_error())) return;
    hkd_model *m = small_model(c, dev);
    if (m) CHECK(!hkd_model_save(m, NULL, path, NULL, 0), "%s", hkd_last_error());
    hkd_model_free(m);
    hkd_device_close(dev);
}

void small_tensor_file(const char *path, const small_tensor *t, int count) {
    hkd_saved saved[16];
    for (int i = 0; i < count; i++)
        saved[i] = (hkd_saved){.name = t[i].name, .type = t[i].type, .shape = t[i].shape, .as = HKD_F64, .data = t[i].values};
    CHECK(!hkd_safetensors_save(path, saved, (size_t)count, NULL, 0), "%s", hkd_last_error());
}

double *tensor_in_file(const char *path, const char *name, hkd_stored *type, int64_t *count) {
    hkd_safetensors *st;
    if (!CHECK(!hkd_safetensors_open(&st, path), "%s", hkd_last_error())) return NULL;
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    double *values = t ? malloc((size_t)t->count * sizeof *values + 1) : NULL;
    if (values && type) *type = t->type;
    if (values && count) *count = (int64_t)t->count;
    if (CHECK(values, "%s has no %s", path, name)) CHECK(!hkd_safetensors_read(st, t, values, HKD_F64), "%s", hkd_last_error());
    hkd_safetensors_close(st);
    return values;
}
