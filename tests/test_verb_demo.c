/* hkd demo --data to its end on tiny sets of every kind, at the smallest scale: what is trained nothing learns from, but every
 * step is one that the long run takes. Catches a step that does not fit a set's size or colours, and pictures that are promised
 * and not made. */
#include "image.h"
#include "model_file.h"
#include "os.h"
#include "program.h"
#include "scratch.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Something that is no constant, different for every picture. */
static unsigned char pixel(int64_t at) { return (unsigned char)(at * at % 251); }

/* An idx file of gray pictures; a CIFAR-10 file; a folder of picture files. */
static void idx(const char *path) {
    enum { COUNT = 5, SIDE = 8, HEAD = 16 };
    unsigned char bytes[HEAD + COUNT * SIDE * SIDE] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    for (int i = HEAD; i < (int)sizeof bytes; i++) bytes[i] = pixel(i);
    CHECK(!hkd_write_file(path, bytes, sizeof bytes), "%s", hkd_last_error());
}

static void cifar(const char *path) {
    enum { COUNT = 3, RECORD = 3073 };
    static unsigned char bytes[COUNT * RECORD];
    for (int i = 0; i < COUNT * RECORD; i++) bytes[i] = i % RECORD ? pixel(i) : (unsigned char)(i / RECORD);
    CHECK(!hkd_write_file(path, bytes, sizeof bytes), "%s", hkd_last_error());
}

static void folder(const char *path) {
    enum { COUNT = 4, SIDE = 6 };
    CHECK(!hkd_make_directory(path), "%s", hkd_last_error());
    for (int k = 0; k < COUNT; k++) {
        hkd_image image;
        char name[600];
        snprintf(name, sizeof name, "%s/picture %d.%s", path, k, hkd_image_ending());
        if (!CHECK(!hkd_image_new(&image, SIDE, SIDE, 3), "%s", hkd_last_error())) return;
        for (int i = 0; i < SIDE * SIDE * 3; i++) image.pixels[i] = pixel(1000 * k + i);
        CHECK(!hkd_image_write(name, &image, NULL, 0), "%s", hkd_last_error());
        hkd_image_free(&image);
    }
}

/* A picture of at least this size that shows something. */
static void shows(const char *dir, const char *name, int64_t width, int64_t height) {
    char path[600];
    hkd_image image;
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, hkd_image_ending());
    if (!CHECK(!hkd_image_read(&image, path), "%s", hkd_last_error())) return;
    const int64_t count = image.width * image.height * image.channels;
    int64_t other = 0;
    for (int64_t i = 0; i < count; i++) other += image.pixels[i] != image.pixels[0];
    CHECK(image.width >= width && image.height >= height, "%s is %d x %d", path, (int)image.width, (int)image.height);
    CHECK(other > count / 20, "%s shows nothing", path);
    hkd_image_free(&image);
}

/* `times`: the second time everything is there already, and nothing is trained. */
static void demo(const char *data, const char *out, int channels, int side, int times) {
    static const char *const left[] = {"losses.csv", "losses.svg", "teacher.csv", "teacher.svg", "teacher.safetensors",
                                       "trajectories/000000.safetensors"};
    char path[600];
    unsigned char *model[2] = {NULL, NULL};
    size_t size[2] = {0, 0};
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    for (int again = 0; again < times; again++) {
        CHECK(program("demo --quiet --threads 2 --scale 1e-6 --data %s --out %s", data, out) == 0, "%s: %s", data,
              program_err());
        CHECK(!hkd_read_file(&model[again], &size[again], path, 1 << 24), "%s", hkd_last_error());
    }
    CHECK(times < 2 || (size[0] == size[1] && !memcmp(model[0], model[1], size[0])), "%s: another model the second time", data);
    free(model[0]), free(model[1]);
    CHECK(strstr(program_out(), "samples_and_teacher"), "it does not say what it made: %s", program_out());
    hkd_safetensors *st = NULL;
    hkd_config c = {0};
    if (CHECK(!hkd_safetensors_open(&st, path) && !hkd_model_file_config(&c, st), "%s", hkd_last_error()))
        CHECK(c.is_hkd && c.img_channels == channels && c.img_resolution == side, "%s: a model of other pictures", data);
    hkd_safetensors_close(st);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(path, sizeof path, "%s/%s", out, left[i]);
        CHECK(hkd_exists(path), "no %s", path);
    }
    shows(out, "samples_and_teacher", 10 * side, 6 * side);
    shows(out, "samples", 5 * side, 6 * side);
    shows(out, "teacher", 5 * side, 6 * side);
    shows(out, "trajectory", 9 * side, 5 * side);
}

void test_verb_demo(void) {
    char data[512], out[512];
    CHECK(!hkd_make_directory(scratch("demo_sets")), "%s", hkd_last_error());
    snprintf(data, sizeof data, "%s", scratch("demo_sets/t10k-images-idx3-ubyte"));
    snprintf(out, sizeof out, "%s", scratch("demo/idx"));
    idx(data);
    demo(data, out, 1, 8, 1);
    snprintf(data, sizeof data, "%s", scratch("demo_sets/folder"));
    snprintf(out, sizeof out, "%s", scratch("demo/folder"));
    folder(data);
    demo(data, out, 3, 6, 2);
    program_refuses(3, "nowhere", "demo --quiet --data %s --out %s", scratch("nowhere"), out);
    program_refuses(2, "--scale 0", "demo --quiet --scale 0 --data %s --out %s", data, out);
    if (!getenv("HKD_FULL")) {
        test_skip("demo on CIFAR-10's size", "takes a minute, HKD_FULL=1 runs it");
        return;
    }
    snprintf(data, sizeof data, "%s", scratch("demo_sets/data_batch_1.bin"));
    snprintf(out, sizeof out, "%s", scratch("demo/cifar"));
    cifar(data);
    demo(data, out, 3, 32, 1);
}
