#include "dataset.h"
#include "scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *s, const char *ending) {
    const size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

/* ---- the built-in set ------------------------------------------------------------------------------------------------- */

static hkd_status get_scene(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    *label = hkd_draw_scene(image->pixels, set->resolution, (uint64_t)index);
    return HKD_OK;
}

/* "", ":16" or ":16:200000" */
static bool read_size(int *resolution, int64_t *count, const char *text) {
    long long n = *count;
    int end = 0, more = 0;
    if (!*text) return true;
    if (sscanf(text, ":%2d%n", resolution, &end) == 1 && text[end] == ':') sscanf(text + end, ":%15lld%n", &n, &more);
    *count = n;
    return end && !text[end + more] && (*resolution == 16 || *resolution == 32 || *resolution == 64) && n > 0;
}

hkd_status hkd_open_scenes(hkd_dataset *set) {
    set->resolution = 32;
    set->count = 50000;
    if (!read_size(&set->resolution, &set->count, set->name + strlen("builtin:scenes")))
        return hkd_fail(HKD_USAGE, "%s: expected builtin:scenes[:RES[:COUNT]], RES 16, 32 or 64, COUNT at least 1", set->name);
    set->channels = 3;
    set->classes = HKD_SCENE_CLASSES;
    set->class_name = hkd_scene_class;
    set->get = get_scene;
    return HKD_OK;
}

/* ---- what a name means ------------------------------------------------------------------------------------------------ */

/* A folder is CIFAR-10 or MNIST when it holds their files, else a folder of images. */
static hkd_status open_directory(hkd_dataset *set) {
    char **name;
    size_t count, batches = 0;
    hkd_status status = hkd_list_directory(&name, &count, set->name);
    if (status) return status;
    const char *idx = NULL;
    char **path = calloc(count + 1, sizeof *path);
    for (size_t i = 0; i < count && path; i++) {
        const bool batch = !strncmp(name[i], "data_batch_", 11) && ends_with(name[i], ".bin");
        if (!strncmp(name[i], "train-images-idx3-ubyte", 23)) idx = name[i];
        if (batch && (path[batches] = hkd_path_join(set->name, name[i]))) batches++;
    }
    char *images = idx ? hkd_path_join(set->name, idx) : NULL;
    if (!path || (idx && !images)) status = hkd_fail(HKD_RESOURCES, "%s: out of memory", set->name);
    else if (batches) status = hkd_open_cifar(set, (const char *const *)path, batches);
    else status = images ? hkd_open_idx(set, images) : hkd_open_folder(set);
    free(images);
    if (path) hkd_names_free(path, batches);
    hkd_names_free(name, count);
    return status;
}

static hkd_status open_any(hkd_dataset *set) {
    const char *name = set->name;
    if (!strncmp(name, "builtin:scenes", 14)) return hkd_open_scenes(set);
    if (!strncmp(name, "builtin:", 8)) return hkd_fail(HKD_USAGE, "%s: the built-in data set is builtin:scenes", name);
    if (hkd_is_directory(name)) return open_directory(set);
    if (!hkd_exists(name)) return hkd_fail(HKD_BAD_FILE, "%s: no such file or folder", name);
    if (ends_with(name, ".zip")) return hkd_open_zip(set);
    if (ends_with(name, ".safetensors")) return hkd_open_samples(set);
    if (ends_with(name, ".bin")) return hkd_open_cifar(set, &name, 1);
    if (strstr(name, "idx3-ubyte")) return hkd_open_idx(set, name);
    return hkd_fail(HKD_BAD_FILE, "%s: expected a folder, .zip, samples in .safetensors, CIFAR-10 .bin, MNIST idx3-ubyte or "
                                  "builtin:scenes", name);
}

/* What every implementation must have established. */
static hkd_status check(const hkd_dataset *set) {
    if (set->count < 1) return hkd_fail(HKD_BAD_FILE, "%s: no images", set->name);
    if (set->resolution < 1 || set->resolution > 4096)
        return hkd_fail(HKD_BAD_FILE, "%s: images of %d pixels, expected 1 to 4096", set->name, set->resolution);
    return HKD_OK;
}

hkd_status hkd_dataset_open(hkd_dataset **out, const char *name) {
    *out = NULL;
    hkd_dataset *set = calloc(1, sizeof *set);
    if (set) set->name = malloc(strlen(name) + 1);
    if (!set || !set->name) {
        free(set);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", name);
    }
    strcpy(set->name, name);
    hkd_status status = open_any(set);
    if (!status) status = check(set);
    if (status) hkd_dataset_close(set);
    else *out = set;
    return status;
}

void hkd_dataset_close(hkd_dataset *set) {
    if (!set) return;
    if (set->close) set->close(set->state);
    free(set->name);
    free(set);
}

hkd_status hkd_dataset_image(hkd_dataset *set, int64_t index, hkd_image *image, int *label) {
    *label = -1;
    if (index < 0 || index >= set->count)
        return hkd_fail(HKD_USAGE, "%s: image %lld, expected 0 to %lld", set->name, (long long)index,
                        (long long)set->count - 1);
    hkd_status status = hkd_image_new(image, set->resolution, set->resolution, set->channels);
    if (!status) status = set->get(set, index, image, label);
    if (status) hkd_image_free(image);
    return status;
}

hkd_status hkd_dataset_get(hkd_dataset *set, int64_t index, unsigned char *chw, int *label) {
    hkd_image image;
    const hkd_status status = hkd_dataset_image(set, index, &image, label);
    if (status) return status;
    const int64_t n = image.width * image.height;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < image.channels; c++) chw[c * n + i] = image.pixels[i * image.channels + c];
    hkd_image_free(&image);
    return HKD_OK;
}
