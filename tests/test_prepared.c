/* Operators frozen on the cpu (channels innermost, once for all passes) against the same call with A as it is. Convolutions
 * have theirs in test_cpu_conv.c. */
#include "cpu.h"
#include "on_cpu.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Z, A, DT };

static const struct {
    int64_t n, d, h, w, a_h, a_w;
    const char *catches;
} cases[] = {
    {3, 20, 5, 7, 5, 7, "positions in the order of a vector that is not full"},
    {2, 6, 4, 3, 1, 1, "one vector for all positions"},
    {1, 256, 16, 16, 16, 16, "positions of several threads"},
};

static double noise(void) {
    static uint32_t state = 7;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 23) - 1;
}

static void put(hkd_device *dev, hkd_tensor *t, hkd_shape shape, hkd_role role) {
    const int64_t count = hkd_count(&shape);
    double *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++) values[i] = noise();
    CHECK(!hkd_tensor_new(dev, t, &shape, role) && !dev->upload(dev, t, values, HKD_F64), "%s", hkd_last_error());
    free(values);
}

/* The result's bits. */
static float *forward(hkd_device *dev, const hkd_call *call) {
    float *y = calloc((size_t)hkd_count(&call->out[0].shape), sizeof *y);
    CHECK(!dev->fill(dev, &call->out[0], NAN) && !hkd_device_forward(dev, call) &&
              !dev->download(dev, y, HKD_F32, &call->out[0]), "%s", hkd_last_error());
    return y;
}

static void compare(hkd_device *dev, size_t k) {
    hkd_call call = {.op = hkd_find_op("koopman_evolve")};
    const hkd_shape zs = hkd_shape_of(4, cases[k].n, cases[k].d, cases[k].h, cases[k].w);
    const hkd_shape as = hkd_shape_of(3, cases[k].d, cases[k].a_h, cases[k].a_w);
    const size_t bytes = (size_t)hkd_count(&zs) * sizeof(float);
    put(dev, &call.in[Z], zs, HKD_ACTIVATION), put(dev, &call.in[A], as, HKD_WEIGHT);
    put(dev, &call.in[DT], hkd_shape_of(1, cases[k].n), HKD_ACTIVATION), put(dev, &call.out[0], zs, HKD_ACTIVATION);
    float *raw = forward(dev, &call);
    CHECK(!dev->freeze(dev, &call) && !dev->freeze(dev, &call), "frozen twice: %s", hkd_last_error());
    float *frozen = forward(dev, &call);
    CHECK(!memcmp(raw, frozen, bytes), "%s: a frozen operator changes bits", cases[k].catches);
    float a;
    CHECK(dev->download(dev, &a, HKD_F32, &call.in[A]) == HKD_USAGE, "a frozen operator was read from memory that is gone");
    hkd_tensor_free(dev, &call.in[A]), put(dev, &call.in[A], as, HKD_WEIGHT);
    float *other = forward(dev, &call);
    CHECK(!dev->freeze(dev, &call), "%s", hkd_last_error());
    float *again = forward(dev, &call);
    CHECK(!memcmp(other, again, bytes) && memcmp(other, raw, bytes), "%s: another operator, the result of the first",
          cases[k].catches);
    free(raw), free(frozen), free(other), free(again);
    for (int i = 0; i < 3; i++) hkd_tensor_free(dev, &call.in[i]);
    hkd_tensor_free(dev, &call.out[0]);
}

void test_prepared(void) {
    for (int i = 0; i < CPU_BUILDS; i++) {
        hkd_device *dev;
        if (!cpu_runs(cpu_builds[i], "prepared")) continue;
        if (!CHECK(!hkd_device_open_cpu(&dev, &(hkd_device_options){.threads = 2, .isa = cpu_builds[i]}), "%s",
                   hkd_last_error())) continue;
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) compare(dev, k);
        hkd_device_close(dev);
    }
}
