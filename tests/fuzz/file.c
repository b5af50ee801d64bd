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
    remove(path); /* a new file waits in memory; one that is cut and written again goes to the disk first */
    FILE *f = fopen(path, "wb");
    if (!f) abort();
    if (count && fwrite(bytes, 1, count, f) != count) abort();
    fclose(f);
    return path;
}
