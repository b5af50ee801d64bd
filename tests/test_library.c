/* hkd.h as someone meets it who has nothing but that header and a model file. */
#include <hkd.h>

#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 3 * 8 * 8, LATENTS = 16 };

/* A caller who forgets the status must find NULL, not a stale pointer, and the message must name what was asked for. */
static void failures(hkd_device *dev) {
    hkd_device *none = dev;
    hkd_model *m = (hkd_model *)(void *)dev;
    CHECK(hkd_device_open(&none, "gpu", NULL) == HKD_USAGE && !none, "an unknown device opens");
    CHECK(strstr(hkd_last_error(), "gpu"), "the message does not name the device: %s", hkd_last_error());
    CHECK(hkd_model_load(&m, scratch("absent"), dev) == HKD_BAD_FILE && !m, "an absent model loads");
    CHECK(strstr(hkd_last_error(), "absent"), "the message does not name the file: %s", hkd_last_error());
}

/* Samples must not depend on their neighbours, and an argument out of range must be refused. */
static void samples(hkd_model *m) {
    const uint64_t seeds[5] = {3, 4, 5, 6, 7};
    double five[5 * SIZE], one[SIZE], again[SIZE];
    CHECK(!hkd_sample(m, five, seeds, 5, 1) && !hkd_sample(m, one, seeds + 4, 1, 1), "%s", hkd_last_error());
    CHECK(!memcmp(five + 4 * SIZE, one, sizeof one), "seed 7 gives another image alone than among others");
    CHECK(!hkd_sample(m, again, seeds + 4, 1, 2) && memcmp(again, one, sizeof one), "two steps give the image of one");
    CHECK(hkd_sample(m, one, seeds, 1, 0) == HKD_USAGE, "no steps at all are accepted");
    CHECK(!hkd_sample(m, NULL, NULL, 0, 1), "no images: %s", hkd_last_error());
}

/* Encoding and decoding at the end of time are one pass in two halves: the same bits, or a latent was left behind. */
static void halves(hkd_model *m) {
    double x[2 * SIZE], whole[2 * SIZE], made[2 * SIZE], *z[LATENTS] = {NULL};
    const double sigma[2] = {80, 1.5};
    for (int i = 0; i < 2 * SIZE; i++) x[i] = (i * 37 % 101) / 50.0 - 1;
    const hkd_model_input in = {.n = 2, .x = x, .sigma = sigma};
    const int count = hkd_model_latent_count(m);
    if (!CHECK(count > 1 && count <= LATENTS, "%d latents", count)) return;
    for (int i = 0; i < count; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(2 * s.dim[0] * s.dim[1] * s.dim[2]) * sizeof *z[i]);
    }
    CHECK(!hkd_model_denoise(m, whole, NULL, &in), "%s", hkd_last_error());
    CHECK(!hkd_model_encode(m, z, &in), "%s", hkd_last_error());
    CHECK(!hkd_model_decode(m, made, NULL, (const double *const *)z, &in), "%s", hkd_last_error());
    CHECK(!memcmp(whole, made, sizeof whole), "encode and decode differ from denoise");
    for (int i = 0; i < count; i++) free(z[i]);
}

void test_library(void) {
    const hkd_config hkd = small_config(true, 4), denoiser = small_config(false, 0);
    hkd_device *dev;
    CHECK(!strcmp(hkd_version(), HKD_VERSION) && hkd_abi_version() == HKD_ABI, "library %s, header %s", hkd_version(),
          HKD_VERSION);
    if (!CHECK(!hkd_device_open(&dev, "cpu", NULL), "%s", hkd_last_error())) return;
    failures(dev);
    for (int i = 0; i < 2; i++) {
        hkd_model *m;
        hkd_model_info info;
        small_model_file(scratch("library.safetensors"), i ? &denoiser : &hkd);
        if (!CHECK(!hkd_model_load(&m, scratch("library.safetensors"), dev), "%s", hkd_last_error())) continue;
        hkd_model_describe(&info, m);
        CHECK(info.one_step == !i && info.channels == 3 && info.resolution == 8 && info.classes == (i ? 0 : 4),
              "a wrong description");
        CHECK(info.sigma_min == 0.002 && info.sigma_max == 80, "noise levels %g to %g", info.sigma_min, info.sigma_max);
        samples(m);
        halves(m);
        hkd_model_free(m);
    }
    hkd_device_close(dev);
}
