#include "cpu.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* One call on the reference device; the caller frees what it gives. */
static double *on_ref(hkd_device *dev, const char *op, const double *p, const hkd_shape *in, const hkd_shape *out) {
    hkd_call call = {.op = hkd_find_op(op)};
    for (int i = 0; i < hkd_op_params(call.op); i++) call.p[i] = p[i];
    for (int i = 0; i < 3; i++) {
        const int64_t count = hkd_count(&in[i]);
        double *values = malloc((size_t)count * sizeof *values);
        for (int64_t k = 0; k < count; k++) values[k] = sin(0.1 * (double)k * (i + 1));
        hkd_tensor_new(dev, &call.in[i], &in[i], i ? HKD_WEIGHT : HKD_ACTIVATION);
        dev->upload(dev, &call.in[i], values, HKD_F64);
        free(values);
    }
    double *y = malloc((size_t)hkd_count(out) * sizeof *y);
    hkd_tensor_new(dev, &call.out[0], out, HKD_ACTIVATION);
    CHECK(!hkd_device_forward(dev, &call) && !dev->download(dev, y, HKD_F64, &call.out[0]), "%s", hkd_last_error());
    for (int i = 0; i < 3; i++) hkd_tensor_free(dev, &call.in[i]);
    hkd_tensor_free(dev, &call.out[0]);
    return y;
}

/* The reference on three threads against one: a part that starts at another image, channel or row of the weights, one that is
 * left out at the end (channels that are no multiple of a part), groups that are cut like channels. */
static void parts(void) {
    const struct {
        const char *op;
        double p[4];
        hkd_shape in[3], out;
    } cases[] = {
        {"conv2d", {1, 1, 1, 1}, {hkd_shape_of(4, (int64_t)2, (int64_t)20, (int64_t)18, (int64_t)20),
          hkd_shape_of(4, (int64_t)37, (int64_t)20, (int64_t)3, (int64_t)3), hkd_shape_of(1, (int64_t)37)},
         hkd_shape_of(4, (int64_t)2, (int64_t)37, (int64_t)18, (int64_t)20)},
        {"conv2d", {1, 1, 1, 2}, {hkd_shape_of(4, (int64_t)2, (int64_t)40, (int64_t)18, (int64_t)20),
          hkd_shape_of(4, (int64_t)36, (int64_t)20, (int64_t)3, (int64_t)3), hkd_shape_of(1, (int64_t)36)},
         hkd_shape_of(4, (int64_t)2, (int64_t)36, (int64_t)18, (int64_t)20)},
        {"linear", {0}, {hkd_shape_of(2, (int64_t)70, (int64_t)150), hkd_shape_of(2, (int64_t)130, (int64_t)150),
          hkd_shape_of(1, (int64_t)130)}, hkd_shape_of(2, (int64_t)70, (int64_t)130)}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double *y[2];
        for (int k = 0; k < 2; k++) {
            hkd_device *dev = NULL;
            const hkd_device_options options = {.threads = k ? 3 : 1};
            if (!CHECK(!hkd_device_open(&dev, "ref", &options), "%s", hkd_last_error())) return;
            y[k] = on_ref(dev, cases[i].op, cases[i].p, cases[i].in, &cases[i].out);
            hkd_device_close(dev);
        }
        CHECK(!memcmp(y[0], y[1], (size_t)hkd_count(&cases[i].out) * sizeof **y), "%s %d depends on the threads",
              cases[i].op, (int)i);
        free(y[0]), free(y[1]);
    }
}

void test_core(void) {
    shapes();
    layout();
    parts();
}
