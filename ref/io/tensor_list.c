#include "tensor_list.h"

#include "npy.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 1 << 16 };

/* ---- the list --------------------------------------------------------------------------------------------------------- */

hkd_status hkd_tensor_list_own(hkd_tensor_list *list, void *memory) {
    void **grown = realloc(list->owned, (list->owned_count + 1) * sizeof *grown);
    if (!grown) {
        free(memory);
        return hkd_fail(HKD_RESOURCES, "out of memory for a list of tensors");
    }
    list->owned = grown;
    list->owned[list->owned_count++] = memory;
    return HKD_OK;
}

void hkd_tensor_list_free(hkd_tensor_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->item[i].name);
    for (size_t i = 0; i < list->owned_count; i++) free(list->owned[i]);
    free(list->item);
    free(list->owned);
    *list = (hkd_tensor_list){0};
}

static hkd_status join(hkd_tensor_list *list, hkd_tensor_list *more, const char *file) {
    hkd_status status = HKD_OK;
    if (more->is_edm) return hkd_fail(HKD_USAGE, "%s: a whole network, it cannot be added to other tensors", file);
    for (size_t i = 0; i < more->count && !status; i++)
        status = hkd_tensor_list_find(list, more->item[i].name)
                     ? hkd_fail(HKD_USAGE, "%s: tensor '%.64s' is in an earlier file already", file, more->item[i].name)
                     : hkd_tensor_list_add(list, file, &more->item[i]);
    while (more->owned_count && !status) status = hkd_tensor_list_own(list, more->owned[--more->owned_count]);
    list->skipped += more->skipped;
    return status;
}

hkd_status hkd_tensor_list_join(hkd_tensor_list *list, hkd_tensor_list *more, const char *file) {
    const hkd_status status = join(list, more, file);
    hkd_tensor_list_free(more);
    return status;
}

hkd_listed *hkd_tensor_list_find(const hkd_tensor_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->item[i].name, name)) return &list->item[i];
    return NULL;
}

/* Bytes up to the end of the last element, or SIZE_MAX when that overflows; 0 without elements. */
static size_t span(const hkd_listed *t) {
    size_t last = 0;
    if (!hkd_count(&t->shape)) return 0;
    for (int i = 0; i < t->shape.rank; i++) {
        const size_t steps = (size_t)t->shape.dim[i] - 1;
        if (t->stride[i] < 0 || (steps && (size_t)t->stride[i] > (SIZE_MAX / 16 - last) / steps)) return SIZE_MAX;
        last += steps * (size_t)t->stride[i];
    }
    return (last + 1) * (hkd_stored_bits(t->type) / 8);
}

hkd_status hkd_tensor_list_add(hkd_tensor_list *list, const char *file, const hkd_listed *t) {
    if (!hkd_stored_convertible(t->type))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%.64s': type %s is not supported", file, t->name, hkd_stored_name(t->type));
    if (!hkd_shape_valid(&t->shape) || span(t) > t->room)
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%.64s' reaches beyond its storage", file, t->name);
    if (list->count == MOST_TENSORS) return hkd_fail(HKD_BAD_FILE, "%s: more than %d tensors", file, (int)MOST_TENSORS);
    if (list->count == list->room) {
        hkd_listed *grown = realloc(list->item, (2 * list->room + 16) * sizeof *grown);
        if (!grown) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
        list->item = grown;
        list->room = 2 * list->room + 16;
    }
    char *name = malloc(strlen(t->name) + 1);
    if (!name) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    list->item[list->count] = *t;
    list->item[list->count++].name = strcpy(name, t->name);
    return HKD_OK;
}

void hkd_listed_dense(hkd_listed *t) {
    int64_t stride = 1;
    for (int i = t->shape.rank; i-- > 0; stride *= t->shape.dim[i]) t->stride[i] = stride;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

/* One row, the elements along the last extent. */
static void read_row(unsigned char *to, hkd_dtype as, const unsigned char *from, const hkd_listed *t, size_t length) {
    const size_t each = hkd_stored_bits(t->type) / 8, host = as == HKD_F64 ? sizeof(double) : sizeof(float);
    const size_t stride = t->shape.rank ? (size_t)t->stride[t->shape.rank - 1] : 1;
    if (stride == 1) hkd_stored_decode(to, as, from, t->type, length);
    for (size_t i = 0; stride != 1 && i < length; i++) hkd_stored_decode(to + i * host, as, from + i * stride * each, t->type,
                                                                         1);
}

/* Whole numbers of 64 bits pass through doubles: those that would be rounded on the way are refused. */
static hkd_status check_exact(const double *values, const hkd_listed *t) {
    if (t->type != HKD_I64 && t->type != HKD_U64) return HKD_OK;
    for (int64_t i = 0; i < hkd_count(&t->shape); i++)
        if (!(values[i] > -0x1p53 && values[i] < 0x1p53))
            return hkd_fail(HKD_BAD_FILE, "tensor '%.64s' has whole numbers beyond 2^53, which are not supported", t->name);
    return HKD_OK;
}

hkd_status hkd_listed_values(void *to, hkd_dtype as, const hkd_listed *t) {
    const int rows = t->shape.rank ? t->shape.rank - 1 : 0;
    const size_t length = t->shape.rank ? (size_t)t->shape.dim[rows] : 1, count = (size_t)hkd_count(&t->shape);
    const size_t each = hkd_stored_bits(t->type) / 8, host = as == HKD_F64 ? sizeof(double) : sizeof(float);
    int64_t at[HKD_MAX_RANK] = {0};
    for (size_t done = 0; done < count; done += length) {
        size_t offset = 0;
        for (int i = 0; i < rows; i++) offset += (size_t)(at[i] * t->stride[i]);
        read_row((unsigned char *)to + done * host, as, t->from + offset * each, t, length);
        for (int i = rows - 1; i >= 0 && ++at[i] == t->shape.dim[i]; i--) at[i] = 0;
    }
    return as == HKD_F64 ? check_exact(to, t) : HKD_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static hkd_status list_safetensors(hkd_tensor_list *out, const char *name, const unsigned char *bytes, size_t count) {
    hkd_file *file;
    hkd_safetensors *st;
    hkd_status status = hkd_file_from_memory(&file, name, bytes, count);
    if (!status) status = hkd_safetensors_open_file(&st, file);
    if (status) return status;
    for (size_t i = 0; i < st->count && !status; i++) {
        const hkd_safetensor *s = &st->tensor[i];
        const size_t begin = (size_t)(st->data_offset + s->begin);
        hkd_listed t = {.name = (char *)s->name, .type = s->type, .from = bytes + begin, .room = (size_t)(s->end - s->begin)};
        status = hkd_safetensors_shape(&t.shape, st, s);
        if (!status) hkd_listed_dense(&t), status = hkd_tensor_list_add(out, name, &t);
    }
    hkd_safetensors_close(st);
    return status;
}

hkd_status hkd_tensor_list_read_memory(hkd_tensor_list *out, const char *name, const unsigned char *bytes, size_t count) {
    hkd_status status;
    *out = (hkd_tensor_list){0};
    if (count > 4 && !memcmp(bytes, "PK\3\4", 4)) status = hkd_list_zip(out, name, bytes, count);
    else if (count > 6 && !memcmp(bytes, "\x93NUMPY", 6)) status = hkd_list_npy(out, name, "array", bytes, count);
    else if (count > 1 && bytes[0] == 0x80 && bytes[1] < 6) status = hkd_list_pickle(out, name, bytes, count);
    else status = list_safetensors(out, name, bytes, count);
    if (status) hkd_tensor_list_free(out);
    return status;
}

hkd_status hkd_tensor_list_read(hkd_tensor_list *out, const char *path) {
    unsigned char *bytes;
    size_t count;
    *out = (hkd_tensor_list){0};
    hkd_status status = hkd_read_file(&bytes, &count, path, SIZE_MAX / 4);
    if (!status) status = hkd_tensor_list_read_memory(out, path, bytes, count);
    if (status) free(bytes);
    else if ((status = hkd_tensor_list_own(out, bytes))) hkd_tensor_list_free(out);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static hkd_status fetch(void *to, const hkd_saved *t) { return hkd_listed_values(to, t->as, t->context); }

static hkd_status write_safetensors(const hkd_tensor_list *list, const char *path, const hkd_metadata *metadata, size_t count) {
    hkd_saved *saved = calloc(list->count + 1, sizeof *saved);
    if (!saved) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    for (size_t i = 0; i < list->count; i++) {
        hkd_listed *t = &list->item[i];
        saved[i] = (hkd_saved){.name = t->name, .type = t->type, .shape = t->shape, .as = HKD_F64, .fetch = fetch,
                               .context = t};
    }
    const hkd_status status = hkd_safetensors_save(path, saved, list->count, metadata, count);
    free(saved);
    return status;
}

static hkd_status write_npy(const hkd_tensor_list *list, const char *path) {
    if (list->count != 1)
        return hkd_fail(HKD_USAGE, "%s: .npy holds one tensor, not %llu; expected .npz", path, (unsigned long long)list->count);
    const hkd_listed *t = list->item;
    double *values = malloc((size_t)hkd_count(&t->shape) * sizeof *values + 1);
    hkd_status status = values ? hkd_listed_values(values, HKD_F64, t) : hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    if (!status) status = hkd_npy_write(path, &t->shape, t->type, values, HKD_F64);
    free(values);
    return status;
}

static bool ends_with(const char *path, const char *ending) {
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcmp(path + n - m, ending);
}

hkd_status hkd_tensor_list_write(const hkd_tensor_list *list, const char *path, const hkd_metadata *metadata, size_t count) {
    if (ends_with(path, ".safetensors")) return write_safetensors(list, path, metadata, count);
    if (ends_with(path, ".npy")) return write_npy(list, path);
    if (ends_with(path, ".npz")) return hkd_write_npz(list, path);
    if (ends_with(path, ".pth") || ends_with(path, ".pt")) return hkd_write_pth(list, path);
    return hkd_fail(HKD_USAGE, "%s: expected a name that ends with .safetensors, .npy, .npz or .pth", path);
}
