#include "fuzz.h"
#include "manifest.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>

static const char *const lists[] = {"manifest.json", "index.tsv", "calls.tsv", "notes.json"};

/* The sums that belong to these bytes as manifest.json, the other lists being empty. */
static size_t sums(char text[1024], const uint8_t *bytes, size_t count) {
    size_t length = 0;
    for (int i = 0; i < 4; i++) {
        hkd_sha256 hash;
        char hex[65];
        hkd_sha256_init(&hash);
        hkd_sha256_add(&hash, bytes, i ? 0 : count);
        hkd_sha256_hex(hex, &hash);
        length += (size_t)snprintf(text + length, 1024 - length, "%s  %s\n", hex, lists[i]);
    }
    return length;
}

/* manifest.json, whose sums are right; what does not begin as JSON is taken as SHA256SUMS. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const bool is_sums = count && *bytes != '{';
    char text[1024], dir[128];
    const size_t length = sums(text, bytes, is_sums ? 0 : count);
    hkd_manifest m;
    for (int i = 0; i < 4; i++) fuzz_file(lists[i], bytes, is_sums || i ? 0 : count);
    snprintf(dir, sizeof dir, "%s", is_sums ? fuzz_file("SHA256SUMS", bytes, count)
                                            : fuzz_file("SHA256SUMS", (const uint8_t *)text, length));
    *strrchr(dir, '/') = 0;
    if (hkd_manifest_load(&m, dir)) return 0;
    double bound;
    for (size_t i = 0; i < m.count; i++) hkd_manifest_bound(&bound, &m, m.entry[i].id, m.entry[i].file);
    hkd_manifest_bound(&bound, &m, "ddpmpp", "d");
    hkd_manifest_free(&m);
    return 0;
}
