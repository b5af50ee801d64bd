/* hkd bands: masks, polarity, cumulative effect and pictures as a user gets them. */
#include "image_spectrum.h"
#include "model_bands.h"
#include "os.h"
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, SIDE = 8, SIZE = 3 * SIDE * SIDE };

/* Removing the fine part of coarse + fine lowers the centroid, removing the coarse part raises it: the direction on which
 * "high" rests. */
static void direction(void) {
    double x[3][SIDE * SIDE], energy[8], centroid[3];
    int64_t size[8];
    for (int i = 0; i < SIDE * SIDE; i++) {
        x[1][i] = cos(2 * acos(-1) * 1 * (i % SIDE) / SIDE); /* without the fine part */
        x[2][i] = cos(2 * acos(-1) * 3 * (i % SIDE) / SIDE); /* without the coarse part */
        x[0][i] = x[1][i] + x[2][i];
    }
    for (int k = 0; k < 3; k++) {
        CHECK(!hkd_image_spectrum(energy, size, x[k], 1, SIDE, SIDE), "%s", hkd_last_error());
        centroid[k] = hkd_spectrum_centroid(energy, hkd_spectrum_shells(SIDE, SIDE));
    }
    CHECK(fabs(centroid[1] - 1) < 1e-12 && fabs(centroid[0] - 2) < 1e-12 && fabs(centroid[2] - 3) < 1e-12,
          "centroids %g, %g, %g, expected 2, 1, 3", centroid[0], centroid[1], centroid[2]);
}

/* All modes kept: the picture, bit for bit. None kept, or a band and its complement: the masked latents add up to the whole, so
 * that the outputs of any linear decoder do; here a random one. Shuffled masks keep their size on each level. */
static void masks(hkd_model *m) {
    static hkd_model_levels l;
    hkd_model_bands b;
    double x[N * SIZE], sigma[N] = {80, 80}, all[N * SIZE], kept[N * SIZE], *z[HKD_MAX_LATENTS];
    hkd_random_normals(x, 0, N * SIZE, &(hkd_stream){.seed = 6, .purpose = HKD_FOR_TEST});
    for (int i = 0; i < N * SIZE; i++) x[i] *= 80;
    const hkd_model_input in = {.n = N, .x = x, .sigma = sigma};
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(N * hkd_count(&s)) * sizeof **z);
    }
    CHECK(!hkd_model_levels_read(&l, m) && !hkd_model_bands_new(&b, &l, &(hkd_band_rule){.joint = true}), "%s",
          hkd_last_error());
    CHECK(!hkd_model_encode(m, z, &in) && !hkd_model_denoise(m, all, NULL, &in), "%s", hkd_last_error());
    CHECK(!hkd_model_bands_decode(m, kept, (const double *const *)z, &in, &l, &b), "%s", hkd_last_error());
    CHECK(!memcmp(all, kept, sizeof all), "all modes kept is not the picture");
    CHECK(!hkd_model_bands_choose(&b, &l, 0.2, 0.7), "%s", hkd_last_error());
    double whole = 0, parts = 0;
    int64_t inside[HKD_MAX_LATENTS] = {0};
    for (int part = 0; part < 2; part++) {
        for (int64_t k = 0; k < l.count; k++) {
            const int64_t count = N * l.level[k].d * l.level[k].h * l.level[k].w;
            double *y = malloc((size_t)count * sizeof *y), *weight = malloc((size_t)count * sizeof *weight);
            hkd_random_normals(weight, 0, count, &(hkd_stream){.seed = (uint64_t)k, .purpose = HKD_FOR_TEST});
            hkd_band_keep(y, z[l.latent[k]], b.mask[k], &l.level[k], N);
            for (int64_t i = 0; i < count; i++) parts += weight[i] * y[i];
            for (int64_t i = 0; i < count && !part; i++) whole += weight[i] * z[l.latent[k]][i];
            for (int64_t i = 0; i < hkd_mode_count(&l.level[k]) && !part; i++) inside[k] += b.mask[k][i];
            free(y), free(weight);
        }
        hkd_model_bands_invert(&b, &l);
    }
    CHECK(fabs(whole - parts) < 1e-10 * (1 + fabs(whole)), "a linear decoder gives %.15g, its bands %.15g", whole, parts);
    hkd_mask_shuffle(b.mask, &l, false, 1);
    for (int64_t k = 0; k < l.count; k++) {
        for (int64_t i = 0; i < hkd_mode_count(&l.level[k]); i++) inside[k] -= b.mask[k][i];
        CHECK(!inside[k], "level %d: the shuffled band has %d modes fewer", (int)k, (int)inside[k]);
    }
    for (int i = 0; i < hkd_model_latent_count(m); i++) free(z[i]);
    hkd_model_bands_free(&b);
    hkd_model_levels_free(&l);
}

/* The polarity is what the numbers beside it say; the effects of the three bands add up to 1; turning the keys around turns the
 * polarity around. */
static void verb(const char *model) {
    bool ascending[2] = {false, false};
    static const char *const out[] = {"bands.safetensors", "bands.ppm"};
    for (int k = 0; k < 2; k++) {
        CHECK(program("bands --device ref --model %s --seeds 0-1 --times 1,0 --json --sort %s --out %s --svg %s --csv %s",
                      model,
                      k ? "growth" : "alpha", scratch(out[k]), scratch("effect.svg"), scratch("effect.csv")) == 0, "%s",
                          program_err());
        json_t *o = json_loads(program_out(), 0, NULL), *measured = json_object_get(o, "polarity"),
               *thirds = json_object_get(measured, "thirds"), *bands = json_object_get(o, "bands");
        const double low = json_real_value(json_object_get(json_array_get(thirds, 0), "centroid_without"));
        const double high = json_real_value(json_object_get(json_array_get(thirds, 2), "centroid_without"));
        const double difference = json_real_value(json_object_get(measured, "difference"));
        const double from = json_real_value(json_array_get(json_object_get(measured, "interval"), 0));
        const double to = json_real_value(json_array_get(json_object_get(measured, "interval"), 1));
        const char *used = json_string_value(json_object_get(measured, "used"));
        const char *verdict = json_string_value(json_object_get(measured, "verdict"));
        double sum = 0;
        for (size_t i = 0; i < json_array_size(bands); i++)
            sum += json_real_value(json_object_get(json_array_get(bands, i), "cumulative_effect"));
        CHECK(fabs(sum - 1) < 1e-12, "the effects of low, middle, high add up to %.15g", sum);
        ascending[k] = used && !strcmp(used, "ascending");
        CHECK(low > 0 && fabs(difference - (low - high)) < 1e-9, "difference %g of centroids %g and %g", difference, low, high);
        CHECK(verdict && !strcmp(verdict, "undecided") == (from <= 0 && to >= 0), "verdict %s with the interval %g to %g",
              verdict ? verdict : "?", from, to);
        CHECK((from <= 0 && to >= 0) || ascending[k] == (difference > 0), "polarity %s with a difference of %g", used,
              difference);
        json_decref(o);
    }
    CHECK(ascending[0] != ascending[1], "the order of growth e^(-alpha) is that of alpha reversed");
    CHECK(hkd_exists(scratch("effect.svg")) && hkd_exists(scratch("effect.csv")), "no plot or no table");
    int64_t count = 0;
    double *all = tensor_in_file(scratch("bands.safetensors"), "all", NULL, &count);
    CHECK(program("sample --device ref --model %s --seeds 0-1 --out %s", model, scratch("s.safetensors")) == 0, "%s",
          program_err());
    double *x = tensor_in_file(scratch("s.safetensors"), "x", NULL, NULL);
    if (all && x) CHECK(count == 2 * N * SIZE && !memcmp(all + N * SIZE, x, N * SIZE * sizeof *x),
                        "all bands at time 0 are not the sample");
    free(all), free(x);
}

/* --class is the class of `hkd sample`. */
static void classes(const char *unconditional) {
    char model[512];
    const hkd_config c = small_config(true, 3);
    snprintf(model, sizeof model, "%s", scratch("class_model.safetensors"));
    small_model_file(model, &c);
    double *x[2];
    CHECK(program("bands --device ref --model %s --seeds 0-1 --times 0 --class 2 --out %s", model,
                  scratch("bands.safetensors")) == 0, "%s", program_err());
    double *all = tensor_in_file(scratch("bands.safetensors"), "all", NULL, NULL);
    for (int k = 0; k < 2; k++) {
        CHECK(program("sample --device ref --model %s --seeds 0-1 --class %d --out %s", model, 2 - k,
                      scratch("s.safetensors")) == 0, "%s", program_err());
        x[k] = tensor_in_file(scratch("s.safetensors"), "x", NULL, NULL);
    }
    if (all && x[0] && x[1])
        CHECK(!memcmp(all, x[0], N * SIZE * sizeof *all) && memcmp(all, x[1], N * SIZE * sizeof *all),
              "all bands at time 0 are not the sample of their class");
    free(all), free(x[0]), free(x[1]);
    program_refuses(2, "--class 3", "bands --model %s --class 3", model);
    program_refuses(2, "the model has no classes", "bands --model %s --class 0", unconditional);
}

void test_verb_bands(void) {
    char path[512];
    const hkd_config c = small_config(true, 0);
    hkd_device *dev;
    hkd_model *m = NULL;
    snprintf(path, sizeof path, "%s", scratch("bands_model.safetensors"));
    small_model_file(path, &c);
    direction();
    if (!CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}) && !hkd_model_load(&m, path, dev), "%s", hkd_last_error()))
        return;
    masks(m);
    verb(path);
    classes(path);
    program_refuses(2, "outside [0, 1]", "bands --model %s --times 1,1.5", path);
    program_refuses(2, "reversed", "bands --model %s --band 0:1/3,2/3:1/3", path);
    program_refuses(2, "cannot write", "bands --model %s --csv %s", path, scratch("no/such/dir.csv"));
    program_refuses(2, "--model is needed", "bands");
    hkd_model_free(m);
    hkd_device_close(dev);
}
