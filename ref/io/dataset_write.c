/* Data sets as EDM's tools write them: 00000/img00000000.png, a thousand to a folder, and dataset.json with the labels; in a
 * zip or in a folder. EDM, ECT and StyleGAN3 read both. Without libpng a folder gets PPM files, which are ours alone. */
#include "dataset.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HKD_ZIP
#include <zip.h>
#endif

/* Where named pieces go. */
typedef struct {
    const char *path;
    void *archive; /* zip_t; NULL: a folder */
} target;

static hkd_status put_in_folder(const target *to, const char *name, const void *bytes, size_t count) {
    const char *slash = strchr(name, '/');
    char dir[16];
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - name) : 0, name);
    char *path = hkd_path_join(to->path, name), *parent = slash ? hkd_path_join(to->path, dir) : NULL;
    hkd_status status = path && (parent || !slash) ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: out of memory", to->path);
    if (!status && parent) status = hkd_make_directory(parent);
    if (!status) status = hkd_write_file(path, bytes, count);
    free(parent);
    free(path);
    return status;
}

#ifdef HKD_ZIP

/* Stored, with a fixed date: equal sets give equal archives. */
static hkd_status put_in_zip(const target *to, const char *name, const void *bytes, size_t count) {
    void *copy = malloc(count + 1);
    if (copy) memcpy(copy, bytes, count);
    zip_source_t *source = copy ? zip_source_buffer(to->archive, copy, count, 1) : NULL;
    if (!source) free(copy);
    const zip_int64_t index = source ? zip_file_add(to->archive, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (source && index < 0) zip_source_free(source);
    if (index < 0 || zip_set_file_compression(to->archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
        zip_file_set_dostime(to->archive, (zip_uint64_t)index, 0, 33, 0))
        return hkd_fail(HKD_RESOURCES, "%s: %s cannot be added", to->path, name);
    return HKD_OK;
}

static hkd_status open_zip(target *to) {
    int error;
    to->archive = zip_open(to->path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    return to->archive ? HKD_OK : hkd_fail(HKD_USAGE, "%s: cannot be written", to->path);
}

/* Writes the archive beside its place and renames it; after a failure nothing is left. */
static hkd_status close_zip(target *to, hkd_status status) {
    if (!to->archive) return status;
    if (!status && !zip_close(to->archive)) return HKD_OK;
    if (!status) status = hkd_fail(HKD_RESOURCES, "%s: cannot be written: %s", to->path, zip_strerror(to->archive));
    zip_discard(to->archive);
    return status;
}

#else

static hkd_status put_in_zip(const target *to, const char *name, const void *bytes, size_t count) {
    (void)name, (void)bytes, (void)count;
    return hkd_fail(HKD_USAGE, "%s: zip archives are not supported (built without libzip)", to->path);
}
static hkd_status open_zip(target *to) { return put_in_zip(to, NULL, NULL, 0); }
static hkd_status close_zip(target *to, hkd_status status) { return (void)to, status; }

#endif

static hkd_status put(const target *to, const char *name, const void *bytes, size_t count) {
    return (to->archive ? put_in_zip : put_in_folder)(to, name, bytes, count);
}

static hkd_status put_image(const target *to, const char *name, const hkd_image *image) {
    hkd_writer *writer;
    unsigned char *bytes = NULL;
    size_t count = 0;
    hkd_status status = hkd_writer_open_memory(&writer, name);
    if (status) return status;
    if ((status = hkd_image_put(writer, name, image, NULL, 0))) hkd_writer_abandon(writer);
    else hkd_writer_take(writer, &bytes, &count);
    if (!status) status = put(to, name, bytes, count);
    free(bytes);
    return status;
}

/* {"labels": [[name, label], ...]}, or {"labels": null} for a set without labels. */
static hkd_status put_labels(const target *to, json_t *labels, bool labelled) {
    json_t *root = json_pack("{s:O}", "labels", labelled ? labels : json_null());
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    const hkd_status status =
        text ? put(to, "dataset.json", text, strlen(text)) : hkd_fail(HKD_RESOURCES, "%s: out of memory", to->path);
    free(text);
    json_decref(root);
    return status;
}

static hkd_status put_all(const target *to, hkd_dataset *set, int64_t first, int64_t count, bool (*stop)(void)) {
    json_t *labels = json_array();
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < count && !status; i++) {
        char name[64];
        hkd_image image;
        int label;
        if (stop && stop()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        if (status || (status = hkd_dataset_image(set, first + i, &image, &label))) break;
        snprintf(name, sizeof name, "%05lld/img%08lld.%s", (long long)(i / 1000), (long long)i,
                 to->archive ? "png" : hkd_image_ending()); /* a zip without PNG would be of no use to EDM */
        status = put_image(to, name, &image);
        hkd_image_free(&image);
        json_array_append_new(labels, json_pack("[s,i]", name, label));
    }
    if (!status) status = put_labels(to, labels, set->classes > 0);
    json_decref(labels);
    return status;
}

hkd_status hkd_dataset_save(hkd_dataset *set, int64_t first, int64_t count, const char *path, bool (*stop)(void)) {
    const size_t n = strlen(path);
    target to = {path, NULL};
    hkd_status status = n > 4 && !strcmp(path + n - 4, ".zip") ? open_zip(&to) : hkd_make_directory(path);
    if (!status) status = put_all(&to, set, first, count, stop);
    return close_zip(&to, status);
}
