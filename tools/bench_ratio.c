#include "bench_ratio.h"

#include "cli.h"
#include "init.h"
#include "os.h"
#include "status.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEVICES = 3, SIZE = 3 * 32 * 32, SAMPLES = 4, BATCH = 16 };
static const char *const device_name[DEVICES] = {"opencl", "cpu_direct", "cpu_fast"};

/* The network of `hkd train --config cifar10-small`. */
static hkd_config cifar10_small(void) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = 32, c.img_channels = 3, c.model_channels = 32, c.num_blocks = 2, c.levels = 3;
    c.channel_mult[0] = 1, c.channel_mult[1] = c.channel_mult[2] = 2;
    c.attn_resolutions[0] = 16;
    return c;
}

/* ---- one operator ---- */

typedef struct {
    const char *op;
    hkd_shape x, w, y;
    double p[4];
} product;

static hkd_status time_product(double *best, hkd_device *dev, const product *k, int64_t rounds) {
    hkd_call call = {.op = hkd_find_op(k->op), .p = {k->p[0], k->p[1], k->p[2], k->p[3]}};
    hkd_status status = hkd_tensor_new(dev, &call.in[0], &k->x, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &call.in[1], &k->w, HKD_WEIGHT);
    if (!status) status = hkd_tensor_new(dev, &call.out[0], &k->y, HKD_ACTIVATION);
    if (!status) status = dev->fill(dev, &call.in[0], 0.5);
    if (!status) status = dev->fill(dev, &call.in[1], 0.01);
    for (int64_t i = 0; i <= 3 * rounds && !status; i++) { /* the first prepares and does not count */
        const double start = hkd_seconds();
        status = hkd_device_forward(dev, &call);
        if (!status) status = dev->sync(dev);
        if (i) *best = fmin(*best, hkd_seconds() - start);
    }
    hkd_tensor *const all[] = {&call.in[0], &call.in[1], &call.out[0]};
    for (int i = 0; i < 3; i++)
        if (all[i]->buffer) hkd_tensor_free(dev, all[i]);
    return status;
}

/* ---- the network ---- */

static hkd_status picture(const hkd_images *self, int64_t index, double *image, int *label) {
    (void)self;
    for (int i = 0; i < SIZE; i++) image[i] = 0.1 * (double)((index + i * 7) % 19) - 0.9;
    *label = 0;
    return HKD_OK;
}

static hkd_status time_sample(double *best, hkd_device *dev, int64_t rounds) {
    static double x[SAMPLES * SIZE], d[SAMPLES * SIZE];
    const double sigma[SAMPLES] = {80, 80, 80, 80};
    hkd_config c = cifar10_small();
    hkd_model *m = NULL;
    c.is_hkd = true;
    hkd_status status = hkd_model_new(&m, &c, dev);
    if (!status) status = hkd_init_weights(m->weights, 1, true);
    for (int i = 0; i < SAMPLES * SIZE; i++) x[i] = 16.0 * (i * 7 % 11 - 5);
    for (int64_t i = 0; i <= rounds && !status; i++) {
        const double start = hkd_seconds();
        status = hkd_model_denoise(m, d, NULL, &(hkd_model_input){.n = SAMPLES, .x = x, .sigma = sigma});
        if (i) *best = fmin(*best, hkd_seconds() - start);
    }
    hkd_model_free(m);
    return status;
}

static hkd_status time_training(double *best, hkd_device *dev, int64_t rounds) {
    const hkd_images images = {BATCH, picture, NULL};
    const hkd_edm_objective edm = {.images = &images, .p_mean = -1.2, .p_std = 1.2, .seed = 1};
    const hkd_train_settings s = {.batch = BATCH, .micro_batch = BATCH, .images = 1000000, .lr = 1e-4, .lr_gamma = 1,
                                  .optimizer = HKD_OPTIMIZER_DEFAULT, .edm = &edm};
    const hkd_config c = cifar10_small();
    hkd_model *m = NULL;
    hkd_trainer *t = NULL;
    hkd_train_row row;
    hkd_status status = hkd_model_new(&m, &c, dev);
    if (!status) status = hkd_init_weights(m->weights, 1, false);
    if (!status) status = hkd_trainer_new(&t, m, &s);
    for (int64_t i = 0; i <= rounds && !status; i++) {
        const double start = hkd_seconds();
        status = hkd_trainer_step(t, &row);
        if (i) *best = fmin(*best, hkd_seconds() - start);
    }
    hkd_trainer_free(t);
    hkd_model_free(m);
    return status;
}

/* ---- turns ---- */

enum { GEMM, CONVOLUTION, SAMPLE, TRAINING, KINDS };

static hkd_status time_one(double *best, int kind, hkd_device *dev) {
    const product products[] = {
        {"linear", hkd_shape_of(2, (int64_t)1024, (int64_t)2304), hkd_shape_of(2, (int64_t)256, (int64_t)2304),
         hkd_shape_of(2, (int64_t)1024, (int64_t)256), {0}},
        {"conv2d", hkd_shape_of(4, (int64_t)1, (int64_t)256, (int64_t)32, (int64_t)32),
         hkd_shape_of(4, (int64_t)256, (int64_t)256, (int64_t)3, (int64_t)3),
         hkd_shape_of(4, (int64_t)1, (int64_t)256, (int64_t)32, (int64_t)32), {1, 1, 1, 1}}};
    if (kind == SAMPLE) return time_sample(best, dev, 2);
    return kind == TRAINING ? time_training(best, dev, 1) : time_product(best, dev, &products[kind], 3);
}

hkd_status hkd_bench_ratios(json_t *rows, hkd_device *opencl, int64_t rounds, int threads) {
    static const char *const work[KINDS] = {"product 256x1024x2304", "3x3 256->256 32x32", "one-step sample, cifar10-small",
                                            "training step, cifar10-small"};
    hkd_device *dev[DEVICES] = {opencl, NULL, NULL};
    hkd_status status = HKD_OK;
    for (int d = 1; d < DEVICES && !status; d++)
        status = hkd_device_open(&dev[d], "cpu", &(hkd_device_options){.threads = threads, .direct = d == 1});
    for (int kind = 0; kind < KINDS && !status; kind++) {
        double best[DEVICES] = {HUGE_VAL, HUGE_VAL, HUGE_VAL};
        for (int64_t round = 0; round < rounds && !status; round++)
            for (int d = 0; d < DEVICES && !status; d++) status = time_one(&best[d], kind, dev[d]);
        json_t *row = json_pack("{s:s}", "work", work[kind]);
        for (int d = 0; d < DEVICES; d++) json_object_set_new(row, device_name[d], json_real(best[d]));
        json_array_append_new(rows, row);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    }
    for (int d = 1; d < DEVICES; d++) hkd_device_close(dev[d]);
    return status;
}

void hkd_print_ratios(const json_t *rows) {
    size_t i;
    json_t *row;
    printf("| ms | opencl | cpu direct | cpu fast | opencl / direct | opencl / fast |\n|---|---|---|---|---|---|\n");
    json_array_foreach(rows, i, row) {
        double t[DEVICES];
        for (int d = 0; d < DEVICES; d++) t[d] = 1e3 * json_real_value(json_object_get(row, device_name[d]));
        printf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", json_string_value(json_object_get(row, "work")), t[0], t[1], t[2],
               t[0] / t[1], t[0] / t[2]);
    }
}
