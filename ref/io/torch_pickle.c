#include "torch_pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 24, MOST_NAME = 1024, MOST_VISITS = 1 << 20 };

static hkd_status no_memory(const char *file) { return hkd_fail(HKD_RESOURCES, "%s: out of memory", file); }

/* ---- names ------------------------------------------------------------------------------------------------------------ */

/* Whole packages (name NULL), and single names of Python's own modules. */
static const struct {
    const char *module, *name;
} known[] = {
    {"torch", NULL}, {"torch_utils", NULL}, {"dnnlib", NULL}, {"training", NULL}, {"numpy", NULL},
    {"collections", "OrderedDict"}, {"collections", "defaultdict"}, {"copyreg", "_reconstructor"}, {"copyreg", "__newobj__"},
    {"copy_reg", "_reconstructor"}, {"_codecs", "encode"}, {"builtins", "set"}, {"builtins", "object"}, {"builtins", "dict"},
    {"__builtin__", "set"}, {"__builtin__", "object"},
};

static bool in_package(const hkd_py *module, const char *package) {
    const size_t n = strlen(package);
    return module->count >= n && !memcmp(module->bytes, package, n) && (module->count == n || module->bytes[n] == '.');
}

static bool is_known(const hkd_py *v) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!known[i].name && in_package(v->item[0], known[i].module)) return true;
        if (known[i].name && hkd_py_is_global(v, known[i].module, known[i].name)) return true;
    }
    return false;
}

hkd_status hkd_torch_check_names(const char *file, const hkd_pickle *p) {
    for (size_t i = 0; i < p->count; i++) {
        const hkd_py *v = hkd_pickle_value(p, i);
        if (v->kind != HKD_PY_GLOBAL || is_known(v)) continue;
        return hkd_fail(HKD_BAD_FILE,
                        "%s: refused: it asks for '%.*s.%.*s', which files of weights do not need (nothing was run)",
                        file, (int)(v->item[0]->count % 100), (const char *)v->item[0]->bytes, (int)(v->item[1]->count % 100),
                        (const char *)v->item[1]->bytes);
    }
    return HKD_OK;
}

/* ---- storages --------------------------------------------------------------------------------------------------------- */

static bool storage_type(hkd_stored *out, const hkd_py *v) {
    static const struct {
        const char *name;
        hkd_stored type;
    } types[] = {{"FloatStorage", HKD_FLOAT}, {"DoubleStorage", HKD_DOUBLE}, {"HalfStorage", HKD_F16},
                 {"BFloat16Storage", HKD_BF16},
                 {"LongStorage", HKD_I64}, {"IntStorage", HKD_I32}, {"ShortStorage", HKD_I16}, {"CharStorage", HKD_I8},
                 {"ByteStorage", HKD_U8}, {"BoolStorage", HKD_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!hkd_py_is_global(v, "torch", types[i].name)) continue;
        *out = types[i].type;
        return true;
    }
    return false;
}

static bool read_identifier(hkd_torch_storage *out, const hkd_py *v) {
    const hkd_py *id = v->item[0], *view = hkd_py_at(id, 5);
    int64_t elements;
    *out = (hkd_torch_storage){.key = hkd_py_at(id, 2)};
    if (!hkd_py_is_text(hkd_py_at(id, 0), "storage") || !storage_type(&out->type, hkd_py_at(id, 1))) return false;
    if (!out->key || out->key->kind != HKD_PY_STR || (view && view->kind != HKD_PY_NONE)) return false;
    if (!hkd_py_integer(&elements, hkd_py_at(id, 4)) || elements < 0 || (uint64_t)elements > SIZE_MAX / 16) return false;
    out->elements = (size_t)elements;
    return true;
}

static int by_key(const void *a, const void *b) {
    const hkd_py *s = ((const hkd_torch_storage *)a)->key, *t = ((const hkd_torch_storage *)b)->key;
    const int order = memcmp(s->bytes, t->bytes, s->count < t->count ? s->count : t->count);
    return order ? order : (s->count > t->count) - (s->count < t->count);
}

hkd_status hkd_torch_storages_of(hkd_torch_storages *out, const char *file, const hkd_pickle *p) {
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < p->count; i++) count += hkd_pickle_value(p, i)->kind == HKD_PY_PERSISTENT;
    *out = (hkd_torch_storages){malloc((count + 1) * sizeof *out->item), 0};
    if (!out->item) return no_memory(file);
    for (size_t i = 0; i < p->count; i++) {
        const hkd_py *v = hkd_pickle_value(p, i);
        if (v->kind != HKD_PY_PERSISTENT) continue;
        if (!read_identifier(&out->item[out->count++], v))
            return hkd_fail(HKD_BAD_FILE,
                            "%s: a storage of an unknown kind or type, expected ('storage', torch.FloatStorage, key, "
                            "device, elements)", file);
    }
    if (out->count) qsort(out->item, out->count, sizeof *out->item, by_key);
    for (size_t i = 0; i < out->count; i++) {
        if (!kept || by_key(&out->item[kept - 1], &out->item[i])) out->item[kept++] = out->item[i];
        else if (out->item[kept - 1].elements != out->item[i].elements || out->item[kept - 1].type != out->item[i].type)
            return hkd_fail(HKD_BAD_FILE, "%s: two descriptions of one storage disagree", file);
    }
    out->count = kept;
    return HKD_OK;
}

static hkd_torch_storage *find(const hkd_torch_storages *s, const hkd_py *key) {
    const hkd_torch_storage like = {.key = key};
    if (!s->count || !key || key->kind != HKD_PY_STR) return NULL;
    return bsearch(&like, s->item, s->count, sizeof like, by_key);
}

/* ---- streams ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    hkd_pickle *object, *keys;
    hkd_torch_storages storages;
} stream;

static void close_stream(stream *s) {
    free(s->storages.item);
    hkd_pickle_free(s->keys);
    hkd_pickle_free(s->object);
}

bool hkd_torch_is_magic(const hkd_py *v) {
    return v && v->kind == HKD_PY_BIGINT && v->count == 10 && !memcmp(v->bytes, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
}

static hkd_status next(hkd_pickle **out, const char *file, const unsigned char **at, size_t *left) {
    const hkd_status status = hkd_pickle_read(out, file, *at, *left);
    if (status) return status;
    *at += (*out)->length;
    *left -= (*out)->length;
    return HKD_OK;
}

/* The three pickles at the beginning: magic number, protocol 1001, and byte order. */
static hkd_status read_preamble(const char *file, const unsigned char **at, size_t *left) {
    hkd_pickle *p[3] = {NULL, NULL, NULL};
    int64_t protocol = 0, little = 0;
    hkd_status status = HKD_OK;
    for (int i = 0; i < 3 && !status; i++) status = next(&p[i], file, at, left);
    if (!status && !(hkd_torch_is_magic(p[0]->root) && hkd_py_integer(&protocol, p[1]->root) && protocol == 1001))
        status = hkd_fail(HKD_BAD_FILE, "%s: no stream of torch.save: magic number and protocol 1001 expected", file);
    if (!status && !(hkd_py_integer(&little, hkd_py_get(p[2]->root, "little_endian")) && little))
        status = hkd_fail(HKD_BAD_FILE, "%s: big-endian tensors are not supported", file);
    for (int i = 0; i < 3; i++) hkd_pickle_free(p[i]);
    return status;
}

/* The elements of one storage: an int64 count and as many raw values. */
static hkd_status read_elements(hkd_torch_storage *s, const char *file, const unsigned char **at, size_t *left) {
    uint64_t n = 0;
    for (int i = 7; i >= 0 && *left >= 8; i--) n = n << 8 | (*at)[i];
    const size_t each = s ? hkd_stored_bits(s->type) / 8 : 1;
    if (!s || *left < 8 || n != s->elements || n > (*left - 8) / each)
        return hkd_fail(HKD_BAD_FILE, "%s: storages are missing, cut short or not those that the tensors name", file);
    s->bytes = *at + 8;
    *at += 8 + n * each;
    *left -= 8 + (size_t)n * each;
    return HKD_OK;
}

static hkd_status open_stream(stream *s, const char *file, const unsigned char *bytes, size_t count) {
    *s = (stream){0};
    hkd_status status = read_preamble(file, &bytes, &count);
    if (!status) status = next(&s->object, file, &bytes, &count);
    if (!status) status = hkd_torch_check_names(file, s->object);
    if (!status) status = hkd_torch_storages_of(&s->storages, file, s->object);
    if (!status) status = next(&s->keys, file, &bytes, &count);
    if (!status && s->keys->root->kind != HKD_PY_LIST) status = hkd_fail(HKD_BAD_FILE, "%s: no list of storages", file);
    for (size_t i = 0; !status && i < s->keys->root->count; i++)
        status = read_elements(find(&s->storages, s->keys->root->item[i]), file, &bytes, &count);
    return status;
}

hkd_status hkd_torch_read_stream(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count) {
    stream s;
    hkd_status status = open_stream(&s, file, bytes, count);
    if (!status) status = hkd_torch_collect(out, file, s.object->root, "", &s.storages);
    close_stream(&s);
    return status;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------------- */

static bool is_tensor(const hkd_py *v) {
    return hkd_py_calls(v, "torch._utils", "_rebuild_tensor_v2") || hkd_py_calls(v, "torch._utils", "_rebuild_tensor");
}

/* Protocol 2 has no bytes: it writes _codecs.encode(text, 'latin1'), a text of characters below 256 in UTF-8. The bytes come
 * into memory that `out` owns. */
static hkd_status decode_latin1(const unsigned char **bytes, size_t *count, hkd_tensor_list *out, const char *file,
                                const hkd_py *text) {
    unsigned char *to = malloc(text->count + 1);
    size_t n = 0, i = 0;
    if (!to) return no_memory(file);
    for (; i < text->count; n++) {
        const unsigned char *c = text->bytes + i;
        const bool two = (*c == 0xC2 || *c == 0xC3) && i + 1 < text->count && (c[1] & 0xC0) == 0x80;
        if (*c >= 0x80 && !two) break;
        to[n] = two ? (unsigned char)((*c & 3) << 6 | (c[1] & 0x3F)) : *c;
        i += two ? 2 : 1;
    }
    *bytes = to;
    *count = n;
    const hkd_status status = hkd_tensor_list_own(out, to);
    if (!status && i < text->count) return hkd_fail(HKD_BAD_FILE, "%s: bytes that are no latin-1 text", file);
    return status;
}

/* The stream inside torch.storage._load_from_bytes(bytes). */
static hkd_status open_inner(stream *s, hkd_tensor_list *out, const char *file, const hkd_py *v) {
    const hkd_py *text = hkd_py_calls(v, "_codecs", "encode") ? hkd_py_argument(v, 0) : NULL;
    const unsigned char *bytes = v && v->kind == HKD_PY_BYTES ? v->bytes : NULL;
    size_t count = bytes ? v->count : 0;
    hkd_status status = HKD_OK;
    if (text && text->kind == HKD_PY_STR) status = decode_latin1(&bytes, &count, out, file, text);
    if (!status && !bytes) status = hkd_fail(HKD_BAD_FILE, "%s: a storage that is no bytes", file);
    return status ? status : open_stream(s, file, bytes, count);
}

/* The first element of a storage, its type and length; the bytes stay where the file has them. */
static hkd_status read_storage(hkd_torch_storage *out, hkd_tensor_list *list, const char *file, const hkd_py *v,
                               const hkd_torch_storages *storages) {
    const hkd_torch_storage *found = NULL;
    stream inner = {0};
    hkd_status status = HKD_OK;
    if (hkd_py_calls(v, "torch.storage", "_load_from_bytes")) {
        status = open_inner(&inner, list, file, hkd_py_argument(v, 0));
        storages = &inner.storages;
        v = status ? NULL : inner.object->root;
    }
    if (!status && v && v->kind == HKD_PY_PERSISTENT) found = find(storages, hkd_py_at(v->item[0], 2));
    if (!status && !(found && found->bytes)) status = hkd_fail(HKD_BAD_FILE, "%s: a tensor without its storage", file);
    if (!status) *out = *found;
    close_stream(&inner);
    return status;
}

static bool read_extents(hkd_listed *t, const hkd_py *size, const hkd_py *stride) {
    if (!size || !stride || size->kind != HKD_PY_TUPLE || stride->kind != HKD_PY_TUPLE) return false;
    if (size->count != stride->count || size->count > HKD_MAX_RANK) return false;
    t->shape.rank = (int)size->count;
    for (size_t i = 0; i < size->count; i++)
        if (!hkd_py_integer(&t->shape.dim[i], size->item[i]) || !hkd_py_integer(&t->stride[i], stride->item[i])) return false;
    return true;
}

static hkd_status add_tensor(hkd_tensor_list *out, const char *file, const hkd_py *v, const char *name,
                             const hkd_torch_storages *storages) {
    hkd_listed t = {.name = (char *)name};
    hkd_torch_storage storage;
    int64_t offset;
    if (!hkd_py_integer(&offset, hkd_py_argument(v, 1)) || !read_extents(&t, hkd_py_argument(v, 2), hkd_py_argument(v, 3)))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%.64s': storage, offset, at most %d extents and as many strides expected",
                        file,
                        name, HKD_MAX_RANK);
    const hkd_status status = read_storage(&storage, out, file, hkd_py_argument(v, 0), storages);
    if (status) return status;
    if (offset < 0 || (uint64_t)offset > storage.elements)
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%.64s' begins beyond its storage", file, name);
    const size_t each = hkd_stored_bits(storage.type) / 8;
    t.type = storage.type;
    t.from = storage.bytes + (size_t)offset * each;
    t.room = (storage.elements - (size_t)offset) * each;
    return hkd_tensor_list_add(out, file, &t);
}

/* ---- modules and dictionaries ----------------------------------------------------------------------------------------- */

const hkd_py *hkd_torch_state(const hkd_py **class_name, const hkd_py *v) {
    *class_name = NULL;
    if (!v || v->kind != HKD_PY_CALL) return NULL;
    if (!hkd_py_calls(v, "torch_utils.persistence", "_reconstruct_persistent_obj")) return v->state;
    const hkd_py *meta = hkd_py_argument(v, 0);
    *class_name = hkd_py_get(meta, "class_name");
    return hkd_py_get(meta, "state");
}

typedef struct {
    hkd_tensor_list *out;
    const char *file;
    const hkd_torch_storages *storages;
    size_t visits; /* shared values may be seen often: this ends it */
    char path[MOST_NAME + 1];
} walk;

static hkd_status visit(walk *w, const hkd_py *v, size_t length, int depth);

/* Every entry of a dictionary under its key; others than texts without NUL are no names. */
static hkd_status visit_entries(walk *w, const hkd_py *dict, size_t length, int depth) {
    hkd_status status = HKD_OK;
    for (size_t i = 0; dict && i < dict->count && !status; i++) {
        const hkd_py *key = dict->item[2 * i];
        const size_t dot = length > 0;
        if (key->kind != HKD_PY_STR || memchr(key->bytes, 0, key->count) || length + dot + key->count > MOST_NAME) {
            w->out->skipped++;
            continue;
        }
        if (dot) w->path[length] = '.';
        memcpy(w->path + length + dot, key->bytes, key->count);
        status = visit(w, dict->item[2 * i + 1], length + dot + key->count, depth + 1);
    }
    return status;
}

static hkd_status visit_module(walk *w, const hkd_py *state, size_t length, int depth) {
    static const char *const part[] = {"_parameters", "_buffers", "_modules"};
    hkd_status status = HKD_OK;
    for (int i = 0; i < 3 && !status; i++)
        status = visit_entries(w, hkd_py_dictionary(hkd_py_get(state, part[i])), length, depth);
    return status;
}

static hkd_status visit(walk *w, const hkd_py *v, size_t length, int depth) {
    const hkd_py *class_name, *state = hkd_torch_state(&class_name, v);
    if (depth > MOST_DEPTH || w->visits++ > MOST_VISITS) return hkd_fail(HKD_BAD_FILE, "%s: nested too deeply", w->file);
    if (hkd_py_calls(v, "torch._utils", "_rebuild_parameter")) v = hkd_py_argument(v, 0);
    if (is_tensor(v)) {
        w->path[length] = 0;
        return add_tensor(w->out, w->file, v, w->path, w->storages);
    }
    if (hkd_py_get(state, "_parameters")) return visit_module(w, state, length, depth);
    if (v && hkd_py_dictionary(v)) return visit_entries(w, hkd_py_dictionary(v), length, depth);
    w->out->skipped += v && v->kind != HKD_PY_NONE; /* a module's missing bias is None */
    return HKD_OK;
}

hkd_status hkd_torch_collect(hkd_tensor_list *out, const char *file, const hkd_py *v, const char *prefix,
                             const hkd_torch_storages *storages) {
    walk *w = malloc(sizeof *w);
    const size_t length = strlen(prefix);
    if (!w) return no_memory(file);
    *w = (walk){.out = out, .file = file, .storages = storages};
    memcpy(w->path, prefix, length < MOST_NAME ? length : MOST_NAME);
    const hkd_status status = visit(w, v, length < MOST_NAME ? length : MOST_NAME, 0);
    free(w);
    return status;
}
