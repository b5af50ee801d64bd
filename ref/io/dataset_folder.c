/* A folder of PNG (or PPM, PGM) files, also in folders below it. */
#include "dataset.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 4, MAX_JSON = 1 << 28 };

typedef struct {
    char *root;
    char **name; /* relative to root, sorted */
    size_t count, room;
    hkd_labels labels;
    uint64_t *seed; /* of each image; NULL: the names are none */
} folder;

static void close_folder(void *state) {
    folder *f = state;
    hkd_names_free(f->name, f->count);
    hkd_labels_free(&f->labels);
    free(f->seed);
    free(f);
}

static bool is_image(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".png") || !strcmp(dot, ".PNG") || !strcmp(dot, ".ppm") || !strcmp(dot, ".pgm"));
}

static hkd_status remember(folder *f, const char *name) {
    if (f->count == f->room) {
        const size_t room = f->room ? 2 * f->room : 256;
        char **grown = realloc(f->name, room * sizeof *grown);
        if (!grown) return hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
        f->name = grown;
        f->room = room;
    }
    char *copy = malloc(strlen(name) + 1);
    if (!copy) return hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
    f->name[f->count++] = strcpy(copy, name);
    return HKD_OK;
}

/* Everything below root/below; `below` is "" at the top. */
static hkd_status collect(folder *f, const char *below, int depth) {
    char **name;
    size_t count;
    char *dir = *below ? hkd_path_join(f->root, below) : hkd_path_join(f->root, ".");
    if (!dir) return hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
    hkd_status status = hkd_list_directory(&name, &count, dir);
    for (size_t i = 0; i < count && !status; i++) {
        char *relative = *below ? hkd_path_join(below, name[i]) : name[i];
        char *path = relative ? hkd_path_join(f->root, relative) : NULL;
        if (!path) status = hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
        else if (is_image(name[i])) status = remember(f, relative);
        else if (depth < MAX_DEPTH && hkd_is_directory(path)) status = collect(f, relative, depth + 1);
        free(path);
        if (relative != name[i]) free(relative);
    }
    hkd_names_free(name, count);
    free(dir);
    return status;
}

static hkd_status read_image(hkd_image *out, const folder *f, size_t i) {
    char *path = hkd_path_join(f->root, f->name[i]);
    if (!path) return hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
    const hkd_status status = hkd_image_read(out, path);
    free(path);
    return status;
}

static hkd_status get(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    const folder *f = set->state;
    hkd_image found;
    hkd_status status = read_image(&found, f, (size_t)index);
    if (status) return status;
    if (found.width != image->width || found.height != image->height || found.channels != image->channels)
        status = hkd_fail(HKD_BAD_FILE, "%s/%s: %lld x %lld pixels of %d channels, expected %d x %d of %d as the first image",
                          set->name, f->name[index], (long long)found.width, (long long)found.height, found.channels,
                          set->resolution, set->resolution, set->channels);
    else memcpy(image->pixels, found.pixels, (size_t)(found.width * found.height * found.channels));
    hkd_image_free(&found);
    return status ? status : hkd_labels_find(label, &f->labels, set->name, f->name[index]);
}

static hkd_status read_labels(folder *f) {
    char *path = hkd_path_join(f->root, "dataset.json");
    unsigned char *text = NULL;
    size_t n;
    hkd_status status = path ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
    if (path && hkd_exists(path)) {
        status = hkd_read_file(&text, &n, path, MAX_JSON);
        if (!status) status = hkd_labels_parse(&f->labels, path, (char *)text, n);
    }
    free(text);
    free(path);
    return status;
}

/* "00000/000042.png": 42 */
static bool seed_of_name(uint64_t *seed, const char *name) {
    const char *slash = strrchr(name, '/'), *c = slash ? slash + 1 : name;
    *seed = 0;
    if (*c == '.') return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (*seed > (UINT64_MAX - digit) / 10) return false;
        *seed = 10 * *seed + digit;
    }
    return *c == '.' && c == strrchr(name, '.');
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Numbers that occur twice, in folders of two classes, say, are no seeds; nor are those of a labelled set. */
static hkd_status read_seeds(folder *f) {
    uint64_t *seed = malloc((f->count + 1) * sizeof *seed), *sorted = malloc((f->count + 1) * sizeof *seed);
    if (!seed || !sorted) {
        free(seed);
        free(sorted);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", f->root);
    }
    bool are_seeds = !f->labels.owned;
    for (size_t i = 0; i < f->count && are_seeds; i++) are_seeds = seed_of_name(&seed[i], f->name[i]);
    if (are_seeds) {
        memcpy(sorted, seed, f->count * sizeof *seed);
        qsort(sorted, f->count, sizeof *sorted, by_value);
    }
    for (size_t i = 1; i < f->count && are_seeds; i++) are_seeds = sorted[i - 1] != sorted[i];
    free(sorted);
    f->seed = seed;
    if (!are_seeds) free(seed), f->seed = NULL;
    return HKD_OK;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

hkd_status hkd_open_folder(hkd_dataset *set) {
    folder *f = calloc(1, sizeof *f);
    if (!f) return hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    f->root = set->name;
    set->state = f;
    set->close = close_folder;
    set->get = get;
    hkd_status status = collect(f, "", 0);
    if (!status) status = read_labels(f);
    if (!status && !f->count) status = hkd_fail(HKD_BAD_FILE, "%s: no PNG files in this folder", set->name);
    if (status) return status;
    qsort(f->name, f->count, sizeof *f->name, by_bytes);
    if ((status = read_seeds(f))) return status;
    set->seed = f->seed;
    hkd_image first;
    if ((status = read_image(&first, f, 0))) return status;
    if (first.width != first.height)
        status = hkd_fail(HKD_BAD_FILE, "%s/%s: %lld x %lld pixels, expected squares", set->name, f->name[0],
                          (long long)first.width, (long long)first.height);
    set->count = (int64_t)f->count;
    set->resolution = (int)first.width;
    set->channels = first.channels;
    set->classes = f->labels.classes;
    hkd_image_free(&first);
    return status;
}
