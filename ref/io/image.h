/* image.h - pictures of 8 bits per channel, in memory and as PNG or PPM/PGM files.
 *
 * Bytes and values: value = byte / 127.5 - 1 in; byte = truncate(clip(127.5 value + 128, 0, 255)) out, as EDM does it. No gamma
 * is ever applied: models are trained on the bytes as they are.
 */
#ifndef HKD_IMAGE_H
#define HKD_IMAGE_H

#include "os.h"
#include "safetensors.h"

typedef struct {
    int64_t width, height;
    int channels;          /* 1 (gray) or 3 (RGB) */
    unsigned char *pixels; /* [height, width, channels] */
} hkd_image;

hkd_status hkd_image_new(hkd_image *out, int64_t width, int64_t height, int channels); /* black */
void hkd_image_free(hkd_image *image);

unsigned char hkd_to_byte(double value);
double hkd_to_value(unsigned char byte);
/* Values [channels, height, width] in [-1, 1] from and to an image of that size. */
void hkd_image_set(hkd_image *image, const double *values);
void hkd_image_get(double *values, const hkd_image *image);

/* PNG or PPM/PGM, told apart by content. At most 4096 x 4096. Palettes are expanded, gray stays gray, 16 bits are scaled to 8;
 * an alpha channel must be opaque everywhere. Without libpng, PNG is "not supported". */
hkd_status hkd_image_read(hkd_image *out, const char *path);
hkd_status hkd_image_read_file(hkd_image *out, hkd_file *file); /* does not close the file */

/* By the name's ending: .png, .ppm (gray becomes RGB) or .pgm. Metadata become text chunks of a PNG and are left out of the
 * others. */
hkd_status hkd_image_write(const char *path, const hkd_image *image, const hkd_metadata *text, size_t count);
/* The same into a writer; the ending is one of these. */
hkd_status hkd_image_put(hkd_writer *writer, const char *path, const hkd_image *image, const hkd_metadata *text, size_t count);
const char *hkd_image_ending(void); /* "png", or "ppm" without libpng: for names the program makes up */

/* image_png.c */
/* `each` (NULL: nobody) is told the text chunks, the metadata of hkd_image_write. */
typedef void hkd_png_text(void *self, const char *key, const char *value);
hkd_status hkd_png_read(hkd_image *out, hkd_file *file, hkd_png_text *each, void *self);
hkd_status hkd_png_write(hkd_writer *writer, const char *path, const hkd_image *image, const hkd_metadata *text, size_t count);

#endif
