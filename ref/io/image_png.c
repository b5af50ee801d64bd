#include "image.h"

#ifdef HKD_PNG

#include <png.h>
#include <stdlib.h>
#include <string.h>

const char *hkd_image_ending(void) { return "png"; }

/* What the callbacks of libpng share with us. libpng leaves by longjmp, so whatever must survive that lives here. */
typedef struct {
    png_structp png;
    png_infop info;
    hkd_file *file;
    uint64_t at;
    hkd_writer *writer;
    const char *name;
    hkd_status status;
    unsigned char *pixels; /* decoded, up to 4 channels */
    png_bytep *rows;
    png_text *text;
} session;

static void on_error(png_structp png, png_const_charp message) {
    session *s = png_get_error_ptr(png);
    if (!s->status) s->status = hkd_fail(s->writer ? HKD_USAGE : HKD_BAD_FILE, "%s: PNG: %s", s->name, message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void finish(session *s) {
    if (s->writer) png_destroy_write_struct(&s->png, &s->info);
    else png_destroy_read_struct(&s->png, &s->info, NULL);
    free(s->pixels);
    free(s->rows);
    free(s->text);
}

static void no_memory(session *s) {
    s->status = hkd_fail(HKD_RESOURCES, "%s: out of memory", s->name);
    longjmp(png_jmpbuf(s->png), 1);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static void read_bytes(png_structp png, png_bytep to, size_t n) {
    session *s = png_get_io_ptr(png);
    if ((s->status = hkd_file_read(s->file, s->at, to, n))) longjmp(png_jmpbuf(png), 1);
    s->at += n;
}

/* Everything becomes 8 bits of gray, gray + alpha, RGB or RGBA. */
static void read_pixels(session *s, int *channels) {
    png_set_read_fn(s->png, s, read_bytes);
    png_set_user_limits(s->png, 4096, 4096);
    png_set_chunk_cache_max(s->png, 16);
    png_set_chunk_malloc_max(s->png, 1 << 20);
    png_read_info(s->png, s->info);
    png_set_scale_16(s->png);
    png_set_expand(s->png); /* palettes, fewer than 8 bits, transparent colours */
    png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    const size_t height = png_get_image_height(s->png, s->info), row = png_get_rowbytes(s->png, s->info);
    *channels = png_get_channels(s->png, s->info);
    if (!(s->pixels = calloc(height, row)) || !(s->rows = malloc(height * sizeof *s->rows))) no_memory(s);
    for (size_t y = 0; y < height; y++) s->rows[y] = s->pixels + y * row;
    png_read_image(s->png, s->rows);
    png_read_end(s->png, NULL);
}

static hkd_status take_pixels(hkd_image *out, const session *s, int channels) {
    const int colours = channels < 3 ? 1 : 3;
    const hkd_status status = hkd_image_new(out, png_get_image_width(s->png, s->info), png_get_image_height(s->png, s->info),
                                            colours);
    if (status) return status;
    for (int64_t i = 0; i < out->width * out->height; i++) {
        memcpy(out->pixels + i * colours, s->pixels + i * channels, (size_t)colours);
        if (channels > colours && s->pixels[i * channels + colours] != 255) {
            hkd_image_free(out);
            return hkd_fail(HKD_BAD_FILE, "%s: has transparent pixels, expected an opaque image", s->name);
        }
    }
    return HKD_OK;
}

static void tell_text(const session *s, hkd_png_text *each, void *self) {
    png_textp text = NULL;
    const int count = png_get_text(s->png, s->info, &text, NULL);
    for (int i = 0; i < count; i++) each(self, text[i].key, text[i].text);
}

hkd_status hkd_png_read(hkd_image *out, hkd_file *file, hkd_png_text *each, void *self) {
    session s = {.file = file, .name = hkd_file_name(file)};
    int channels = 0;
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    if (!s.info) {
        finish(&s);
        return hkd_fail(HKD_RESOURCES, "%s: libpng cannot start", s.name);
    }
    if (!setjmp(png_jmpbuf(s.png))) {
        read_pixels(&s, &channels);
        s.status = take_pixels(out, &s, channels);
        if (!s.status && each) tell_text(&s, each, self);
    }
    finish(&s);
    return s.status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static void write_bytes(png_structp png, png_bytep from, size_t n) {
    session *s = png_get_io_ptr(png);
    if ((s->status = hkd_writer_put(s->writer, from, n))) longjmp(png_jmpbuf(png), 1);
}

static void flush(png_structp png) { (void)png; }

static bool is_ascii(const char *s) {
    while (*s && (unsigned char)*s < 0x80) s++;
    return !*s;
}

static void write_text(session *s, const hkd_metadata *text, size_t count) {
    if (!(s->text = calloc(count + 1, sizeof *s->text))) no_memory(s);
    for (size_t i = 0; i < count; i++) {
        s->text[i].compression = is_ascii(text[i].value) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        s->text[i].key = (char *)text[i].key; /* libpng copies them */
        s->text[i].text = (char *)text[i].value;
        s->text[i].text_length = strlen(text[i].value);
    }
    png_set_text(s->png, s->info, s->text, (int)count);
}

static void write_pixels(session *s, const hkd_image *image) {
    const size_t row = (size_t)(image->width * image->channels);
    png_write_info(s->png, s->info);
    for (int64_t y = 0; y < image->height; y++) png_write_row(s->png, image->pixels + (size_t)y * row);
    png_write_end(s->png, s->info);
}

hkd_status hkd_png_write(hkd_writer *writer, const char *path, const hkd_image *image, const hkd_metadata *text, size_t count) {
    session s = {.writer = writer, .name = path};
    s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    if (!s.info) {
        finish(&s);
        return hkd_fail(HKD_RESOURCES, "%s: libpng cannot start", path);
    }
    if (!setjmp(png_jmpbuf(s.png))) {
        png_set_write_fn(s.png, &s, write_bytes, flush);
        png_set_IHDR(s.png, s.info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                     image->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_set_compression_level(s.png, 6);
        write_text(&s, text, count);
        write_pixels(&s, image);
    }
    finish(&s);
    return s.status;
}

#else

const char *hkd_image_ending(void) { return "ppm"; }

hkd_status hkd_png_read(hkd_image *out, hkd_file *file, hkd_png_text *each, void *self) {
    (void)out, (void)each, (void)self;
    return hkd_fail(HKD_BAD_FILE, "%s: PNG is not supported (built without libpng)", hkd_file_name(file));
}

hkd_status hkd_png_write(hkd_writer *writer, const char *path, const hkd_image *image, const hkd_metadata *text, size_t count) {
    (void)writer, (void)image, (void)text, (void)count;
    return hkd_fail(HKD_USAGE, "%s: PNG is not supported (built without libpng), expected a name that ends with .ppm", path);
}

#endif
