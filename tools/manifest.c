#include "manifest.h"

#include "networks.h"
#include "os.h"
#include "sha256.h"
#include "status.h"
#include "vector_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const listed[] = {"manifest.json", "index.tsv", "calls.tsv", "notes.json"};
enum { LISTS = sizeof listed / sizeof *listed };

/* Name of the i-th file that SHA256SUMS covers: the lists, then the composites; NULL: no more. */
static const char *covered(char *out, size_t size, int i) {
    if (i < LISTS) return listed[i];
    const char *network = hkd_network_name(i - LISTS);
    snprintf(out, size, "networks/%s.safetensors", network ? network : "");
    return network ? out : NULL;
}

bool hkd_join(char *out, size_t size, const char *dir, const char *name) {
    const int n = snprintf(out, size, "%s/%s", dir, name);
    return n > 0 && (size_t)n < size;
}

/* ---- writing ---- */

hkd_status hkd_manifest_begin(hkd_manifest_writer *w, const char *dir) {
    *w = (hkd_manifest_writer){.dir = dir, .cases = json_array(), .networks = json_array()};
    w->index.text = calloc(1, w->index.room = 1);
    w->calls.text = calloc(1, w->calls.room = 1);
    if (!w->cases || !w->networks || !w->index.text || !w->calls.text) return hkd_fail(HKD_RESOURCES, "out of memory");
    return hkd_make_directory(dir);
}

void hkd_manifest_writer_free(hkd_manifest_writer *w) {
    json_decref(w->cases);
    json_decref(w->networks);
    free(w->index.text);
    free(w->calls.text);
}

static void append(hkd_lines *g, const char *more, size_t n) {
    if (g->text && g->length + n >= g->room) {
        char *larger = realloc(g->text, g->room = 2 * (g->length + n) + 1);
        if (!larger) free(g->text);
        g->text = larger;
    }
    if (!g->text) return;
    memcpy(g->text + g->length, more, n);
    g->text[g->length += n] = 0;
}

/* At most 2047 characters. */
static hkd_status append_text(hkd_lines *g, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    append(g, text, n > 0 && (size_t)n < sizeof text ? (size_t)n : 0);
    return g->text ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}

static uint64_t fnv1a(const unsigned char *bytes, size_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ bytes[i]) * 0x100000001B3u;
    return h;
}

static json_t *flags_json(const char *flags) {
    json_t *list = json_array();
    while (*flags) {
        const size_t n = strcspn(flags, ",");
        json_array_append_new(list, json_stringn(flags, n));
        flags += n + (flags[n] == ',');
    }
    return list;
}

static json_t *params_json(const hkd_vector *v) {
    json_t *o = json_object();
    for (int i = 0; i < hkd_op_params(v->op); i++) {
        const hkd_param *p = &v->op->param[i];
        json_object_set_new(o, p->name, p->type == 'i' ? json_integer((json_int_t)v->p[i]) : json_real(v->p[i]));
    }
    return o;
}

static void shape_text(char *out, size_t size, const hkd_safetensor *t) {
    size_t at = 0;
    snprintf(out, size, "scalar");
    for (int d = 0; d < t->rank && at < size; d++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", d ? "x" : "", (long long)t->dim[d]);
}

/* What the two lists say about a tensor besides where it lies. */
typedef struct {
    const char *id, *file, *kind;
    long long n;
    char note[512]; /* of the index: parameters, or a composite's bound */
} line_facts;

/* One line of the index and one object of the manifest, which is returned; NULL: out of memory. */
static json_t *add_tensor(hkd_manifest_writer *w, const line_facts *f, const hkd_safetensors *st, const hkd_safetensor *t,
                          const unsigned char *bytes) {
    char shape[64];
    const uint64_t offset = st->data_offset + t->begin;
    json_t *dims = json_array();
    for (int d = 0; d < t->rank; d++) json_array_append_new(dims, json_integer(t->dim[d]));
    shape_text(shape, sizeof shape, t);
    const hkd_status status = append_text(
        &w->index, "%s\t%s\t%s\t%s\t%s\t%llu\t%016llx\t%s\t%lld\t%s\n", f->id, t->name, hkd_stored_name(t->type), shape,
        f->file, (unsigned long long)offset, (unsigned long long)fnv1a(bytes + offset, (size_t)(t->end - t->begin)), f->kind,
        f->n, f->note);
    json_t *o = json_pack("{s:s, s:s, s:o, s:I}", "role", t->name, "dtype", hkd_stored_name(t->type), "shape", dims, "offset",
                          (json_int_t)offset);
    if (!status) return o;
    json_decref(o);
    return NULL;
}

/* All tensors of a file; `r` is the composite that it holds, or NULL. */
static hkd_status add_file(hkd_manifest_writer *w, line_facts *f, const hkd_recording *r, json_t *tensors, char hash[65]) {
    char path[1024];
    hkd_safetensors *st = NULL;
    unsigned char *bytes = NULL;
    size_t count;
    if (!hkd_join(path, sizeof path, w->dir, f->file)) return hkd_fail(HKD_USAGE, "%s: the path is too long", w->dir);
    hkd_status status = hkd_sha256_of_file(hash, path);
    if (!status) status = hkd_read_file(&bytes, &count, path, 1 << 28);
    if (!status) status = hkd_safetensors_open(&st, path);
    for (size_t i = 0; !status && i < st->count; i++) {
        const hkd_recorded *t = r ? hkd_recording_find(r, st->tensor[i].name) : NULL;
        const bool bounded = t && !t->given;
        if (r) *f->note = 0;
        if (bounded) snprintf(f->note, sizeof f->note, "bound=%.17g", t->bound);
        json_t *o = add_tensor(w, f, st, &st->tensor[i], bytes);
        if (bounded) json_object_set_new(o, "bound", json_real(t->bound));
        if (json_array_append_new(tensors, o)) status = hkd_fail(HKD_RESOURCES, "out of memory");
    }
    w->bytes += status ? 0 : (int64_t)count;
    hkd_safetensors_close(st);
    free(bytes);
    return status;
}

hkd_status hkd_manifest_add(hkd_manifest_writer *w, const hkd_vector *v, const char *file) {
    char hash[65], id[128];
    snprintf(id, sizeof id, "%s/%s", v->op->name, v->name);
    line_facts f = {id, file, hkd_vector_class_name[v->kind], (long long)hkd_vector_elements(v), ""};
    hkd_vector_params_text(f.note, sizeof f.note, v);
    json_t *tensors = json_array();
    const hkd_status status = add_file(w, &f, NULL, tensors, hash);
    if (status) {
        json_decref(tensors);
        return status;
    }
    json_array_append_new(w->cases, json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:s, s:s, s:s, s:s, s:o}", "case", id, "op",
                                              v->op->name, "class", f.kind, "flags", flags_json(v->flags), "params",
                                              params_json(v), "n", (json_int_t)f.n, "storage", v->half ? "float16" : "float32",
                                              "accumulator", "float32", "file", file, "sha256", hash, "tensors", tensors));
    return HKD_OK;
}

/* " x=NAME w=NAME": what the call reads, or makes. */
static void append_tensors(hkd_lines *g, const hkd_recording *r, const hkd_op *op, const hkd_var *v, bool inputs) {
    const char *gap = "\t";
    for (int i = 0; i < (inputs ? hkd_op_inputs(op) : hkd_op_outputs(op)); i++) {
        if (v[i] == HKD_NO_VAR) continue;
        append_text(g, "%s%s=%s", gap, inputs ? hkd_op_input_name(op, i) : op->out[i], r->name[v[i]]);
        gap = " ";
    }
}

/* One line per call. */
static hkd_status add_calls(hkd_lines *g, const char *id, const hkd_recording *r) {
    for (int c = 0; c < r->calls; c++) {
        const hkd_program_call *call = &r->call[c];
        char params[512];
        hkd_vector v = {.op = call->op};
        memcpy(v.p, call->p, sizeof v.p);
        hkd_vector_params_text(params, sizeof params, &v);
        append_text(g, "%s\t%d\t%s", id, c, call->op->name);
        append_tensors(g, r, call->op, call->in, true);
        append_tensors(g, r, call->op, call->out, false);
        append_text(g, "\t%s\n", params);
    }
    return g->text ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}

hkd_status hkd_manifest_add_network(hkd_manifest_writer *w, const char *name, const hkd_recording *r, const char *file) {
    char hash[65], id[128];
    snprintf(id, sizeof id, "networks/%s", name);
    line_facts f = {id, file, "network", 1, ""};
    json_t *tensors = json_array();
    hkd_status status = add_file(w, &f, r, tensors, hash);
    if (!status) status = add_calls(&w->calls, id, r);
    if (status) json_decref(tensors);
    else
        json_array_append_new(w->networks, json_pack("{s:s, s:I, s:s, s:s, s:o}", "case", id, "n", (json_int_t)f.n, "file",
                                                     file, "sha256", hash, "tensors", tensors));
    return status;
}

static json_t *operators_json(void) {
    json_t *all = json_object();
    for (int k = 0; hkd_op_table[k]; k++) {
        const hkd_op *op = hkd_op_table[k];
        json_t *o = json_pack("{s:s, s:s, s:b}", "formula", op->formula, "source", op->source, "differentiable",
                              op->backward != NULL);
        if (op->not_exact) json_object_set_new(o, "not_exact", json_string(op->not_exact));
        json_object_set_new(all, op->name, o);
    }
    return all;
}

/* One item per line, so that a change shows as a small difference. */
static void append_list(hkd_lines *g, const char *name, const json_t *list) {
    size_t i;
    const json_t *one;
    append(g, ",\n \"", 4);
    append(g, name, strlen(name));
    append(g, "\": [", 4);
    json_array_foreach((json_t *)list, i, one) {
        char *line = json_dumps(one, JSON_COMPACT);
        append(g, i ? ",\n" : "\n", i ? 2 : 1);
        append(g, line ? line : "", line ? strlen(line) : 0);
        free(line);
    }
    append(g, "\n]", 2);
}

static char *manifest_text(const hkd_manifest_writer *w) {
    json_t *head = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:I, s:o}", "format", "hkd vectors", "version", HKD_MANIFEST_VERSION, "generator",
        "hkd record " HKD_VERSION, "provenance", "float64 reference in C99 by any compiler, flags -std=c99 -ffp-contract=off; "
        "the bytes depend on no compiler, optimisation level, C library or processor", "rule",
        "|got - y| <= bound * 2^-24 + ulp32(y)/2 + n * 2^-149; class exact: got = y", "count",
        (json_int_t)json_array_size(w->cases), "operators", operators_json());
    char *top = json_dumps(head, JSON_INDENT(1));
    hkd_lines g = {calloc(1, 1), 0, 1};
    if (top) append(&g, top, strlen(top) - 2);
    append_list(&g, "cases", w->cases);
    append_list(&g, "networks", w->networks);
    append(&g, "}\n", 2);
    free(top);
    json_decref(head);
    return g.text;
}

static char *notes_text(void) {
    json_t *all = json_object();
    for (const hkd_note *n = hkd_notes; n->flag; n++)
        json_object_set_new(all, n->flag, json_pack("{s:s, s:s}", "bug", n->bug, "effect", n->effect));
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    return text;
}

static hkd_status write_text(const char *dir, const char *name, const char *text) {
    char path[1024];
    if (!text) return hkd_fail(HKD_RESOURCES, "out of memory");
    if (!hkd_join(path, sizeof path, dir, name)) return hkd_fail(HKD_USAGE, "%s: the path is too long", dir);
    return hkd_write_file(path, text, strlen(text));
}

hkd_status hkd_manifest_finish(hkd_manifest_writer *w) {
    char *manifest = manifest_text(w), *notes = notes_text(), sums[4096] = "", path[1024], name[96];
    hkd_status status = write_text(w->dir, "manifest.json", manifest);
    if (!status) status = write_text(w->dir, "index.tsv", w->index.text);
    if (!status) status = write_text(w->dir, "calls.tsv", w->calls.text);
    if (!status) status = write_text(w->dir, "notes.json", notes);
    for (int i = 0; !status && covered(name, sizeof name, i); i++) {
        char hash[65];
        hkd_join(path, sizeof path, w->dir, covered(name, sizeof name, i));
        if (!hkd_exists(path)) continue; /* a set of vectors without networks */
        status = hkd_sha256_of_file(hash, path);
        sprintf(sums + strlen(sums), "%s  %s\n", hash, covered(name, sizeof name, i));
    }
    if (!status) status = write_text(w->dir, "SHA256SUMS", sums);
    free(manifest);
    free(notes);
    return status;
}

/* ---- reading ---- */

/* Only files below the directory: letters, digits, _ . and / without "..". */
static bool tame(const char *file) {
    return *file != '/' && !strstr(file, "..") && strspn(file, "abcdefghijklmnopqrstuvwxyz0123456789_./") == strlen(file);
}

/* Every file that SHA256SUMS lists, and at least the lists themselves. */
static hkd_status check_sums(const char *dir) {
    char path[1024], file[1024], hash[65], wanted[65], name[96];
    unsigned char *sums = NULL;
    size_t count;
    int seen = 0, used = 0;
    if (!hkd_join(path, sizeof path, dir, "SHA256SUMS")) return hkd_fail(HKD_USAGE, "%s: the path is too long", dir);
    hkd_status status = hkd_read_file(&sums, &count, path, 1 << 16);
    for (const char *at = (const char *)sums; !status && sscanf(at, "%64s %95s%n", wanted, name, &used) == 2; at += used) {
        for (int i = 0; i < LISTS; i++) seen += !strcmp(name, listed[i]);
        if (!tame(name) || !hkd_join(file, sizeof file, dir, name))
            status = hkd_fail(HKD_BAD_FILE, "%s: '%s' is elsewhere", path, name);
        if (!status) status = hkd_sha256_of_file(hash, file);
        if (!status && strcmp(hash, wanted) != 0)
            status = hkd_fail(HKD_BAD_FILE, "%s: its SHA-256 is not the one in SHA256SUMS", file);
    }
    if (!status && seen != LISTS) status = hkd_fail(HKD_BAD_FILE, "%s: a hash of the lists is missing", path);
    free(sums);
    return status;
}

static hkd_status read_entries(hkd_manifest *m, const char *path) {
    const char *format = NULL, *sha;
    int version = 0;
    json_t *cases = NULL, *one;
    size_t i;
    if (json_unpack(m->json, "{s:s, s:i, s:o, s:o}", "format", &format, "version", &version, "cases", &cases, "networks",
                    &m->networks) ||
        strcmp(format, "hkd vectors") != 0 || !json_is_array(cases) || !json_is_array(m->networks))
        return hkd_fail(HKD_BAD_FILE, "%s: not a manifest of hkd vectors", path);
    if (version != HKD_MANIFEST_VERSION)
        return hkd_fail(HKD_BAD_FILE, "%s: version %d, expected %d", path, version, HKD_MANIFEST_VERSION);
    m->entry = calloc(json_array_size(cases) + 1, sizeof *m->entry);
    if (!m->entry) return hkd_fail(HKD_RESOURCES, "out of memory");
    json_array_foreach(cases, i, one) {
        const char *id, *op, *file;
        if (json_unpack(one, "{s:s, s:s, s:s, s:s}", "case", &id, "op", &op, "file", &file, "sha256", &sha) || !tame(file))
            return hkd_fail(HKD_BAD_FILE, "%s: case %zu lacks case, op, file or sha256, or its file is elsewhere", path, i);
        m->entry[m->count++] = (hkd_manifest_entry){id, op, file, sha};
    }
    return HKD_OK;
}

hkd_status hkd_manifest_load(hkd_manifest *out, const char *dir) {
    *out = (hkd_manifest){.count = 0};
    char path[1024];
    unsigned char *text = NULL;
    size_t count;
    json_error_t error;
    hkd_status status = check_sums(dir);
    if (status) return status;
    hkd_join(path, sizeof path, dir, "manifest.json");
    status = hkd_read_file(&text, &count, path, 1 << 26);
    if (status) return status;
    out->json = json_loadb((const char *)text, count, JSON_REJECT_DUPLICATES, &error);
    free(text);
    status = out->json ? read_entries(out, path) : hkd_fail(HKD_BAD_FILE, "%s:%d: %s", path, error.line, error.text);
    if (status) hkd_manifest_free(out);
    return status;
}

void hkd_manifest_free(hkd_manifest *m) {
    free(m->entry);
    json_decref(m->json);
    *m = (hkd_manifest){.count = 0};
}

bool hkd_manifest_bound(double *out, const hkd_manifest *m, const char *network, const char *tensor) {
    size_t i, k;
    json_t *one, *t;
    json_array_foreach(m->networks, i, one) {
        const char *id = json_string_value(json_object_get(one, "case"));
        if (!id || strncmp(id, "networks/", 9) != 0 || strcmp(id + 9, network) != 0) continue;
        json_array_foreach(json_object_get(one, "tensors"), k, t) {
            const char *role = json_string_value(json_object_get(t, "role"));
            const json_t *bound = json_object_get(t, "bound");
            if (!role || strcmp(role, tensor) != 0) continue;
            *out = json_number_value(bound);
            return json_is_number(bound);
        }
    }
    return false;
}
