/* The fast device against the reference in float64, from noise to picture: what a viewer could see of Winograd and float32.
 * The network of `hkd train --config cifar10-small`; HKD_FULL=1 takes EDM's CIFAR-10 network, too (some time of the
 * reference). Weights at gain 1 everywhere: EDM's own start would let the picture through as it is. */
#include "cpu.h"
#include "rng.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

enum { SIZE = 3 * 32 * 32 };

/* One-step image and raw output of the network from the same noise. */
static void one_step(double *d, double *f, hkd_device *dev, const hkd_config *c) {
    static double x[SIZE];
    const double sigma = 80;
    const hkd_stream stream = {.purpose = HKD_FOR_TEST};
    hkd_random_normals(x, 0, SIZE, &stream);
    for (int i = 0; i < SIZE; i++) x[i] *= sigma;
    hkd_model *m = small_model(c, dev);
    CHECK(m && !hkd_model_denoise(m, d, f, &(hkd_model_input){.n = 1, .x = x, .sigma = &sigma}), "%s", hkd_last_error());
    hkd_model_free(m);
}

static void compare(const hkd_config *c, const char *name) {
    static double d[SIZE], f[SIZE], d_ref[SIZE], f_ref[SIZE];
    hkd_device *cpu = NULL, *ref = NULL;
    const hkd_device_options usual = {0};
    if (!CHECK(!hkd_device_open_cpu(&cpu, &usual) && !hkd_device_open_ref(&ref, &usual), "%s", hkd_last_error())) return;
    one_step(d, f, cpu, c);
    one_step(d_ref, f_ref, ref, c);
    double mean = 0, square = 0, worst = 0;
    for (int i = 0; i < SIZE; i++) mean += f_ref[i] / SIZE, square += f_ref[i] * f_ref[i] / SIZE;
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, 127.5 * fabs(d[i] - d_ref[i]));
    CHECK(sqrt(square - mean * mean) >= 0.3, "%s: the output has a deviation of %g: too small to test anything", name,
          sqrt(square - mean * mean));
    CHECK(worst <= 0.05, "%s: a pixel is off by %g grey levels", name, worst);
    CHECK(worst > 0, "%s: both devices agree to the last bit: one of them was not asked", name);
    hkd_device_close(cpu), hkd_device_close(ref);
}

void test_exactness(void) {
    hkd_config full = hkd_config_default(HKD_ARCH_DDPMPP);
    full.is_hkd = true;
    hkd_config small = full;
    small.model_channels = 32, small.num_blocks = 2, small.levels = 3, small.channel_mult[0] = 1;
    small.channel_mult[1] = small.channel_mult[2] = 2, small.attn_count = 1, small.attn_resolutions[0] = 16;
    compare(&small, "cifar10-small");
    if (getenv("HKD_FULL")) compare(&full, "EDM's CIFAR-10 network");
}
