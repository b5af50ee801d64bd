/* Data sets: every kind is read as its definition says, and damaged in every way that a download can be. */
#include "dataset.h"
#include "grid.h"
#include "scratch.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HKD_ZIP
#include <zip.h>
#endif
#ifdef HKD_ZLIB
#include <zlib.h>
#endif

static hkd_status opens(const char *name) {
    hkd_dataset *set = NULL;
    const hkd_status status = hkd_dataset_open(&set, name);
    hkd_dataset_close(set);
    return status;
}

/* ---- CIFAR-10 --------------------------------------------------------------------------------------------------------- */

static void cifar(void) {
    static unsigned char record[2 * 3073], chw[3072];
    hkd_dataset *set = NULL;
    int label;
    for (int i = 0; i < 2 * 3073; i++) record[i] = (unsigned char)(i * 7 % 251);
    record[0] = 3;
    record[3073] = 9;
    hkd_make_directory(scratch("cifar"));
    hkd_write_file(scratch("cifar/data_batch_1.bin"), record, sizeof record);
    hkd_write_file(scratch("cifar/data_batch_2.bin"), record, 3073);
    hkd_write_file(scratch("cifar/readme.html"), "x", 1);
    if (!CHECK(!hkd_dataset_open(&set, scratch("cifar")), "%s", hkd_last_error())) return;
    CHECK(set->count == 3 && set->classes == 10 && set->resolution == 32 && set->channels == 3, "description");
    CHECK(!hkd_dataset_get(set, 1, chw, &label) && label == 9 && !memcmp(chw, record + 3074, 3072), "second record");
    CHECK(!hkd_dataset_get(set, 2, chw, &label) && label == 3 && !memcmp(chw, record + 1, 3072), "second file");
    CHECK(hkd_dataset_get(set, 3, chw, &label) == HKD_USAGE && hkd_dataset_get(set, -1, chw, &label) == HKD_USAGE, "range");
    hkd_dataset_close(set);
    record[0] = 10;
    hkd_write_file(scratch("label.bin"), record, 3073);
    if (CHECK(!hkd_dataset_open(&set, scratch("label.bin")), "%s", hkd_last_error()))
        CHECK(hkd_dataset_get(set, 0, chw, &label) == HKD_BAD_FILE, "label 10 accepted");
    hkd_dataset_close(set);
    hkd_write_file(scratch("short.bin"), record, 3072);
    CHECK(opens(scratch("short.bin")) == HKD_BAD_FILE, "a record without its last byte");
    hkd_write_file(scratch("none.bin"), record, 0);
    CHECK(opens(scratch("none.bin")) == HKD_BAD_FILE, "an empty file");
}

/* ---- MNIST ------------------------------------------------------------------------------------------------------------ */

static const unsigned char images[16 + 18] = {0, 0, 8, 3, 0,  0,  0,  2,  0,  0,  0,  3, 0,
                                              0, 0, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20};
static const unsigned char labels[8 + 2] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 1};

static void check_idx(const char *name, bool labelled) {
    hkd_dataset *set = NULL;
    unsigned char chw[9];
    int label;
    if (!CHECK(!hkd_dataset_open(&set, name), "%s", hkd_last_error())) return;
    CHECK(set->count == 2 && set->resolution == 3 && set->channels == 1 && set->classes == (labelled ? 10 : 0), "%s", name);
    CHECK(!hkd_dataset_get(set, 0, chw, &label) && label == (labelled ? 7 : -1) && !memcmp(chw, images + 16, 9), "first image");
    CHECK(!hkd_dataset_get(set, 1, chw, &label) && label == (labelled ? 1 : -1) && chw[0] == 20, "second image");
    hkd_dataset_close(set);
}

static hkd_status idx_verdict(const unsigned char *bytes, size_t n, const unsigned char *label_bytes, size_t m) {
    hkd_dataset set = {.name = (char *)"memory"};
    hkd_file *file, *label_file = NULL;
    hkd_file_from_memory(&file, "images", bytes, n);
    if (label_bytes) hkd_file_from_memory(&label_file, "labels", label_bytes, m);
    const hkd_status status = hkd_open_idx_files(&set, file, label_file);
    if (set.close) set.close(set.state);
    return status;
}

static void idx(void) {
    unsigned char odd[sizeof images];
    hkd_make_directory(scratch("mnist"));
    hkd_write_file(scratch("mnist/train-images-idx3-ubyte"), images, sizeof images);
    check_idx(scratch("mnist/train-images-idx3-ubyte"), false);
    hkd_write_file(scratch("mnist/train-labels-idx1-ubyte"), labels, sizeof labels);
    check_idx(scratch("mnist/train-images-idx3-ubyte"), true);
    check_idx(scratch("mnist"), true);
    CHECK(idx_verdict(images, sizeof images, labels, sizeof labels) == HKD_OK, "%s", hkd_last_error());
    for (size_t n = 0; n < sizeof images; n++) CHECK(idx_verdict(images, n, NULL, 0) == HKD_BAD_FILE, "cut to %zu bytes", n);
    for (size_t n = 0; n < sizeof labels; n++)
        CHECK(idx_verdict(images, sizeof images, labels, n) == HKD_BAD_FILE, "labels cut to %zu bytes", n);
    static const struct {
        int at, value;
        const char *why;
    } damage[] = {{2, 9, "signed bytes"}, {3, 1, "labels for images"}, {4, 255, "4 billion images"}, {8, 255, "huge rows"},
                  {11, 2, "not square"}, {7, 1, "one image too few"}, {7, 0, "trailing data"}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        memcpy(odd, images, sizeof odd);
        odd[damage[i].at] = (unsigned char)damage[i].value;
        CHECK(idx_verdict(odd, sizeof odd, NULL, 0) == HKD_BAD_FILE, "%s accepted", damage[i].why);
    }
#ifdef HKD_ZLIB
    gzFile gz = gzopen(scratch("a-images-idx3-ubyte.gz"), "wb");
    gzwrite(gz, images, sizeof images);
    gzclose(gz);
    check_idx(scratch("a-images-idx3-ubyte.gz"), false);
    unsigned char *bytes = NULL;
    size_t n = 0;
    CHECK(!hkd_read_file(&bytes, &n, scratch("a-images-idx3-ubyte.gz"), 1000), "%s", hkd_last_error());
    for (size_t cut = 1; cut < n; cut++) {
        hkd_write_file(scratch("b-images-idx3-ubyte.gz"), bytes, cut);
        CHECK(opens(scratch("b-images-idx3-ubyte.gz")) == HKD_BAD_FILE, "gzip file cut to %zu of %zu bytes", cut, n);
    }
    free(bytes);
#endif
}

/* ---- folders and zips ------------------------------------------------------------------------------------------------- */

static void write_picture(const char *path, int64_t width, int64_t height, unsigned char value) {
    hkd_image image;
    hkd_image_new(&image, width, height, 3);
    memset(image.pixels, value, (size_t)(width * height * 3));
    CHECK(!hkd_image_write(path, &image, NULL, 0), "%s", hkd_last_error());
    hkd_image_free(&image);
}

static void folder(void) {
    hkd_dataset *set = NULL;
    unsigned char chw[12];
    int label;
    hkd_make_directory(scratch("folder/00001"));
    CHECK(opens(scratch("folder")) == HKD_BAD_FILE, "a folder without images");
    write_picture(scratch("folder/00001/a.ppm"), 2, 2, 1);
    write_picture(scratch("folder/b.ppm"), 2, 2, 2);
    hkd_write_file(scratch("folder/notes.txt"), "x", 1);
    if (!CHECK(!hkd_dataset_open(&set, scratch("folder")), "%s", hkd_last_error())) return;
    CHECK(set->count == 2 && set->classes == 0, "%d images", (int)set->count);
    CHECK(!hkd_dataset_get(set, 1, chw, &label) && chw[11] == 2 && label == -1, "order of paths");
    hkd_dataset_close(set);
    const char json[] = "{\"labels\": [[\"b.ppm\", 4], [\"00001/a.ppm\", 0]]}";
    hkd_write_file(scratch("folder/dataset.json"), json, sizeof json - 1);
    if (!CHECK(!hkd_dataset_open(&set, scratch("folder")), "%s", hkd_last_error())) return;
    CHECK(set->classes == 5 && !hkd_dataset_get(set, 1, chw, &label) && label == 4, "label by name, not by position");
    hkd_dataset_close(set);
    write_picture(scratch("folder/c.ppm"), 2, 2, 3);
    if (CHECK(!hkd_dataset_open(&set, scratch("folder")), "%s", hkd_last_error()))
        CHECK(hkd_dataset_get(set, 2, chw, &label) == HKD_BAD_FILE, "an image without a label in a labelled set");
    hkd_dataset_close(set);
    hkd_write_file(scratch("folder/dataset.json"), "{\"labels\": null}", 16);
    write_picture(scratch("folder/c.ppm"), 3, 2, 3);
    if (CHECK(!hkd_dataset_open(&set, scratch("folder")), "%s", hkd_last_error()))
        CHECK(hkd_dataset_get(set, 2, chw, &label) == HKD_BAD_FILE, "an image of another size");
    hkd_dataset_close(set);
    hkd_make_directory(scratch("oblong"));
    write_picture(scratch("oblong/a.ppm"), 3, 2, 3);
    CHECK(opens(scratch("oblong")) == HKD_BAD_FILE, "oblong images");
}

static void label_files(void) {
    static const struct {
        const char *text;
        bool accept;
    } cases[] = {
        {"{\"labels\": null}", true}, {"{}", true}, {"{\"labels\": []}", true},
        {"{\"labels\": [[\"a\", 0]], \"more\": 1}", true},
        {"{\"labels\": [[\"a\", -1]]}", false}, {"{\"labels\": [[\"a\", 1.5]]}", false}, {"{\"labels\": [[\"a\"]]}", false},
        {"{\"labels\": [[\"a\", 1, 2]]}", false}, {"{\"labels\": [[1, 1]]}", false}, {"{\"labels\": [\"a\"]}", false},
        {"{\"labels\": {}}", false}, {"{\"labels\": [[\"a\", [0.5]]]}", false},
        {"{\"labels\": [[\"a\", 0], [\"a\", 1]]}", false},
        {"{\"labels\": [[\"b\", [0, 1.0]], [\"a\", [1, 0]]]}", true}, {"{\"labels\": [[\"a\", []]]}", false},
        {"{\"labels\": [[\"a\", [0, 1]], [\"b\", [1]]]}", false}, {"{\"labels\": [[\"a\", [1, 0]], [\"b\", 1]]}", false},
        {"{\"labels\": [[\"a\", [1, 1]]]}", false}, {"{\"labels\": [[\"a\", [0, 0]]]}", false},
        {"{\"labels\": [[\"a\", [\"1\"]]]}", false},
        {"[]", false}, {"", false}, {"{\"labels\": [[\"a\", 99999999999]]}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hkd_labels found;
        const hkd_status status = hkd_labels_parse(&found, "dataset.json", cases[i].text, strlen(cases[i].text));
        CHECK(status == (cases[i].accept ? HKD_OK : HKD_BAD_FILE), "%s: status %d", cases[i].text, (int)status);
        hkd_labels_free(&found);
    }
    static const char vectors[] = "{\"labels\": [[\"b\", [0, 0, 1, 0]], [\"a\", [0, 1, 0, 0]]]}";
    hkd_labels found;
    int a = -1, b = -1;
    if (!CHECK(!hkd_labels_parse(&found, "dataset.json", vectors, strlen(vectors)), "%s", hkd_last_error())) return;
    CHECK(!hkd_labels_find(&a, &found, "", "a") && !hkd_labels_find(&b, &found, "", "b") && a == 1 && b == 2 &&
              found.classes == 4, "vectors as labels: %d %d of %d classes", a, b, found.classes);
    hkd_labels_free(&found);
}

#if defined(HKD_ZIP) && defined(HKD_PNG)
static void add(zip_t *z, const char *name, const void *bytes, size_t n, int method) {
    const zip_int64_t at = zip_file_add(z, name, zip_source_buffer(z, bytes, n, 0), 0);
    CHECK(at >= 0 && !zip_set_file_compression(z, (zip_uint64_t)at, method, 0), "zip test file: %s", zip_strerror(z));
}

static void zipped(void) {
    static const char json[] = "{\"labels\": [[\"00000/img00000001.png\", 2], [\"00000/img00000000.png\", 1]]}";
    unsigned char *png[2] = {NULL}, *bytes = NULL, chw[12];
    size_t n[2], size = 0;
    hkd_dataset *set = NULL;
    int label;
    for (int i = 0; i < 2; i++) {
        write_picture(scratch("z.png"), 2, 2, (unsigned char)(100 + i));
        CHECK(!hkd_read_file(&png[i], &n[i], scratch("z.png"), 10000), "%s", hkd_last_error());
    }
    zip_t *z = zip_open(scratch("edm.zip"), ZIP_CREATE, NULL);
    add(z, "00000/img00000001.png", png[1], n[1], ZIP_CM_STORE);
    add(z, "dataset.json", json, sizeof json - 1, ZIP_CM_DEFLATE);
    add(z, "00000/img00000000.png", png[0], n[0], ZIP_CM_DEFLATE);
    CHECK(!zip_close(z), "zip test file");
    if (CHECK(!hkd_dataset_open(&set, scratch("edm.zip")), "%s", hkd_last_error())) {
        CHECK(set->count == 2 && set->classes == 3, "%d classes", set->classes);
        CHECK(!hkd_dataset_get(set, 0, chw, &label) && label == 1 && chw[5] == 100, "images in order of their names");
        CHECK(!hkd_dataset_get(set, 1, chw, &label) && label == 2 && chw[5] == 101, "stored image");
    }
    hkd_dataset_close(set);
    CHECK(!hkd_read_file(&bytes, &size, scratch("edm.zip"), 10000), "%s", hkd_last_error());
    for (size_t cut = 0; cut < size; cut++) {
        hkd_write_file(scratch("cut.zip"), bytes, cut);
        CHECK(opens(scratch("cut.zip")) == HKD_BAD_FILE, "zip cut to %zu of %zu bytes", cut, size);
    }
    for (size_t i = 0; i + 1 < size; i++) /* pixels of the stored PNG: zip's CRC must notice, before PNG's does */
        if (bytes[i] == 'I' && bytes[i + 1] == 'D') {
            bytes[i + 6] ^= 1;
            break;
        }
    hkd_write_file(scratch("bad.zip"), bytes, size);
    set = NULL;
    if (!hkd_dataset_open(&set, scratch("bad.zip")))
        CHECK(hkd_dataset_get(set, 1, chw, &label) == HKD_BAD_FILE, "damaged pixels accepted");
    hkd_dataset_close(set);
    free(bytes);
    free(png[0]);
    free(png[1]);
}
#endif

/* ---- the built-in set, names, sheets ---------------------------------------------------------------------------------- */

static void names(void) {
    hkd_dataset *set = NULL;
    unsigned char chw[3 * 16 * 16];
    int label;
    if (CHECK(!hkd_dataset_open(&set, "builtin:scenes:16"), "%s", hkd_last_error()))
        CHECK(set->resolution == 16 && set->classes == 10 && !hkd_dataset_get(set, 13, chw, &label) && label == 3, "scenes");
    hkd_dataset_close(set);
    if (CHECK(!hkd_dataset_open(&set, "builtin:scenes:16:70001"), "%s", hkd_last_error()))
        CHECK(set->resolution == 16 && set->count == 70001 && !hkd_dataset_get(set, 70000, chw, &label), "more scenes");
    hkd_dataset_close(set);
    static const char *const wrong[] = {"builtin:scenes:16:", "builtin:scenes:16:0", "builtin:scenes:16:-2",
                                        "builtin:scenes::9",  "builtin:scenes:16:2x", "builtin:scenes16",
                                        "builtin:scenes:16:2:3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(opens(wrong[i]) == HKD_USAGE, "%s was opened", wrong[i]);
    CHECK(opens("builtin:scenes:33") == HKD_USAGE && opens("builtin:cats") == HKD_USAGE, "unknown built-in set");
    CHECK(opens(scratch("nothing-here")) == HKD_BAD_FILE && opens("/dev/null") == HKD_BAD_FILE, "no file, no data set");
}

static void sheets(void) {
    static const char *const row[] = {"a", NULL};
    const double values[3] = {1, -1, 1};
    hkd_image sheet;
    const hkd_grid_options plain = {.columns = 2, .scale = 3}, labelled = {.columns = 2, .scale = 3, .row_label = row};
    CHECK(!hkd_grid_of_values(&sheet, values, 3, 1, 1, 1, &plain), "%s", hkd_last_error());
    CHECK(sheet.width == 12 && sheet.height == 12, "size of a sheet: %d x %d", (int)sheet.width, (int)sheet.height);
    CHECK(sheet.pixels[3 * (2 * 12 + 2)] == 255 && sheet.pixels[3 * (2 * 12 + 7)] == 0, "tiles in their places");
    hkd_image_free(&sheet);
    CHECK(!hkd_grid_of_values(&sheet, values, 3, 1, 1, 1, &labelled) && sheet.width > 12, "no room for labels");
    hkd_image_free(&sheet);
    CHECK(hkd_grid_of_values(&sheet, values, 0, 1, 1, 1, &plain) == HKD_USAGE, "a sheet of nothing");
}

/* The figures that papers print for CIFAR-10 and the class of the first image, from the official files. */
static void official(void) {
    char path[4200];
    unsigned char chw[3072];
    int label;
    hkd_dataset *set = NULL;
    if (!test_shared()) {
        test_skip("official data sets", "no development data");
        return;
    }
    snprintf(path, sizeof path, "%s/data/cifar10", test_shared());
    if (CHECK(!hkd_dataset_open(&set, path), "%s", hkd_last_error()))
        CHECK(set->count == 10000 && !hkd_dataset_get(set, 0, chw, &label) && label == 6, "first CIFAR-10 image is a frog");
    hkd_dataset_close(set);
#ifdef HKD_ZLIB
    set = NULL;
    snprintf(path, sizeof path, "%s/data/mnist/t10k-images-idx3-ubyte.gz", test_shared());
    if (CHECK(!hkd_dataset_open(&set, path), "%s", hkd_last_error()))
        CHECK(set->count == 10000 && !hkd_dataset_get(set, 0, chw, &label) && label == 7, "first MNIST test image is a 7");
    hkd_dataset_close(set);
#endif
}

/* Written and read again, a set has the same pixels and labels, in a zip and in a folder; a set without labels says null. */
static void written(const char *path) {
    hkd_dataset *set, *again;
    unsigned char a[3 * 32 * 32], b[3 * 32 * 32];
    int label = -1, other = -2;
    if (!CHECK(!hkd_dataset_open(&set, "builtin:scenes:16"), "%s", hkd_last_error())) return;
    const hkd_status status = hkd_dataset_save(set, 995, 7, path, NULL);
    if (status && strstr(hkd_last_error(), "not supported")) test_skip(path, hkd_last_error());
    else if (CHECK(!status && !hkd_dataset_open(&again, path), "%s", hkd_last_error())) {
        CHECK(again->count == 7 && again->resolution == 16 && again->channels == set->channels, "%s: another set", path);
        for (int64_t i = 0; i < 7; i++) {
            CHECK(!hkd_dataset_get(set, 995 + i, a, &label) && !hkd_dataset_get(again, i, b, &other), "%s", hkd_last_error());
            CHECK(label == other && !memcmp(a, b, (size_t)set->channels * 256), "%s: image %d", path, (int)i);
        }
        hkd_dataset_close(again);
    }
    hkd_dataset_close(set);
}

void test_dataset(void) {
    written(scratch("written.zip"));
    written(scratch("written"));
    cifar();
    idx();
    folder();
    label_files();
#if defined(HKD_ZIP) && defined(HKD_PNG)
    zipped();
#else
    test_skip("zip", "built without libzip or libpng");
#endif
    names();
    sheets();
    official();
}
