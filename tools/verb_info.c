/* hkd info - what a file is and holds: a model, a test vector, any safetensors, a data set. Whatever it describes it has read
 * and checked; a file that contradicts itself is refused. */
#include "cli.h"
#include "cost.h"
#include "dataset.h"
#include "files.h"
#include "model_file.h"
#include "os.h"
#include "vector_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "55,733,891" */
static const char *grouped(char out[32], int64_t n) {
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    int at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

static void print_json(json_t *o) {
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(o);
}

/* ---- tensors and metadata of any safetensors ---------------------------------------------------------------------------- */

static json_t *tensors_json(const hkd_safetensors *st) {
    json_t *list = json_array();
    for (size_t i = 0; i < st->count; i++) {
        const hkd_safetensor *t = &st->tensor[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->dim[k]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I}", "name", t->name, "type", hkd_stored_name(t->type),
                                              "shape", shape, "bytes", (json_int_t)(t->end - t->begin)));
    }
    return list;
}

static json_t *metadata_json(const hkd_safetensors *st) {
    json_t *o = json_object();
    for (size_t i = 0; i < st->metadata_count; i++)
        json_object_set_new(o, st->metadata[i].key, json_string(st->metadata[i].value));
    return o;
}

static void print_tensors(const hkd_safetensors *st) {
    for (size_t i = 0; i < st->count; i++) {
        const hkd_safetensor *t = &st->tensor[i];
        char shape[512];
        printf("  %-52s %-5s %s\n", t->name, hkd_stored_name(t->type), hkd_shape_text(shape, sizeof shape, t->rank, t->dim));
    }
}

static void print_metadata(const hkd_safetensors *st) {
    for (size_t i = 0; i < st->metadata_count; i++)
        printf("  %s = %.200s%s\n", st->metadata[i].key, st->metadata[i].value,
               strlen(st->metadata[i].value) > 200 ? "..." : "");
}

static hkd_status tensors_info(const hkd_safetensors *st, const hkd_args *a) {
    char elements[32], bytes[32];
    uint64_t total = 0;
    for (size_t i = 0; i < st->count; i++) total += st->tensor[i].count;
    if (hkd_given(a, "json")) {
        print_json(json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "schema", "hkd-info-1", "kind", "tensors", "bytes",
                             (json_int_t)hkd_file_size(st->file), "elements", (json_int_t)total, "metadata", metadata_json(st),
                             "tensors", tensors_json(st)));
        return HKD_OK;
    }
    printf("%s: %zu tensors, %s elements, %s bytes\n", hkd_file_name(st->file), st->count, grouped(elements, (int64_t)total),
           grouped(bytes, (int64_t)hkd_file_size(st->file)));
    print_metadata(st);
    print_tensors(st);
    return HKD_OK;
}

/* ---- test vectors ------------------------------------------------------------------------------------------------------- */

static hkd_status vector_info(const hkd_safetensors *st, const hkd_args *a) {
    hkd_vector v;
    char params[256];
    const hkd_status status = hkd_vector_load(&v, hkd_file_name(st->file));
    if (status) return status;
    hkd_vector_params_text(params, sizeof params, &v);
    if (hkd_given(a, "json")) {
        print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "schema", "hkd-info-1", "kind", "vector", "operator",
                             v.op->name, "case", v.name, "flags", v.flags, "parameters", params, "tensors", tensors_json(st)));
    } else {
        printf("%s: test vector %s/%s of %s\n", hkd_file_name(st->file), v.op->name, v.name, v.op->formula);
        printf("  parameters %s; flags %s; inputs %s\n", *params ? params : "none", *v.flags ? v.flags : "none",
               v.half ? "float16" : "float32");
        print_tensors(st);
    }
    hkd_vector_free(&v);
    return HKD_OK;
}

/* ---- models ------------------------------------------------------------------------------------------------------------- */

enum { PARTS = 5 };
static const char *const part_name[PARTS] = {"mapping", "encoder", "decoder", "operators", "constants"};

static int part_of(const hkd_weight *w) {
    static const char *const prefix[] = {"model.map_", "model.enc.", "model.dec.", "koopman."};
    for (int i = 0; i < 4 && w->trained; i++)
        if (!strncmp(w->name, prefix[i], strlen(prefix[i]))) return i;
    return PARTS - 1;
}

static hkd_status operations(double *out, const hkd_config *c) {
    hkd_program *p = hkd_model_program(c, &(hkd_model_options){.n = 1});
    if (!p) return hkd_fail(HKD_RESOURCES, "out of memory for the network");
    *out = hkd_multiply_adds(p);
    hkd_program_free(p);
    return HKD_OK;
}

typedef struct {
    int64_t parameters[PARTS], trained;
    double multiply_adds;
    bool with_memory, training, prepared;
    int64_t batch;
    size_t program; /* what the program took to load the model, besides its weights; 0: the device has memory of its own */
    hkd_memory memory;
} model_facts;

static hkd_status find_facts(model_facts *f, hkd_model *m) {
    f->trained = hkd_weights_total(m->weights, true);
    for (int i = 0; i < m->weights->count; i++) {
        const hkd_weight *w = &m->weights->item[i];
        f->parameters[part_of(w)] += hkd_count(&w->value.shape);
    }
    hkd_status status = operations(&f->multiply_adds, &m->config);
    if (!status && f->with_memory) status = hkd_predict_memory(&f->memory, m, f->batch, f->training);
    return status;
}

static size_t total_memory(const model_facts *f) {
    const hkd_memory *b = &f->memory;
    return f->program + b->weights + b->training + b->plan + b->workspace;
}

/* One line for each latent, or an entry: what it is and which operator moves it. */
static json_t *latents_json(const hkd_model *m) {
    json_t *list = json_array();
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        char name[64];
        const hkd_shape s = hkd_model_latent_shape(m, i);
        json_array_append_new(list,
                              json_pack("{s:s?, s:[I, I, I]}", "operator", hkd_model_operator(&m->config, i, name, sizeof name),
                                        "shape", (json_int_t)s.dim[0], (json_int_t)s.dim[1], (json_int_t)s.dim[2]));
    }
    return list;
}

static void print_latents(const hkd_model *m) {
    const int count = hkd_model_latent_count(m);
    for (int i = 0; i < count; i++) {
        char name[64], shape[96], skip[32];
        const hkd_shape s = hkd_model_latent_shape(m, i);
        const char *operator_name = hkd_model_operator(&m->config, i, name, sizeof name);
        snprintf(skip, sizeof skip, i + 1 < count ? "skip %d" : "bottleneck", i);
        printf("    %-11s %-14s moved by %s\n", skip, hkd_shape_text(shape, sizeof shape, s.rank, s.dim),
               operator_name ? operator_name : "nothing");
    }
}

static json_t *memory_json(const model_facts *f) {
    const hkd_memory *b = &f->memory;
    return json_pack("{s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "batch", (json_int_t)f->batch, "training", f->training,
                     "prepared", f->prepared, "program", (json_int_t)f->program, "weights", (json_int_t)b->weights,
                     "gradients_and_state", (json_int_t)b->training, "activations", (json_int_t)b->plan, "workspace",
                     (json_int_t)b->workspace, "total", (json_int_t)total_memory(f));
}

static void print_memory(const model_facts *f) {
    const hkd_memory *b = &f->memory;
    const double MB = 1e-6;
    printf("  memory, %s, batch %lld: %.1f MB = weights%s %.1f", f->training ? "training" : "forward", (long long)f->batch,
           MB * (double)total_memory(f), f->prepared ? ", prepared once," : "", MB * (double)b->weights);
    if (f->training) printf(" + gradients, moments and average %.1f", MB * (double)b->training);
    printf(" + activations %.1f + workspace %.1f", MB * (double)b->plan, MB * (double)b->workspace);
    if (f->program) printf(" + the program itself %.1f", MB * (double)f->program);
    printf("\n");
}

static void print_model_json(const hkd_model *m, const model_facts *f, const hkd_safetensors *st, json_t *config) {
    json_t *parts = json_object();
    for (int i = 0; i < PARTS; i++) json_object_set_new(parts, part_name[i], json_integer(f->parameters[i]));
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:O, s:I, s:o, s:f}", "schema", "hkd-info-1", "kind", m->config.is_hkd ? "hkd" : "denoiser",
                  "bytes", (json_int_t)hkd_file_size(st->file), "config", config, "parameters", (json_int_t)f->trained,
                  "parameters_by_part", parts, "multiply_adds_per_image", f->multiply_adds);
    if (m->config.is_hkd) json_object_set_new(o, "latents", latents_json(m));
    if (f->with_memory) json_object_set_new(o, "memory", memory_json(f));
    json_object_set_new(o, "metadata", metadata_json(st));
    json_object_set_new(o, "tensors", tensors_json(st));
    print_json(o);
}

static void print_config(json_t *config) {
    const char *key;
    json_t *value;
    json_object_foreach(config, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        printf("    %-18s %s\n", key, text ? text : "");
        free(text);
    }
}

static void print_model_text(const hkd_model *m, const model_facts *f, const hkd_safetensors *st, json_t *config) {
    char number[32];
    printf("%s: %s, %s bytes\n", hkd_file_name(st->file), m->config.is_hkd ? "HKD model" : "denoiser",
           grouped(number, (int64_t)hkd_file_size(st->file)));
    for (size_t i = 0; i < st->metadata_count; i++)
        if (strncmp(st->metadata[i].key, "hkd.", 4)) printf("  %s = %.200s\n", st->metadata[i].key, st->metadata[i].value);
    printf("  configuration\n");
    print_config(config);
    printf("  %s parameters\n", grouped(number, f->trained));
    for (int i = 0; i < PARTS; i++)
        if (f->parameters[i]) printf("    %-18s %14s\n", part_name[i], grouped(number, f->parameters[i]));
    if (m->config.is_hkd) printf("  latents\n"), print_latents(m);
    printf("  %.4g million multiply-adds per image\n", 1e-6 * f->multiply_adds);
    if (f->with_memory) print_memory(f);
}

static hkd_status model_info(const hkd_safetensors *st, const hkd_args *a) {
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    model_facts f = {.with_memory = hkd_given(a, "memory"), .training = hkd_given(a, "train")};
    char *text = NULL;
    hkd_status status = hkd_open_device(&dev, a);
    if (!status) status = hkd_arg_int(&f.batch, a, "batch", 1, 1 << 20);
    f.prepared = !status && dev->freeze && f.with_memory && !f.training && hkd_prepared_pays(f.batch); /* as hkd sample */
    if (!status) status = (f.prepared ? hkd_model_load_prepared : hkd_model_load)(&m, hkd_file_name(st->file), dev);
    const size_t peak = (size_t)hkd_peak_memory();
    if (!status) status = find_facts(&f, m);
    if (!status && !dev->memory && peak > f.memory.weights) f.program = peak - f.memory.weights;
    if (!status) status = hkd_config_to_json(&text, &m->config);
    if (!status) {
        json_t *config = json_loads(text, 0, NULL);
        (hkd_given(a, "json") ? print_model_json : print_model_text)(m, &f, st, config);
        if (hkd_given(a, "tensors") && !hkd_given(a, "json")) print_tensors(st);
        json_decref(config);
    }
    free(text);
    hkd_model_free(m);
    hkd_device_close(dev);
    return status;
}

/* ---- data sets ---------------------------------------------------------------------------------------------------------- */

static bool names_data_set(const char *path) {
    return !strncmp(path, "builtin:", 8) || hkd_is_directory(path) || hkd_ends_with(path, ".bin") ||
           hkd_ends_with(path, ".zip") || hkd_ends_with(path, ".gz") || hkd_ends_with(path, "ubyte");
}

static hkd_status data_info(const char *path, bool json) {
    hkd_dataset *set;
    const hkd_status status = hkd_dataset_open(&set, path);
    if (status) return status;
    if (json)
        print_json(json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i}", "schema", "hkd-info-1", "kind", "data", "name", set->name,
                             "images", (json_int_t)set->count, "resolution", set->resolution, "channels", set->channels,
                             "classes", set->classes));
    else
        printf("%s: data set, %lld images of %d x %d pixels, %s, %d classes\n", set->name, (long long)set->count,
               set->resolution, set->resolution, set->channels == 1 ? "gray" : "RGB", set->classes);
    hkd_dataset_close(set);
    return HKD_OK;
}

/* ---- pictures ----------------------------------------------------------------------------------------------------------- */

static void add_text(void *self, const char *key, const char *value) {
    json_t *text = json_string(value);
    if (text) json_object_set_new(self, key, text); /* what is not UTF-8 is left out */
}

/* A PNG file's size, and what `hkd sample` wrote about its making. */
static hkd_status picture_info(const char *path, bool as_json) {
    hkd_file *file;
    hkd_image image = {0};
    json_t *text = json_object();
    const char *key;
    json_t *value;
    hkd_status status = hkd_file_open(&file, path);
    if (!status) status = hkd_png_read(&image, file, add_text, text);
    if (!status && as_json) {
        print_json(json_pack("{s:s, s:s, s:I, s:I, s:i, s:O}", "schema", "hkd-info-1", "kind", "picture", "width",
                             (json_int_t)image.width, "height", (json_int_t)image.height, "channels", image.channels,
                             "metadata", text));
    } else if (!status) {
        printf("%s: picture, %lld x %lld pixels, %s\n", path, (long long)image.width, (long long)image.height,
               image.channels == 1 ? "gray" : "RGB");
        json_object_foreach(text, key, value) printf("  %s = %s\n", key, json_string_value(value));
    }
    json_decref(text);
    hkd_image_free(&image);
    hkd_file_close(file);
    return status;
}

/* ---- the verb ----------------------------------------------------------------------------------------------------------- */

static hkd_status run(const hkd_args *a) {
    const char *path = a->operand[0];
    hkd_safetensors *st;
    if (names_data_set(path)) return data_info(path, hkd_given(a, "json"));
    if (hkd_ends_with(path, ".png")) return picture_info(path, hkd_given(a, "json"));
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    if (hkd_safetensors_metadata(st, "hkd.config")) status = model_info(st, a);
    else status = (hkd_safetensors_metadata(st, "hkd.vector") ? vector_info : tensors_info)(st, a);
    hkd_safetensors_close(st);
    return status;
}

const hkd_verb hkd_verb_info = {
    .name = "info",
    .operands = "FILE",
    .summary = "describe any safetensors file, model, test vector, picture or data set",
    .least = 1,
    .most = 1,
    .option = {{"tensors", NULL, NULL, "list a model's tensors, too"},
               {"memory", NULL, NULL, "predict the memory that `hkd sample --batch N` takes on --device, by --math"},
               {"batch", "N", "16", "images in that pass"},
               {"train", NULL, NULL, "that of training instead, N samples in a pass: gradients, moments and average, too"}},
    .example = {"info data/scenes_hkd.safetensors", "info data/scenes_hkd.safetensors --memory --train --batch 64",
                "info builtin:scenes --json"},
    .run = run,
};
