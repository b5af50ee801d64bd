/* Training: that it learns, that it is a pure function of its settings, and that what goes wrong is said. */
#include "trainer.h"

#include "augment.h"
#include "checkpoint.h"
#include "cpu.h"
#include "init.h"
#include "model_inputs.h"
#include "os.h"
#include "scratch.h"
#include "sides.h"
#include "test.h"
#include "training.h"

#include <math.h>
#include <stdio.h>
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
static const hkd_edm_objective edm = {&images, -1.2, 1.2, true, 0, 3};
static const hkd_hkd_objective hkd = {.trajectories = &trajectories, .times = 3, .seed = 3};

typedef struct {
    hkd_device *dev;
    hkd_model *model;
    hkd_trainer *trainer;
} run;

/* What is trained: a denoiser, one that is told how its pictures were changed, or an HKD model. */
typedef enum { EDM, AUGMENTED, HKD } kind;
static const char *const kind_name[] = {"edm", "edm with augmentation", "hkd"};

static hkd_train_settings settings_of(kind what, int64_t micro_batch) {
    static const hkd_edm_objective augmented = {&images, -1.2, 1.2, false, 0.6, 3};
    hkd_train_settings s = {.batch = 8, .micro_batch = micro_batch, .images = 1000, .epoch_images = 100 * PICTURES, .lr = 2e-3,
                            .lr_warmup_images = 16, .lr_gamma = 0.95, .optimizer = HKD_OPTIMIZER_DEFAULT,
                            .average = HKD_AVERAGE_DEFAULT, .edm = what == EDM ? &edm : what == AUGMENTED ? &augmented : NULL,
                            .hkd = what == HKD ? &hkd : NULL};
    s.optimizer.clip = 50;
    return s;
}

static run begin_with(kind what, int threads, const hkd_train_settings *settings) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = RES, c.model_channels = 8, c.levels = 2, c.num_blocks = 1, c.label_dim = 3;
    c.dropout = what == HKD ? 0 : 0.1, c.augment_dim = what == AUGMENTED ? HKD_AUGMENT_LABELS : 0;
    c.channel_mult[0] = c.channel_mult[1] = 1, c.attn_resolutions[0] = 2, c.is_hkd = what == HKD;
    const hkd_train_settings s = *settings;
    run r = {0};
    CHECK(!hkd_device_open_cpu(&r.dev, &(hkd_device_options){.threads = threads}) && !hkd_model_new(&r.model, &c, r.dev) &&
              !hkd_init_weights(r.model->weights, 1, false) && !hkd_trainer_new(&r.trainer, r.model, &s), "%s",
                  hkd_last_error());
    return r;
}

static run begin(kind what, int threads, int64_t micro_batch) {
    const hkd_train_settings s = settings_of(what, micro_batch);
    return begin_with(what, threads, &s);
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
static void pure(kind what) {
    run a = begin(what, 1, 4), b = begin(what, 3, 8);
    steps(&a, 4);
    steps(&b, 4);
    CHECK(same_state(&a, &b), "%s: the result depends on threads or micro-batch", kind_name[what]);
    end(&a);
    end(&b);
}

/* A run stopped and resumed from its checkpoint is the run that never stopped. */
static void resumed(kind what) {
    const char *path = scratch("run.checkpoint");
    run whole = begin(what, 2, 8), first = begin(what, 2, 8), second = begin(what, 2, 8);
    steps(&whole, 7);
    steps(&first, 3);
    CHECK(!hkd_checkpoint_save(first.trainer, path, "lr=1\nseed=2\n") &&
              !hkd_checkpoint_load(second.trainer, path, "lr=1\nseed=2\n"), "%s", hkd_last_error());
    CHECK(second.trainer->images == 24 && second.trainer->optimizer->steps == 3, "the counts were not restored");
    CHECK(same_state(&first, &second), "the state was not restored");
    steps(&second, 4);
    CHECK(same_state(&whole, &second), "%s: the resumed run differs from the uninterrupted one", kind_name[what]);
    CHECK(hkd_checkpoint_load(second.trainer, path, "lr=1\nseed=3\n") == HKD_USAGE &&
              strstr(hkd_last_error(), "seed=2 there, seed=3 here"), "a checkpoint of other settings: %s", hkd_last_error());
    second.model->config.decoder_sigma = 1; /* no tensor's shape changes with it */
    CHECK(hkd_checkpoint_load(second.trainer, path, "lr=1\nseed=2\n") == (what == HKD ? HKD_USAGE : HKD_OK),
          "a checkpoint of another network was accepted");
    end(&whole);
    end(&first);
    end(&second);
}

static void learns(kind what) {
    run r = begin(what, 1, 8);
    const double before = steps(&r, 10);
    steps(&r, what == HKD ? 150 : 400);
    const double after = steps(&r, 10);
    CHECK(after < 0.7 * before, "%s: the loss went from %g to %g only", kind_name[what], before, after);
    end(&r);
}

/* A weight that is NaN: the step fails, names the operator that met it first, and leaves the other weights alone. */
static void poisoned(void) {
    run r = begin(HKD, 1, 8);
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

static void fill_weight(const run *r, const char *name, double value) {
    const hkd_weight *w = hkd_weights_find(r->model->weights, name);
    if (CHECK(w, "no weight %s", name)) CHECK(!r->dev->fill(r->dev, &w->value, value), "%s", hkd_last_error());
}

/* The loss is finite, its gradient is not: the last convolution sees zeros through weights near the largest float. */
static void poisoned_gradient(void) {
    run r = begin(EDM, 1, 8);
    hkd_train_row row = {0};
    fill_weight(&r, "model.dec.4x4_aux_norm.weight", 0);
    fill_weight(&r, "model.dec.4x4_aux_norm.bias", 0);
    fill_weight(&r, "model.dec.4x4_aux_conv.weight", 3e38);
    CHECK(hkd_trainer_step(r.trainer, &row) == HKD_CHECK_FAILED && isfinite(row.loss), "an infinite gradient went unnoticed");
    CHECK(strstr(hkd_last_error(), "first seen in"), "%s", hkd_last_error());
    CHECK(r.trainer->optimizer->steps == 0, "the step was counted");
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
    const hkd_average standard = HKD_AVERAGE_DEFAULT;
    CHECK(fabs(hkd_ema_decay(&standard, 256, 1e12) - pow(0.5, 256.0 / 500000)) < 1e-15, "the decay of a long run");
    CHECK(fabs(hkd_ema_decay(&standard, 10, 1000) - pow(0.5, 10.0 / 50)) < 1e-15, "the decay during the ramp");
    CHECK(hkd_ema_decay(&standard, 10, 0) == 0, "the first step copies the weights");
    CHECK(hkd_ema_decay(&(hkd_average){0, 0.05}, 10, 1e9) == 0, "half-life 0 must be no average");
    CHECK(fabs(hkd_ema_decay(&(hkd_average){100, 0}, 10, 0) - pow(0.5, 0.1)) < 1e-15, "the first step without a ramp");
}

/* ---- readings: each field does what it says, and not nothing ---- */

static hkd_train_row first_step(kind what, const hkd_train_settings *s) {
    hkd_train_row row = {0};
    run r = begin_with(what, 1, s);
    CHECK(!hkd_trainer_step(r.trainer, &row), "%s", hkd_last_error());
    end(&r);
    return row;
}

/* With one sample the norm is the root of the summed squares; summed times count as many times as there are. */
static void loss_readings(void) {
    hkd_hkd_objective o = {.trajectories = &trajectories, .times = 0, .seed = 3};
    hkd_train_settings s = settings_of(HKD, 1);
    s.hkd = &o, s.batch = 1;
    const double mse = first_step(HKD, &s).loss;
    o.distance = HKD_DISTANCE_L2;
    const double norm = first_step(HKD, &s).loss;
    CHECK(fabs(norm - sqrt(mse * SIZE)) < 1e-5 * norm, "|d - y| = %g, mean of squares %g", norm, mse);
    o = hkd, s = settings_of(HKD, 8), s.hkd = &o;
    hkd_train_row row = first_step(HKD, &s);
    CHECK(fabs(row.loss - row.loss_end - row.loss_path) < 1e-6 * row.loss, "the mean over times");
    o.sum_times = true;
    row = first_step(HKD, &s);
    CHECK(fabs(row.loss - row.loss_end - 3 * row.loss_path) < 1e-6 * row.loss, "the sum over times");
}

/* With a decay that drowns the gradient, Adam's first step moves every weight by lr towards 0. */
static void weight_decay(void) {
    hkd_train_settings s = settings_of(EDM, 8);
    s.optimizer.weight_decay = 1e6, s.optimizer.clip = 1e-3, s.lr_warmup_images = 0, s.lr = 1e-4;
    run r = begin_with(EDM, 1, &s);
    const hkd_tensor *w = &hkd_weights_find(r.model->weights, "model.enc.4x4_conv.weight")->value;
    const int64_t count = hkd_count(&w->shape);
    double *before = malloc((size_t)count * 2 * sizeof *before), *after = before + count;
    r.dev->download(r.dev, before, HKD_F64, w);
    steps(&r, 1);
    r.dev->download(r.dev, after, HKD_F64, w);
    int wrong = 0;
    for (int64_t i = 0; i < count; i++)
        wrong += fabs(before[i]) > 1e-3 && fabs(fabs(before[i]) - fabs(after[i]) - 1e-4) > 1e-6;
    CHECK(!wrong, "%d of %d weights did not shrink by lr", wrong, (int)count);
    free(before);
    end(&r);
}

/* Half-life 0: what is saved as the average are the weights themselves. */
static void no_average(void) {
    hkd_train_settings s = settings_of(HKD, 8);
    for (int with = 0; with < 2; with++) {
        s.average = (hkd_average){with ? 100 : 0, 0};
        run r = begin_with(HKD, 1, &s);
        steps(&r, 2);
        const int k = (int)(hkd_weights_find(r.model->weights, "model.enc.4x4_conv.weight") - r.model->weights->item);
        const hkd_tensor *w = &r.model->weights->item[k].value;
        float a[8 * 27], b[8 * 27];
        r.dev->download(r.dev, a, HKD_F32, w);
        r.dev->download(r.dev, b, HKD_F32, &r.trainer->optimizer->ema[k]);
        CHECK((memcmp(a, b, sizeof a) == 0) == !with, "half-life %d: the average %s the weights", with ? 100 : 0,
              with ? "is" : "is not");
        end(&r);
    }
}

/* ln sigma ~ N(p_mean, 0); and pictures are changed as their labels say, each in its own way. */
static void edm_batch(void) {
    const hkd_edm_objective o = {.images = &images, .p_mean = 0.5, .p_std = 0, .augment = 1, .seed = 5};
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = RES, c.augment_dim = HKD_AUGMENT_LABELS;
    hkd_train_batch *b = NULL;
    if (!CHECK(!hkd_train_batch_new(&b, &c, 4) && !hkd_edm_fill(&o, &c, b, 8, NULL), "%s", hkd_last_error())) return;
    for (int i = 0; i < 4; i++) {
        double y[SIZE], label[HKD_AUGMENT_LABELS];
        int class_label;
        const hkd_augment a = hkd_augment_draw(1, 5, (uint32_t)(8 + i));
        picture(NULL, hkd_shuffled(PICTURES, 8 + i, 5), y, &class_label);
        hkd_augment_label(label, &a);
        hkd_augment_apply(y, y, 3, RES, RES, &a);
        CHECK(fabs(b->sigma[i] - exp(0.5)) < 1e-6, "sigma is %g", b->sigma[i]);
        CHECK(!memcmp(y, b->target + i * SIZE, sizeof y), "picture %d was not changed as drawn for it", i);
        CHECK(!memcmp(label, b->augment_labels + i * HKD_AUGMENT_LABELS, sizeof label), "the label of picture %d", i);
    }
    CHECK(memcmp(b->augment_labels, b->augment_labels + HKD_AUGMENT_LABELS, sizeof(double) * HKD_AUGMENT_LABELS),
          "all pictures are changed alike");
    hkd_train_batch_free(b);
}

/* The network learns from the label: its weights move. */
static void label_is_seen(void) {
    run r = begin(AUGMENTED, 1, 8);
    const hkd_weight *w = hkd_weights_find(r.model->weights, "model.map_augment.weight");
    double *values = malloc((size_t)hkd_count(&w->value.shape) * 2 * sizeof *values);
    double *later = values + hkd_count(&w->value.shape);
    r.dev->download(r.dev, values, HKD_F64, &w->value);
    steps(&r, 3);
    r.dev->download(r.dev, later, HKD_F64, &w->value);
    CHECK(memcmp(values, later, (size_t)hkd_count(&w->value.shape) * sizeof *values), "map_augment is never trained");
    free(values);
    end(&r);
}

/* ---- Propositions C.2 and C.3 in the log ---- */

/* What decodes from the latents of `x` (noise level sigma), moved by dt, as a picture of x_T. */
static void decoded(const run *r, double *d, const double *x, double sigma, double dt, const double *x_T,
                    const double *labels) {
    double *z[HKD_MAX_LATENTS + 1];
    const double top[1] = {80}, level[1] = {sigma}, by[1] = {dt};
    const hkd_model_input from = {.n = 1, .x = x, .sigma = level, .class_labels = labels};
    const hkd_model_input to = {.n = 1, .x = x_T, .sigma = top, .class_labels = labels, .dt = by};
    CHECK(!hkd_latents_new(z, r->model, 1) && !hkd_model_encode(r->model, z, &from) &&
              !hkd_model_decode(r->model, d, NULL, (const double *const *)z, &to), "%s", hkd_last_error());
    free(z[0]);
}

/* The image side telescopes: it is the squared distance between two whole decodings, whatever the levels do in between. Catches
 * a level that is left out or exchanged twice, another input, another time. And it never falls below the latent side. */
static void sides(void) {
    run r = begin(HKD, 1, 8);
    hkd_consistency c = {0}, again = {0};
    double want = 0;
    steps(&r, 20); /* operators and levels that are not 0 */
    CHECK(!hkd_train_sides(&c, r.model, &trajectories) && !hkd_train_sides(&again, r.model, &trajectories), "%s",
          hkd_last_error());
    CHECK(c.loss == again.loss && c.bound == again.bound && c.rho == again.rho, "another value the second time");
    for (int i = 0; i < HKD_SIDES_PATHS; i++)
        for (int k = 1; k <= HKD_SIDES_TIMES; k++) { /* STATES = 5: a quarter of the way is one state */
            double x_T[SIZE], x[SIZE], a[SIZE], b[SIZE], label[3] = {i % 3 == 0, i % 3 == 1, i % 3 == 2};
            state(&trajectories, i, 0, x_T);
            state(&trajectories, i, k, x);
            decoded(&r, a, x_T, 80, -1, x_T, label);
            decoded(&r, b, x, levels[k], hkd_dt_to_end(&r.model->config, levels[k]), x_T, label);
            for (int e = 0; e < SIZE; e++) want += (a[e] - b[e]) * (a[e] - b[e]) / (HKD_SIDES_PATHS * HKD_SIDES_TIMES);
        }
    CHECK(fabs(c.loss - want) < 1e-4 * want, "image side %.9g, from whole decodings %.9g", c.loss, want);
    CHECK(c.loss >= c.bound && c.loss > 0, "image side %g, latent side %g", c.loss, c.bound);
    CHECK(c.rho > 0 && c.rho <= 1, "rho = %g", c.rho);
    end(&r);
    run plain = begin(EDM, 1, 8);
    CHECK(hkd_train_sides(&c, plain.model, &trajectories) == HKD_USAGE, "a denoiser has two sides");
    end(&plain);
}

/* Of one trajectory and state, with an operator on the bottleneck alone: |gap|^2 and |e^{(eps-t) A} gap|^2 with gap = E(x_t) -
 * e^{(t-T) A} E(x_T), and the square of what the picture changes when the bottleneck goes from the one end to the other. */
typedef struct {
    double now, later, change;
} exchanged;

static void turn(double *p, double *q, double alpha, double beta, double dt) {
    const double g = exp(alpha * dt), c = cos(beta * dt), s = sin(beta * dt), x = *p, y = *q;
    *p = g * (c * x + s * y);
    *q = g * (c * y - s * x);
}

static exchanged exchange_one(const run *r, const double *a, int64_t half, int64_t area, int i, int k) {
    const hkd_config *c = &r->model->config;
    const double label[3] = {i % 3 == 0, i % 3 == 1, i % 3 == 2}, sigma[2] = {80, levels[k]}, zero[1] = {0};
    const double t = hkd_time_of_sigma(c, levels[k]);
    const int last = hkd_model_latent_count(r->model) - 1;
    double x[2][SIZE], d[2][SIZE], *z[2][HKD_MAX_LATENTS + 1];
    exchanged e = {0, 0, 0};
    for (int q = 0; q < 2; q++) {
        state(&trajectories, i, q ? k : 0, x[q]);
        const hkd_model_input in = {.n = 1, .x = x[q], .sigma = &sigma[q], .class_labels = label};
        CHECK(!hkd_latents_new(z[q], r->model, 1) && !hkd_model_encode(r->model, z[q], &in), "%s", hkd_last_error());
    }
    double *w = z[0][last], *at = z[1][last];
    for (int64_t m = 0; m < half; m++) { /* pair m / area at place m % area */
        const int64_t p = m / area * 2 * area + m % area, q = p + area;
        double u = w[p], v = w[q];
        turn(&u, &v, a[m], a[half + m], t - 1);
        const double square = (at[p] - u) * (at[p] - u) + (at[q] - v) * (at[q] - v);
        e.now += square;
        e.later += exp(-2 * a[m] * t) * square;
        turn(&w[p], &w[q], a[m], a[half + m], -1);
        turn(&at[p], &at[q], a[m], a[half + m], -t);
    }
    const hkd_model_input end_of = {.n = 1, .x = x[0], .sigma = sigma, .class_labels = label, .dt = zero};
    for (int q = 0; q < 2; q++) {
        if (q) memcpy(w, at, (size_t)(2 * half) * sizeof *w);
        CHECK(!hkd_model_decode(r->model, d[q], NULL, (const double *const *)z[0], &end_of), "%s", hkd_last_error());
    }
    for (int n = 0; n < SIZE; n++) e.change += (d[1][n] - d[0][n]) * (d[1][n] - d[0][n]);
    free(z[0][0]), free(z[1][0]);
    return e;
}

/* With one operator rho = 0 and the factor is 1: the latent side is min change / later, times e^{-2 max alpha t}, times the
 * mean of now, recomputed here with the exponential of the operator. */
static void one_level(void) {
    const hkd_train_settings s = settings_of(HKD, 8);
    run r = {0};
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = RES, c.model_channels = 8, c.levels = 2, c.num_blocks = 1, c.label_dim = 3, c.dropout = 0;
    c.channel_mult[0] = c.channel_mult[1] = 1, c.attn_resolutions[0] = 2, c.is_hkd = true;
    c.hierarchy = HKD_HIERARCHY_BOTTLENECK;
    CHECK(!hkd_device_open_ref(&r.dev, &(hkd_device_options){0}) && !hkd_model_new(&r.model, &c, r.dev) &&
              !hkd_init_weights(r.model->weights, 1, true) && !hkd_trainer_new(&r.trainer, r.model, &s), "%s",
          hkd_last_error());
    steps(&r, 3);
    hkd_consistency got = {0};
    CHECK(!hkd_train_sides(&got, r.model, &trajectories), "%s", hkd_last_error());
    const hkd_tensor *w = &hkd_weights_find(r.model->weights, "koopman.bottleneck")->value;
    const int64_t half = hkd_count(&w->shape) / 2, area = w->shape.dim[1] * w->shape.dim[2];
    double *a = malloc((size_t)(2 * half) * sizeof *a), bound = 0, loss = 0, top = -INFINITY;
    r.dev->download(r.dev, a, HKD_F64, w);
    for (int64_t m = 0; m < half; m++) top = fmax(top, a[m]);
    for (int k = 1; k <= HKD_SIDES_TIMES; k++) {
        double eta = INFINITY, gap = 0;
        for (int i = 0; i < HKD_SIDES_PATHS; i++) {
            const exchanged e = exchange_one(&r, a, half, area, i, k);
            eta = fmin(eta, e.change / e.later);
            gap += e.now / HKD_SIDES_PATHS;
            loss += e.change / (HKD_SIDES_PATHS * HKD_SIDES_TIMES);
        }
        bound += eta * exp(-2 * top * hkd_time_of_sigma(&c, levels[k])) * gap / HKD_SIDES_TIMES;
    }
    CHECK(got.rho == 0 && fabs(got.loss - loss) < 1e-9 * loss, "image side %.12g, by hand %.12g", got.loss, loss);
    CHECK(bound > 0 && fabs(got.bound - bound) < 1e-9 * bound, "latent side %.12g, by hand %.12g", got.bound, bound);
    free(a);
    end(&r);
}

/* The number of commas in line `line` of a text, from 1; -1: there is no such line. */
static int commas(const char *text, int line) {
    int count = 0;
    for (; line > 1; line--) {
        text = strchr(text, '\n');
        if (!text++ || !*text) return -1;
    }
    for (; *text && *text != '\n'; text++) count += *text == ',';
    return count;
}

/* A run of `length` pictures with a log; the text of the log, which the caller frees. */
static char *logged(int64_t length, int64_t every, bool resume) {
    hkd_train_settings s = settings_of(HKD, 8);
    s.images = length;
    run r = begin_with(HKD, 1, &s);
    char log[512], checkpoint[512];
    unsigned char *text = NULL;
    size_t count;
    snprintf(log, sizeof log, "%s", scratch("sides.csv"));
    snprintf(checkpoint, sizeof checkpoint, "%s", scratch("sides.checkpoint"));
    training_run t = {.trainer = r.trainer, .what = "distil", .settings = "seed=3\n", .checkpoint = checkpoint,
                      .every = 1e9, .log = log, .sides_every = every, .resume = resume, .quiet = true};
    CHECK(!training_run_to_end(&t) && !hkd_read_file(&text, &count, log, 1 << 20), "%s", hkd_last_error());
    end(&r);
    return (char *)text;
}

/* Columns only where they are wanted, numbers only where they were measured; a stopped run goes on with the same bytes; a log
 * of an older version keeps its form, whatever the new one would write. */
static void sides_in_the_log(void) {
    char *whole = logged(32, 2, false), *cut = logged(16, 2, false), *resumed_log = logged(32, 2, true), *old, *continued;
    CHECK(strstr(whole, "consistency_loss,consistency_bound,consistency_rho\n"), "no columns: %.200s", whole);
    CHECK(commas(whole, 1) == 11 && commas(whole, 2) == 11 && commas(whole, 3) == 11, "ragged rows:\n%s", whole);
    const char *second = strchr(strchr(whole, '\n') + 1, '\n');
    CHECK(second && !memcmp(second - 3, ",,,", 3) && second[1] == '2', "step 1 was measured, or step 2 is missing:\n%s", whole);
    CHECK(strchr(second + 1, '\n')[-1] != ',', "step 2 was not measured:\n%s", whole);
    CHECK(!strcmp(whole, resumed_log), "the resumed log differs:\n%s\n%s", whole, resumed_log);
    old = logged(16, 0, false);
    continued = logged(32, 2, true);
    CHECK(commas(old, 1) == 8 && commas(continued, 1) == 8 && commas(continued, 5) == 8 && commas(continued, 6) == -1,
          "a log without the columns got them:\n%s", continued);
    free(whole), free(cut), free(resumed_log), free(old), free(continued);
}

void test_training(void) {
    sides();
    one_level();
    sides_in_the_log();
    shuffle();
    decay();
    for (kind what = EDM; what <= HKD; what++) {
        pure(what);
        resumed(what);
        if (what != AUGMENTED) learns(what);
    }
    loss_readings();
    weight_decay();
    no_average();
    edm_batch();
    label_is_seen();
    poisoned();
    poisoned_gradient();
}
