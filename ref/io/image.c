#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 4096, MAX_PIXELS = 1 << 28 };

hkd_status hkd_image_new(hkd_image *out, int64_t width, int64_t height, int channels) {
    *out = (hkd_image){0};
    if (width < 0 || height < 0 || (channels != 1 && channels != 3) || (height && width > MAX_PIXELS / height))
        return hkd_fail(HKD_USAGE, "an image of %lld x %lld pixels and %d channels cannot be made", (long long)width,
                        (long long)height, channels);
    unsigned char *pixels = calloc((size_t)(width * height * channels) + 1, 1);
    if (!pixels) return hkd_fail(HKD_RESOURCES, "out of memory for an image");
    *out = (hkd_image){width, height, channels, pixels};
    return HKD_OK;
}

void hkd_image_free(hkd_image *image) {
    free(image->pixels);
    *image = (hkd_image){0};
}

unsigned char hkd_to_byte(double value) {
    const double v = value * 127.5 + 128;
    return v > 0 ? v < 255 ? (unsigned char)v : 255 : 0; /* NaN is black */
}

double hkd_to_value(unsigned char byte) { return byte / 127.5 - 1; }

void hkd_image_set(hkd_image *image, const double *values) {
    const int64_t n = image->width * image->height;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < image->channels; c++) image->pixels[i * image->channels + c] = hkd_to_byte(values[c * n + i]);
}

void hkd_image_get(double *values, const hkd_image *image) {
    const int64_t n = image->width * image->height;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < image->channels; c++) values[c * n + i] = hkd_to_value(image->pixels[i * image->channels + c]);
}

/* ---- PPM and PGM ------------------------------------------------------------------------------------------------------ */

/* The next number of a header, after white space and comments; -1: none. */
static int64_t header_number(const char *text, size_t n, size_t *at) {
    while (*at < n && text[*at] && strchr(" \t\r\n#", text[*at])) {
        if (text[*at] == '#')
            while (*at < n && text[*at] != '\n') ++*at;
        else ++*at;
    }
    int64_t v = -1;
    for (; *at < n && text[*at] >= '0' && text[*at] <= '9' && v < 1000000; ++*at) v = 10 * (v < 0 ? 0 : v) + (text[*at] - '0');
    return v;
}

static hkd_status read_pnm(hkd_image *out, hkd_file *file) {
    const char *name = hkd_file_name(file);
    char text[512] = {0};
    const size_t n = hkd_file_size(file) < sizeof text - 1 ? (size_t)hkd_file_size(file) : sizeof text - 1;
    hkd_status status = hkd_file_read(file, 0, text, n);
    if (status) return status;
    size_t at = 2;
    const int64_t width = header_number(text, n, &at), height = header_number(text, n, &at), top = header_number(text, n, &at);
    const int channels = text[1] == '6' ? 3 : 1;
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE || top != 255 || at >= n)
        return hkd_fail(HKD_BAD_FILE, "%s: PPM header, expected width and height of 1 to %d and 255 levels", name, MAX_SIDE);
    const size_t count = (size_t)(width * height * channels);
    if (hkd_file_size(file) - (at + 1) != count)
        return hkd_fail(HKD_BAD_FILE, "%s: %llu bytes of pixels, expected %llu", name,
                        (unsigned long long)(hkd_file_size(file) - (at + 1)), (unsigned long long)count);
    if ((status = hkd_image_new(out, width, height, channels))) return status;
    if ((status = hkd_file_read(file, at + 1, out->pixels, count))) hkd_image_free(out);
    return status;
}

/* P6 for .ppm, where gray becomes RGB; P5 for .pgm. */
static hkd_status write_pnm(hkd_writer *writer, const hkd_image *image, bool gray) {
    char header[64];
    const int n = snprintf(header, sizeof header, "P%d\n%lld %lld\n255\n", gray ? 5 : 6, (long long)image->width,
                           (long long)image->height);
    const size_t pixels = (size_t)(image->width * image->height);
    hkd_status status = hkd_writer_put(writer, header, (size_t)n);
    if (gray == (image->channels == 1))
        return status ? status : hkd_writer_put(writer, image->pixels, pixels * (size_t)image->channels);
    for (size_t i = 0; i < pixels && !status; i++) {
        const unsigned char v = image->pixels[i], rgb[3] = {v, v, v};
        status = hkd_writer_put(writer, rgb, 3);
    }
    return status;
}

/* ---- either ----------------------------------------------------------------------------------------------------------- */

hkd_status hkd_image_read_file(hkd_image *out, hkd_file *file) {
    unsigned char magic[8] = {0};
    *out = (hkd_image){0};
    const size_t n = hkd_file_size(file) < 8 ? (size_t)hkd_file_size(file) : 8;
    const hkd_status status = hkd_file_read(file, 0, magic, n);
    if (status) return status;
    if (!memcmp(magic, "\x89PNG\r\n\x1a\n", 8)) return hkd_png_read(out, file, NULL, NULL);
    if (magic[0] == 'P' && (magic[1] == '5' || magic[1] == '6')) return read_pnm(out, file);
    return hkd_fail(HKD_BAD_FILE, "%s: neither a PNG nor a binary PPM or PGM image", hkd_file_name(file));
}

hkd_status hkd_image_read(hkd_image *out, const char *path) {
    hkd_file *file;
    *out = (hkd_image){0};
    hkd_status status = hkd_file_open(&file, path);
    if (status) return status;
    status = hkd_image_read_file(out, file);
    hkd_file_close(file);
    return status;
}

static bool ends_with(const char *s, const char *ending) {
    const size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

hkd_status hkd_image_put(hkd_writer *writer, const char *path, const hkd_image *image, const hkd_metadata *text, size_t count) {
    if (ends_with(path, ".png")) return hkd_png_write(writer, path, image, text, count);
    return write_pnm(writer, image, ends_with(path, ".pgm"));
}

hkd_status hkd_image_write(const char *path, const hkd_image *image, const hkd_metadata *text, size_t count) {
    if (!ends_with(path, ".png") && !ends_with(path, ".ppm") && !(ends_with(path, ".pgm") && image->channels == 1))
        return hkd_fail(HKD_USAGE, "%s: expected a name that ends with .png or .ppm%s", path,
                        image->channels == 1 ? " or .pgm" : "");
    if (image->width < 1 || image->height < 1) return hkd_fail(HKD_USAGE, "%s: an empty image cannot be written", path);
    hkd_writer *writer;
    hkd_status status = hkd_writer_open(&writer, path);
    if (status) return status;
    status = hkd_image_put(writer, path, image, text, count);
    if (!status) return hkd_writer_commit(writer);
    hkd_writer_abandon(writer);
    return status;
}
