/* The perceptual term of HKD's objective: its weights, its gradient, and LPIPS in its place. */
#include "cpu.h"
#include "image.h"
#include "program.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 3 * 8 * 8, STATES = 4 };
static const double levels[STATES] = {80, 10, 1, 0};

static hkd_status state(const hkd_trajectories *self, int64_t index, int i, double *x) {
    (void)self;
    for (int k = 0; k < SIZE; k++) x[k] = 0.7 * sin((double)(7 * index + k)) + levels[i] * cos((double)(index * SIZE + k));
    return HKD_OK;
}

static const hkd_trajectories trajectories = {8, STATES, levels, NULL, state, NULL, NULL};

/* The squared error once more, `context` times. */
static hkd_status squares(const hkd_perceptual *self, double *l, double *dx, const double *x, const double *y,
                          const double *weight, int64_t n) {
    const double factor = *(const double *)self->context / SIZE;
    for (int64_t i = 0; i < n; i++) {
        l[i] = 0;
        for (int64_t k = i * SIZE; k < (i + 1) * SIZE; k++) {
            l[i] += factor * (x[k] - y[k]) * (x[k] - y[k]);
            dx[k] = weight[i] * factor * 2 * (x[k] - y[k]);
        }
    }
    return HKD_OK;
}

/* The first step of a run with this objective. */
static hkd_train_row first_step(const hkd_hkd_objective *o, int64_t micro_batch, int64_t epoch) {
    const hkd_config c = small_config(true, 0);
    hkd_train_settings s = {.batch = 4, .micro_batch = micro_batch, .images = 100, .epoch_images = epoch, .lr = 1e-3,
                            .lr_gamma = 1, .optimizer = HKD_OPTIMIZER_DEFAULT, .hkd = o};
    hkd_device *dev = NULL;
    hkd_trainer *t = NULL;
    hkd_train_row row = {0};
    CHECK(!hkd_device_open_cpu(&dev, &(hkd_device_options){.threads = 2}), "%s", hkd_last_error());
    hkd_model *m = small_model(&c, dev);
    if (m && CHECK(!hkd_trainer_new(&t, m, &s), "%s", hkd_last_error()))
        CHECK(!hkd_trainer_step(t, &row), "%s", hkd_last_error());
    hkd_trainer_free(t);
    hkd_model_free(m);
    hkd_device_close(dev);
    return row;
}

static bool near(double a, double b) { return fabs(a / b - 1) < 1e-5; }

/* With the squared error as its own perceptual term (0.5 of it) every weight shows as a factor, in loss and gradient alike.
 * Catches a term without its gradient, one that replaces the other's, samples weighted twice, and passes mixed up. */
static void weights(void) {
    double half = 0.5;
    const hkd_perceptual term = {squares, &half};
    hkd_hkd_objective o = {.trajectories = &trajectories, .times = 3, .seed = 5, .lambda2 = 1};
    const hkd_train_row plain = first_step(&o, 8, 0);
    o.perceptual = &term;
    o.lambda1 = HKD_LAMBDA_ONE;
    hkd_train_row row = first_step(&o, 8, 0);
    CHECK(near(row.loss, 1.5 * plain.loss) && near(row.gradient_norm, 1.5 * plain.gradient_norm), "1 + 0.5: %g, gradient %g",
          row.loss / plain.loss, row.gradient_norm / plain.gradient_norm);
    CHECK(near(row.loss_end, 1.5 * plain.loss_end) && near(row.loss_path, 1.5 * plain.loss_path), "the parts of the loss");
    const hkd_train_row cut = first_step(&o, 4, 0);
    CHECK(cut.loss == row.loss && cut.gradient_norm == row.gradient_norm, "the micro-batch changes the result");
    o.lambda2 = 6;
    o.lambda1 = HKD_LAMBDA_TOWER;
    row = first_step(&o, 8, 0);
    CHECK(near(row.loss, 3.1 * plain.loss) && near(row.gradient_norm, 3.1 * plain.gradient_norm),
          "0.1 + 6 * 0.5: %g, gradient %g", row.loss / plain.loss, row.gradient_norm / plain.gradient_norm);
}

/* Both readings of the exponent, by the values of hkd.md C11; p changes from epoch to epoch only. */
static void schedule(void) {
    static const hkd_perceptual term = {squares, NULL};
    hkd_hkd_objective o = {.trajectories = &trajectories, .perceptual = &term};
    hkd_train_settings s = {.images = 400, .epoch_images = 100, .hkd = &o};
    static const double expected[2][4] = {{1, 0.177828, 0.0316228, 0.00562341}, {0.1, 0.0483, 0.0185, 0.00525}};
    for (int reading = 0; reading < 2; reading++) {
        o.lambda1 = reading ? HKD_LAMBDA_TOWER : HKD_LAMBDA_POWER;
        for (int epoch = 0; epoch < 4; epoch++) {
            const double at = hkd_train_lambda1(&s, 100 * epoch), later = hkd_train_lambda1(&s, 100 * epoch + 99);
            CHECK(fabs(at / expected[reading][epoch] - 1) < 3e-3 && at == later, "reading %d, epoch %d: %g", reading,
                  epoch, at);
        }
    }
    o.perceptual = NULL;
    CHECK(hkd_train_lambda1(&s, 300) == 1, "without a perceptual term lambda_1 is 1");
}

/* The first loss of a log. */
static double logged(const char *perceptual) {
    char log[512], line[512] = "";
    double loss = NAN;
    snprintf(log, sizeof log, "%s", scratch("log.csv"));
    const int code = program("train --quiet --objective hkd --teacher gaussian --data builtin:scenes --data-count 24 --rank 4 "
                             "--channels 4 --blocks 1 --mult 1,1 --attention 0 --trajectory-count 4 --trajectory-steps 3 "
                             "--times 1 --batch 4 --micro-batch 4 --images 4 --log %s --out %s %s", log,
                             scratch("m.safetensors"), perceptual);
    CHECK(!code, "%s: %s", perceptual, program_err());
    FILE *f = fopen(log, "r");
    for (int i = 0; i < 2 && f; i++) CHECK(fgets(line, sizeof line, f), "%s has no line %d", log, i);
    CHECK(sscanf(line, "%*d,%*d,%lf", &loss) == 1, "no row: %s", line);
    if (f) fclose(f);
    remove(log);
    return loss;
}

/* The verb with the real network: loss = lambda_1 MSE + lambda_2 LPIPS. */
static void verb(void) {
    char net[4096], words[8192];
    program_refuses(2, "expected lpips:FILE", "train --objective hkd --teacher gaussian --data builtin:scenes --data-count 8 "
                    "--rank 4 --perceptual vgg --out %s", scratch("m.safetensors"));
    if (!test_shared()) {
        test_skip("training with LPIPS", "no development data");
        return;
    }
    snprintf(net, sizeof net, "%s/data/lpips/lpips_squeeze.safetensors", test_shared());
    const double plain = logged("");
    double loss[3];
    for (int i = 0; i < 3; i++) {
        snprintf(words, sizeof words, "--perceptual lpips:%s --lambda1 %s --lambda2 %d", net, i == 2 ? "tower" : "power", i);
        loss[i] = logged(words);
    }
    const double lpips = loss[1] - loss[0];
    CHECK(near(loss[0], plain), "lambda_2 = 0: %g, without a term %g", loss[0], plain);
    CHECK(lpips > 0.01 && lpips < 2 * 2, "LPIPS at T and at another time: %g", lpips);
    CHECK(near(loss[2], 0.1 * plain + 2 * lpips), "lambda_1 = 0.1, lambda_2 = 2: %g, expected %g", loss[2],
          0.1 * plain + 2 * lpips);
}

void test_perceptual(void) {
    weights();
    schedule();
    verb();
}
