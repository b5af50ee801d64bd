#include "model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_model_file_config(hkd_config *out, const hkd_safetensors *st) {
    const char *where = hkd_file_name(st->file);
    const char *format = hkd_safetensors_metadata(st, "hkd.format"), *kind = hkd_safetensors_metadata(st, "hkd.kind");
    const char *config = hkd_safetensors_metadata(st, "hkd.config");
    if (!format || !kind || !config)
        return hkd_fail(HKD_BAD_FILE, "%s: not a model: metadata hkd.format, hkd.kind and hkd.config are expected", where);
    if (strcmp(format, "1")) return hkd_fail(HKD_BAD_FILE, "%s: hkd.format is '%s', this program reads '1'", where, format);
    if (strcmp(kind, "hkd") && strcmp(kind, "denoiser"))
        return hkd_fail(HKD_BAD_FILE, "%s: hkd.kind is '%s', expected 'denoiser' or 'hkd'", where, kind);
    return hkd_config_from_json(out, config, !strcmp(kind, "hkd"), where);
}

static hkd_status read_weight(hkd_model *m, const hkd_weight *w, const hkd_safetensors *st, const hkd_safetensor *t) {
    hkd_shape shape;
    hkd_status status = hkd_safetensors_shape(&shape, st, t);
    if (status) return status;
    if (!hkd_same_shape(&shape, &w->value.shape))
        return hkd_fail(HKD_BAD_FILE, "%s: '%s' has another shape than hkd.config asks for", hkd_file_name(st->file), t->name);
    const hkd_dtype type = strcmp(m->dev->kind, "ref") ? HKD_F32 : HKD_F64;
    void *values = malloc((size_t)hkd_count(&shape) * sizeof(double) + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory while reading '%s'", t->name);
    status = hkd_safetensors_read(st, t, values, type);
    if (!status) status = m->dev->upload(m->dev, &w->value, values, type);
    free(values);
    return status;
}

/* Tensors of the file that no weight of the model claims: buffers of constant filters are known, others contradict the
 * config. */
static hkd_status refuse_strangers(const hkd_model *m, const hkd_safetensors *st, const char *prefix) {
    const size_t skip = strlen(prefix);
    for (size_t i = 0; i < st->count; i++) {
        const char *name = st->tensor[i].name;
        if (strncmp(name, prefix, skip) || strstr(name, ".resample_filter")) continue;
        if (strncmp(name + skip, "model.", 6) && strncmp(name + skip, "koopman.", 8)) continue;
        if (!hkd_weights_find(m->weights, name + skip))
            return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' has no place in the network that hkd.config describes",
                            hkd_file_name(st->file), name);
    }
    return HKD_OK;
}

hkd_status hkd_model_file_weights(hkd_model *m, const hkd_safetensors *st, const char *prefix, bool start_operators) {
    char name[256];
    for (int i = 0; i < m->weights->count; i++) {
        const hkd_weight *w = &m->weights->item[i];
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        const hkd_safetensor *t = hkd_safetensors_find(st, name);
        const bool new_operator = !t && start_operators && !strncmp(w->name, "koopman.", 8);
        if (!t && !new_operator) return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing", hkd_file_name(st->file), name);
        const hkd_status status = t ? read_weight(m, w, st, t) : m->dev->fill(m->dev, &w->value, 0);
        if (status) return status;
    }
    return refuse_strangers(m, st, prefix);
}

/* A configuration that no network can have is the file's fault. */
static hkd_status network_of_file(hkd_model **out, const hkd_config *config, const char *path, hkd_device *dev) {
    const hkd_status status = hkd_model_new(out, config, dev);
    if (status != HKD_USAGE) return status;
    char reason[512];
    snprintf(reason, sizeof reason, "%s", hkd_last_error());
    return hkd_fail(HKD_BAD_FILE, "%s: hkd.config describes no network: %s", path, reason);
}

hkd_status hkd_model_load(hkd_model **out, const char *path, hkd_device *dev) {
    hkd_safetensors *st;
    hkd_config config;
    *out = NULL;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = hkd_model_file_config(&config, st);
    if (!status) status = network_of_file(out, &config, path, dev);
    if (!status) status = hkd_model_file_weights(*out, st, "", false);
    hkd_safetensors_close(st);
    if (status) {
        hkd_model_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- saving ---- */

typedef struct {
    hkd_device *dev;
    hkd_tensor tensor;
} source;

static hkd_status fetch(void *to, const hkd_saved *t) {
    const source *s = t->context;
    return s->dev->download(s->dev, to, HKD_F32, &s->tensor);
}

hkd_status hkd_model_save(const hkd_model *m, const hkd_tensor *values, const char *path, const hkd_metadata *more,
                          size_t more_count) {
    const size_t count = (size_t)m->weights->count;
    hkd_saved *saved = calloc(count + 1, sizeof *saved);
    source *sources = calloc(count + 1, sizeof *sources);
    hkd_metadata *metadata = calloc(more_count + 3, sizeof *metadata);
    char *config = NULL;
    hkd_status status = saved && sources && metadata ? hkd_config_to_json(&config, &m->config)
                                                     : hkd_fail(HKD_RESOURCES, "out of memory while saving a model");
    if (!status) {
        metadata[0] = (hkd_metadata){"hkd.format", "1"};
        metadata[1] = (hkd_metadata){"hkd.kind", m->config.is_hkd ? "hkd" : "denoiser"};
        metadata[2] = (hkd_metadata){"hkd.config", config};
        if (more_count) memcpy(metadata + 3, more, more_count * sizeof *more);
        for (size_t i = 0; i < count; i++) {
            const hkd_weight *w = &m->weights->item[i];
            sources[i] = (source){m->dev, values && values[i].buffer ? values[i] : w->value};
            saved[i] = (hkd_saved){.name = w->name, .type = HKD_FLOAT, .shape = w->value.shape, .as = HKD_F32, .fetch = fetch,
                                   .context = &sources[i]};
        }
        status = hkd_safetensors_save(path, saved, count, metadata, more_count + 3);
    }
    free(config);
    free(metadata);
    free(sources);
    free(saved);
    return status;
}
