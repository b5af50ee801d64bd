#include "pictures.h"

#include "files.h"
#include "grid.h"
#include "image.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static hkd_status read_sized(hkd_image *image, const char *path, int64_t side) {
    const hkd_status status = hkd_image_read(image, path);
    if (status || (image->width == side && image->height == side)) return status;
    const long long width = image->width, height = image->height;
    hkd_image_free(image);
    return hkd_fail(HKD_BAD_FILE, "%s: is %lld x %lld, expected the model's %lld x %lld", path, width, height, (long long)side,
                    (long long)side);
}

hkd_status hkd_read_picture(double *values, const char *path, int64_t channels, int64_t side) {
    hkd_image image;
    hkd_status status = read_sized(&image, path, side);
    if (status) return status;
    if (image.channels > channels) status = hkd_fail(HKD_BAD_FILE, "%s: is in colour, the model's pictures are gray", path);
    if (!status) hkd_image_get(values, &image);
    for (int64_t c = image.channels; !status && c < channels; c++)
        memcpy(values + c * side * side, values, (size_t)(side * side) * sizeof *values);
    hkd_image_free(&image);
    return status;
}

hkd_status hkd_read_mask(double *mask, const char *path, int64_t side) {
    hkd_image image;
    const hkd_status status = read_sized(&image, path, side);
    if (status) return status;
    for (int64_t i = 0; i < side * side; i++) {
        int sum = 0;
        for (int c = 0; c < image.channels; c++) sum += image.pixels[i * image.channels + c];
        mask[i] = sum / (255.0 * image.channels);
    }
    hkd_image_free(&image);
    return HKD_OK;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

void hkd_command_text(char *out, size_t size, const hkd_args *a) {
    size_t at = (size_t)snprintf(out, size, "hkd %s", a->verb->name);
    for (const hkd_option *table = a->verb->option; table; table = table == a->verb->option ? hkd_common_option : NULL)
        for (const hkd_option *o = table; o->name && at < size; o++) {
            if (!hkd_given(a, o->name)) continue;
            at += (size_t)snprintf(out + at, size - at, " --%s", o->name);
            if (o->argument && at < size) at += (size_t)snprintf(out + at, size - at, " %s", hkd_arg(a, o->name));
        }
    for (int i = 0; i < a->operands && at < size; i++) at += (size_t)snprintf(out + at, size - at, " %s", a->operand[i]);
}

static bool names_directory(const char *path) { return *path && path[strlen(path) - 1] == '/'; }

hkd_status hkd_check_sheet_path(const char *path) {
    if (names_directory(path)) return hkd_make_directory(path);
    if (!hkd_names_picture(path) && !hkd_ends_with(path, ".safetensors"))
        return hkd_fail(HKD_USAGE, "--out %s: expected a name in .png, .ppm, .safetensors, or DIR/", path);
    return hkd_check_writable(path);
}

static hkd_status save_tensors(const char *path, const hkd_sheet *s, const hkd_metadata *text, size_t texts) {
    hkd_saved *t = calloc((size_t)s->columns + 1, sizeof *t);
    if (!t) return hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
    for (int c = 0; c < s->columns; c++)
        t[c] = (hkd_saved){.name = s->column[c].name, .type = HKD_DOUBLE,
                           .shape = hkd_shape_of(4, s->n, s->channels, s->side, s->side),
                           .as = HKD_F64, .data = s->column[c].values};
    const hkd_status status = hkd_safetensors_save(path, t, (size_t)s->columns, text, texts);
    free(t);
    return status;
}

static hkd_status save_one(const char *path, const double *values, const hkd_sheet *s, const hkd_metadata *text, size_t texts) {
    hkd_image image;
    hkd_status status = hkd_image_new(&image, s->side, s->side, (int)s->channels);
    if (status) return status;
    hkd_image_set(&image, values);
    status = hkd_image_write(path, &image, text, texts);
    hkd_image_free(&image);
    return status;
}

static unsigned long long number_of_row(const hkd_sheet *s, int64_t i) {
    return s->seeds ? (unsigned long long)s->seeds[i] : (unsigned long long)i;
}

static hkd_status save_each(const char *path, const hkd_sheet *s, const hkd_metadata *text, size_t texts) {
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < s->n; i++)
        for (int c = 0; c < s->columns && !status; c++) {
            char name[160];
            snprintf(name, sizeof name, "%s_%llu.%s", s->column[c].name, number_of_row(s, i), hkd_image_ending());
            char *file = hkd_path_join(path, name);
            status = file ? save_one(file, s->column[c].values + i * s->channels * s->side * s->side, s, text, texts)
                          : hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
            free(file);
        }
    return status;
}

static hkd_status save_grid(const char *path, const hkd_sheet *s, const hkd_metadata *text, size_t texts) {
    const int64_t size = s->channels * s->side * s->side;
    const size_t count = (size_t)(s->n * s->columns);
    double *values = malloc(count * (size_t)size * sizeof *values + 1);
    char(*number)[24] = malloc((size_t)s->n * sizeof *number + 1);
    const char **row = malloc((size_t)s->n * sizeof *row + 1), **title = malloc((size_t)s->columns * sizeof *title + 1);
    hkd_status status = values && number && row && title ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
    for (int64_t i = 0; i < s->n && !status; i++) {
        snprintf(number[i], sizeof number[i], "%llu", number_of_row(s, i));
        row[i] = s->row_label ? s->row_label[i] : number[i];
        for (int c = 0; c < s->columns; c++)
            memcpy(values + (i * s->columns + c) * size, s->column[c].values + i * size, (size_t)size * sizeof *values);
    }
    hkd_image image = {0};
    if (!status) {
        for (int c = 0; c < s->columns; c++) title[c] = s->column[c].title;
        const hkd_grid_options grid = {.columns = s->columns, .row_label = row, .column_label = title};
        status = hkd_grid_of_values(&image, values, count, (int)s->channels, s->side, s->side, &grid);
    }
    if (!status) status = hkd_image_write(path, &image, text, texts);
    hkd_image_free(&image);
    free(title);
    free(row);
    free(number);
    free(values);
    return status;
}

hkd_status hkd_save_sheet(const char *path, const hkd_sheet *s, const hkd_args *a) {
    char command[2048];
    hkd_command_text(command, sizeof command, a);
    const hkd_metadata text[] = {{"Software", "hkd " HKD_VERSION}, {"hkd.command", command}};
    if (hkd_ends_with(path, ".safetensors")) return save_tensors(path, s, text, 2);
    if (names_directory(path)) return save_each(path, s, text, 2);
    if (s->n * s->columns == 1) return save_one(path, s->column[0].values, s, text, 2);
    return save_grid(path, s, text, 2);
}
