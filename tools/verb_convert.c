/* hkd convert - weights and arrays from one kind of file into another; nothing in a file is executed. */
#include "cli.h"
#include "files.h"
#include "join.h"
#include "model_file.h"
#include "rename.h"
#include "sha256.h"
#include "status.h"
#include "tensor_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    const char *slash = strrchr(path, '/');
    hkd_status status = hkd_config_to_json(&n->config, &list->config);
    if (!status) status = hkd_sha256_of_file(n->sha256, path);
    if (status) return status;
    note(n, "hkd.format", "1");
    note(n, "hkd.kind", "denoiser");
    note(n, "hkd.config", n->config);
    note(n, "hkd.source.sha256", n->sha256);
    note(n, "hkd.source.name", slash ? slash + 1 : path);
    note(n, "hkd.source.licence", "NVIDIA's published weights: CC BY-NC-SA 4.0");
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

static const char *target(const hkd_args *a) { return a->operand[a->operands - 1]; }

static hkd_status write(const hkd_args *a, const hkd_tensor_list *list) {
    notes *n = calloc(1, sizeof *n);
    if (!n) return hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_status status = HKD_OK;
    if (list->is_edm) status = describe_network(n, list, a->operand[0]);
    else if (a->operands == 2) status = keep_metadata(n, a->operand[0]);
    if (!status) status = hkd_tensor_list_write(list, target(a), n->item, n->count);
    hkd_safetensors_close(n->from);
    free(n->config);
    free(n);
    return status;
}

/* Training moves every scale of a normalisation away from 1, where it starts. */
static bool untrained(const hkd_tensor_list *list) {
    bool all_ones = true;
    for (size_t i = 0; i < list->count && all_ones; i++) {
        const hkd_listed *t = &list->item[i];
        const int64_t count = hkd_count(&t->shape);
        if (!strstr(t->name, "norm") || !hkd_ends_with(t->name, ".weight") || t->shape.rank != 1) continue;
        double *values = malloc((size_t)count * sizeof *values + 1);
        all_ones = values && !hkd_listed_values(values, HKD_F64, t);
        for (int64_t k = 0; k < count && all_ones; k++) all_ones = values[k] == 1;
        free(values);
    }
    return all_ones;
}

static void report(const hkd_args *a, const hkd_tensor_list *list) {
    int64_t elements = 0;
    for (size_t i = 0; i < list->count; i++) elements += hkd_count(&list->item[i].shape);
    hkd_say(a, "%llu tensors, %lld elements written to %s", (unsigned long long)list->count, (long long)elements, target(a));
    if (list->skipped) hkd_say(a, "%llu entries that are no tensors were left out", (unsigned long long)list->skipped);
    if (list->is_edm)
        hkd_say(a, "EDM network %s, %dx%d, %d classes; NVIDIA's published weights are licensed CC BY-NC-SA 4.0",
                hkd_arch_name(list->config.arch), list->config.img_resolution, list->config.img_resolution,
                    list->config.label_dim);
    if (list->is_edm && untrained(list)) hkd_say(a, "every normalisation's scale is 1: was this network ever trained?");
}

/* All files but the last, one after the other. A network that describes itself stands alone. */
static hkd_status read_all(hkd_tensor_list *list, const hkd_args *a) {
    hkd_status status = hkd_tensor_list_read(list, a->operand[0]);
    for (int i = 1; i + 1 < a->operands && !status; i++) {
        hkd_tensor_list more;
        if (list->is_edm) return hkd_fail(HKD_USAGE, "%s: a whole network, nothing can be added to it", a->operand[0]);
        status = hkd_tensor_list_read(&more, a->operand[i]);
        if (!status) status = hkd_tensor_list_join(list, &more, a->operand[i]);
    }
    return status;
}

static hkd_status join(const hkd_args *a) {
    if (hkd_given(a, "map")) return hkd_fail(HKD_USAGE, "--map: parts of a run keep their names");
    const hkd_status status = hkd_join_shards(a->operand, a->operands - 1, target(a));
    if (!status) hkd_say(a, "%d parts written to %s", a->operands - 1, target(a));
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_tensor_list list;
    if (hkd_is_shard(a->operand[0])) return join(a);
    hkd_status status = read_all(&list, a);
    if (!status && hkd_arg(a, "map")) status = hkd_rename_tensors(&list, hkd_arg(a, "map"));
    if (!status) status = write(a, &list);
    if (!status) report(a, &list);
    hkd_tensor_list_free(&list);
    return status;
}

const hkd_verb hkd_verb_convert = {
    .name = "convert",
    .operands = "FROM [FROM ...] TO",
    .summary = "weights and arrays between file formats, without running anything from them",
    .least = 2,
    .most = 1025,
    .option = {{"map", "FILE", NULL,
                "new names: lines old=new, or start*=new* for all that begin so; nothing after = leaves tensors out. `lpips`: "
                "from the names of the lpips package to torchvision's"}},
    .example = {"convert edm-cifar10-32x32-uncond-vp.pkl model.safetensors   NVIDIA's pickle becomes a model",
                "convert vgg16.pth vgg.pth lpips.safetensors --map lpips      torchvision's backbone and LPIPS' weights",
                "convert pt_inception-2015-12-05-6726825d.pth inception.safetensors",
                "convert cifar10-32x32.npz stats.safetensors",
                "convert part0.safetensors part1.safetensors all.safetensors  all parts of sample --shard, joined",
                "convert model.safetensors model.pth                         for torch.load"},
    .run = run,
};
