/* Whole networks, forward and in training, and where their time goes. */
#include "bench.h"

#include "init.h"
#include "os.h"
#include "status.h"
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

hkd_config hkd_bench_config(const hkd_bench *b) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.model_channels = (int)b->channels;
    c.img_resolution = (int)b->resolution;
    c.dropout = 0.13;
    return c;
}

/* ---- a device whose operators are watched ---- */

enum { MOST_OPS = 64 };

/* The device's own functions, and what went through them in this round. */
static struct {
    hkd_status (*forward)(hkd_device *, const hkd_call *), (*backward)(hkd_device *, const hkd_call *);
    const hkd_op *op[MOST_OPS + 1]; /* in the order they were met; ends with NULL */
    double seconds[MOST_OPS];
    double multiply_adds, bytes;
} watch;

/* Multiply-adds of one call; a Winograd convolution needs a quarter of the direct count, transforms aside. A way back is two
 * products of the same size. */
static double multiply_adds(const hkd_device *dev, const hkd_call *call, bool backward) {
    const double outputs = (double)hkd_count(&call->out[0].shape), ways = backward ? 2 : 1;
    const hkd_shape *w = &call->in[1].shape;
    if (!strcmp(call->op->name, "attention"))
        return ways * 2 * outputs * (double)(call->out[0].shape.dim[2] * call->out[0].shape.dim[3]);
    const bool convolution = !strncmp(call->op->name, "conv2d", 6);
    if (!convolution && strcmp(call->op->name, "linear") != 0) return 0;
    const double direct = ways * outputs * (double)hkd_count(w) / (double)w->dim[0];
    return convolution && dev->spread && dev->spread(dev, call) ? direct / 4 : direct;
}

/* What the call must move at least: each of its arrays once, in float32. */
static double bytes(const hkd_call *call) {
    double values = 0;
    for (int i = 0; i < HKD_MAX_IN; i++) {
        if (call->in[i].buffer) values += (double)hkd_count(&call->in[i].shape);
        if (call->grad[i].buffer) values += (double)hkd_count(&call->grad[i].shape);
    }
    for (int i = 0; i < HKD_MAX_OUT; i++) {
        if (call->out[i].buffer) values += (double)hkd_count(&call->out[i].shape);
        if (call->up[i].buffer) values += (double)hkd_count(&call->up[i].shape);
    }
    return 4 * values;
}

static hkd_status timed(hkd_device *dev, const hkd_call *call, hkd_status (*run)(hkd_device *, const hkd_call *)) {
    const double start = hkd_seconds();
    hkd_status status = run(dev, call);
    if (!status) status = dev->sync(dev);
    watch.multiply_adds += multiply_adds(dev, call, run == watch.backward);
    watch.bytes += bytes(call);
    int i = 0;
    while (watch.op[i] && watch.op[i] != call->op) i++;
    if (i == MOST_OPS) return status;
    watch.op[i] = call->op;
    watch.seconds[i] += hkd_seconds() - start;
    return status;
}

static hkd_status timed_forward(hkd_device *dev, const hkd_call *call) { return timed(dev, call, watch.forward); }
static hkd_status timed_backward(hkd_device *dev, const hkd_call *call) { return timed(dev, call, watch.backward); }

static json_t *profile_rows(double whole) {
    json_t *rows = json_array();
    for (int i = 0; watch.op[i]; i++)
        if (watch.seconds[i] > 0)
            json_array_append_new(rows, json_pack("{s:s, s:f, s:f}", "operator", watch.op[i]->name, "seconds",
                                                  watch.seconds[i], "percent", 100 * watch.seconds[i] / whole));
    return rows;
}

/* ---- rounds ---- */

/* Runs `once` in rounds; the first prepares (plan, pages) and is reported by itself. Memory is read before the machine
 * is measured, whose arrays are no part of the work. */
static hkd_status rounds(json_t *rows, const hkd_bench *b, const char *work, hkd_status (*once)(void *), void *self) {
    hkd_device *dev = b->dev;
    json_t *row = hkd_bench_row(rows, b, work);
    double least = HUGE_VAL;
    hkd_status status = HKD_OK;
    watch.forward = dev->forward, watch.backward = dev->backward;
    dev->forward = timed_forward, dev->backward = timed_backward;
    for (int64_t round = 0; !status && round <= b->rounds; round++) {
        memset(watch.seconds, 0, sizeof watch.seconds);
        watch.multiply_adds = watch.bytes = 0;
        const double start = hkd_seconds();
        status = once(self);
        const double seconds = hkd_seconds() - start, n = (double)b->batch;
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        if (!round) json_object_set_new(row, "first_pass_seconds", json_real(seconds));
        if (!round || status) continue;
        if (round == 1) {
            json_object_set_new(row, "peak_memory", json_integer((json_int_t)hkd_peak_memory()));
            hkd_bench_cost(row, watch.multiply_adds / n, watch.bytes / n);
        }
        if (seconds < least) json_object_set_new(row, "profile", profile_rows(least = seconds));
        hkd_bench_round(row, seconds / n, hkd_measure_machine(dev));
    }
    dev->forward = watch.forward, dev->backward = watch.backward;
    return status;
}

/* ---- forward ---- */

typedef struct {
    hkd_model *m;
    double *x, *d, *sigma;
    int64_t n;
} step;

static hkd_status step_once(void *self) {
    const step *s = self;
    return hkd_model_denoise(s->m, s->d, NULL, &(hkd_model_input){.n = s->n, .x = s->x, .sigma = s->sigma});
}

hkd_status hkd_bench_step(json_t *rows, const hkd_bench *b) {
    hkd_config c = hkd_bench_config(b);
    c.is_hkd = true;
    const int64_t size = b->batch * c.img_channels * c.img_resolution * c.img_resolution;
    step s = {.n = b->batch, .x = calloc((size_t)size, sizeof *s.x), .d = calloc((size_t)size, sizeof *s.d),
              .sigma = calloc((size_t)b->batch, sizeof *s.sigma)};
    hkd_status status = s.x && s.d && s.sigma ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld images",
                                                                  (long long)b->batch);
    if (!status) status = hkd_model_new(&s.m, &c, b->dev);
    if (!status) status = hkd_init_weights(s.m->weights, 1, true);
    for (int64_t i = 0; i < size && !status; i++) s.x[i] = 16.0 * (double)(i * 7 % 11 - 5);
    for (int64_t i = 0; i < b->batch && !status; i++) s.sigma[i] = 80;
    const double start = hkd_seconds();
    const bool prepared = b->frozen && b->dev->freeze;
    const char *work = prepared ? "one step, prepared weights" : "one step";
    if (!status && prepared) status = hkd_model_prepare(s.m, NULL, NULL);
    if (!status && prepared)
        json_object_set_new(hkd_bench_row(rows, b, work), "preparation_seconds", json_real(hkd_seconds() - start));
    if (!status) {
        s.m->batch = b->batch;
        status = rounds(rows, b, work, step_once, &s);
    }
    hkd_model_free(s.m);
    free(s.x), free(s.d), free(s.sigma);
    return status;
}

/* ---- training ---- */

static hkd_status picture(const hkd_images *self, int64_t index, double *image, int *label) {
    const int64_t size = *(const int64_t *)self->context;
    for (int64_t i = 0; i < size; i++) image[i] = 0.1 * (double)((index + i * 7) % 19) - 0.9;
    *label = 0;
    return HKD_OK;
}

static hkd_status train_once(void *self) {
    hkd_train_row row;
    return hkd_trainer_step(self, &row);
}

hkd_status hkd_bench_training(json_t *rows, const hkd_bench *b) {
    const hkd_config c = hkd_bench_config(b);
    int64_t size = (int64_t)c.img_channels * c.img_resolution * c.img_resolution;
    const hkd_images images = {1000, picture, &size};
    const hkd_edm_objective edm = {.images = &images, .p_mean = -1.2, .p_std = 1.2, .seed = 1};
    const hkd_train_settings settings = {.batch = b->batch, .micro_batch = b->micro_batch ? b->micro_batch : b->batch,
                                         .images = 1 << 30, .epoch_images = 1000, .lr = 1e-4, .lr_gamma = 1,
                                         .optimizer = HKD_OPTIMIZER_DEFAULT, .average = {0, 0}, .edm = &edm};
    hkd_model *m = NULL;
    hkd_trainer *t = NULL;
    hkd_status status = hkd_model_new(&m, &c, b->dev);
    if (!status) status = hkd_init_weights(m->weights, 1, false);
    if (!status) status = hkd_trainer_new(&t, m, &settings);
    if (!status) status = rounds(rows, b, "training step", train_once, t);
    hkd_trainer_free(t);
    hkd_model_free(m);
    return status;
}
