/* What is remembered from one run to the next, in $XDG_CACHE_HOME/hkd or ~/.cache/hkd: that a device passed its self-check, and
 * the compiled program of a GPU. The name of an entry is a hash of everything that its truth depends on; a file that cannot be
 * read or written costs time, nothing else. */
#include "opencl.h"

#include "os.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char hkd_cl_source[];
extern const size_t hkd_cl_source_size;

static void add_text(hkd_sha256 *hash, const char *text) { hkd_sha256_add(hash, text, strlen(text) + 1); }

static bool cache_path(char *path, size_t size, const hkd_cl *cl, const char *suffix) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const hkd_cl_machine *m = &cl->machine;
    char hex[65];
    hkd_sha256 hash;
    hkd_sha256_init(&hash);
    hkd_sha256_add(&hash, hkd_cl_source, hkd_cl_source_size);
    add_text(&hash, cl->options);
    add_text(&hash, m->name);
    add_text(&hash, m->vendor);
    add_text(&hash, m->driver);
    add_text(&hash, m->version);
    add_text(&hash, m->platform_version);
    hkd_sha256_hex(hex, &hash);
    int length = -1;
    if (cache && *cache) length = snprintf(path, size, "%s/hkd", cache);
    else if (home && *home) length = snprintf(path, size, "%s/.cache/hkd", home);
    if (length < 0 || (size_t)length >= size || hkd_make_directory(path)) return false;
    const int more = snprintf(path + length, size - (size_t)length, "/opencl-%.40s.%s", hex, suffix);
    return more > 0 && (size_t)(length + more) < size;
}

bool hkd_cl_was_checked(const hkd_cl *cl) {
    char path[1024];
    return cache_path(path, sizeof path, cl, "checked") && hkd_exists(path);
}

void hkd_cl_remember_check(const hkd_cl *cl) {
    char path[1024];
    if (cache_path(path, sizeof path, cl, "checked")) hkd_write_file(path, "", 0);
}

bool hkd_cl_keep_log(char *path, size_t size, const hkd_cl *cl, const char *log) {
    return *log && cache_path(path, size, cl, "log") && !hkd_write_file(path, log, strlen(log));
}

/* Drivers crash on a damaged program, and a damaged choice computes with what nobody checked: such a file begins with the hash
 * of the rest. */
enum { HEX = 64 };

static void hex_of(char hex[HEX + 1], const void *bytes, size_t size) {
    hkd_sha256 hash;
    hkd_sha256_init(&hash);
    hkd_sha256_add(&hash, bytes, size);
    hkd_sha256_hex(hex, &hash);
}

bool hkd_cl_recall(const hkd_cl *cl, const char *what, unsigned char **bytes, size_t *size) {
    char path[1024], hex[HEX + 1];
    size_t whole;
    if (!cache_path(path, sizeof path, cl, what) || !hkd_exists(path)) return false;
    if (hkd_read_file(bytes, &whole, path, (size_t)1 << 28)) return false;
    *size = whole < HEX ? 0 : whole - HEX;
    if (*size) hex_of(hex, *bytes + HEX, *size);
    if (*size && !memcmp(hex, *bytes, HEX)) {
        memmove(*bytes, *bytes + HEX, *size);
        return true;
    }
    free(*bytes);
    return false;
}

void hkd_cl_remember(const hkd_cl *cl, const char *what, const void *bytes, size_t size) {
    char path[1024], hex[HEX + 1];
    unsigned char *whole = malloc(HEX + size);
    if (whole && cache_path(path, sizeof path, cl, what)) {
        hex_of(hex, bytes, size);
        memcpy(whole, hex, HEX);
        memcpy(whole + HEX, bytes, size);
        hkd_write_file(path, whole, HEX + size);
    }
    free(whole);
}
