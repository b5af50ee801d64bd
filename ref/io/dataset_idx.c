/* MNIST's idx files: big-endian 0x803, count, rows, columns, then bytes; labels: 0x801, count, then bytes. Plain or gzipped. */
#include "dataset.h"

#include <stdlib.h>
#include <string.h>
#ifdef HKD_ZLIB
#include <zlib.h>
#endif

typedef struct {
    hkd_file *images, *labels;
    unsigned char *unpacked[2]; /* what the files live in when they were gzipped */
} idx;

static void close_idx(void *state) {
    idx *x = state;
    hkd_file_close(x->images);
    hkd_file_close(x->labels);
    free(x->unpacked[0]);
    free(x->unpacked[1]);
    free(x);
}

static hkd_status get(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    const idx *x = set->state;
    unsigned char byte = 0;
    const size_t n = (size_t)(set->resolution * set->resolution);
    hkd_status status = hkd_file_read(x->images, 16 + (uint64_t)index * n, image->pixels, n);
    if (status || !x->labels) return status;
    if ((status = hkd_file_read(x->labels, 8 + (uint64_t)index, &byte, 1))) return status;
    if (byte >= set->classes)
        return hkd_fail(HKD_BAD_FILE, "%s: label %d of image %lld, expected 0 to %d", hkd_file_name(x->labels), byte,
                        (long long)index, set->classes - 1);
    *label = byte;
    return HKD_OK;
}

/* The magic number and `extents` sizes; the file must hold exactly their product. */
static hkd_status read_header(uint64_t *size, hkd_file *file, int extents) {
    const char *name = hkd_file_name(file);
    unsigned char h[16];
    const size_t length = (size_t)(4 + 4 * extents);
    const hkd_status status = hkd_file_read(file, 0, h, length);
    if (status) return status;
    if (h[0] || h[1] || h[2] != 8 || h[3] != extents)
        return hkd_fail(HKD_BAD_FILE, "%s: no idx file of bytes in %d dimensions", name, extents);
    uint64_t product = 1;
    for (int i = 0; i < extents; i++) {
        const unsigned char *b = h + 4 + 4 * i;
        size[i] = (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 | (uint64_t)b[2] << 8 | b[3];
        if (i && size[i] > 4096) return hkd_fail(HKD_BAD_FILE, "%s: images larger than 4096 pixels", name);
        product *= size[i];
    }
    if (hkd_file_size(file) - length != product)
        return hkd_fail(HKD_BAD_FILE, "%s: %llu bytes of data, expected %llu", name,
                        (unsigned long long)(hkd_file_size(file) - length), (unsigned long long)product);
    return HKD_OK;
}

static hkd_status check(hkd_dataset *set, const idx *x) {
    uint64_t size[3] = {0}, labels[1] = {0};
    hkd_status status = read_header(size, x->images, 3);
    if (status) return status;
    if (size[1] != size[2])
        return hkd_fail(HKD_BAD_FILE, "%s: images of %llu x %llu pixels, expected squares", hkd_file_name(x->images),
                        (unsigned long long)size[2], (unsigned long long)size[1]);
    set->count = (int64_t)size[0];
    set->resolution = (int)size[1];
    set->channels = 1;
    if (!x->labels) return HKD_OK;
    if ((status = read_header(labels, x->labels, 1))) return status;
    set->classes = 10;
    return labels[0] == size[0] ? HKD_OK
                                : hkd_fail(HKD_BAD_FILE, "%s: %llu labels, expected %llu", hkd_file_name(x->labels),
                                           (unsigned long long)labels[0], (unsigned long long)size[0]);
}

static hkd_status make(hkd_dataset *set, idx **out, hkd_file *images, hkd_file *labels) {
    idx *x = *out = calloc(1, sizeof *x);
    if (!x) {
        hkd_file_close(images);
        hkd_file_close(labels);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    }
    x->images = images;
    x->labels = labels;
    set->state = x;
    set->close = close_idx;
    set->get = get;
    return HKD_OK;
}

hkd_status hkd_open_idx_files(hkd_dataset *set, hkd_file *images, hkd_file *labels) {
    idx *x;
    const hkd_status status = make(set, &x, images, labels);
    return status ? status : check(set, x);
}

/* ---- gzip ------------------------------------------------------------------------------------------------------------- */

#ifdef HKD_ZLIB
enum { LIMIT = 1 << 28 };

static hkd_status unpack(unsigned char **out, size_t *count, const char *path) {
    gzFile file = gzopen(path, "rb");
    size_t room = 1 << 20, n = 0;
    unsigned char *bytes = malloc(room);
    int got = 0;
    hkd_status status = file && bytes ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: cannot be opened", path);
    while (!status && (got = gzread(file, bytes + n, (unsigned)(room - n))) > 0) {
        n += (size_t)got;
        if (n < room) continue;
        unsigned char *grown = room < LIMIT ? realloc(bytes, 2 * room) : NULL;
        if (!grown) status = hkd_fail(HKD_BAD_FILE, "%s: unpacks to more than %d bytes", path, LIMIT);
        else bytes = grown;
        room *= 2;
    }
    int error = Z_OK;
    if (!status) gzerror(file, &error);
    const bool complete = file && gzclose(file) == Z_OK && got == 0 && (error == Z_OK || error == Z_STREAM_END);
    if (!status && !complete) status = hkd_fail(HKD_BAD_FILE, "%s: damaged or truncated gzip file", path);
    *out = bytes;
    *count = n;
    return status;
}
#else
static hkd_status unpack(unsigned char **out, size_t *count, const char *path) {
    *out = NULL;
    *count = 0;
    return hkd_fail(HKD_BAD_FILE, "%s: gzip is not supported (built without zlib)", path);
}
#endif

static hkd_status open_packed(hkd_file **file, unsigned char **owned, const char *path) {
    const size_t n = strlen(path);
    size_t count;
    if (n < 3 || strcmp(path + n - 3, ".gz")) return hkd_file_open(file, path);
    const hkd_status status = unpack(owned, &count, path);
    return status ? status : hkd_file_from_memory(file, path, *owned, count);
}

hkd_status hkd_open_idx(hkd_dataset *set, const char *path) {
    idx *x;
    hkd_status status = make(set, &x, NULL, NULL);
    char *labels = status ? NULL : hkd_path_join(path, "");
    if (status || !labels) return status ? status : hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    labels[strlen(path)] = 0;
    char *kind = strstr(labels, "images-idx3");
    if (kind) memcpy(kind, "labels-idx1", 11);
    status = open_packed(&x->images, &x->unpacked[0], path);
    if (!status && kind && hkd_exists(labels)) status = open_packed(&x->labels, &x->unpacked[1], labels);
    free(labels);
    return status ? status : check(set, x);
}
