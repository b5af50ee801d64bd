#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a growing piece of text ------------------------------------------------------------------------------------------ */

typedef struct {
    char *bytes;
    size_t count, room;
    bool failed; /* out of memory: everything after it does nothing */
} text;

static void append(text *t, const char *bytes, size_t n) {
    if (!t->failed && t->room - t->count < n) {
        const size_t room = 2 * (t->room + n) + 256;
        char *grown = realloc(t->bytes, room);
        if (grown) {
            t->bytes = grown;
            t->room = room;
        }
        t->failed = !grown;
    }
    if (t->failed) return;
    memcpy(t->bytes + t->count, bytes, n);
    t->count += n;
}

static void append_string(text *t, const char *s) { append(t, s, strlen(s)); }

static void append_number(text *t, uint64_t v) {
    char digits[24];
    append(t, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)v));
}

/* A JSON string as serde_json writes it: shortest escapes, everything else as it is. */
static void append_quoted(text *t, const char *s) {
    append_string(t, "\"");
    for (; *s; s++) {
        static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
        const unsigned char c = (unsigned char)*s;
        const char *found = strchr(plain, *s);
        char escape[8] = {*s};
        if (found) snprintf(escape, sizeof escape, "\\%c", letter[found - plain]);
        else if (c < 0x20) snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        append_string(t, escape);
    }
    append_string(t, "\"");
}

/* ---- checks and order ------------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const hkd_saved *t) { return (uint64_t)hkd_count(&t->shape) * (hkd_stored_bits(t->type) / 8); }

static int by_type_and_name(const void *a, const void *b) {
    const hkd_saved *s = *(const hkd_saved *const *)a, *t = *(const hkd_saved *const *)b;
    return s->type != t->type ? (s->type > t->type ? -1 : 1) : strcmp(s->name, t->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const hkd_saved *const *)a)->name, (*(const hkd_saved *const *)b)->name);
}

/* The length of the UTF-8 sequence that begins with `lead`; 0: none does. */
static int utf8_length(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

/* Without overlong forms, surrogates and what lies beyond U+10FFFF: other strings would make a file that nobody can open. */
static bool is_utf8(const char *string) {
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        const int n = utf8_length(*s);
        if (!n || (*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) || (*s == 0xF0 && s[1] < 0x90)) return false;
        if (*s == 0xF4 && s[1] > 0x8F) return false;
        for (int i = 1; i < n; i++)
            if ((s[i] & 0xC0) != 0x80) return false;
        s += n;
    }
    return true;
}

static hkd_status check(const char *path, const hkd_saved **list, size_t count, const hkd_metadata *metadata,
                        size_t metadata_count) {
    for (size_t i = 0; i < count; i++) {
        const hkd_saved *t = list[i];
        if (!strcmp(t->name, "__metadata__") || !is_utf8(t->name))
            return hkd_fail(HKD_USAGE, "%s: '%.64s' cannot be a tensor's name", path, t->name);
        if (!hkd_shape_valid(&t->shape) || !hkd_stored_convertible(t->type))
            return hkd_fail(HKD_USAGE, "%s: tensor '%.64s' cannot be written: shape or type", path, t->name);
    }
    for (size_t i = 0; i < metadata_count; i++) {
        if (!is_utf8(metadata[i].key) || !is_utf8(metadata[i].value))
            return hkd_fail(HKD_USAGE, "%s: metadata '%.64s' is no UTF-8", path, metadata[i].key);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(metadata[i].key, metadata[j].key))
                return hkd_fail(HKD_USAGE, "%s: metadata '%.64s' given twice", path, metadata[i].key);
    }
    if (count) qsort(list, count, sizeof *list, by_name);
    for (size_t i = 1; i < count; i++)
        if (!by_name(&list[i - 1], &list[i])) return hkd_fail(HKD_USAGE, "%s: two tensors '%.64s'", path, list[i]->name);
    return HKD_OK;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static void append_tensor(text *t, const hkd_saved *tensor, uint64_t begin) {
    append_quoted(t, tensor->name);
    append_string(t, ":{\"dtype\":\"");
    append_string(t, hkd_stored_name(tensor->type));
    append_string(t, "\",\"shape\":[");
    for (int i = 0; i < tensor->shape.rank; i++) {
        if (i) append_string(t, ",");
        append_number(t, (uint64_t)tensor->shape.dim[i]);
    }
    append_string(t, "],\"data_offsets\":[");
    append_number(t, begin);
    append_string(t, ",");
    append_number(t, begin + bytes_of(tensor));
    append_string(t, "]}");
}

static void append_header(text *t, const hkd_saved *const *list, size_t count, const hkd_metadata *metadata,
                          size_t metadata_count) {
    append_string(t, "{");
    for (size_t i = 0; i < metadata_count; i++) {
        append_string(t, i ? "," : "\"__metadata__\":{");
        append_quoted(t, metadata[i].key);
        append_string(t, ":");
        append_quoted(t, metadata[i].value);
    }
    if (metadata_count) append_string(t, "}");
    uint64_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        if (i || metadata_count) append_string(t, ",");
        append_tensor(t, list[i], begin);
        begin += bytes_of(list[i]);
    }
    append_string(t, "}");
    while (!t->failed && t->count % 8) append_string(t, " ");
}

static hkd_status put_values(hkd_writer *writer, const hkd_saved *t) {
    unsigned char chunk[1 << 14];
    const size_t count = (size_t)hkd_count(&t->shape), each = hkd_stored_bits(t->type) / 8;
    const size_t host = t->as == HKD_F64 ? sizeof(double) : sizeof(float);
    void *fetched = NULL;
    hkd_status status = HKD_OK;
    if (t->bytes) return hkd_writer_put(writer, t->bytes, count * each);
    if (!t->data && count) {
        if (!(fetched = malloc(count * host))) return hkd_fail(HKD_RESOURCES, "tensor '%.64s': out of memory", t->name);
        status = t->fetch(fetched, t);
    }
    const char *from = fetched ? fetched : t->data;
    for (size_t done = 0; done < count && !status;) {
        const size_t room = sizeof chunk / each, n = count - done < room ? count - done : room;
        hkd_stored_encode(chunk, t->type, from + done * host, t->as, n);
        status = hkd_writer_put(writer, chunk, n * each);
        done += n;
    }
    free(fetched);
    return status;
}

static hkd_status put_file(hkd_writer *writer, const text *header, const hkd_saved *const *list, size_t count) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->count >> 8 * i);
    hkd_status status = hkd_writer_put(writer, length, 8);
    if (!status) status = hkd_writer_put(writer, header->bytes, header->count);
    for (size_t i = 0; i < count && !status; i++) status = put_values(writer, list[i]);
    return status;
}

hkd_status hkd_safetensors_save(const char *path, const hkd_saved *tensor, size_t count, const hkd_metadata *metadata,
                                size_t metadata_count) {
    text header = {0};
    hkd_writer *writer = NULL;
    const hkd_saved **list = malloc((count + 1) * sizeof *list);
    if (!list) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++) list[i] = &tensor[i];
    hkd_status status = check(path, list, count, metadata, metadata_count);
    if (status) goto done;
    if (count) qsort(list, count, sizeof *list, by_type_and_name);
    append_header(&header, list, count, metadata, metadata_count);
    if (header.failed) status = hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    if (!status) status = hkd_writer_open(&writer, path);
    if (status) goto done;
    if (!(status = put_file(writer, &header, list, count))) status = hkd_writer_commit(writer);
    else hkd_writer_abandon(writer);
done:
    free(header.bytes);
    free(list);
    return status;
}
