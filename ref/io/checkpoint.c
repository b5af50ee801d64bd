#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The four tensors of a weight in a checkpoint. */
enum { PARTS = 4 };
static const char *const prefix[PARTS] = {"", "adam.m.", "adam.v.", "ema."};

static const hkd_tensor *part_of(const hkd_trainer *t, int weight, int part) {
    const hkd_optimizer *o = t->optimizer;
    if (part == 0) return &t->model->weights->item[weight].value;
    if (!t->model->weights->item[weight].trained) return NULL;
    return part == 1 ? &o->m[weight] : part == 2 ? &o->v[weight] : &o->ema[weight];
}

typedef struct {
    hkd_device *dev;
    const hkd_tensor *tensor;
    char name[256];
} source;

static hkd_status fetch(void *to, const hkd_saved *saved) {
    const source *s = saved->context;
    return s->dev->download(s->dev, to, saved->as, s->tensor);
}

static bool doubles(const hkd_trainer *t) { return !strcmp(t->model->dev->kind, "ref"); }

static size_t list_parts(const hkd_trainer *t, hkd_saved *saved, source *sources) {
    size_t count = 0;
    for (int i = 0; i < t->model->weights->count; i++)
        for (int k = 0; k < PARTS; k++) {
            const hkd_tensor *tensor = part_of(t, i, k);
            if (!tensor) continue;
            source *s = &sources[count];
            *s = (source){.dev = t->model->dev, .tensor = tensor};
            snprintf(s->name, sizeof s->name, "%s%s", prefix[k], t->model->weights->item[i].name);
            saved[count++] = (hkd_saved){.name = s->name, .type = doubles(t) ? HKD_DOUBLE : HKD_FLOAT, .shape = tensor->shape,
                                         .as = doubles(t) ? HKD_F64 : HKD_F32, .fetch = fetch, .context = s};
        }
    return count;
}

hkd_status hkd_checkpoint_save(const hkd_trainer *t, const char *path, const char *settings) {
    const size_t most = (size_t)t->model->weights->count * PARTS + 1;
    hkd_saved *saved = calloc(most, sizeof *saved);
    source *sources = calloc(most, sizeof *sources);
    char *config = NULL, steps[32], images[32], device[192];
    hkd_status status = saved && sources ? hkd_config_to_json(&config, &t->model->config)
                                         : hkd_fail(HKD_RESOURCES, "out of memory while saving a checkpoint");
    snprintf(steps, sizeof steps, "%lld", (long long)t->optimizer->steps);
    snprintf(images, sizeof images, "%lld", (long long)t->images);
    snprintf(device, sizeof device, "%s %.*s", t->model->dev->kind, (int)strcspn(t->model->dev->name, ","),
             t->model->dev->name);
    const hkd_metadata metadata[] = {
        {"hkd.format", "1"}, {"hkd.kind", t->model->config.is_hkd ? "hkd" : "denoiser"}, {"hkd.config", config},
        {"hkd.steps", steps}, {"hkd.images", images}, {"hkd.device", device}, {"hkd.train", settings},
    };
    if (!status)
        status = hkd_safetensors_save(path, saved, list_parts(t, saved, sources), metadata, sizeof metadata / sizeof *metadata);
    free(config);
    free(sources);
    free(saved);
    return status;
}

static hkd_status read_part(const hkd_trainer *t, const hkd_safetensors *st, int weight, int part) {
    const hkd_tensor *to = part_of(t, weight, part);
    if (!to) return HKD_OK;
    char name[256];
    hkd_shape shape;
    snprintf(name, sizeof name, "%s%s", prefix[part], t->model->weights->item[weight].name);
    const hkd_safetensor *from = hkd_safetensors_find(st, name);
    if (!from || hkd_safetensors_shape(&shape, st, from) || !hkd_same_shape(&shape, &to->shape))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing or has another shape", hkd_file_name(st->file), name);
    double *values = malloc((size_t)hkd_count(&shape) * sizeof *values + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory while reading a checkpoint");
    hkd_status status = hkd_safetensors_read(st, from, values, HKD_F64);
    if (!status) status = t->model->dev->upload(t->model->dev, to, values, HKD_F64);
    free(values);
    return status;
}

/* The first of the lines that differs says what kind of run this was. */
static hkd_status same_settings(const char *where, const char *was, const char *is) {
    while (*was && *is && strcspn(was, "\n") == strcspn(is, "\n") && !strncmp(was, is, strcspn(was, "\n") + 1)) {
        was += strcspn(was, "\n") + (was[strcspn(was, "\n")] == '\n');
        is += strcspn(is, "\n") + (is[strcspn(is, "\n")] == '\n');
    }
    if (!strcmp(was, is)) return HKD_OK;
    return hkd_fail(HKD_USAGE, "%s: belongs to a run with other settings: %.*s there, %.*s here", where,
                    (int)strcspn(was, "\n"), was, (int)strcspn(is, "\n"), is);
}

/* Fields of a network that change no tensor's shape show here only. */
static hkd_status same_network(const char *where, const char *was, const hkd_config *c) {
    char *is = NULL;
    hkd_status status = hkd_config_to_json(&is, c);
    if (!status && (!was || strcmp(was, is)))
        status = hkd_fail(HKD_USAGE, "%s: belongs to a run of another network: %s there, %s here", where, was ? was : "none",
                          is);
    free(is);
    return status;
}

static hkd_status read_counts(hkd_trainer *t, const hkd_safetensors *st, const char *settings) {
    const char *where = hkd_file_name(st->file), *train = hkd_safetensors_metadata(st, "hkd.train");
    const char *steps = hkd_safetensors_metadata(st, "hkd.steps"), *images = hkd_safetensors_metadata(st, "hkd.images");
    const char *device = hkd_safetensors_metadata(st, "hkd.device");
    if (!train || !steps || !images || !device) return hkd_fail(HKD_BAD_FILE, "%s: not a checkpoint of a training run", where);
    hkd_status status = same_settings(where, train, settings);
    if (!status) status = same_network(where, hkd_safetensors_metadata(st, "hkd.config"), &t->model->config);
    if (status) return status;
    const size_t kind = strlen(t->model->dev->kind);
    if (strncmp(device, t->model->dev->kind, kind) || device[kind] != ' ' ||
        strncmp(device + kind + 1, t->model->dev->name, strcspn(t->model->dev->name, ",")))
        return hkd_fail(HKD_DEVICE, "%s: was made on device '%s'; its bits cannot be continued on '%s %s'", where, device,
                        t->model->dev->kind, t->model->dev->name);
    t->optimizer->steps = strtoll(steps, NULL, 10);
    t->images = strtoll(images, NULL, 10);
    return HKD_OK;
}

hkd_status hkd_checkpoint_load(hkd_trainer *t, const char *path, const char *settings) {
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = read_counts(t, st, settings);
    for (int i = 0; i < t->model->weights->count && !status; i++)
        for (int k = 0; k < PARTS && !status; k++) status = read_part(t, st, i, k);
    hkd_safetensors_close(st);
    return status;
}
