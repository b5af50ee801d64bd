/* Writing lists of tensors as zip archives: .npz for NumPy, .pth for torch.load. */
#include "npy.h"
#include "tensor_list.h"

#ifdef HKD_ZIP

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* Stored, with a fixed date: equal tensors give equal files. Takes over `memory`, which comes from malloc. */
static hkd_status add_entry(zip_t *archive, const char *path, const char *name, void *memory, size_t count) {
    if (!count) { /* libzip forgets to free an empty buffer */
        free(memory);
        memory = NULL;
    }
    zip_source_t *source = zip_source_buffer(archive, memory, count, 1);
    if (!source) {
        free(memory);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    }
    const zip_int64_t index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    if (index < 0 || zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
        zip_file_set_dostime(archive, (zip_uint64_t)index, 0, 33, 0))
        return hkd_fail(HKD_USAGE, "%s: '%.64s' cannot be an entry of a zip archive", path, name);
    return HKD_OK;
}

/* Header and elements of one tensor in new memory. */
static hkd_status encode(void **out, size_t *count, const char *path, const hkd_listed *t, const char *header,
                         size_t header_size) {
    const size_t elements = (size_t)hkd_count(&t->shape), each = hkd_stored_bits(t->type) / 8;
    double *values = malloc(elements * sizeof *values + 1);
    unsigned char *bytes = malloc(header_size + elements * each + 1);
    hkd_status status = values && bytes ? hkd_listed_values(values, HKD_F64, t)
        : hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    if (!status) {
        memcpy(bytes, header, header_size);
        hkd_stored_encode(bytes + header_size, t->type, values, HKD_F64, elements);
    }
    free(values);
    if (status) free(bytes);
    else *out = bytes;
    *count = header_size + elements * each;
    return status;
}

/* The archive is made beside `path` and renamed when it is complete. */
static hkd_status write_archive(const hkd_tensor_list *list, const char *path,
                                hkd_status (*fill)(zip_t *, const hkd_tensor_list *, const char *)) {
    int error;
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (!archive) return hkd_fail(HKD_RESOURCES, "%s: cannot be written", path);
    hkd_status status = fill(archive, list, path);
    if (!status && !zip_close(archive)) return HKD_OK;
    if (!status) status = hkd_fail(HKD_RESOURCES, "%s: cannot be written: %s", path, zip_strerror(archive));
    zip_discard(archive);
    return status;
}

/* ---- .npz ------------------------------------------------------------------------------------------------------------- */

static hkd_status fill_npz(zip_t *archive, const hkd_tensor_list *list, const char *path) {
    hkd_status status = HKD_OK;
    for (size_t i = 0; i < list->count && !status; i++) {
        const hkd_listed *t = &list->item[i];
        char name[1100], header[HKD_NPY_HEADER];
        const size_t header_size = hkd_npy_make_header(header, &t->shape, t->type);
        void *bytes;
        size_t count;
        if (!header_size)
            return hkd_fail(HKD_USAGE, "%s: '%.64s': %s is no type of .npz", path, t->name, hkd_stored_name(t->type));
        snprintf(name, sizeof name, "%s.npy", t->name);
        status = encode(&bytes, &count, path, t, header, header_size);
        if (!status) status = add_entry(archive, path, name, bytes, count);
    }
    return status;
}

hkd_status hkd_write_npz(const hkd_tensor_list *list, const char *path) { return write_archive(list, path, fill_npz); }

/* ---- .pth: a dictionary of torch._utils._rebuild_tensor_v2 calls, one storage each ------------------------------------ */

typedef struct {
    unsigned char *bytes;
    size_t count, room;
    bool failed;
} pickle;

static void put(pickle *p, const void *bytes, size_t n) {
    if (p->room - p->count < n) {
        const size_t room = 2 * (p->room + n) + 256;
        unsigned char *grown = p->failed ? NULL : realloc(p->bytes, room);
        p->failed |= !grown;
        if (p->failed) return;
        p->bytes = grown;
        p->room = room;
    }
    memcpy(p->bytes + p->count, bytes, n);
    p->count += n;
}

static void put_number(pickle *p, char code, uint64_t v, int n) {
    unsigned char bytes[9] = {(unsigned char)code};
    for (int i = 0; i < n; i++) bytes[1 + i] = (unsigned char)(v >> 8 * i);
    put(p, bytes, (size_t)n + 1);
}

static void put_text(pickle *p, const char *text) {
    put_number(p, 'X', strlen(text), 4);
    put(p, text, strlen(text));
}

static void put_code(pickle *p, const char *code) { put(p, code, strlen(code)); }

/* LONG1 of 8 bytes. */
static void put_integer(pickle *p, int64_t v) {
    put_code(p, "\x8a");
    put_number(p, 8, (uint64_t)v, 8);
}

static void put_extents(pickle *p, int rank, const int64_t *dim) {
    put_code(p, "(");
    for (int i = 0; i < rank; i++) put_integer(p, dim[i]);
    put_code(p, "t");
}

static const char *storage_name(hkd_stored type) {
    switch (type) {
    case HKD_FLOAT: return "FloatStorage";
    case HKD_DOUBLE: return "DoubleStorage";
    case HKD_F16: return "HalfStorage";
    case HKD_BF16: return "BFloat16Storage";
    case HKD_I64: return "LongStorage";
    case HKD_I32: return "IntStorage";
    case HKD_I16: return "ShortStorage";
    case HKD_I8: return "CharStorage";
    case HKD_U8: return "ByteStorage";
    case HKD_BOOL: return "BoolStorage";
    default: return NULL;
    }
}

/* key, _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static void put_tensor(pickle *p, const hkd_listed *t, const char *key) {
    hkd_listed dense = *t;
    char type[64];
    hkd_listed_dense(&dense);
    snprintf(type, sizeof type, "ctorch\n%s\n", storage_name(t->type));
    put_text(p, t->name);
    put_code(p, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(p, "storage");
    put_code(p, type);
    put_text(p, key);
    put_text(p, "cpu");
    put_integer(p, hkd_count(&t->shape));
    put(p, "tQK\0", 4);
    put_extents(p, t->shape.rank, t->shape.dim);
    put_extents(p, t->shape.rank, dense.stride);
    put_code(p, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static hkd_status fill_pth(zip_t *archive, const hkd_tensor_list *list, const char *path) {
    pickle p = {0};
    char key[32], name[64], *version = malloc(2);
    hkd_status status = HKD_OK;
    if (!version) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    put_code(&p, "\x80\x02}(");
    for (size_t i = 0; i < list->count; i++) {
        if (!storage_name(list->item[i].type)) status = hkd_fail(HKD_USAGE, "%s: '%.64s': no type of PyTorch", path,
                                                                 list->item[i].name);
        snprintf(key, sizeof key, "%llu", (unsigned long long)i);
        if (!status) put_tensor(&p, &list->item[i], key);
    }
    put_code(&p, "u.");
    if (p.failed && !status) status = hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    if (!status) status = add_entry(archive, path, "archive/data.pkl", p.bytes, p.count);
    else free(p.bytes);
    for (size_t i = 0; i < list->count && !status; i++) {
        void *bytes;
        size_t count;
        snprintf(name, sizeof name, "archive/data/%llu", (unsigned long long)i);
        status = encode(&bytes, &count, path, &list->item[i], "", 0);
        if (!status) status = add_entry(archive, path, name, bytes, count);
    }
    memcpy(version, "3\n", 2);
    if (!status) return add_entry(archive, path, "archive/version", version, 2);
    free(version);
    return status;
}

hkd_status hkd_write_pth(const hkd_tensor_list *list, const char *path) { return write_archive(list, path, fill_pth); }

#else

static hkd_status missing(const char *path) {
    return hkd_fail(HKD_USAGE, "%s: zip archives are not supported (built without libzip)", path);
}
hkd_status hkd_write_npz(const hkd_tensor_list *list, const char *path) { return (void)list, missing(path); }
hkd_status hkd_write_pth(const hkd_tensor_list *list, const char *path) { return (void)list, missing(path); }

#endif
