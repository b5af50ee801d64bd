/* grid.h - many pictures on one sheet, with labels: what every verb shows its results with. */
#ifndef HKD_GRID_H
#define HKD_GRID_H

#include "image.h"

typedef struct {
    int columns;                      /* 0: near a square */
    int scale;                        /* each pixel becomes scale x scale; 0: small pictures grow to about 96 pixels */
    const char *const *row_label;     /* one per row, ASCII; NULL: none */
    const char *const *column_label;  /* one per column; NULL: none */
} hkd_grid_options;

/* `tiles` of one size, gray and RGB mixed, in rows. A tile without pixels stays empty. The caller frees *out. */
hkd_status hkd_grid(hkd_image *out, const hkd_image *tiles, size_t count, const hkd_grid_options *options);

/* A picture from `values` [count, channels, height, width] in [-1, 1], scaled and laid out. */
hkd_status hkd_grid_of_values(hkd_image *out, const double *values, size_t count, int channels, int64_t height, int64_t width,
                              const hkd_grid_options *options);

/* One line of text at (x, y), clipped; `size` is the number of pixels per dot. */
void hkd_draw_text(hkd_image *image, int64_t x, int64_t y, int size, const char *text, const unsigned char colour[3]);

#endif
