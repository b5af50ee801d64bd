/* EDM's data sets: a zip of PNG files, stored or deflated, with dataset.json. Nothing is ever extracted to disk. */
#include "dataset.h"

#ifdef HKD_ZIP

#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { MAX_IMAGE = 1 << 26, MAX_JSON = 1 << 28 };

typedef struct {
    zip_t *archive;
    struct entry {
        const char *name;
        zip_uint64_t index;
    } *entry; /* the images, sorted by name */
    size_t count;
    hkd_labels labels;
} zipped;

static void close_zip(void *state) {
    zipped *z = state;
    if (z->archive) zip_discard(z->archive);
    hkd_labels_free(&z->labels);
    free(z->entry);
    free(z);
}

/* A whole entry; its size is checked before memory is asked for, and its CRC by libzip at the end. */
static hkd_status unpack(unsigned char **out, size_t *count, zipped *z, const char *zip, zip_uint64_t index, size_t limit) {
    zip_stat_t st;
    *out = NULL;
    if (zip_stat_index(z->archive, index, 0, &st) || !(st.valid & ZIP_STAT_SIZE) || !(st.valid & ZIP_STAT_COMP_METHOD))
        return hkd_fail(HKD_BAD_FILE, "%s: entry %llu cannot be read", zip, (unsigned long long)index);
    if (st.size > limit || (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE))
        return hkd_fail(HKD_BAD_FILE, "%s: %.64s: %llu bytes by method %d, expected at most %llu, stored or deflated", zip,
                        st.name, (unsigned long long)st.size, (int)st.comp_method, (unsigned long long)limit);
    unsigned char *bytes = malloc((size_t)st.size + 1);
    if (!bytes) return hkd_fail(HKD_RESOURCES, "%s: out of memory", zip);
    zip_file_t *file = zip_fopen_index(z->archive, index, 0);
    const zip_int64_t got = file ? zip_fread(file, bytes, st.size + 1) : -1; /* one more: the CRC is checked at the end */
    const bool closed = file && !zip_fclose(file);
    if (got != (zip_int64_t)st.size || !closed) {
        free(bytes);
        return hkd_fail(HKD_BAD_FILE, "%s: %.64s: damaged or encrypted", zip, st.name);
    }
    *out = bytes;
    *count = (size_t)got;
    return HKD_OK;
}

static hkd_status read_image(hkd_image *out, zipped *z, const char *zip, size_t i) {
    unsigned char *bytes;
    size_t n = 0;
    hkd_file *file;
    hkd_status status = unpack(&bytes, &n, z, zip, z->entry[i].index, MAX_IMAGE);
    if (status) return status;
    if (!(status = hkd_file_from_memory(&file, z->entry[i].name, bytes, n))) {
        status = hkd_image_read_file(out, file);
        hkd_file_close(file);
    }
    free(bytes);
    return status;
}

static hkd_status get(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    zipped *z = set->state;
    hkd_image found;
    hkd_status status = read_image(&found, z, set->name, (size_t)index);
    if (status) return status;
    if (found.width != image->width || found.height != image->height || found.channels != image->channels)
        status = hkd_fail(HKD_BAD_FILE, "%s: %.64s: another size than the first image", set->name, z->entry[index].name);
    else memcpy(image->pixels, found.pixels, (size_t)(found.width * found.height * found.channels));
    hkd_image_free(&found);
    return status ? status : hkd_labels_find(label, &z->labels, set->name, z->entry[index].name);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* The images and dataset.json among the entries. */
static hkd_status list(zipped *z, const char *zip) {
    const zip_int64_t n = zip_get_num_entries(z->archive, 0);
    hkd_status status = HKD_OK;
    if (!(z->entry = calloc((size_t)n + 1, sizeof *z->entry))) return hkd_fail(HKD_RESOURCES, "%s: out of memory", zip);
    for (zip_int64_t i = 0; i < n && !status; i++) {
        const char *name = zip_get_name(z->archive, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
        if (length > 4 && !strcmp(name + length - 4, ".png"))
            z->entry[z->count++] = (struct entry){name, (zip_uint64_t)i};
        if (!name || strcmp(name, "dataset.json")) continue;
        unsigned char *text;
        size_t size = 0;
        if ((status = unpack(&text, &size, z, zip, (zip_uint64_t)i, MAX_JSON))) break;
        hkd_labels_free(&z->labels);
        status = hkd_labels_parse(&z->labels, zip, (char *)text, size);
        free(text);
    }
    if (z->count) qsort(z->entry, z->count, sizeof *z->entry, by_name);
    return status;
}

hkd_status hkd_open_zip(hkd_dataset *set) {
    int error = 0;
    zipped *z = calloc(1, sizeof *z);
    if (!z) return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    set->state = z;
    set->close = close_zip;
    set->get = get;
    if (!(z->archive = zip_open(set->name, ZIP_RDONLY | ZIP_CHECKCONS, &error)))
        return hkd_fail(HKD_BAD_FILE, "%s: no zip archive, or a damaged one", set->name);
    hkd_status status = list(z, set->name);
    if (!status && !z->count) status = hkd_fail(HKD_BAD_FILE, "%s: no PNG files in this archive", set->name);
    hkd_image first;
    if (status || (status = read_image(&first, z, set->name, 0))) return status;
    if (first.width != first.height) status = hkd_fail(HKD_BAD_FILE, "%s: %.64s is not square", set->name, z->entry[0].name);
    set->count = (int64_t)z->count;
    set->resolution = (int)first.width;
    set->channels = first.channels;
    set->classes = z->labels.classes;
    hkd_image_free(&first);
    return status;
}

#else

hkd_status hkd_open_zip(hkd_dataset *set) {
    return hkd_fail(HKD_BAD_FILE, "%s: zip archives are not supported (built without libzip)", set->name);
}

#endif
