/* Where memory is short: passes become smaller, before the run by the prediction or when the device refuses, and no bit of a
 * result changes. */
#include "cost.h"
#include "init.h"
#include "rng.h"
#include "small_model.h"
#include "test.h"
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { N = 11, SIZE = 3 * 8 * 8 };

/* A cpu device that has `most` bytes at once, and `left` altogether if asked. */
static struct {
    hkd_status (*alloc)(hkd_device *, hkd_buffer **, size_t, hkd_role);
    size_t most, left, seen; /* seen: the largest that was asked for */
    int refused;
} limit;

static hkd_status limited_alloc(hkd_device *dev, hkd_buffer **out, size_t bytes, hkd_role role) {
    if (bytes > limit.seen) limit.seen = bytes;
    if (bytes <= limit.most) return limit.alloc(dev, out, bytes, role);
    limit.refused++;
    *out = NULL;
    return HKD_RESOURCES;
}

static void limited_memory(const hkd_device *dev, size_t *left, size_t *largest) {
    (void)dev;
    *left = limit.left;
    *largest = limit.most;
}

static hkd_device *open_limited(void) {
    hkd_device *dev = NULL;
    CHECK(!hkd_device_open(&dev, "cpu", &(hkd_device_options){.threads = 1}), "%s", hkd_last_error());
    limit.alloc = dev->alloc;
    limit.most = limit.left = SIZE_MAX;
    limit.refused = 0;
    dev->alloc = limited_alloc;
    return dev;
}

static void which_pass(void) {
    static const int64_t expected[][3] = {/* n, without, with gradients */
        {1, 0, 0}, {3, 1, 0}, {4, 2, 0}, {6, 4, 0}, {8, 4, 4}, {11, 8, 0}, {16, 8, 8}, {20, 12, 4}, {24, 12, 12}, {40, 20, 20}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        for (int k = 0; k < 2; k++)
            CHECK(hkd_smaller_pass(expected[i][0], k) == expected[i][1 + k], "a pass of %d becomes %d", (int)expected[i][0],
                  (int)hkd_smaller_pass(expected[i][0], k));
}

/* The device refuses the batch in the middle of the work: what comes out is what comes out with room for all. */
static void refused_pass(void) {
    static double x[N * SIZE], sigma[N], d[2][N * SIZE];
    const hkd_config c = small_config(true, 0);
    hkd_random_normals(x, 0, N * SIZE, &(hkd_stream){.purpose = HKD_FOR_TEST});
    for (int i = 0; i < N; i++) sigma[i] = 1 + i;
    for (int k = 0; k < 2; k++) {
        hkd_device *dev = open_limited();
        hkd_model *m = small_model(&c, dev);
        if (k) limit.most = limit.seen - 1;
        else limit.seen = 0;
        CHECK(!hkd_model_denoise(m, d[k], NULL, &(hkd_model_input){.n = N, .x = x, .sigma = sigma}), "%s", hkd_last_error());
        CHECK(m->batch == (k ? 8 : 16) && (limit.refused > 0) == k, "passes of %d, %d refusals", (int)m->batch, limit.refused);
        limit.most = 1;
        m->batch = 2; /* there is no plan for it yet */
        CHECK(hkd_model_denoise(m, d[k], NULL, &(hkd_model_input){.n = 2, .x = x, .sigma = sigma}) == HKD_RESOURCES,
              "a pass without any memory went well");
        hkd_model_free(m);
        hkd_device_close(dev);
    }
    CHECK(!memcmp(d[0], d[1], sizeof d[0]), "pictures depend on how a batch was split");
}

static hkd_status picture(const hkd_images *self, int64_t index, double *image, int *label) {
    (void)self;
    hkd_random_normals(image, 0, SIZE, &(hkd_stream){.purpose = HKD_FOR_TEST, .draw = (uint32_t)index});
    *label = 0;
    return HKD_OK;
}

/* Two steps of training with and without room for the micro-batch: the same weights. */
static void refused_training(void) {
    const hkd_images images = {16, picture, NULL};
    const hkd_edm_objective edm = {.images = &images, .p_mean = -1.2, .p_std = 1.2, .seed = 3};
    const hkd_config c = small_config(false, 0);
    double *w[2] = {NULL, NULL};
    int64_t total = 0;
    for (int k = 0; k < 2; k++) {
        hkd_device *dev = open_limited();
        hkd_model *m = small_model(&c, dev);
        hkd_train_settings s = {.batch = 16, .micro_batch = 16, .images = 32, .lr = 1e-3, .lr_gamma = 1,
                                .optimizer = HKD_OPTIMIZER_DEFAULT, .edm = &edm};
        hkd_trainer *t = NULL;
        hkd_train_row row;
        if (k) limit.most = limit.seen - 1;
        else limit.seen = 0;
        CHECK(!hkd_trainer_new(&t, m, &s) && !hkd_trainer_step(t, &row) && !hkd_trainer_step(t, &row), "%s", hkd_last_error());
        CHECK(t && t->settings.micro_batch == (k ? 8 : 16), "the micro-batch did not follow the memory");
        total = hkd_weights_total(m->weights, false);
        w[k] = calloc((size_t)total, sizeof **w);
        for (int64_t i = 0, at = 0; i < m->weights->count; at += hkd_count(&m->weights->item[i++].value.shape))
            dev->download(dev, w[k] + at, HKD_F64, &m->weights->item[i].value);
        hkd_trainer_free(t);
        hkd_model_free(m);
        hkd_device_close(dev);
    }
    CHECK(!memcmp(w[0], w[1], (size_t)total * sizeof **w), "training depends on how a micro-batch was split");
    free(w[0]), free(w[1]);
}

/* The prediction before a run: what fits stays, what does not becomes smaller, by the total or by the largest piece. */
static void predicted(bool training, size_t *short_of) {
    extern const hkd_verb hkd_verb_sample;
    const hkd_config c = small_config(true, 0);
    hkd_device *dev = open_limited();
    hkd_model *m = small_model(&c, dev);
    const char *words[] = {"--quiet"};
    hkd_args quiet;
    hkd_memory b;
    hkd_parse_args(&quiet, &hkd_verb_sample, 1, words);
    dev->memory = limited_memory;
    int64_t batch = 64;
    CHECK(!hkd_fit_batch(&quiet, m, 256, &batch, training) && batch == 64, "a batch that fits became %d", (int)batch);
    CHECK(!hkd_predict_memory(&b, m, 64, training), "%s", hkd_last_error());
    *short_of = (short_of == &limit.most ? b.largest : b.training + b.plan + b.workspace) - 1;
    CHECK(!hkd_fit_batch(&quiet, m, 256, &batch, training) && batch == 32, "a batch that does not fit became %d", (int)batch);
    batch = 64;
    CHECK(!hkd_fit_batch(&quiet, m, 5, &batch, training) && batch == 64, "a batch that is never filled became %d", (int)batch);
    limit.most = SIZE_MAX;
    hkd_model_free(m);
    hkd_device_close(dev);
}

void test_room(void) {
    which_pass();
    refused_pass();
    refused_training();
    for (int training = 0; training < 2; training++) {
        predicted(training, &limit.most);
        predicted(training, &limit.left);
    }
}
