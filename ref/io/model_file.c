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

/* Where the weights of a model come from. */
typedef struct {
    hkd_model *m;
    const hkd_safetensors *st;
    const char *prefix;
    bool start_operators; /* at 0, where the file has none */
} origin;

static hkd_status read_tensor(const origin *from, const hkd_weight *w, const hkd_safetensor *t) {
    hkd_shape shape;
    hkd_device *dev = from->m->dev;
    hkd_status status = hkd_safetensors_shape(&shape, from->st, t);
    if (status) return status;
    if (!hkd_same_shape(&shape, &w->value.shape))
        return hkd_fail(HKD_BAD_FILE, "%s: '%s' has another shape than hkd.config asks for", hkd_file_name(from->st->file),
                        t->name);
    const hkd_dtype type = strcmp(dev->kind, "ref") ? HKD_F32 : HKD_F64;
    void *values = malloc((size_t)hkd_count(&shape) * (type == HKD_F32 ? sizeof(float) : sizeof(double)) + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory while reading '%s'", t->name);
    status = hkd_safetensors_read(from->st, t, values, type);
    if (!status) status = dev->upload(dev, &w->value, values, type);
    free(values);
    return status;
}

static hkd_status read_weight(void *self, hkd_weight *w) {
    const origin *from = self;
    char name[256];
    snprintf(name, sizeof name, "%s%s", from->prefix, w->name);
    const hkd_safetensor *t = hkd_safetensors_find(from->st, name);
    if (t) return read_tensor(from, w, t);
    if (from->start_operators && !strncmp(w->name, "koopman.", 8)) return from->m->dev->fill(from->m->dev, &w->value, 0);
    return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing", hkd_file_name(from->st->file), name);
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
    origin from = {m, st, prefix, start_operators};
    for (int i = 0; i < m->weights->count; i++) {
        const hkd_status status = read_weight(&from, &m->weights->item[i]);
        if (status) return status;
    }
    return refuse_strangers(m, st, prefix);
}

static hkd_status weights_of_file(hkd_model *m, const hkd_safetensors *st, bool prepared) {
    origin from = {m, st, "", false};
    if (!prepared) return hkd_model_file_weights(m, st, "", false);
    const hkd_status status = hkd_model_prepare(m, read_weight, &from);
    return status ? status : refuse_strangers(m, st, "");
}

static hkd_status remember_file(hkd_model *m, const char *path) {
    m->file = malloc(strlen(path) + 1);
    if (!m->file) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    strcpy(m->file, path);
    return HKD_OK;
}

/* A configuration that no network can have is the file's fault. */
static hkd_status network_of_file(hkd_model **out, const hkd_config *config, const char *path, hkd_device *dev) {
    const hkd_status status = hkd_model_new(out, config, dev);
    if (status != HKD_USAGE) return status;
    char reason[512];
    snprintf(reason, sizeof reason, "%s", hkd_last_error());
    return hkd_fail(HKD_BAD_FILE, "%s: hkd.config describes no network: %s", path, reason);
}

static hkd_status load(hkd_model **out, const char *path, hkd_device *dev, bool prepared) {
    hkd_safetensors *st;
    hkd_config config;
    *out = NULL;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = hkd_model_file_config(&config, st);
    if (!status) status = network_of_file(out, &config, path, dev);
    if (!status) status = remember_file(*out, path);
    if (!status) status = weights_of_file(*out, st, prepared);
    hkd_safetensors_close(st);
    if (status) {
        hkd_model_free(*out);
        *out = NULL;
    }
    return status;
}

hkd_status hkd_model_load(hkd_model **out, const char *path, hkd_device *dev) { return load(out, path, dev, false); }
hkd_status hkd_model_load_prepared(hkd_model **out, const char *path, hkd_device *dev) { return load(out, path, dev, true); }

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
