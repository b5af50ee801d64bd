#include "cpu.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

/* An overflow hidden behind a zero extent must not pass as an empty array. */
static void shapes(void) {
    const hkd_shape hidden = hkd_shape_of(3, (int64_t)1 << 40, (int64_t)1 << 40, (int64_t)0);
    const hkd_shape empty = hkd_shape_of(2, (int64_t)0, (int64_t)1 << 40);
    CHECK(!hkd_shape_valid(&hidden), "2^80 elements accepted because one extent is 0");
    CHECK(hkd_shape_valid(&empty), "an empty array refused");
}

/* Both devices agree on a small convolution with distinct height, width and channels: catches a swapped layout. */
static void layout(void) {
    enum { COUNT = 2 * 3 * 4 * 5, WEIGHTS = 6 * 3 * 3 * 3 };
    double x[COUNT], w[WEIGHTS], y[2][2 * 6 * 4 * 5];
    for (int i = 0; i < COUNT; i++) x[i] = i * 7 % 11 - 5;
    for (int i = 0; i < WEIGHTS; i++) w[i] = i * 5 % 7 - 3;
    const hkd_device_options options = {.threads = 1};
    for (int k = 0; k < 2; k++) {
        hkd_device *dev = NULL;
        hkd_call call = {.op = hkd_find_op("conv2d"), .p = {1, 1, 1, 1}};
        const hkd_shape xs = hkd_shape_of(4, (int64_t)2, (int64_t)3, (int64_t)4, (int64_t)5);
        const hkd_shape ws = hkd_shape_of(4, (int64_t)6, (int64_t)3, (int64_t)3, (int64_t)3);
        const hkd_shape ys = hkd_shape_of(4, (int64_t)2, (int64_t)6, (int64_t)4, (int64_t)5);
        if (!CHECK((k ? hkd_device_open_cpu : hkd_device_open_ref)(&dev, &options) == HKD_OK, "%s", hkd_last_error())) return;
        hkd_tensor_new(dev, &call.in[0], &xs, HKD_ACTIVATION);
        hkd_tensor_new(dev, &call.in[1], &ws, HKD_WEIGHT);
        hkd_tensor_new(dev, &call.out[0], &ys, HKD_ACTIVATION);
        dev->upload(dev, &call.in[0], x, HKD_F64);
        dev->upload(dev, &call.in[1], w, HKD_F64);
        CHECK(hkd_device_forward(dev, &call) == HKD_OK, "%s", hkd_last_error());
        dev->download(dev, y[k], HKD_F64, &call.out[0]);
        hkd_tensor_free(dev, &call.in[0]);
        hkd_tensor_free(dev, &call.in[1]);
        hkd_tensor_free(dev, &call.out[0]);
        hkd_device_close(dev);
    }
    for (int i = 0; i < 2 * 6 * 4 * 5; i++) CHECK(y[0][i] == y[1][i], "element %d: ref %g, cpu %g", i, y[0][i], y[1][i]);
}

void test_core(void) {
    shapes();
    layout();
}
