#include "grid.h"
#include "font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, TEXT = 2, LINE = TEXT * (HKD_FONT_HEIGHT + 1), LETTER = TEXT * (HKD_FONT_WIDTH + 1), WANTED = 96 };
static const unsigned char paper = 250, ink[3] = {40, 40, 40};

static void set_pixel(hkd_image *image, int64_t x, int64_t y, const unsigned char colour[3]) {
    if (x < 0 || y < 0 || x >= image->width || y >= image->height) return;
    memcpy(image->pixels + (y * image->width + x) * image->channels, colour, (size_t)image->channels);
}

void hkd_draw_text(hkd_image *image, int64_t x, int64_t y, int size, const char *text, const unsigned char colour[3]) {
    for (; *text; text++, x += size * (HKD_FONT_WIDTH + 1)) {
        const int c = (unsigned char)*text;
        const unsigned char *rows = hkd_font[(c < HKD_FONT_FIRST || c > HKD_FONT_LAST ? '?' : c) - HKD_FONT_FIRST];
        for (int i = 0; i < size * HKD_FONT_HEIGHT; i++)
            for (int j = 0; j < size * HKD_FONT_WIDTH; j++)
                if (rows[i / size] >> (HKD_FONT_WIDTH - 1 - j / size) & 1) set_pixel(image, x + j, y + i, colour);
    }
}

static void paste(hkd_image *sheet, const hkd_image *tile, int64_t left, int64_t top, int scale) {
    for (int64_t y = 0; y < tile->height * scale; y++)
        for (int64_t x = 0; x < tile->width * scale; x++) {
            const unsigned char *from = tile->pixels + (y / scale * tile->width + x / scale) * tile->channels;
            const unsigned char rgb[3] = {from[0], from[tile->channels == 3 ? 1 : 0], from[tile->channels == 3 ? 2 : 0]};
            set_pixel(sheet, left + x, top + y, rgb);
        }
}

static size_t longest(const char *const *label, int64_t count) {
    size_t most = 0;
    for (int64_t i = 0; label && i < count; i++)
        if (label[i] && strlen(label[i]) > most) most = strlen(label[i]);
    return most;
}

/* The text that fits into `width`, centred over it. */
static void column_title(hkd_image *sheet, const char *text, int64_t left, int64_t width) {
    char shown[64] = {0};
    const size_t room = (size_t)(width / LETTER);
    strncpy(shown, text, room < sizeof shown - 1 ? room : sizeof shown - 1);
    hkd_draw_text(sheet, left + (width - (int64_t)strlen(shown) * LETTER) / 2, TEXT, TEXT, shown, ink);
}

hkd_status hkd_grid(hkd_image *out, const hkd_image *tiles, size_t count, const hkd_grid_options *o) {
    int64_t width = 0, height = 0;
    *out = (hkd_image){0};
    for (size_t i = 0; i < count; i++) {
        if (!tiles[i].pixels) continue;
        if (width && (tiles[i].width != width || tiles[i].height != height))
            return hkd_fail(HKD_USAGE, "pictures of different sizes on one sheet");
        width = tiles[i].width;
        height = tiles[i].height;
    }
    if (!width || !height) return hkd_fail(HKD_USAGE, "no pictures for a sheet");
    const int64_t columns = o->columns > 0 ? o->columns : (int64_t)ceil(sqrt((double)count));
    const int64_t rows = ((int64_t)count + columns - 1) / columns;
    const int scale = o->scale > 0 ? o->scale : width < WANTED ? (int)(WANTED / width) : 1;
    const int64_t cell_w = width * scale + GAP, cell_h = height * scale + GAP;
    const int64_t left = GAP + (int64_t)longest(o->row_label, rows) * LETTER + (o->row_label ? 2 * GAP : 0);
    const int64_t top = GAP + (o->column_label ? LINE : 0);
    const hkd_status status = hkd_image_new(out, left + columns * cell_w, top + rows * cell_h, 3);
    if (status) return status;
    memset(out->pixels, paper, (size_t)(out->width * out->height * 3));
    for (size_t i = 0; i < count; i++)
        if (tiles[i].pixels)
            paste(out, &tiles[i], left + (int64_t)i % columns * cell_w, top + (int64_t)i / columns * cell_h, scale);
    for (int64_t i = 0; o->column_label && i < columns; i++)
        if (o->column_label[i]) column_title(out, o->column_label[i], left + i * cell_w, cell_w - GAP);
    for (int64_t i = 0; o->row_label && i < rows; i++)
        if (o->row_label[i])
            hkd_draw_text(out, GAP, top + i * cell_h + (cell_h - TEXT * HKD_FONT_HEIGHT) / 2, TEXT, o->row_label[i], ink);
    return HKD_OK;
}

hkd_status hkd_grid_of_values(hkd_image *out, const double *values, size_t count, int channels, int64_t height, int64_t width,
                              const hkd_grid_options *options) {
    hkd_status status = HKD_OK;
    *out = (hkd_image){0};
    hkd_image *tile = calloc(count + 1, sizeof *tile);
    if (!tile) return hkd_fail(HKD_RESOURCES, "out of memory for a sheet");
    for (size_t i = 0; i < count && !status; i++) {
        status = hkd_image_new(&tile[i], width, height, channels);
        if (!status) hkd_image_set(&tile[i], values + i * (size_t)(channels * height * width));
    }
    if (!status) status = hkd_grid(out, tile, count, options);
    for (size_t i = 0; i < count; i++) hkd_image_free(&tile[i]);
    free(tile);
    return status;
}
