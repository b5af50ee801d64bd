#include "safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000, MAX_DEPTH = 127 }; /* those of the official library */

#define BAD(...) hkd_fail(HKD_BAD_FILE, __VA_ARGS__)

/* ---- the header as JSON ----------------------------------------------------------------------------------------------- */

/* What jansson would let pass: deep nesting, and -0 for a whole number. */
static hkd_status check_text(const char *file, const char *text, size_t n) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) return BAD("%s: header nested deeper than %d levels", file, MAX_DEPTH);
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == '-' && i + 1 < n && text[i + 1] == '0' && !(i + 2 < n && strchr(".eE", text[i + 2]))) {
            return BAD("%s: header contains -0, expected whole numbers", file);
        }
    }
    return HKD_OK;
}

static hkd_status read_header(json_t **root, uint64_t *data_offset, hkd_file *file) {
    const char *name = hkd_file_name(file);
    const uint64_t size = hkd_file_size(file);
    unsigned char length[8];
    if (size < 8) return BAD("%s: %llu bytes, expected a safetensors file (at least 8)", name, (unsigned long long)size);
    hkd_status status = hkd_file_read(file, 0, length, 8);
    if (status) return status;
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | length[i];
    if (n > size - 8)
        return BAD("%s: header length %llu is beyond the end of the file (%llu bytes)", name, (unsigned long long)n,
                   (unsigned long long)size);
    if (n > MAX_HEADER) return BAD("%s: header of %llu bytes, expected at most %d", name, (unsigned long long)n, MAX_HEADER);
    char *text = malloc((size_t)n + 1);
    if (!text) return hkd_fail(HKD_RESOURCES, "%s: out of memory", name);
    if (!(status = hkd_file_read(file, 8, text, (size_t)n)) && !(status = check_text(name, text, (size_t)n))) {
        json_error_t error;
        *root = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &error);
        if (!*root) status = BAD("%s: header byte %d: %s", name, error.position, error.text);
        else if (!json_is_object(*root)) status = BAD("%s: header is no JSON object", name);
    }
    free(text);
    *data_offset = 8 + n;
    return status;
}

/* ---- its entries ------------------------------------------------------------------------------------------------------ */

static hkd_status whole_number(uint64_t *out, const json_t *value, const char *file, const char *tensor, const char *field) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return BAD("%s: tensor '%.64s': %s, expected whole numbers from 0 to 2^63 - 1", file, tensor, field);
    *out = (uint64_t)json_integer_value(value);
    return HKD_OK;
}

static hkd_status parse_shape(hkd_safetensor *t, int64_t *dim, const json_t *shape, const char *file) {
    uint64_t product = 1; /* from the left, as the official library: a zero hides an overflow behind it, not one before it */
    t->dim = dim;
    t->rank = (int)json_array_size(shape);
    for (size_t i = 0; i < json_array_size(shape); i++) {
        uint64_t extent = 0;
        const hkd_status status = whole_number(&extent, json_array_get(shape, i), file, t->name, "shape");
        if (status) return status;
        if (extent && product > UINT64_MAX / extent) return BAD("%s: tensor '%.64s': shape overflows", file, t->name);
        dim[i] = (int64_t)extent;
        product *= extent;
    }
    t->count = product;
    if (product > UINT64_MAX / hkd_stored_bits(t->type)) return BAD("%s: tensor '%.64s': shape overflows", file, t->name);
    return HKD_OK;
}

static hkd_status parse_tensor(hkd_safetensor *t, int64_t *dim, const json_t *entry, const char *file) {
    const json_t *type = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_object(entry))
        return BAD("%s: tensor '%.64s': expected an object with dtype, shape and data_offsets", file, t->name);
    if (!json_is_string(type)) return BAD("%s: tensor '%.64s': dtype missing or no string", file, t->name);
    if (!json_is_array(shape)) return BAD("%s: tensor '%.64s': shape missing or no array", file, t->name);
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return BAD("%s: tensor '%.64s': data_offsets missing or not two numbers", file, t->name);
    t->type = hkd_stored_by_name(json_string_value(type));
    if (t->type == HKD_STORED_TYPES)
        return BAD("%s: tensor '%.64s': unknown dtype '%.16s'", file, t->name, json_string_value(type));
    hkd_status status = parse_shape(t, dim, shape, file);
    if (!status) status = whole_number(&t->begin, json_array_get(offsets, 0), file, t->name, "data_offsets");
    if (!status) status = whole_number(&t->end, json_array_get(offsets, 1), file, t->name, "data_offsets");
    if (status) return status;
    const uint64_t bits = t->count * hkd_stored_bits(t->type);
    if (t->end < t->begin || bits % 8 || t->end - t->begin != bits / 8)
        return BAD("%s: tensor '%.64s': data_offsets [%llu,%llu] do not hold %llu elements of %s", file,
                   t->name, (unsigned long long)t->begin, (unsigned long long)t->end, (unsigned long long)t->count,
                   hkd_stored_name(t->type));
    return HKD_OK;
}

static hkd_status parse_metadata(hkd_safetensors *st, json_t *map, const char *file) {
    if (!map || json_is_null(map)) return HKD_OK;
    if (!json_is_object(map)) return BAD("%s: __metadata__ is no map of strings", file);
    if (!(st->metadata = calloc(json_object_size(map) + 1, sizeof *st->metadata)))
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        if (!json_is_string(value)) return BAD("%s: __metadata__ '%.64s' is no string", file, key);
        st->metadata[st->metadata_count++] = (hkd_metadata){key, json_string_value(value)};
    }
    return HKD_OK;
}

static size_t extents_in(json_t *root) {
    size_t n = 1;
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry) n += json_array_size(json_object_get(entry, "shape"));
    return n;
}

static hkd_status parse_entries(hkd_safetensors *st, json_t *root, const char *file) {
    int64_t *dim = calloc(extents_in(root), sizeof *dim);
    st->owned[1] = dim;
    st->tensor = calloc(json_object_size(root) + 1, sizeof *st->tensor);
    if (!dim || !st->tensor) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry) {
        if (!strcmp(name, "__metadata__")) continue;
        hkd_safetensor *t = &st->tensor[st->count++];
        t->name = name;
        const hkd_status status = parse_tensor(t, dim, entry, file);
        if (status) return status;
        dim += t->rank;
    }
    return parse_metadata(st, json_object_get(root, "__metadata__"), file);
}

/* ---- the data are covered exactly ------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b) {
    const hkd_safetensor *s = a, *t = b;
    if (s->begin != t->begin) return s->begin < t->begin ? -1 : 1;
    if (s->end != t->end) return s->end < t->end ? -1 : 1;
    return strcmp(s->name, t->name);
}

static hkd_status check_coverage(hkd_safetensors *st, const char *file) {
    uint64_t at = 0;
    const uint64_t size = hkd_file_size(st->file) - st->data_offset;
    if (st->count) qsort(st->tensor, st->count, sizeof *st->tensor, by_offset);
    for (size_t i = 0; i < st->count; i++) {
        const hkd_safetensor *t = &st->tensor[i];
        if (t->begin != at)
            return BAD("%s: tensor '%.64s' begins at data byte %llu, expected %llu: %s", file, t->name,
                       (unsigned long long)t->begin, (unsigned long long)at, t->begin < at ? "tensors overlap" : "a hole");
        at = t->end;
    }
    if (at != size)
        return BAD("%s: tensors need %llu bytes of data, the file holds %llu", file, (unsigned long long)at,
                   (unsigned long long)size);
    return HKD_OK;
}

/* ---- the interface ---------------------------------------------------------------------------------------------------- */

hkd_status hkd_safetensors_open_file(hkd_safetensors **out, hkd_file *file) {
    *out = NULL;
    hkd_safetensors *st = calloc(1, sizeof *st);
    if (!st) {
        hkd_file_close(file);
        return hkd_fail(HKD_RESOURCES, "out of memory");
    }
    st->file = file;
    json_t *root = NULL;
    hkd_status status = read_header(&root, &st->data_offset, file);
    st->owned[0] = root;
    if (!status) status = parse_entries(st, root, hkd_file_name(file));
    if (!status) status = check_coverage(st, hkd_file_name(file));
    if (status) hkd_safetensors_close(st);
    else *out = st;
    return status;
}

hkd_status hkd_safetensors_open(hkd_safetensors **out, const char *path) {
    hkd_file *file;
    *out = NULL;
    const hkd_status status = hkd_file_open(&file, path);
    return status ? status : hkd_safetensors_open_file(out, file);
}

void hkd_safetensors_close(hkd_safetensors *st) {
    if (!st) return;
    json_decref(st->owned[0]);
    free(st->owned[1]);
    free(st->tensor);
    free(st->metadata);
    hkd_file_close(st->file);
    free(st);
}

const hkd_safetensor *hkd_safetensors_find(const hkd_safetensors *st, const char *name) {
    for (size_t i = 0; i < st->count; i++)
        if (!strcmp(st->tensor[i].name, name)) return &st->tensor[i];
    return NULL;
}

const char *hkd_safetensors_metadata(const hkd_safetensors *st, const char *key) {
    for (size_t i = 0; i < st->metadata_count; i++)
        if (!strcmp(st->metadata[i].key, key)) return st->metadata[i].value;
    return NULL;
}

hkd_status hkd_safetensors_shape(hkd_shape *out, const hkd_safetensors *st, const hkd_safetensor *t) {
    hkd_shape shape = {.rank = t->rank};
    if (t->rank > HKD_MAX_RANK)
        return BAD("%s: tensor '%.64s' has rank %d, expected at most %d", hkd_file_name(st->file), t->name, t->rank,
                   HKD_MAX_RANK);
    for (int i = 0; i < t->rank; i++) shape.dim[i] = t->dim[i];
    if (!hkd_shape_valid(&shape)) return BAD("%s: tensor '%.64s' is too large", hkd_file_name(st->file), t->name);
    *out = shape;
    return HKD_OK;
}

hkd_status hkd_safetensors_read_part(const hkd_safetensors *st, const hkd_safetensor *t, uint64_t first, size_t count, void *to,
                                     hkd_dtype as) {
    const char *file = hkd_file_name(st->file);
    if (!hkd_stored_convertible(t->type))
        return BAD("%s: tensor '%.64s': values of type %s are not supported", file, t->name, hkd_stored_name(t->type));
    if (first > t->count || count > t->count - first)
        return hkd_fail(HKD_USAGE, "%s: tensor '%.64s' has %llu elements", file, t->name, (unsigned long long)t->count);
    unsigned char chunk[1 << 14];
    const size_t each = hkd_stored_bits(t->type) / 8, host = as == HKD_F64 ? sizeof(double) : sizeof(float);
    for (size_t done = 0; done < count;) {
        const size_t room = sizeof chunk / each, n = count - done < room ? count - done : room;
        const hkd_status status = hkd_file_read(st->file, st->data_offset + t->begin + (first + done) * each, chunk, n * each);
        if (status) return status;
        hkd_stored_decode((char *)to + done * host, as, chunk, t->type, n);
        done += n;
    }
    return HKD_OK;
}

hkd_status hkd_safetensors_read(const hkd_safetensors *st, const hkd_safetensor *t, void *to, hkd_dtype as) {
    return hkd_safetensors_read_part(st, t, 0, (size_t)t->count, to, as);
}

hkd_status hkd_safetensors_read_u64(const hkd_safetensors *st, const hkd_safetensor *t, uint64_t *to) {
    if (t->type != HKD_U64 && t->type != HKD_I64)
        return BAD("%s: tensor '%.64s' is %s, expected U64", hkd_file_name(st->file), t->name, hkd_stored_name(t->type));
    unsigned char chunk[1 << 12];
    for (size_t done = 0; done < t->count;) {
        const size_t room = sizeof chunk / 8, n = t->count - done < room ? (size_t)t->count - done : room;
        const hkd_status status = hkd_file_read(st->file, st->data_offset + t->begin + 8 * done, chunk, 8 * n);
        if (status) return status;
        hkd_stored_decode_u64(to + done, chunk, n);
        done += n;
    }
    return HKD_OK;
}
