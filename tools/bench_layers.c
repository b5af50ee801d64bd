/* Convolutions of EDM's CIFAR-10 network, one by one and each way; multiply-adds counted as direct. */
#include "bench.h"

#include "os.h"
#include "status.h"

#include <math.h>
#include <stdio.h>

typedef struct {
    int c_in, c_out, side, kernel; /* at 128 model channels */
} layer;

static const layer layers[] = {
    {256, 256, 32, 3}, {512, 256, 32, 3}, {384, 256, 32, 3}, {128, 128, 32, 3}, {256, 256, 16, 3}, {512, 256, 16, 3},
    {256, 256, 8, 3},  {512, 256, 8, 3},  {64, 64, 32, 3},   {3, 128, 32, 3},   {256, 3, 32, 3},   {512, 256, 32, 1},
    {512, 256, 16, 1}, {256, 768, 16, 1},
};

typedef enum { FORWARD, FROZEN, TO_INPUT, TO_WEIGHT, WAYS } way;
static const char *const way_name[WAYS] = {"forward", "frozen", "dx", "dw"};

typedef struct {
    hkd_device *dev;
    hkd_call call;
    hkd_tensor dx, dw;
    double multiply_adds, bytes; /* of one way, all images; every array once */
} subject;

static hkd_status subject_new(subject *s, hkd_device *dev, const layer *l, int64_t n) {
    const int64_t pad = l->kernel / 2, side = l->side;
    const hkd_shape x = hkd_shape_of(4, n, (int64_t)l->c_in, side, side), y = hkd_shape_of(4, n, (int64_t)l->c_out, side, side);
    const hkd_shape w = hkd_shape_of(4, (int64_t)l->c_out, (int64_t)l->c_in, (int64_t)l->kernel, (int64_t)l->kernel);
    *s = (subject){.dev = dev, .call = {.op = hkd_find_op("conv2d"), .p = {1, (double)pad, (double)pad, 1}}};
    s->multiply_adds = (double)hkd_count(&y) * l->c_in * l->kernel * l->kernel;
    s->bytes = 4.0 * (double)(hkd_count(&x) + hkd_count(&w) + hkd_count(&y));
    hkd_status status = hkd_tensor_new(dev, &s->call.in[0], &x, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->call.in[1], &w, HKD_WEIGHT);
    if (!status) status = hkd_tensor_new(dev, &s->call.out[0], &y, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->call.up[0], &y, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->dx, &x, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->dw, &w, HKD_STATE);
    if (!status) status = dev->fill(dev, &s->call.in[0], 0.5);
    if (!status) status = dev->fill(dev, &s->call.in[1], 0.01);
    return status ? status : dev->fill(dev, &s->call.up[0], 0.5);
}

static void subject_free(subject *s) {
    hkd_tensor *const all[] = {&s->call.in[0], &s->call.in[1], &s->call.out[0], &s->call.up[0], &s->dx, &s->dw};
    for (int i = 0; i < 6; i++)
        if (all[i]->buffer) hkd_tensor_free(s->dev, all[i]);
}

/* The best of a few runs within about 50 ms. */
static hkd_status measure(double *best, subject *s, way k) {
    hkd_status status = HKD_OK;
    s->call.grad[0].buffer = s->call.grad[1].buffer = NULL;
    if (k == TO_INPUT) s->call.grad[0] = s->dx;
    if (k == TO_WEIGHT) s->call.grad[1] = s->dw;
    if (k == FROZEN && s->dev->freeze) status = s->dev->freeze(s->dev, &s->call);
    const double begin = hkd_seconds();
    *best = HUGE_VAL;
    for (int run = 0; !status && (run < 2 || hkd_seconds() < begin + 0.05); run++) {
        const double start = hkd_seconds();
        status = (k == TO_INPUT || k == TO_WEIGHT ? hkd_device_backward : hkd_device_forward)(s->dev, &s->call);
        if (!status) status = s->dev->sync(s->dev);
        *best = fmin(*best, hkd_seconds() - start);
    }
    return k == FROZEN && !status ? s->dev->fill(s->dev, &s->call.in[1], 0.01) : status;
}

/* The network's own shapes for 128 channels; with other widths in proportion, but for the picture's three channels. */
static layer scaled(const layer *l, int64_t channels) {
    const int in = (int)(l->c_in * channels / 128), out = (int)(l->c_out * channels / 128);
    return (layer){l->c_in == 3 ? 3 : in, l->c_out == 3 ? 3 : out, l->side, l->kernel};
}

static hkd_status one_layer(json_t *rows, const hkd_bench *b, const layer *l, hkd_machine m) {
    subject s;
    hkd_status status = subject_new(&s, b->dev, l, b->batch);
    for (int k = 0; !status && k < WAYS; k++) {
        char work[64];
        double seconds;
        status = measure(&seconds, &s, (way)k);
        snprintf(work, sizeof work, "%dx%d %d->%d %dx%d %s", l->kernel, l->kernel, l->c_in, l->c_out, l->side, l->side,
                 way_name[k]);
        json_t *row = hkd_bench_row(rows, b, work);
        hkd_bench_cost(row, s.multiply_adds / (double)b->batch, s.bytes / (double)b->batch);
        hkd_bench_round(row, seconds / (double)b->batch, m);
    }
    subject_free(&s);
    return status;
}

hkd_status hkd_bench_layers(json_t *rows, const hkd_bench *b) {
    hkd_status status = HKD_OK;
    for (int64_t round = 0; round < b->rounds && !status; round++) {
        const hkd_machine m = hkd_measure_machine(b->dev);
        for (size_t i = 0; i < sizeof layers / sizeof *layers && !status; i++) {
            const layer l = scaled(&layers[i], b->channels);
            status = one_layer(rows, b, &l, m);
            if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        }
    }
    return status;
}
