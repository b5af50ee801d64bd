/* hkd convert - weights and arrays from one kind of file into another; nothing in a file is executed. */
#include "cli.h"
#include "files.h"
#include "model_file.h"
#include "sha256.h"
#include "status.h"
#include "tensor_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- new names: a text of lines old=new; '#' begins a comment --------------------------------------------------------- */

static hkd_status rename_one(hkd_tensor_list *list, const char *file, int line, const char *old, const char *new) {
    hkd_listed *t = hkd_tensor_list_find(list, old);
    if (!t) return hkd_fail(HKD_USAGE, "%s: line %d: there is no tensor '%s'", file, line, old);
    char *name = malloc(strlen(new) + 1);
    if (!name) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    free(t->name);
    t->name = strcpy(name, new);
    return HKD_OK;
}

static hkd_status rename_all(hkd_tensor_list *list, const char *file) {
    unsigned char *text;
    size_t count;
    hkd_status status = hkd_read_file(&text, &count, file, 1 << 24);
    if (status) return status;
    char *at = (char *)text;
    for (int line = 1; *at && !status; line++) {
        char *end = at + strcspn(at, "\r\n"), *next = end + (*end == '\r' && end[1] == '\n') + (*end != 0);
        *end = 0;
        char *equals = strchr(at, '=');
        if (*at && *at != '#' && !equals) status = hkd_fail(HKD_BAD_FILE, "%s: line %d: expected old=new", file, line);
        if (*at && *at != '#' && equals) {
            *equals = 0;
            status = rename_one(list, file, line, at, equals + 1);
        }
        at = next;
    }
    free(text);
    return status;
}

/* ---- metadata: what a safetensors file has stays with it; a network gets what makes it a model ------------------------ */

enum { MOST_METADATA = 256 };

typedef struct {
    hkd_metadata item[MOST_METADATA];
    size_t count;
    hkd_safetensors *from; /* whose strings these are; NULL: none */
    char *config;
    char sha256[65];
} notes;

static void note(notes *n, const char *key, const char *value) {
    if (n->count < MOST_METADATA) n->item[n->count++] = (hkd_metadata){key, value};
}

static hkd_status describe_network(notes *n, const hkd_tensor_list *list, const char *path) {
    hkd_status status = hkd_config_to_json(&n->config, &list->config);
    if (!status) status = hkd_sha256_of_file(n->sha256, path);
    if (status) return status;
    note(n, "hkd.format", "1");
    note(n, "hkd.kind", "denoiser");
    note(n, "hkd.config", n->config);
    note(n, "hkd.source.sha256", n->sha256);
    return HKD_OK;
}

static hkd_status keep_metadata(notes *n, const char *path) {
    if (!hkd_ends_with(path, ".safetensors")) return HKD_OK;
    const hkd_status status = hkd_safetensors_open(&n->from, path);
    for (size_t i = 0; !status && i < n->from->metadata_count; i++) note(n, n->from->metadata[i].key,
                                                                         n->from->metadata[i].value);
    return status;
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status write(const hkd_args *a, const hkd_tensor_list *list) {
    const char *from = a->operand[0], *to = a->operand[1];
    notes *n = calloc(1, sizeof *n);
    if (!n) return hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_status status = list->is_edm ? describe_network(n, list, from) : keep_metadata(n, from);
    if (!status) status = hkd_tensor_list_write(list, to, n->item, n->count);
    hkd_safetensors_close(n->from);
    free(n->config);
    free(n);
    return status;
}

static void report(const hkd_args *a, const hkd_tensor_list *list) {
    int64_t elements = 0;
    for (size_t i = 0; i < list->count; i++) elements += hkd_count(&list->item[i].shape);
    hkd_say(a, "%llu tensors, %lld elements written to %s", (unsigned long long)list->count, (long long)elements,
            a->operand[1]);
    if (list->skipped) hkd_say(a, "%llu entries that are no tensors were left out", (unsigned long long)list->skipped);
    if (list->is_edm)
        hkd_say(a, "EDM network %s, %dx%d, %d classes; NVIDIA's published weights are licensed CC BY-NC-SA 4.0",
                hkd_arch_name(list->config.arch), list->config.img_resolution, list->config.img_resolution,
                    list->config.label_dim);
}

static hkd_status run(const hkd_args *a) {
    hkd_tensor_list list;
    hkd_status status = hkd_tensor_list_read(&list, a->operand[0]);
    if (!status && hkd_arg(a, "map")) status = rename_all(&list, hkd_arg(a, "map"));
    if (!status) status = write(a, &list);
    if (!status) report(a, &list);
    hkd_tensor_list_free(&list);
    return status;
}

const hkd_verb hkd_verb_convert = {
    .name = "convert",
    .operands = "FROM TO",
    .summary = "weights and arrays between file formats, without running anything from them",
    .least = 2,
    .most = 2,
    .option = {{"map", "FILE", NULL, "new names, a line old=new for each tensor that gets one"}},
    .example = {"convert edm-cifar10-32x32-uncond-vp.pkl model.safetensors   NVIDIA's pickle becomes a model",
                "convert vgg16.pth vgg16.safetensors --map names.txt",
                "convert cifar10-32x32.npz stats.safetensors",
                "convert model.safetensors model.pth                         for torch.load"},
    .run = run,
};
