#include "dataset.h"
#include "fuzz.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64], path[128];

static void clean_up(void) {
    remove(path);
    rmdir(dir);
}

const char *fuzz_file(const char *name, const uint8_t *bytes, size_t count) {
    if (!*dir) {
        snprintf(dir, sizeof dir, "/tmp/hkd-fuzz-%ld", (long)getpid());
        hkd_make_directory(dir);
        atexit(clean_up);
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) abort();
    if (count && fwrite(bytes, 1, count, f) != count) abort();
    fclose(f);
    return path;
}

void fuzz_dataset(const char *name, const uint8_t *bytes, size_t count) {
    hkd_dataset *set;
    hkd_image image = {0};
    int label;
    if (hkd_dataset_open(&set, fuzz_file(name, bytes, count))) return;
    if (set->count > 0 && set->resolution <= 512) hkd_dataset_image(set, set->count - 1, &image, &label);
    hkd_image_free(&image);
    hkd_dataset_close(set);
}
