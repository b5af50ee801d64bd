/* Pictures: EDM's rounding, PNG and PPM in every form we promise, hostile files. */
#include "image.h"
#include "scratch.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rounding to nearest or (x + 1) * 127.5 would be half a level off; NaN must not be undefined behaviour. */
static void rounding(void) {
    CHECK(hkd_to_byte(-1) == 0 && hkd_to_byte(1) == 255 && hkd_to_byte(0) == 128, "ends and middle");
    CHECK(hkd_to_byte(0.99 / 127.5) == 128 && hkd_to_byte(1.01 / 127.5) == 129, "truncation after adding 128");
    CHECK(hkd_to_byte(-1000) == 0 && hkd_to_byte(INFINITY) == 255 && hkd_to_byte(NAN) == 0, "clipping");
    for (int i = 0; i < 256; i++)
        CHECK(hkd_to_byte(hkd_to_value((unsigned char)i)) == i, "byte %d does not survive the way through values", i);
}

static void layout(void) {
    const double values[3 * 2] = {-1, 1, 0, -1, 1, 0}; /* [3, 1, 2]: channels first */
    static const unsigned char pixels[6] = {0, 128, 255, 255, 0, 128};
    double back[6];
    hkd_image image;
    CHECK(!hkd_image_new(&image, 2, 1, 3), "%s", hkd_last_error());
    hkd_image_set(&image, values);
    CHECK(!memcmp(image.pixels, pixels, 6), "channels first to pixels");
    hkd_image_get(back, &image);
    CHECK(back[0] == -1 && back[1] == 1 && back[4] == 1 && back[3] == -1, "pixels to channels first");
    hkd_image_free(&image);
    CHECK(hkd_image_new(&image, INT64_MAX, INT64_MAX, 3) == HKD_USAGE, "size overflow");
    CHECK(hkd_image_new(&image, 1, 1, 2) == HKD_USAGE, "two channels");
}

static void round_trip(const char *name, int channels) {
    hkd_image a, b;
    const char *path = scratch(name);
    const hkd_metadata text[] = {{"hkd", "seed 7"}, {"note", "\xc3\xa9"}};
    hkd_image_new(&a, 5, 3, channels);
    for (int i = 0; i < 15 * channels; i++) a.pixels[i] = (unsigned char)(i * 37);
    CHECK(!hkd_image_write(path, &a, text, 2), "%s", hkd_last_error());
    CHECK(!hkd_image_read(&b, path), "%s", hkd_last_error());
    CHECK(b.width == 5 && b.height == 3 && b.channels == channels && !memcmp(a.pixels, b.pixels, (size_t)(15 * channels)),
          "%s does not come back", name);
    hkd_image_free(&b);
    unsigned char *bytes = NULL;
    size_t n = 0;
    CHECK(!hkd_read_file(&bytes, &n, path, 10000), "%s", hkd_last_error());
    for (size_t cut = 0; cut < n; cut++) { /* also the last chunk of a PNG: a half-copied file must not pass */
        hkd_file *file;
        hkd_file_from_memory(&file, name, bytes, cut);
        CHECK(hkd_image_read_file(&b, file) == HKD_BAD_FILE && !b.pixels, "%s cut after %zu of %zu bytes", name, cut, n);
        hkd_file_close(file);
    }
    free(bytes);
    hkd_image_free(&a);
}

static hkd_status read_bytes(hkd_image *out, const unsigned char *bytes, size_t n) {
    hkd_file *file;
    hkd_file_from_memory(&file, "memory", bytes, n);
    const hkd_status status = hkd_image_read_file(out, file);
    hkd_file_close(file);
    return status;
}

static void odd_pnm(void) {
    static const struct {
        const char *text;
        bool accept;
    } cases[] = {
        {"P6\n# made by hand\n1 1\n255\nabc", true}, {"P5 2 1 255\nab", true}, {"P5 2 1 65535\nabcd", false},
        {"P5 2 1 255\nabc", false}, {"P5 -2 1 255\nab", false}, {"P5 99999999999999999999 1 255\nab", false},
        {"P5 0 1 255\n", false}, {"P6", false}, {"P3 1 1 255\n1 2 3", false}, {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hkd_image image = {0};
        const hkd_status status = read_bytes(&image, (const unsigned char *)cases[i].text, strlen(cases[i].text));
        CHECK(status == (cases[i].accept ? HKD_OK : HKD_BAD_FILE), "PPM case %zu: status %d", i, (int)status);
        hkd_image_free(&image);
    }
}

#ifdef HKD_PNG
#include "png_odd.h"

/* Palette, 1 bit, 16 bits, alpha, interlaced, gamma; and what must be refused. */
static void odd_png(void) {
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        hkd_image image = {0};
        const hkd_status status = read_bytes(&image, odd[i].bytes, odd[i].count);
        CHECK(status == (odd[i].channels ? HKD_OK : HKD_BAD_FILE), "%s: status %d (%s)", odd[i].what, (int)status,
              hkd_last_error());
        if (!status)
            CHECK(image.channels == odd[i].channels && image.width == 2 && image.height == 2 &&
                  !memcmp(image.pixels, odd[i].pixels, (size_t)(4 * image.channels)), "%s: pixels", odd[i].what);
        hkd_image_free(&image);
    }
}
#endif

/* Gray values in a file that has three of each. */
static void gray_as_rgb(void) {
    hkd_image gray, back;
    CHECK(!hkd_image_new(&gray, 3, 2, 1), "%s", hkd_last_error());
    for (int i = 0; i < 6; i++) gray.pixels[i] = (unsigned char)(40 * i);
    CHECK(!hkd_image_write(scratch("gray.ppm"), &gray, NULL, 0) && !hkd_image_read(&back, scratch("gray.ppm")), "%s",
          hkd_last_error());
    CHECK(back.width == 3 && back.height == 2 && back.channels == 3, "gray as PPM has another size");
    for (int i = 0; i < 18; i++) CHECK(back.pixels[i] == gray.pixels[i / 3], "gray as PPM: byte %d", i);
    hkd_image_free(&gray);
    hkd_image_free(&back);
}

void test_image(void) {
    rounding();
    layout();
    round_trip("rgb.ppm", 3);
    round_trip("gray.pgm", 1);
    gray_as_rgb();
#ifdef HKD_PNG
    round_trip("rgb.png", 3);
    round_trip("gray.png", 1);
    odd_png();
#else
    hkd_image image;
    CHECK(read_bytes(&image, (const unsigned char *)"\x89PNG\r\n\x1a\n", 8) == HKD_BAD_FILE, "PNG without libpng");
    test_skip("png", "built without libpng");
#endif
    odd_pnm();
}
