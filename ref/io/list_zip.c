/* Lists of tensors in zip archives: NumPy's .npz (NAME.npy) and torch.save's .pth (ARCHIVE/data.pkl and ARCHIVE/data/KEY). */
#include "npy.h"
#include "tensor_list.h"
#include "torch_pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_list_npy(hkd_tensor_list *out, const char *file, const char *name, const unsigned char *bytes, size_t count) {
    hkd_file *memory;
    uint64_t offset;
    bool fortran;
    hkd_listed t = {.name = (char *)name};
    hkd_status status = hkd_file_from_memory(&memory, file, bytes, count);
    if (status) return status;
    if (!(status = hkd_npy_header(&t.type, &t.shape, &fortran, &offset, memory))) {
        t.from = bytes + offset;
        t.room = count - (size_t)offset;
        hkd_listed_dense(&t);
        for (int64_t i = 0, stride = 1; fortran && i < t.shape.rank; stride *= t.shape.dim[i++]) t.stride[i] = stride;
        status = hkd_tensor_list_add(out, file, &t);
    }
    hkd_file_close(memory);
    return status;
}

#ifdef HKD_ZIP

#include <zip.h>

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

/* A whole entry in memory that `out` owns. Stored entries cannot be larger than the archive; deflated ones are limited. */
static hkd_status unpack(const unsigned char **bytes, size_t *count, hkd_tensor_list *out, const char *file, zip_t *archive,
                         zip_uint64_t index, size_t archive_size) {
    enum { MOST_INFLATED = 1 << 30 };
    zip_stat_t st;
    if (zip_stat_index(archive, index, 0, &st) || !(st.valid & ZIP_STAT_SIZE) || !(st.valid & ZIP_STAT_COMP_METHOD))
        return hkd_fail(HKD_BAD_FILE, "%s: entry %llu cannot be read", file, (unsigned long long)index);
    const size_t limit = st.comp_method == ZIP_CM_STORE ? archive_size : MOST_INFLATED;
    if (st.size > limit || (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE))
        return hkd_fail(HKD_BAD_FILE, "%s: %.64s: %llu bytes by method %d, expected at most %llu, stored or deflated", file,
                        st.name,
                        (unsigned long long)st.size, (int)st.comp_method, (unsigned long long)limit);
    unsigned char *memory = malloc((size_t)st.size + 1);
    if (!memory) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    const hkd_status status = hkd_tensor_list_own(out, memory);
    if (status) return status;
    zip_file_t *entry = zip_fopen_index(archive, index, 0);
    const zip_int64_t got = entry ? zip_fread(entry, memory, st.size + 1) : -1; /* one more: the CRC is checked at the end */
    const bool closed = entry && !zip_fclose(entry);
    if (got != (zip_int64_t)st.size || !closed) return hkd_fail(HKD_BAD_FILE, "%s: %.64s: damaged or encrypted", file, st.name);
    *bytes = memory;
    *count = (size_t)st.size;
    return HKD_OK;
}

static bool ends_with(const char *name, const char *ending) {
    const size_t n = strlen(name), m = strlen(ending);
    return n > m && !strcmp(name + n - m, ending);
}

static hkd_status list_arrays(hkd_tensor_list *out, const char *file, zip_t *archive, size_t archive_size) {
    hkd_status status = HKD_OK;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0) && !status; i++) {
        const char *entry = zip_get_name(archive, (zip_uint64_t)i, 0);
        const unsigned char *bytes;
        char name[512], where[1024];
        size_t count;
        if (!entry || !ends_with(entry, ".npy") || strlen(entry) > sizeof name) {
            out->skipped++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)strlen(entry) - 4, entry);
        snprintf(where, sizeof where, "%.500s: %.500s", file, entry);
        status = unpack(&bytes, &count, out, file, archive, (zip_uint64_t)i, archive_size);
        if (!status) status = hkd_list_npy(out, where, name, bytes, count);
    }
    return status;
}

/* The elements of every storage, from the entry PREFIX + data/KEY. */
static hkd_status fill_storages(hkd_torch_storages *storages, hkd_tensor_list *out, const char *file, zip_t *archive,
                                const char *prefix, size_t archive_size) {
    char name[512];
    hkd_status status = HKD_OK;
    for (size_t i = 0; i < storages->count && !status; i++) {
        hkd_torch_storage *s = &storages->item[i];
        size_t count = 0;
        snprintf(name, sizeof name, "%sdata/%.*s", prefix, (int)(s->key->count % 100), (const char *)s->key->bytes);
        const zip_int64_t index = zip_name_locate(archive, name, 0);
        if (index < 0) return hkd_fail(HKD_BAD_FILE, "%s: %.64s is missing", file, name);
        status = unpack(&s->bytes, &count, out, file, archive, (zip_uint64_t)index, archive_size);
        if (!status && count != s->elements * (hkd_stored_bits(s->type) / 8))
            status = hkd_fail(HKD_BAD_FILE, "%s: %.64s has %llu bytes, expected %llu elements of %s", file, name,
                              (unsigned long long)count, (unsigned long long)s->elements, hkd_stored_name(s->type));
    }
    return status;
}

static hkd_status list_state_dict(hkd_tensor_list *out, const char *file, zip_t *archive, zip_uint64_t index,
                                  size_t archive_size) {
    const char *entry = zip_get_name(archive, index, 0);
    const unsigned char *bytes;
    size_t count;
    char prefix[256], order[512];
    hkd_pickle *p = NULL;
    hkd_torch_storages storages = {NULL, 0};
    hkd_status status = strlen(entry) < sizeof prefix ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: a name too long", file);
    if (status) return status;
    snprintf(prefix, sizeof prefix, "%.*s", (int)(strlen(entry) - strlen("data.pkl")), entry);
    snprintf(order, sizeof order, "%sbyteorder", prefix);
    const zip_int64_t order_index = zip_name_locate(archive, order, 0);
    if (order_index >= 0) {
        status = unpack(&bytes, &count, out, file, archive, (zip_uint64_t)order_index, archive_size);
        if (!status && (count != 6 || memcmp(bytes, "little", 6)))
            status = hkd_fail(HKD_BAD_FILE, "%s: big-endian tensors are not supported", file);
    }
    if (!status) status = unpack(&bytes, &count, out, file, archive, index, archive_size);
    if (!status) status = hkd_pickle_read(&p, file, bytes, count);
    if (!status) status = hkd_torch_check_names(file, p);
    if (!status) status = hkd_torch_storages_of(&storages, file, p);
    if (!status) status = fill_storages(&storages, out, file, archive, prefix, archive_size);
    if (!status) status = hkd_torch_collect(out, file, p->root, "", &storages);
    free(storages.item);
    hkd_pickle_free(p);
    return status;
}

hkd_status hkd_list_zip(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count) {
    zip_error_t error;
    zip_source_t *source = zip_source_buffer_create(bytes, count, 0, &error);
    zip_t *archive = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!archive) {
        zip_source_free(source);
        return hkd_fail(HKD_BAD_FILE, "%s: a damaged zip archive", file);
    }
    zip_int64_t pickle = -1;
    bool program = false;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        if (name && (!strcmp(name, "data.pkl") || ends_with(name, "/data.pkl")) && pickle < 0) pickle = i;
        program = program || (name && ends_with(name, "/constants.pkl"));
    }
    if (program) {
        zip_discard(archive);
        return hkd_fail(HKD_BAD_FILE, "%s: a TorchScript program, which would have to be run; expected a state dict (FID's "
                                      "Inception: pt_inception-2015-12-05-6726825d.pth)", file);
    }
    const hkd_status status = pickle < 0 ? list_arrays(out, file, archive, count)
                                         : list_state_dict(out, file, archive, (zip_uint64_t)pickle, count);
    zip_discard(archive);
    return status;
}

#else

hkd_status hkd_list_zip(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count) {
    (void)out, (void)bytes, (void)count;
    return hkd_fail(HKD_BAD_FILE, "%s: zip archives are not supported (built without libzip)", file);
}

#endif
