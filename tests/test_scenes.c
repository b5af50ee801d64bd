/* The built-in scenes: the same bytes everywhere, all classes, pictures that differ. */
#include "scenes.h"
#include "sha256.h"
#include "test.h"

#include <string.h>

/* A compiler that contracts or reorders, or another machine's arithmetic, shows here: the hash is part of the data set's
 * definition, because models and metrics name the data they were made with. */
static void bytes(int resolution, const char *expected) {
    static unsigned char pixels[64 * 64 * 3];
    hkd_sha256 hash;
    char hex[65];
    hkd_sha256_init(&hash);
    for (uint64_t k = 0; k < 40; k++) {
        hkd_draw_scene(pixels, resolution, k);
        hkd_sha256_add(&hash, pixels, (size_t)(resolution * resolution * 3));
    }
    hkd_sha256_hex(hex, &hash);
    CHECK(!strcmp(hex, expected), "scenes of %d pixels: SHA-256 is %s", resolution, hex);
}

/* Catches an image that depends on the one before, a class that is not k mod 10, a stuck generator. */
static void contents(void) {
    static unsigned char a[16 * 16 * 3], b[16 * 16 * 3];
    for (uint64_t k = 0; k < 30; k++) {
        CHECK(hkd_draw_scene(a, 16, k) == (int)(k % 10), "class of image %d", (int)k);
        hkd_draw_scene(b, 16, k + HKD_SCENE_CLASSES);
        CHECK(memcmp(a, b, sizeof a), "images %d and %d are equal", (int)k, (int)k + 10);
        hkd_draw_scene(b, 16, k);
        CHECK(!memcmp(a, b, sizeof a), "image %d depends on what was drawn before", (int)k);
        int low = 255, high = 0;
        for (size_t i = 0; i < sizeof a; i++) {
            if (a[i] < low) low = a[i];
            if (a[i] > high) high = a[i];
        }
        CHECK(high - low > 60, "image %d is nearly empty (%d to %d)", (int)k, low, high);
    }
}

void test_scenes(void) {
    bytes(16, "d7bc06c548d6bb032bf80fe6b865ef1678d58d9a48b863febf8d4a7ff4253c39");
    bytes(32, "d0c0fc80347db6f8e54f643ce5569c933471df05d820cae8ef41ba273d60ce8b");
    contents();
}
