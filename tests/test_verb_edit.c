/* hkd edit as a user runs it: its invariants on files, its times and noise against the edit done by hand, its refusals. */
#include "edit.h"
#include "hkd_ref.h"
#include "image.h"
#include "model_levels.h"
#include "program.h"
#include "rng.h"
#include "schedule.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, SIDE = 8, SIZE = 3 * SIDE * SIDE };

static double distance(const double *a, const double *b) {
    double worst = 0;
    for (int i = 0; a && b && i < N * SIZE; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return a && b ? worst : INFINITY;
}

/* Ratio 0 is the image and ratio 1 the reference, bit for bit, also through the program; the time has no effect on a reference
 * that evolves, and one on a reference that is noised. Catches swapped seeds, a ratio or a time that is not passed on. */
static void invariants(const char *model) {
    static const struct {
        const char *options, *equals;
    } same[] = {{"--ratio 0", "image"}, {"--ratio 1", "reference"}, {"--ratio 0 --band 0:1/3 --mask triangle", "image"},
                {"--ratio 0 --reference-encode noised", "image"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        CHECK(program("edit --device ref --model %s --seeds 3,9 --reference-seeds 5,1 %s --out %s", model, same[i].options,
                      scratch("e.safetensors")) == 0, "%s", program_err());
        double *edited = tensor_in_file(scratch("e.safetensors"), "edited", NULL, NULL);
        double *want = tensor_in_file(scratch("e.safetensors"), same[i].equals, NULL, NULL);
        CHECK(edited && want && !memcmp(edited, want, N * SIZE * sizeof *want), "%s is not the %s, by %g", same[i].options,
              same[i].equals, distance(edited, want));
        free(edited), free(want);
    }
    static const double times[] = {0.2, 0.9};
    for (int encode = 0; encode < 2; encode++) {
        double *d[2];
        for (int t = 0; t < 2; t++) {
            CHECK(program("edit --device ref --model %s --seeds 3,9 --reference-seeds 5,1 --ratio 0.7 --band 0:1/2 --time %g "
                          "--reference-encode %s --out %s", model, times[t], encode ? "noised"
                              : "evolved", scratch("e.safetensors")) == 0,
                  "%s", program_err());
            d[t] = tensor_in_file(scratch("e.safetensors"), "edited", NULL, NULL);
        }
        if (encode) CHECK(distance(d[0], d[1]) > 1e-6, "a noised reference must depend on the time");
        else CHECK(distance(d[0], d[1]) < 1e-12, "an evolved reference depends on the time, by %g", distance(d[0], d[1]));
        free(d[0]), free(d[1]);
    }
}

/* The edit "at time tau" done literally: the image's latents move from noise to tau, the noised reference is encoded at
 * sigma(tau), the two are mixed there inside the triangle and move to the end. */
static void by_hand(hkd_model *m, double *d, const double *reference, double tau, double ratio) {
    static hkd_model_levels levels;
    const uint64_t seeds[N] = {3, 9};
    double x[N * SIZE], y[N * SIZE], sigma[N] = {80, 80}, at[N], down[N], *z[HKD_MAX_LATENTS], *zr[HKD_MAX_LATENTS], region[64];
    const double level = hkd_karras_sigma(1 - tau, 0.002, 80, 7);
    for (int k = 0; k < N; k++) {
        at[k] = level;
        down[k] = tau - 1;
        hkd_random_normals(x + k * SIZE, 0, SIZE, &(hkd_stream){.seed = seeds[k], .purpose = HKD_FOR_LATENTS});
    }
    for (int i = 0; i < N * SIZE; i++) y[i] = reference[i] + level * x[i], x[i] *= 80;
    const hkd_model_input image = {.n = N, .x = x, .sigma = sigma}, noised = {.n = N, .x = y, .sigma = at};
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(N * hkd_count(&s)) * sizeof **z);
        zr[i] = malloc((size_t)(N * hkd_count(&s)) * sizeof **zr);
    }
    CHECK(!hkd_model_levels_read(&levels, m) && !hkd_model_encode(m, z, &image) && !hkd_model_encode(m, zr, &noised), "%s",
          hkd_last_error());
    for (int64_t k = 0; k < levels.count; k++) {
        const hkd_level *v = &levels.level[k];
        double *a = z[levels.latent[k]], *b = zr[levels.latent[k]];
        hkd_ref_koopman_evolve(a, a, v->a, down, &(hkd_koopman_dims){N, v->d, v->h, v->w, v->ah, v->aw});
        double full[64];
        hkd_region_triangle(full, SIDE, SIDE);
        CHECK(!hkd_region_resample(region, v->h, v->w, full, SIDE, SIDE), "%s", hkd_last_error());
        for (int64_t i = 0; i < N * v->d * v->h * v->w; i++) a[i] += ratio * region[i % (v->h * v->w)] * (b[i] - a[i]);
    }
    double rest[N] = {-tau, -tau};
    const hkd_model_input end = {.n = N, .x = x, .sigma = sigma, .dt = rest};
    CHECK(!hkd_model_decode(m, d, NULL, (const double *const *)z, &end), "%s", hkd_last_error());
    for (int i = 0; i < hkd_model_latent_count(m); i++) free(z[i]), free(zr[i]);
    hkd_model_levels_free(&levels);
}

/* A picture as reference: read, noised to the level of --time with the image's noise, encoded there. */
static void noised_picture(const char *model, hkd_model *m) {
    double reference[N * SIZE], want[N * SIZE];
    hkd_image image;
    CHECK(!hkd_image_new(&image, SIDE, SIDE, 3), "%s", hkd_last_error());
    for (int i = 0; i < SIZE; i++) image.pixels[i] = (unsigned char)(i * 37);
    for (int k = 0; k < N; k++) hkd_image_get(reference + k * SIZE, &image);
    CHECK(!hkd_image_write(scratch("reference.ppm"), &image, NULL, 0), "%s", hkd_last_error());
    hkd_image_free(&image);
    by_hand(m, want, reference, 0.3, 0.6);
    CHECK(program("edit --device ref --model %s --seeds 3,9 --reference %s --time 0.3 --ratio 0.6 --mask triangle --out %s",
                  model,
                  scratch("reference.ppm"), scratch("e.safetensors")) == 0, "%s", program_err());
    double *got = tensor_in_file(scratch("e.safetensors"), "edited", NULL, NULL);
    CHECK(distance(got, want) < 1e-12, "the noised edit differs from the one done by hand by %g", distance(got, want));
    free(got);
}

static void sheets(const char *model) {
    hkd_image image;
    CHECK(program("edit --model %s --seeds 0-2 --reference-seeds 4-6 --grid --mask triangle --out %s", model,
                  scratch("grid.ppm")) == 0,
          "%s", program_err());
    if (CHECK(!hkd_image_read(&image, scratch("grid.ppm")), "%s", hkd_last_error())) {
        CHECK(image.width > 8 * SIDE && image.height > 3 * SIDE, "Figure 5's grid is %d x %d", (int)image.width,
              (int)image.height);
        hkd_image_free(&image);
    }
    CHECK(strstr(program_out(), "all 90%"), "the agnostic column is missing: %s", program_out());
    CHECK(program("edit --model %s --seeds 5 --reference-seeds 6 --reference-encode both --json --out %s/", model,
                  scratch("edits")) == 0,
          "%s", program_err());
    char name[32];
    snprintf(name, sizeof name, "edits/noised_5.%s", hkd_image_ending());
    CHECK(hkd_exists(scratch(name)), "no %s", name);
    CHECK(strstr(program_out(), "\"low_middle_high\""), "no JSON: %s", program_out());
}

/* Against random modes: all modes are their own random set, so nothing may be found; a band and its control change the
 * pictures by as much. The rest is a measurement. */
static void control(const char *model) {
    static const char *const band[] = {"0:1", "0:1/3"};
    for (int k = 0; k < 2; k++) {
        CHECK(program("edit --device ref --model %s --seeds 0-5 --reference-seeds 6-11 --ratio 0.8 --band %s --control --json",
                      model, band[k]) == 0,
              "%s", program_err());
        static const char *const kind[] = {"each_level", "all_levels"};
        json_t *o = json_loads(program_out(), 0, NULL);
        for (int i = 0; i < 2; i++) {
            json_t *of = json_object_get(o, kind[i]), *ratio = json_object_get(of, "ratio");
            json_t *ends = json_object_get(of, "interval");
            const double rmse = json_number_value(json_object_get(of, "rmse"));
            const double difference = json_number_value(json_object_get(of, "difference"));
            const double first = json_number_value(json_array_get(ratio, 0));
            const double second = json_number_value(json_array_get(ratio, 1)), most = 0.8 + 1e-12;
            const double middle = (json_number_value(json_array_get(ends, 0)) + json_number_value(json_array_get(ends, 1))) / 2;
            CHECK(rmse > 0 && first > 0 && first <= most && second > 0 && second <= most, "%s: RMSE %g at ratios %g and %g",
                  kind[i], rmse, first, second);
            CHECK(fabs(middle - difference) <= 1e-12 * fabs(difference), "%s: %g is not the middle of its interval", kind[i],
                  difference);
            if (k) CHECK(difference != 0, "%s: a third of the modes is no random third", kind[i]);
            else CHECK(difference == 0 && fabs(first - second) < 1e-12, "%s: all modes differ from all modes by %g", kind[i],
                       difference);
        }
        json_decref(o);
    }
}

static void bad_input(const char *model, const char *plain) {
    const char *rest = "--seeds 0 --reference-seeds 1 --out";
    char out[512];
    snprintf(out, sizeof out, "%s", scratch("none.png"));
    hkd_image image;
    CHECK(!hkd_image_new(&image, 4, SIDE, 1) && !hkd_image_write(scratch("narrow.pgm"), &image, NULL, 0), "%s",
          hkd_last_error());
    hkd_image_free(&image);
    program_refuses(2, "from 0 to 1", "edit --model %s --time 1.5 %s %s", model, rest, out);
    program_refuses(2, "from 0 to 1", "edit --model %s --ratio -0.1 %s %s", model, rest, out);
    program_refuses(2, "the interval is reversed", "edit --model %s --band 1/2:0.3 %s %s", model, rest, out);
    program_refuses(2, "FROM:TO", "edit --model %s --band fast %s %s", model, rest, out);
    program_refuses(2, "FROM < TO <= 1", "edit --model %s --band 0:3/2 %s %s", model, rest, out);
    program_refuses(3, "is 4 x 8, expected the model's 8 x 8", "edit --model %s --mask %s %s %s", model, scratch("narrow.pgm"),
                    rest, out);
    program_refuses(2, "no Koopman operators", "edit --model %s %s %s", plain, rest, out);
    program_refuses(2, "2 --seeds and 1 --reference-seeds", "edit --model %s --seeds 1,2 --reference-seeds 4 --out %s", model,
                    out);
    program_refuses(2, "one of the two", "edit --model %s --seeds 1 --out %s", model, out);
    program_refuses(2, "expected a name in", "edit --model %s --seeds 1 --reference-seeds 4 --out %s", model,
                    scratch("none.gif"));
    CHECK(!hkd_exists(out), "a refused edit left a file");
}

static bool is_sample(const char *model, const char *name, const char *seeds, int label) {
    CHECK(program("sample --device ref --model %s --seeds %s --class %d --out %s", model, seeds, label,
                  scratch("c.safetensors")) == 0, "%s", program_err());
    double *x = tensor_in_file(scratch("e.safetensors"), name, NULL, NULL);
    double *want = tensor_in_file(scratch("c.safetensors"), "x", NULL, NULL);
    const bool same = x && want && !memcmp(x, want, N * SIZE * sizeof *x);
    free(x), free(want);
    return same;
}

/* --class and --reference-class are the classes of `hkd sample`. Catches one that goes to both, or to none. */
static void classes(const char *plain) {
    char path[512];
    const hkd_config c = small_config(true, 3);
    snprintf(path, sizeof path, "%s", scratch("classes.safetensors"));
    small_model_file(path, &c);
    CHECK(program("edit --device ref --model %s --seeds 3,9 --reference-seeds 5,1 --class 2 --reference-class 0 --out %s", path,
                  scratch("e.safetensors")) == 0, "%s", program_err());
    CHECK(is_sample(path, "image", "3,9", 2), "the images are not of class 2");
    CHECK(is_sample(path, "reference", "5,1", 0), "the references are not of class 0");
    CHECK(!is_sample(path, "image", "3,9", 0), "the class has no effect");
    program_refuses(2, "--class 3", "edit --model %s --seeds 3 --reference-seeds 5 --class 3 --out %s", path,
                    scratch("no.safetensors"));
    program_refuses(2, "the model has no classes", "edit --model %s --seeds 3 --reference-seeds 5 --class 0 --out %s", plain,
                    scratch("no.safetensors"));
}

void test_verb_edit(void) {
    char path[512], plain[512];
    snprintf(path, sizeof path, "%s", scratch("edit.safetensors"));
    snprintf(plain, sizeof plain, "%s", scratch("plain.safetensors"));
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    hkd_device *dev;
    hkd_model *m = NULL;
    small_model_file(path, &c);
    small_model_file(plain, &d);
    if (!CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}) && !hkd_model_load(&m, path, dev), "%s", hkd_last_error()))
        return;
    invariants(path);
    noised_picture(path, m);
    sheets(path);
    control(path);
    classes(path);
    bad_input(path, plain);
    hkd_model_free(m);
    hkd_device_close(dev);
}
