/* Whole runs on OpenCL as a user makes them, on a tiny network: sample, denoise with gradients, edit, trajectory and train come
 * out as on the reference, within what DESIGN's rule for networks allows, and twice the same; on the way nothing visits the
 * host, nothing is written outside of its buffer, and nothing is computed elsewhere. */
#ifdef HKD_OPENCL
#include "cost.h"
#include "guards.h"
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "small_model.h"
#include "trainer.h"
#endif
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HKD_OPENCL
enum { N = 5, SIZE = 3 * 8 * 8, DEVICES = 3 };
static const char *const device[DEVICES] = {"ref", "cpu --isa plain --math direct", "opencl"};
static char teacher[512], model[512];

static const char *out_of(int k) {
    char name[64];
    snprintf(name, sizeof name, "runs_%d.safetensors", k);
    return scratch(name);
}

static double distance(const double *a, const double *b, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* One tensor in the files of all devices, from `hkd VERB --device D ... --out F`: errors against the reference, relative to
 * its largest value. */
typedef struct {
    double plain, got;
} errors;

static errors errors_of(const char *name) {
    double *y[DEVICES], largest = 1e-30;
    int64_t n = 0;
    errors e = {0, INFINITY};
    for (int k = 0; k < DEVICES; k++) y[k] = tensor_in_file(out_of(k), name, NULL, &n);
    if (y[0] && y[1] && y[2]) {
        for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(y[0][i]));
        e = (errors){distance(y[1], y[0], n) / largest, distance(y[2], y[0], n) / largest};
    }
    for (int k = 0; k < DEVICES; k++) free(y[k]);
    return e;
}

static void judge(const char *what, const char *name, double got, double plain) {
    CHECK(got <= 2 * plain + 8.0 / 16777216, "%s: %s is off by %g of its largest value, the plain build by %g", what, name, got,
          plain);
}

static void near_reference(const char *what, const char *name) {
    const errors e = errors_of(name);
    judge(what, name, e.got, e.plain);
}

/* Once more: the same bits in every tensor. */
static void again(const char *words) {
    hkd_safetensors *st;
    CHECK(program("%s --device opencl --out %s", words, out_of(3)) == 0, "%s", program_err());
    if (!CHECK(!hkd_safetensors_open(&st, out_of(2)), "%s", hkd_last_error())) return;
    for (size_t i = 0; i < st->count; i++) {
        int64_t n = 0, m = -1;
        double *a = tensor_in_file(out_of(2), st->tensor[i].name, NULL, &n);
        double *b = tensor_in_file(out_of(3), st->tensor[i].name, NULL, &m);
        CHECK(a && b && n == m && !memcmp(a, b, (size_t)n * sizeof *a), "'%s' gives another %s when run again", words,
              st->tensor[i].name);
        free(a), free(b);
    }
    hkd_safetensors_close(st);
}

static void everywhere(const char *words) {
    for (int k = 0; k < DEVICES; k++)
        CHECK(program("%s --device %s --out %s", words, device[k], out_of(k)) == 0, "%s", program_err());
}

static void samples(void) {
    char words[700];
    snprintf(words, sizeof words, "sample --model %s --seeds 3-9", model);
    everywhere(words);
    near_reference("sample", "x");
    again(words);
    CHECK(strstr(program_err(), "opencl: ") && strstr(program_err(), "memory: passes of 7 images"), "not said: %s",
          program_err());
    CHECK(program("%s --device opencl --batch 3 --quiet --out %s", words, out_of(3)) == 0 && !*program_err(), "%s",
          program_err());
    double *a = tensor_in_file(out_of(2), "x", NULL, NULL), *b = tensor_in_file(out_of(3), "x", NULL, NULL);
    CHECK(a && b && !memcmp(a, b, 7 * SIZE * sizeof *a), "a picture depends on the batch it is made in");
    free(a), free(b);
}

static void gradients(void) {
    static double x[N * SIZE], g[N * SIZE], sigma[N] = {0.1, 1, 4, 20, 80};
    char words[1300];
    const hkd_shape image = hkd_shape_of(4, (int64_t)N, (int64_t)3, (int64_t)8, (int64_t)8), each = hkd_shape_of(1, (int64_t)N);
    hkd_random_normals(x, 0, N * SIZE, &(hkd_stream){.seed = 1, .purpose = HKD_FOR_TEST});
    hkd_random_normals(g, 0, N * SIZE, &(hkd_stream){.seed = 2, .purpose = HKD_FOR_TEST});
    const small_tensor t[] = {{"x", x, image, HKD_FLOAT}, {"sigma", sigma, each, HKD_FLOAT}, {"grad_d", g, image, HKD_FLOAT}};
    small_tensor_file(scratch("runs_in"), t, 3);
    snprintf(words, sizeof words, "denoise --grad --model %s --in %s", model, scratch("runs_in"));
    everywhere(words);
    again(words);
    hkd_safetensors *st;
    if (!CHECK(!hkd_safetensors_open(&st, out_of(2)), "%s", hkd_last_error())) return;
    double plain = 0; /* one gradient's error is one draw of chance: the largest of plain's counts, as in hkd verify */
    for (size_t i = 0; i < st->count; i++) plain = fmax(plain, errors_of(st->tensor[i].name).plain);
    for (size_t i = 0; i < st->count; i++) judge("denoise", st->tensor[i].name, errors_of(st->tensor[i].name).got, plain);
    hkd_safetensors_close(st);
}

/* The method's own identities hold to the bit: ratio 0 is the image, ratio 1 the reference, a path ends in the sample. */
static void identities(void) {
    static const char *const equals[] = {"image", "reference"};
    for (int ratio = 0; ratio < 2; ratio++) {
        CHECK(program("edit --device opencl --model %s --seeds 3,9 --reference-seeds 5,1 --ratio %d --out %s", model, ratio,
                      out_of(2)) == 0, "%s", program_err());
        double *edited = tensor_in_file(out_of(2), "edited", NULL, NULL);
        double *want = tensor_in_file(out_of(2), equals[ratio], NULL, NULL);
        CHECK(edited && want && !memcmp(edited, want, 2 * SIZE * sizeof *want), "ratio %d is not the %s", ratio, equals[ratio]);
        free(edited), free(want);
    }
    CHECK(program("sample --device opencl --model %s --seeds 3,9 --out %s", model, out_of(2)) == 0 &&
              program("trajectory --device opencl --model %s --seeds 3,9 --times 1,0.5,0 --out %s", model, out_of(3)) == 0,
          "%s", program_err());
    double *x = tensor_in_file(out_of(2), "x", NULL, NULL), *path = tensor_in_file(out_of(3), "decoded", NULL, NULL);
    CHECK(x && path && !memcmp(x, path + 4 * SIZE, 2 * SIZE * sizeof *x), "the path does not end in the one-step sample");
    free(x), free(path);
}

static void edits(void) {
    char words[700];
    snprintf(words, sizeof words, "edit --model %s --seeds 3,9 --reference-seeds 5,1 --ratio 0.6 --band 0:1/2", model);
    everywhere(words);
    near_reference("edit", "edited");
    again(words);
}

/* The losses of the first three steps in a log. */
static void losses(double loss[3], const char *log) {
    FILE *f = fopen(log, "r");
    char line[512];
    int rows = 0;
    if (f && fgets(line, sizeof line, f))
        while (rows < 3 && fgets(line, sizeof line, f) && sscanf(line, "%*d,%*d,%lf", &loss[rows]) == 1) rows++;
    if (f) fclose(f);
    CHECK(rows == 3, "%s has %d rows", log, rows);
}

/* Three steps of each objective: losses follow the reference (weights need not: where a gradient is nothing but rounding,
 * Adam makes a whole step of it). */
static void training(void) {
    static const char *const objective[] = {"--objective edm --data builtin:scenes:16 --data-count 24 --channels 8 --mult 1,1 "
                                            "--blocks 1 --attention 8",
                                            "--objective hkd --trajectory-count 8 --trajectory-steps 2 --times 1 --teacher"};
    for (int o = 0; o < 2; o++) {
        char words[1500];
        snprintf(words, sizeof words, "train %s %s --batch 8 --micro-batch 8 --images 24 --lr 1e-3 --seed 5 --log %s",
                 objective[o], o ? teacher : "", scratch("runs.csv"));
        double loss[DEVICES][3];
        for (int k = 0; k < DEVICES; k++) {
            CHECK(program("%s --device %s --out %s", words, device[k], out_of(k)) == 0, "%s", program_err());
            losses(loss[k], scratch("runs.csv"));
        }
        double plain = 0, largest = 0; /* the largest of plain's errors counts, as for gradients */
        for (int i = 0; i < 3; i++) {
            plain = fmax(plain, fabs(loss[1][i] - loss[0][i]));
            largest = fmax(largest, fabs(loss[0][i]));
        }
        for (int i = 0; i < 3; i++)
            CHECK(fabs(loss[2][i] - loss[0][i]) <= 2 * plain + 8.0 / 16777216 * largest,
                  "objective %d, step %d: loss %.9g, reference %.9g, plain %.9g", o, i + 1, loss[2][i], loss[0][i], loss[1][i]);
        again(words);
    }
}

/* What was predicted is what the device holds after the run. */
static void prediction(void) {
    static double x[6 * SIZE], sigma[6] = {1, 2, 3, 4, 5, 6}, d[6 * SIZE];
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    hkd_memory b;
    CHECK(!hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true}) && !hkd_model_load(&m, model, dev), "%s",
          hkd_last_error());
    const hkd_cl *cl = (const hkd_cl *)(const void *)dev;
    const size_t before = cl->used;
    CHECK(!hkd_predict_memory(&b, m, 6, false) && cl->used == before, "a prediction keeps memory");
    CHECK(!hkd_model_denoise(m, d, NULL, &(hkd_model_input){.n = 6, .x = x, .sigma = sigma}), "%s", hkd_last_error());
    const size_t used = cl->used - before, predicted = b.plan + b.workspace;
    CHECK(used >= predicted && used < predicted + 64 * (HKD_CL_SLACK + 256), "%zu bytes used, %zu predicted", used, predicted);
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* ---- what a device is asked for in a pass ---- */

static struct {
    hkd_status (*forward)(hkd_device *, const hkd_call *), (*backward)(hkd_device *, const hkd_call *);
    hkd_status (*upload)(hkd_device *, const hkd_tensor *, const void *, hkd_dtype);
    hkd_status (*download)(hkd_device *, void *, hkd_dtype, const hkd_tensor *);
    hkd_status (*sync)(hkd_device *);
    int calls, transfers, waits;
} asked;

static hkd_status count_forward(hkd_device *dev, const hkd_call *call) { return asked.calls++, asked.forward(dev, call); }
static hkd_status count_backward(hkd_device *dev, const hkd_call *call) { return asked.calls++, asked.backward(dev, call); }
static hkd_status count_upload(hkd_device *dev, const hkd_tensor *to, const void *from, hkd_dtype type) {
    return asked.transfers++, asked.upload(dev, to, from, type);
}
static hkd_status count_download(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from) {
    return asked.transfers++, asked.download(dev, to, type, from);
}
static hkd_status count_sync(hkd_device *dev) { return asked.waits++, asked.sync(dev); }

static void count_from_here(hkd_device *dev) {
    asked.forward = dev->forward, asked.backward = dev->backward, asked.upload = dev->upload;
    asked.download = dev->download, asked.sync = dev->sync;
    dev->forward = count_forward, dev->backward = count_backward, dev->upload = count_upload;
    dev->download = count_download, dev->sync = count_sync;
}

static hkd_status picture(const hkd_images *self, int64_t index, double *image, int *label) {
    (void)self;
    hkd_random_normals(image, 0, SIZE, &(hkd_stream){.purpose = HKD_FOR_TEST, .draw = (uint32_t)index});
    *label = 0;
    return HKD_OK;
}

static hkd_status sample_once(hkd_model *m) {
    static double x[4 * SIZE], sigma[4] = {80, 80, 80, 80}, d[4 * SIZE];
    return hkd_model_denoise(m, d, NULL, &(hkd_model_input){.n = 4, .x = x, .sigma = sigma});
}

static hkd_status train_twice(hkd_model *m) {
    const hkd_images images = {8, picture, NULL};
    const hkd_edm_objective edm = {.images = &images, .p_mean = -1.2, .p_std = 1.2, .seed = 3};
    const hkd_train_settings s = {.batch = 8, .micro_batch = 8, .images = 16, .lr = 1e-3, .lr_gamma = 1,
                                  .optimizer = HKD_OPTIMIZER_DEFAULT, .edm = &edm};
    hkd_trainer *t = NULL;
    hkd_train_row row;
    hkd_status status = hkd_trainer_new(&t, m, &s);
    if (!status) status = hkd_trainer_step(t, &row);
    asked.calls = asked.transfers = asked.waits = 0;
    if (!status) status = hkd_trainer_step(t, &row);
    hkd_trainer_free(t);
    return status;
}

/* Counts of one pass over a network of so many blocks, all its buffers guarded. */
static void one_pass(int blocks, bool training) {
    hkd_config c = small_config(!training, 0);
    hkd_device *dev;
    c.num_blocks = blocks;
    guards_about = training ? "a training step" : "a one-step sample";
    if (!CHECK(!hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true}), "%s", hkd_last_error())) return;
    guards_on(dev);
    hkd_model *m = small_model(&c, dev);
    count_from_here(dev);
    asked.calls = asked.transfers = asked.waits = 0;
    CHECK(m && !(training ? train_twice(m) : sample_once(m)), "%s", hkd_last_error());
    hkd_model_free(m);
    hkd_device_close(dev);
    CHECK(guards_end() > 50, "few buffers were guarded");
}

/* A network of three times the blocks asks for no more transfers: operators hand their tensors on inside the device. */
static void transfers(void) {
    for (int training = 0; training < 2; training++) {
        one_pass(1, training);
        const int calls = asked.calls, moved = asked.transfers, waits = asked.waits;
        one_pass(3, training);
        CHECK(asked.calls > 1.5 * calls, "%d calls in a small network, %d in a larger one", calls, asked.calls);
        CHECK(asked.transfers == moved && asked.waits == waits && moved < 16,
              "%s: %d transfers and %d waits for %d calls, but %d and %d for %d", guards_about, moved, waits, calls,
              asked.transfers, asked.waits, asked.calls);
    }
}

/* ---- what is not there ---- */

static bool (*all_supported)(const hkd_device *, const hkd_op *, bool);
static bool without_silu(const hkd_device *dev, const hkd_op *op, bool backward) {
    return strcmp(op->name, "silu") != 0 && all_supported(dev, op, backward);
}

/* An operator that the device lacks ends the run, by name: no other device takes its place. */
static void no_fallback(void) {
    const hkd_config c = small_config(true, 0);
    hkd_device *dev;
    if (!CHECK(!hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true}), "%s", hkd_last_error())) return;
    hkd_model *m = small_model(&c, dev);
    all_supported = dev->supports;
    dev->supports = without_silu;
    CHECK(m && sample_once(m) == HKD_DEVICE, "a network ran without silu");
    CHECK(strstr(hkd_last_error(), "silu") && strstr(hkd_last_error(), "opencl"), "not said: %s", hkd_last_error());
    hkd_model_free(m);
    hkd_device_close(dev);
}

void test_opencl_runs(void) {
    hkd_device *dev;
    setenv("POCL_CACHE_DIR", "build/pocl", 0);
    if (hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true})) {
        test_skip("opencl_runs", "no OpenCL device on this machine");
        return;
    }
    hkd_device_close(dev);
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    snprintf(model, sizeof model, "%s", scratch("runs_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("runs_teacher.safetensors"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    samples();
    gradients();
    identities();
    edits();
    training();
    prediction();
    transfers();
    no_fallback();
    program_refuses(HKD_DEVICE, "no device 'nosuch'", "sample --device opencl:nosuch --model %s --out %s", model, out_of(2));
}
#else
void test_opencl_runs(void) { test_skip("opencl_runs", "built without OpenCL"); }
#endif
