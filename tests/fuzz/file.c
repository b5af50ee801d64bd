#include "dataset.h"
#include "fuzz.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 8 };

static char dir[64], path[MOST][128];

static void clean_up(void) {
    for (int i = 0; i < MOST && *path[i]; i++) remove(path[i]);
    rmdir(dir);
}

const char *fuzz_file(const char *name, const uint8_t *bytes, size_t count) {
    if (!*dir) {
        snprintf(dir, sizeof dir, "/tmp/hkd-fuzz-%ld", (long)getpid());
        hkd_make_directory(dir);
        atexit(clean_up);
    }
    char wanted[128];
    int i = 0;
    snprintf(wanted, sizeof wanted, "%s/%s", dir, name);
    while (i < MOST && *path[i] && strcmp(path[i], wanted) != 0) i++;
    if (i == MOST) abort();
    strcpy(path[i], wanted);
    remove(wanted); /* a new file waits in memory; one that is cut and written again goes to the disk first */
    FILE *f = fopen(path[i], "wb");
    if (!f) abort();
    if (count && fwrite(bytes, 1, count, f) != count) abort();
    fclose(f);
    return path[i];
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
