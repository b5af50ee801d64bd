#include "scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[] = "/tmp/hkd-tests-XXXXXX";

static void remove_all(const char *dir) {
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[4096];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path)) remove_all(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static void clean_up(void) { remove_all(root); }

const char *scratch(const char *name) {
    static char path[8][512];
    static int next, ready;
    if (!ready && (ready = mkdtemp(root) != NULL)) atexit(clean_up);
    char *out = path[next++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", root, name);
    return out;
}
