/* The judge of ports: up to the first byte 0 index.tsv, behind it f.safetensors, which is both vector and a port's answer. */
#include "fuzz.h"

#include <string.h>

static int silent(const char *format, ...);
#define printf silent
#define main check_main
#include "../../vectors/check.c"
#undef printf
#undef main

static int silent(const char *format, ...) {
    (void)format;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    char dir[128], program[] = "check", flush[] = "--flush";
    const uint8_t *zero = count ? memchr(bytes, 0, count) : NULL;
    const size_t list = zero ? (size_t)(zero - bytes) : count, rest = zero ? list + 1 : count;
    fuzz_file("f.safetensors", bytes + rest, count - rest);
    snprintf(dir, sizeof dir, "%s", fuzz_file("index.tsv", bytes, list));
    *strrchr(dir, '/') = 0;
    char *argv[] = {program, dir, dir, flush, NULL};
    check_main(count % 2 ? 3 : 4, argv);
    return 0;
}
