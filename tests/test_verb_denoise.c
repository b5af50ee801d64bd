/* hkd denoise: what it writes is what the network computes, in the promised precision; what does not fit is named. */
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5, SIZE = 3 * 8 * 8, CLASSES = 3 };

typedef struct {
    double x[N * SIZE], grad_d[N * SIZE], sigma[N], labels[N * CLASSES], dt[N];
} inputs;

static void fill(inputs *in) {
    hkd_random_normals(in->x, 0, N * SIZE, &(hkd_stream){.seed = 1, .purpose = HKD_FOR_TEST});
    hkd_random_normals(in->grad_d, 0, N * SIZE, &(hkd_stream){.seed = 2, .purpose = HKD_FOR_TEST});
    for (int i = 0; i < N; i++) {
        in->sigma[i] = 0.5 + i;
        in->dt[i] = -0.25 * i;
        for (int k = 0; k < CLASSES; k++) in->labels[i * CLASSES + k] = k == i % CLASSES;
    }
}

/* Write the inputs, the first `count` of x, sigma, class_labels, dt, grad_d; x in `type`. */
static void write(const char *path, const inputs *in, int count, hkd_stored type) {
    const hkd_shape image = hkd_shape_of(4, (int64_t)N, (int64_t)3, (int64_t)8, (int64_t)8), each = hkd_shape_of(1, (int64_t)N);
    const small_tensor t[] = {
        {"x", in->x, image, type}, {"sigma", in->sigma, each, HKD_FLOAT},
        {"class_labels", in->labels, hkd_shape_of(2, (int64_t)N, (int64_t)CLASSES), HKD_F16},
        {"dt", in->dt, each, HKD_DOUBLE}, {"grad_d", in->grad_d, image, HKD_DOUBLE},
    };
    small_tensor_file(path, t, count);
}

static void compare(const char *file, const char *name, const double *want, int64_t n, hkd_stored expected_type) {
    hkd_stored type = HKD_BOOL;
    int64_t count = 0;
    double *got = tensor_in_file(file, name, &type, &count);
    if (got && CHECK(type == expected_type && count == n, "%s: %s has %d values of type %s", file, name, (int)count,
                     hkd_stored_name(type)))
        CHECK(!memcmp(got, want, (size_t)n * sizeof *got), "%s: %s is not what the network gives", file, name);
    free(got);
}

/* Of two batches neither may be lost, dt must be read, every parameter's gradient must be there. */
static void same_as_library(const char *model, const inputs *in) {
    hkd_device *dev;
    hkd_model *m = NULL;
    static double d[N * SIZE], f[N * SIZE], grad_x[N * SIZE];
    CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}) && !hkd_model_load(&m, model, dev), "%s", hkd_last_error());
    const hkd_model_input all = {.n = N, .x = in->x, .sigma = in->sigma, .class_labels = in->labels, .dt = in->dt};
    hkd_weights_need_grad(m->weights);
    hkd_weights_zero_grad(m->weights);
    CHECK(!hkd_model_gradient(m, d, f, grad_x, in->grad_d, &all) && !hkd_weights_collect_grad(m->weights), "%s",
          hkd_last_error());
    write(scratch("in"), in, 5, HKD_DOUBLE);
    CHECK(program("denoise --device ref --batch 4 --grad --model %s --in %s --out %s", model, scratch("in"), scratch("out")) ==
              0,
          "%s", program_err());
    compare(scratch("out"), "d", d, N * SIZE, HKD_DOUBLE);
    compare(scratch("out"), "f", f, N * SIZE, HKD_DOUBLE);
    compare(scratch("out"), "grad.x", grad_x, N * SIZE, HKD_DOUBLE);
    for (int i = 0; i < m->weights->count; i++) {
        const hkd_weight *w = &m->weights->item[i];
        char name[256];
        snprintf(name, sizeof name, "grad.%s", w->name);
        double *want = malloc((size_t)hkd_count(&w->grad.shape) * sizeof *want + 1);
        dev->download(dev, want, HKD_F64, &w->grad);
        compare(scratch("out"), name, want, hkd_count(&w->grad.shape), HKD_DOUBLE);
        free(want);
    }
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* Half precision in, float32 out on the cpu; without dt an HKD model goes to the end. */
static void other_types(const char *model, const inputs *in) {
    inputs half = *in;
    for (int i = 0; i < N; i++) half.dt[i] = -1, half.sigma[i] = 80;
    for (int i = 0; i < N * SIZE; i++) half.x[i] = (int)(half.x[i] * 16) / 16.0; /* float16 values */
    write(scratch("half"), &half, 3, HKD_F16);
    write(scratch("double"), &half, 4, HKD_DOUBLE);
    CHECK(program("denoise --model %s --in %s --out %s", model, scratch("half"), scratch("out1")) == 0, "%s", program_err());
    CHECK(program("denoise --model %s --in %s --out %s", model, scratch("double"), scratch("out2")) == 0, "%s", program_err());
    double *want = tensor_in_file(scratch("out2"), "d", NULL, NULL);
    if (want) compare(scratch("out1"), "d", want, N * SIZE, HKD_FLOAT);
    free(want);
}

static void bad_input(const char *model, const inputs *in) {
    const hkd_shape image = hkd_shape_of(4, (int64_t)N, (int64_t)3, (int64_t)8, (int64_t)8), each = hkd_shape_of(1, (int64_t)N);
    const hkd_shape narrow = hkd_shape_of(4, (int64_t)N, (int64_t)3, (int64_t)4, (int64_t)16),
                    few = hkd_shape_of(1, (int64_t)N - 1);
    double negative[N] = {1, 1, -1, 1, 1};
    const struct {
        small_tensor t[2];
        int count;
        const char *says;
    } bad[] = {
        {{{"x", in->x, narrow, HKD_FLOAT}, {"sigma", in->sigma, each, HKD_FLOAT}}, 2, "'x' is [5,3,4,16], expected [N,3,8,8]"},
        {{{"x", in->x, image, HKD_FLOAT}, {"sigma", in->sigma, few, HKD_FLOAT}}, 2, "'sigma' is [4], expected [5]"},
        {{{"x", in->x, image, HKD_FLOAT}}, 1, "'sigma' is missing"},
        {{{"x", in->x, image, HKD_FLOAT}, {"sigma", negative, each, HKD_FLOAT}}, 2, "'sigma' holds -1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        small_tensor_file(scratch("bad"), bad[i].t, bad[i].count);
        program_refuses(3, bad[i].says, "denoise --model %s --in %s --out %s", model, scratch("bad"), scratch("none"));
    }
    write(scratch("in"), in, 4, HKD_FLOAT);
    program_refuses(3, "'grad_d' is missing", "denoise --grad --model %s --in %s --out %s", model, scratch("in"),
                    scratch("none"));
    program_refuses(3, "No such file", "denoise --model %s --in %s --out %s", scratch("nothing"), scratch("in"),
                    scratch("none"));
    program_refuses(3, "not a model", "denoise --model %s --in %s --out %s", scratch("in"), scratch("in"), scratch("none"));
    program_refuses(2, "cannot write", "denoise --model %s --in %s --out %s", model, scratch("in"), scratch("no/such/dir"));
    program_refuses(2, "--in is needed", "denoise --model %s --out %s", model, scratch("none"));
    CHECK(!hkd_exists(scratch("none")), "a failed run left a file");
    if (hkd_exists("/dev/full"))
        program_refuses(5, "No space left", "denoise --model %s --in %s --out /dev/full", model, scratch("in"));
}

void test_verb_denoise(void) {
    static inputs in;
    fill(&in);
    const hkd_config c = small_config(true, CLASSES);
    char model[512];
    snprintf(model, sizeof model, "%s", scratch("hkd.safetensors"));
    small_model_file(model, &c);
    same_as_library(model, &in);
    other_types(model, &in);
    bad_input(model, &in);
}
