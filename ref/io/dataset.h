/* dataset.h - labelled images from many kinds of files behind one interface.
 *
 *   builtin:scenes[:RES[:COUNT]]                      the procedural scenes (RES 16, 32 or 64; 32), the first COUNT (50000)
 *   FILE.bin, or a folder with data_batch_*.bin       CIFAR-10, binary version
 *   *-images-idx3-ubyte[.gz], or a folder with train- MNIST; labels lie beside it
 *   FILE.zip                EDM's: PNG files, stored or deflated, with dataset.json
 *   FILE.safetensors        samples: x [N, 1 or 3, R, R] in [-1, 1] and perhaps seeds [N], as hkd sample writes them
 *   a folder                PNG files anywhere below it, in order of their paths, with dataset.json if there is one;
 *                           without it, names that are different numbers (000042.png) are seeds
 *
 * All images of a set are square, of one size, gray or RGB. Nothing is trusted: a malformed set is HKD_BAD_FILE with one line.
 */
#ifndef HKD_DATASET_H
#define HKD_DATASET_H

#include "image.h"

typedef struct hkd_dataset hkd_dataset;
struct hkd_dataset {
    char *name;
    int64_t count;
    int channels, resolution;
    int classes;                    /* 0: no labels */
    const char *const *class_name;  /* NULL: unknown */
    /* The implementation. `image` holds [resolution, resolution, channels] and is already allocated. */
    hkd_status (*get)(hkd_dataset *set, int64_t index, hkd_image *image, int *label);
    void (*close)(void *state);
    const uint64_t *seed;           /* [count]: the images are samples from these seeds; NULL: unknown */
    void *state;
};

hkd_status hkd_dataset_open(hkd_dataset **out, const char *name);
void hkd_dataset_close(hkd_dataset *set); /* NULL is fine */
/* Image `index` as bytes [channels, resolution, resolution]; *label is -1 without labels. */
hkd_status hkd_dataset_get(hkd_dataset *set, int64_t index, unsigned char *chw, int *label);
/* Make `image` fit the set and fill it. The caller frees it. */
hkd_status hkd_dataset_image(hkd_dataset *set, int64_t index, hkd_image *image, int *label);
/* Write images first .. first + count - 1 as EDM's tools do: PNG files and dataset.json, in a zip when `path` ends with .zip,
 * else in a folder. `stop` is asked before each image; NULL: nobody. */
hkd_status hkd_dataset_save(hkd_dataset *set, int64_t first, int64_t count, const char *path, bool (*stop)(void));

/* ---- the implementations: each fills a set whose name is given; on failure close is called all the same ------------------ */

hkd_status hkd_open_scenes(hkd_dataset *set);
hkd_status hkd_open_cifar(hkd_dataset *set, const char *const *path, size_t count);
hkd_status hkd_open_idx(hkd_dataset *set, const char *path);
hkd_status hkd_open_folder(hkd_dataset *set);
hkd_status hkd_open_zip(hkd_dataset *set);
hkd_status hkd_open_samples(hkd_dataset *set);
/* The idx parser proper: checks the images, and the labels unless NULL; takes over both files, also when it fails. */
hkd_status hkd_open_idx_files(hkd_dataset *set, hkd_file *images, hkd_file *labels);

/* ---- dataset.json: {"labels": [["00000/img00000000.png", 3], ...]} or {"labels": null} --------------------------------- */
/* A label may be a vector of zeros with a single 1, which is its class. */

typedef struct {
    size_t count;
    struct hkd_label {
        const char *name;
        int label;
    } *item; /* sorted by name */
    int classes;
    void *owned;
} hkd_labels;

hkd_status hkd_labels_parse(hkd_labels *out, const char *file, const char *text, size_t length);
void hkd_labels_free(hkd_labels *labels);
/* The label of an image; an error when there are labels, but none for it. Without labels: -1. */
hkd_status hkd_labels_find(int *label, const hkd_labels *labels, const char *file, const char *name);

#endif
