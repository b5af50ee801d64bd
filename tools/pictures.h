/* pictures.h - pictures that verbs read, and what they show: columns of pictures as a labelled sheet, single files, or
 * tensors. */
#ifndef HKD_PICTURES_H
#define HKD_PICTURES_H

#include "cli.h"

/* values [channels, side, side] from a picture of exactly that size; gray becomes RGB where the model wants it. */
hkd_status hkd_read_picture(double *values, const char *path, int64_t channels, int64_t side);
/* mask [side, side] in [0, 1], black to white. */
hkd_status hkd_read_mask(double *mask, const char *path, int64_t side);

/* One column of a sheet: a picture for each row. */
typedef struct {
    const char *title;     /* "edited": on the sheet */
    const char *name;      /* "edited": of the tensor and in file names */
    const double *values;  /* [n, channels, side, side] */
} hkd_column;

typedef struct {
    const hkd_column *column;
    int columns;
    int64_t n, channels, side;
    const char *const *row_label; /* [n], or NULL: the seeds */
    const uint64_t *seeds;        /* [n], or NULL: rows are counted */
} hkd_sheet;

/* By the path: F.safetensors gets each column as a tensor, DIR/ gets NAME_SEED.png for every picture, and any picture's name a
 * sheet (one single picture: as it is). Pictures carry the command in their metadata. */
hkd_status hkd_save_sheet(const char *path, const hkd_sheet *sheet, const hkd_args *a);
/* Before long work: can `path` be written, and is it one of these? */
hkd_status hkd_check_sheet_path(const char *path);

/* "hkd edit --model ...": what was given. */
void hkd_command_text(char *out, size_t size, const hkd_args *a);

#endif
