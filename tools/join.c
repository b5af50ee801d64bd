#include "join.h"

#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_METADATA = 32 };

typedef struct {
    hkd_safetensors *st;
    const char *name;
} shard;

bool hkd_is_shard(const char *path) {
    hkd_safetensors *st;
    if (!hkd_ends_with(path, ".safetensors") || hkd_safetensors_open(&st, path)) return false;
    const bool is = hkd_safetensors_metadata(st, "shard");
    hkd_safetensors_close(st);
    return is;
}

/* Opens a file and puts it at its place among `count`. */
static hkd_status take(shard *all, int count, const char *path) {
    hkd_safetensors *st;
    int i = -1, n = 0, end = 0;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    const char *text = hkd_safetensors_metadata(st, "shard");
    if (!text || sscanf(text, "%d/%d%n", &i, &n, &end) != 2 || text[end] || i < 0 || i >= n)
        status = hkd_fail(HKD_USAGE, "%s: no part that sample --shard wrote", path);
    else if (n != count) status = hkd_fail(HKD_USAGE, "%s: part %s of a run, but %d files are given", path, text, count);
    else if (all[i].st) status = hkd_fail(HKD_USAGE, "%s: part %s, as %s", path, text, all[i].name);
    if (status) hkd_safetensors_close(st);
    else all[i] = (shard){st, path};
    return status;
}

/* Do two parts differ in their places alone? */
static hkd_status check(const shard *a, const shard *b) {
    bool same = a->st->count == b->st->count && a->st->metadata_count == b->st->metadata_count;
    for (size_t i = 0; i < a->st->metadata_count && same; i++) {
        const hkd_metadata *m = &a->st->metadata[i];
        const char *theirs = hkd_safetensors_metadata(b->st, m->key);
        same = theirs && (!strcmp(m->key, "shard") || !strcmp(theirs, m->value));
    }
    for (size_t i = 0; i < a->st->count && same; i++) {
        const hkd_safetensor *t = &a->st->tensor[i], *u = hkd_safetensors_find(b->st, t->name);
        same = u && t->type == u->type && t->rank == u->rank && t->rank > 0 && t->rank <= HKD_MAX_RANK;
        for (int k = 1; k < t->rank && same; k++) same = t->dim[k] == u->dim[k];
    }
    return same ? HKD_OK : hkd_fail(HKD_USAGE, "%s and %s: parts of different runs", a->name, b->name);
}

/* Tensor `name` of all parts, one after the other; *bytes is the caller's. */
static hkd_status concatenate(hkd_saved *out, unsigned char **bytes, const shard *all, int count, const char *name) {
    const hkd_safetensor *t = hkd_safetensors_find(all[0].st, name);
    uint64_t size = 0, at = 0;
    *out = (hkd_saved){.name = t->name, .type = t->type, .shape = {.rank = t->rank}};
    for (int k = 1; k < t->rank; k++) out->shape.dim[k] = t->dim[k];
    for (int i = 0; i < count; i++) {
        const hkd_safetensor *u = hkd_safetensors_find(all[i].st, name);
        if (u->dim[0] > INT64_MAX - out->shape.dim[0]) /* possible where another extent is 0 */
            return hkd_fail(HKD_BAD_FILE, "%s: '%.64s' is too long to be joined", all[i].name, name);
        out->shape.dim[0] += u->dim[0];
        size += u->end - u->begin;
    }
    if (!(out->bytes = *bytes = malloc((size_t)size + 1))) return hkd_fail(HKD_RESOURCES, "out of memory for '%s'", name);
    for (int i = 0; i < count; i++) {
        const hkd_safetensor *u = hkd_safetensors_find(all[i].st, name);
        const hkd_status status = hkd_file_read(all[i].st->file, all[i].st->data_offset + u->begin, *bytes + at,
                                                (size_t)(u->end - u->begin));
        if (status) return status;
        at += u->end - u->begin;
    }
    return HKD_OK;
}

static hkd_status write(const shard *all, int count, const char *to) {
    const hkd_safetensors *first = all[0].st;
    hkd_metadata about[MOST_METADATA];
    size_t notes = 0;
    hkd_saved *t = calloc(first->count + 1, sizeof *t);
    unsigned char **bytes = calloc(first->count + 1, sizeof *bytes);
    hkd_status status = t && bytes ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    for (size_t i = 0; i < first->metadata_count && notes < MOST_METADATA; i++)
        if (strcmp(first->metadata[i].key, "shard")) about[notes++] = first->metadata[i];
    for (size_t i = 0; i < first->count && !status; i++)
        status = concatenate(&t[i], &bytes[i], all, count, first->tensor[i].name);
    if (!status) status = hkd_safetensors_save(to, t, first->count, about, notes);
    for (size_t i = 0; bytes && i < first->count; i++) free(bytes[i]);
    free(bytes);
    free(t);
    return status;
}

hkd_status hkd_join_shards(const char *const *from, int count, const char *to) {
    shard *all = calloc((size_t)count + 1, sizeof *all);
    hkd_status status = all ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status && !hkd_ends_with(to, ".safetensors"))
        status = hkd_fail(HKD_USAGE, "%s: parts of a run become a .safetensors file", to);
    for (int i = 0; i < count && !status; i++) status = take(all, count, from[i]);
    for (int i = 1; i < count && !status; i++) status = check(&all[0], &all[i]);
    if (!status) status = write(all, count, to);
    for (int i = 0; all && i < count; i++) hkd_safetensors_close(all[i].st);
    free(all);
    return status;
}
