/* Training: that it learns, that it is a pure function of its settings, and that what goes wrong is said. */
#include "trainer.h"

#include "checkpoint.h"
#include "cpu.h"
#include "init.h"
#include "scratch.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RES = 4, SIZE = 3 * RES * RES, PICTURES = 12, STATES = 5 };

static hkd_status picture(const hkd_images *self, int64_t index, double *image, int *label) {
    (void)self;
    for (int i = 0; i < SIZE; i++) image[i] = 0.8 * sin((double)(index * 5 + i) * 0.7);
    *label = (int)(index % 3);
    return HKD_OK;
}

/* Straight lines from noise to a picture. */
static const double levels[STATES] = {80, 20, 4, 0.5, 0};

static hkd_status state(const hkd_trajectories *self, int64_t index, int i, double *x) {
    (void)self;
    int label;
    picture(NULL, index, x, &label);
    for (int k = 0; k < SIZE; k++) x[k] += levels[i] * cos((double)(index * SIZE + k) * 1.3);
    return HKD_OK;
}

static hkd_status label_of(const hkd_trajectories *self, int64_t index, int *label) {
    (void)self;
    *label = (int)(index % 3);
    return HKD_OK;
}

static const hkd_images images = {PICTURES, picture, NULL};
static const hkd_trajectories trajectories = {PICTURES, STATES, levels, NULL, state, label_of, NULL};
static const hkd_edm_objective edm = {&images, -1.2, 1.2, true, 3};
static const hkd_hkd_objective hkd = {&trajectories, 3, 3};

typedef struct {
    hkd_device *dev;
    hkd_model *model;
    hkd_trainer *trainer;
} run;

static run begin(bool distil, int threads, int64_t micro_batch) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = RES, c.model_channels = 8, c.levels = 2, c.num_blocks = 1, c.label_dim = 3, c.dropout = distil ? 0 : 0.1;
    c.channel_mult[0] = c.channel_mult[1] = 1, c.attn_resolutions[0] = 2, c.is_hkd = distil;
    hkd_train_settings s = {.batch = 8, .micro_batch = micro_batch, .images = 1000, .epoch_images = 100 * PICTURES, .lr = 2e-3,
                            .lr_warmup_images = 16, .lr_gamma = 0.95, .optimizer = HKD_OPTIMIZER_DEFAULT,
                            .edm = distil ? NULL : &edm, .hkd = distil ? &hkd : NULL};
    s.optimizer.clip = 50;
    run r = {0};
    CHECK(!hkd_device_open_cpu(&r.dev, &(hkd_device_options){.threads = threads}) && !hkd_model_new(&r.model, &c, r.dev) &&
              !hkd_init_weights(r.model->weights, 1, false) && !hkd_trainer_new(&r.trainer, r.model, &s), "%s",
                  hkd_last_error());
    return r;
}

static double steps(const run *r, int count) {
    hkd_train_row row = {0};
    double sum = 0;
    for (int i = 0; i < count; i++) {
        CHECK(!hkd_trainer_step(r->trainer, &row), "%s", hkd_last_error());
        sum += row.loss;
    }
    return sum / count;
}

static void end(run *r) {
    hkd_trainer_free(r->trainer);
    hkd_model_free(r->model);
    hkd_device_close(r->dev);
}

/* All weights, moments and averages are the same bits. */
static bool same_state(const run *a, const run *b) {
    bool same = true;
    for (int i = 0; i < a->model->weights->count; i++) {
        const hkd_tensor *ta[] = {&a->model->weights->item[i].value, &a->trainer->optimizer->m[i], &a->trainer->optimizer->v[i],
                                  &a->trainer->optimizer->ema[i]};
        const hkd_tensor *tb[] = {&b->model->weights->item[i].value, &b->trainer->optimizer->m[i], &b->trainer->optimizer->v[i],
                                  &b->trainer->optimizer->ema[i]};
        const size_t bytes = (size_t)hkd_count(&ta[0]->shape) * sizeof(float);
        float *x = malloc(2 * bytes + 1), *y = x + bytes / sizeof *x;
        for (int k = 0; k < 4; k++) {
            a->dev->download(a->dev, x, HKD_F32, ta[k]);
            b->dev->download(b->dev, y, HKD_F32, tb[k]);
            same = same && !memcmp(x, y, bytes);
        }
        free(x);
    }
    return same;
}

/* Threads and micro-batches (cut at groups of 4) change no bit. */
static void pure(bool distil) {
    run a = begin(distil, 1, 4), b = begin(distil, 3, 8);
    steps(&a, 4);
    steps(&b, 4);
    CHECK(same_state(&a, &b), "%s: the result depends on threads or micro-batch", distil ? "hkd" : "edm");
    end(&a);
    end(&b);
}

/* A run stopped and resumed from its checkpoint is the run that never stopped. */
static void resumed(bool distil) {
    const char *path = scratch("run.checkpoint");
    run whole = begin(distil, 2, 8), first = begin(distil, 2, 8), second = begin(distil, 2, 8);
    steps(&whole, 7);
    steps(&first, 3);
    CHECK(!hkd_checkpoint_save(first.trainer, path, "a") && !hkd_checkpoint_load(second.trainer, path, "a"), "%s",
          hkd_last_error());
    CHECK(second.trainer->images == 24 && second.trainer->optimizer->steps == 3, "the counts were not restored");
    CHECK(same_state(&first, &second), "the state was not restored");
    steps(&second, 4);
    CHECK(same_state(&whole, &second), "%s: the resumed run differs from the uninterrupted one", distil ? "hkd" : "edm");
    CHECK(hkd_checkpoint_load(second.trainer, path, "b") == HKD_USAGE, "a checkpoint of other settings was accepted");
    end(&whole);
    end(&first);
    end(&second);
}

static void learns(bool distil) {
    run r = begin(distil, 1, 8);
    const double before = steps(&r, 10);
    steps(&r, distil ? 150 : 400);
    const double after = steps(&r, 10);
    CHECK(after < 0.7 * before, "%s: the loss went from %g to %g only", distil ? "hkd" : "edm", before, after);
    end(&r);
}

/* A weight that is NaN: the step fails, names the operator that met it first, and leaves the other weights alone. */
static void poisoned(void) {
    run r = begin(true, 1, 8);
    hkd_train_row row;
    const hkd_weight *w = hkd_weights_find(r.model->weights, "model.dec.2x2_in0.norm1.weight");
    double values[8] = {1, 1, NAN, 1, 1, 1, 1, 1};
    if (CHECK(w, "no such weight")) {
        r.dev->upload(r.dev, &w->value, values, HKD_F64);
        CHECK(hkd_trainer_step(r.trainer, &row) == HKD_CHECK_FAILED, "a NaN went unnoticed");
        CHECK(strstr(hkd_last_error(), "group_norm+silu of model.dec.2x2_in0.norm1.weight"),
              "the message names another place: %s", hkd_last_error());
        CHECK(r.trainer->optimizer->steps == 0, "the step was counted");
    }
    end(&r);
}

/* Each pass of the endless shuffle visits every element once, and passes differ. */
static void shuffle(void) {
    for (int64_t count = 1; count <= 40; count += 13) {
        int seen[2][41] = {{0}};
        bool same = true;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t k = 0; k < count; k++) seen[pass][hkd_shuffled(count, pass * count + k, 9)]++;
        for (int64_t k = 0; k < count; k++) {
            CHECK(seen[0][k] == 1 && seen[1][k] == 1, "element %d of %d is not visited once", (int)k, (int)count);
            same = same && hkd_shuffled(count, k, 9) == hkd_shuffled(count, count + k, 9);
        }
        CHECK(!same || count == 1, "two passes over %d elements have one order", (int)count);
    }
}

/* EMA's half-life: after `half_life` pictures an old weight counts half. */
static void decay(void) {
    CHECK(fabs(hkd_ema_decay(256, 1e12) - pow(0.5, 256.0 / 500000)) < 1e-15, "the decay of a long run");
    CHECK(fabs(hkd_ema_decay(10, 1000) - pow(0.5, 10.0 / 50)) < 1e-15, "the decay during the ramp");
    CHECK(hkd_ema_decay(10, 0) == 0, "the first step copies the weights");
}

void test_training(void) {
    shuffle();
    decay();
    for (int distil = 0; distil < 2; distil++) {
        pure(distil);
        resumed(distil);
        learns(distil);
    }
    poisoned();
}
