/* CIFAR-10, binary version: records of 3073 bytes: label, then 1024 red, 1024 green and 1024 blue, rows from the top. */
#include "dataset.h"

#include <stdlib.h>

enum { RECORD = 3073, SIDE = 32 };

static const char *const class_name[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};

typedef struct {
    size_t files;
    hkd_file **file;
} cifar;

static void close_cifar(void *state) {
    cifar *c = state;
    for (size_t i = 0; i < c->files; i++) hkd_file_close(c->file[i]);
    free(c->file);
    free(c);
}

static hkd_status get(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    const cifar *c = set->state;
    unsigned char record[RECORD];
    size_t k = 0;
    uint64_t at = (uint64_t)index;
    for (; at >= hkd_file_size(c->file[k]) / RECORD; k++) at -= hkd_file_size(c->file[k]) / RECORD;
    const hkd_status status = hkd_file_read(c->file[k], at * RECORD, record, RECORD);
    if (status) return status;
    if (record[0] > 9)
        return hkd_fail(HKD_BAD_FILE, "%s: record %llu has label %d, expected 0 to 9", hkd_file_name(c->file[k]),
                        (unsigned long long)at, record[0]);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int channel = 0; channel < 3; channel++) image->pixels[3 * i + channel] = record[1 + channel * SIDE * SIDE + i];
    *label = record[0];
    return HKD_OK;
}

hkd_status hkd_open_cifar(hkd_dataset *set, const char *const *path, size_t count) {
    cifar *c = calloc(1, sizeof *c);
    if (!c || !(c->file = calloc(count, sizeof *c->file))) {
        free(c);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    }
    set->state = c;
    set->close = close_cifar;
    set->get = get;
    set->channels = 3;
    set->resolution = SIDE;
    set->classes = 10;
    set->class_name = class_name;
    for (size_t i = 0; i < count; i++) {
        const hkd_status status = hkd_file_open(&c->file[i], path[i]);
        if (status) return status;
        c->files++;
        const uint64_t size = hkd_file_size(c->file[i]);
        if (!size || size % RECORD)
            return hkd_fail(HKD_BAD_FILE, "%s: %llu bytes, expected CIFAR-10 records of %d", path[i], (unsigned long long)size,
                            RECORD);
        set->count += (int64_t)(size / RECORD);
    }
    return HKD_OK;
}
