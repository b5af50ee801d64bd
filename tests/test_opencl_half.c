/* Storage as float16 on OpenCL: every store rounds to nearest, what must stay float32 does, whole runs come out as with float32
 * but for that rounding, in less memory, and what has no gradients refuses to give any. */
#ifdef HKD_OPENCL
#include "cost.h"
#include "fill.h"
#include "guards.h"
#include "half.h"
#include "program.h"
#include "scratch.h"
#include "small_model.h"
#endif
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HKD_OPENCL
enum { SIZE = 3 * 8 * 8, EACH = 9, MOST = EACH * 64 };
static char model[512];

static bool same(double a, double b) { return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)); }

/* Around every power of 2 that float16 has, subnormal ones too: neighbours, ties to either side, and numbers just off a tie,
 * which a store that cuts digits off, rounds up, or takes ties away from 0 gets wrong. */
static int telling(double x[MOST]) {
    static const double odd[] = {65504, 65519, 65520, -65536, 1e30, INFINITY, -INFINITY, NAN, -0.0, 0x1p-25, 0x1.8p-25,
                                 0x1p-26};
    int n = 0;
    for (int e = -20; e < 15; e++) {
        const double step = ldexp(1, (e < -14 ? -14 : e) - 10), at = ldexp(1, e);
        const double off[EACH] = {0, 0.25, 0.5, 0.5 + 0x1p-8, 0.5 - 0x1p-8, 0.75, 1, 1.5, 1.5 + 0x1p-8};
        for (int i = 0; i < EACH; i++, n++) x[n] = (n % 2 ? -1 : 1) * (at + off[i] * step);
    }
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) x[n++] = odd[i];
    return n;
}

/* A tensor that goes up and comes back. */
static void there_and_back(double *got, hkd_device *dev, const double *x, const hkd_shape *shape, hkd_role role) {
    hkd_tensor t;
    CHECK(!hkd_tensor_new(dev, &t, shape, role) && !dev->upload(dev, &t, x, HKD_F64) && !dev->download(dev, got, HKD_F64, &t),
          "%s", hkd_last_error());
    hkd_tensor_free(dev, &t);
}

static void rounding(hkd_device *dev) {
    double x[MOST], got[MOST];
    const int n = telling(x);
    const hkd_shape row = hkd_shape_of(1, (int64_t)n), matrix = hkd_shape_of(2, (int64_t)1, (int64_t)n);
    CHECK(dev->bytes(dev, &matrix, HKD_ACTIVATION) == 2 * (size_t)n, "an activation does not take two bytes a number");
    there_and_back(got, dev, x, &matrix, HKD_ACTIVATION);
    for (int i = 0; i < n; i++)
        CHECK(same(got[i], hkd_round_half(x[i])), "%a is stored as %a, nearest is %a", x[i], got[i], hkd_round_half(x[i]));
    const struct { const char *what; const hkd_shape *shape; hkd_role role; } whole[] = {
        {"a weight", &matrix, HKD_WEIGHT}, {"one number per image", &row, HKD_ACTIVATION}, {"state", &matrix, HKD_STATE}};
    for (int k = 0; k < 3; k++) {
        there_and_back(got, dev, x, whole[k].shape, whole[k].role);
        for (int i = 0; i < n; i++)
            CHECK(same(got[i], (double)(float)x[i]), "%s %a is stored as %a", whole[k].what, x[i], got[i]);
    }
}

/* s x, in place: the operator's result is rounded once, from float32, as is what fills a tensor. No gradient comes of it. */
static void results(hkd_device *dev) {
    double x[MOST], got[MOST];
    const int n = telling(x);
    const hkd_shape shape = hkd_shape_of(2, (int64_t)1, (int64_t)n);
    const double s = 1 + 0x1p-7;
    hkd_call call = {.op = hkd_find_op("scale")};
    for (int i = 0; i < n; i++) x[i] = hkd_round_half(x[i]);
    call.p[hkd_op_param_index(call.op, "s")] = s;
    CHECK(!hkd_tensor_new(dev, &call.in[0], &shape, HKD_ACTIVATION) && !dev->upload(dev, &call.in[0], x, HKD_F64), "%s",
          hkd_last_error());
    call.out[0] = call.in[0];
    CHECK(!hkd_device_forward(dev, &call) && !dev->download(dev, got, HKD_F64, &call.out[0]), "%s", hkd_last_error());
    for (int i = 0; i < n; i++)
        CHECK(same(got[i], hkd_round_half(s * x[i])), "%a times %a is stored as %a", s, x[i], got[i]);
    for (int k = 0; k < n; k++) {
        CHECK(!dev->fill(dev, &call.out[0], 0.1 * k) && !dev->download(dev, got, HKD_F64, &call.out[0]), "%s",
              hkd_last_error());
        CHECK(got[0] == hkd_round_half((float)(0.1 * k)) && got[n - 1] == got[0], "filled with %g: %a", 0.1 * k, got[0]);
    }
    call.up[0] = call.grad[0] = call.in[0];
    CHECK(hkd_device_backward(dev, &call) == HKD_DEVICE, "there is a gradient");
    hkd_tensor_free(dev, &call.in[0]);
}

/* Largest difference of two files' tensor, relative to the first's largest value. */
static double apart(const char *name, const char *file_a, const char *file_b) {
    int64_t n = 0, m = 0;
    double *a = tensor_in_file(file_a, name, NULL, &n), *b = tensor_in_file(file_b, name, NULL, &m), off = 0, size = 0;
    for (int64_t i = 0; a && b && n == m && i < n; i++) off = fmax(off, fabs(a[i] - b[i])), size = fmax(size, fabs(a[i]));
    const double relative = a && b && n == m ? off / size : INFINITY;
    free(a), free(b);
    return relative;
}

/* Each verb: near float32, further than float32 could be, and twice the same bits. */
static void runs(const char *words, const char *tensor) {
    char path[3][512];
    for (int k = 0; k < 3; k++) {
        snprintf(path[k], sizeof path[k], "%s%d.safetensors", scratch("half_"), k);
        CHECK(program("%s --device opencl%s --out %s", words, k ? " --half" : "", path[k]) == 0, "%s", program_err());
    }
    const double off = apart(tensor, path[0], path[1]), again = apart(tensor, path[1], path[2]);
    CHECK(off > 0x1p-16 && off < 0x1p-6, "'%s': float16 storage moves %s by %g of its largest value", words, tensor, off);
    CHECK(again == 0, "'%s' gives another %s when run again", words, tensor);
}

static void whole_runs(void) {
    static double x[5 * SIZE], sigma[5] = {0.1, 1, 4, 20, 80};
    const hkd_shape image = hkd_shape_of(4, (int64_t)5, (int64_t)3, (int64_t)8, (int64_t)8);
    const hkd_shape each = hkd_shape_of(1, (int64_t)5);
    char words[1300];
    for (int i = 0; i < 5 * SIZE; i++) x[i] = sin(i);
    small_tensor_file(scratch("half_in"), (small_tensor[]){{"x", x, image, HKD_FLOAT}, {"sigma", sigma, each, HKD_FLOAT}}, 2);
    snprintf(words, sizeof words, "denoise --model %s --in %s", model, scratch("half_in"));
    runs(words, "d");
    program_refuses(HKD_USAGE, "no gradients", "%s --grad --half --device opencl --out %s", words,
                    scratch("half_0.safetensors"));
    snprintf(words, sizeof words, "sample --model %s --seeds 3-9", model);
    runs(words, "x");
    program_refuses(HKD_USAGE, "only opencl", "%s --half --device cpu --out %s", words, scratch("half_0.safetensors"));
    snprintf(words, sizeof words, "edit --model %s --seeds 3,9 --reference-seeds 5,1 --ratio 0.6 --band 0:1/2", model);
    runs(words, "edited");
    snprintf(words, sizeof words, "trajectory --model %s --seeds 3,9 --times 1,0.5,0", model);
    runs(words, "decoded");
    program_refuses(HKD_USAGE, "not for training", "train --half --device opencl --data builtin:scenes:16 --out %s",
                    scratch("half_0.safetensors"));
}

/* Activations take about half (those of one number per image do not), and the prediction is what the device then holds. */
static void memory(hkd_device *half) {
    static double x[6 * SIZE], sigma[6] = {1, 2, 3, 4, 5, 6}, d[6 * SIZE];
    hkd_device *dev[2] = {NULL, half};
    hkd_model *m[2] = {NULL, NULL};
    hkd_memory b[2];
    CHECK(!hkd_device_open_opencl(&dev[0], NULL, &(hkd_device_options){.force = true}), "%s", hkd_last_error());
    for (int k = 0; k < 2; k++)
        CHECK(!hkd_model_load(&m[k], model, dev[k]) && !hkd_predict_memory(&b[k], m[k], 6, false), "%s", hkd_last_error());
    CHECK(b[1].plan > b[0].plan / 2 && b[1].plan < 0.51 * (double)b[0].plan && b[1].weights == b[0].weights,
          "activations: %zu bytes in float16, %zu in float32", b[1].plan, b[0].plan);
    const hkd_cl *cl = (const hkd_cl *)(const void *)half;
    const size_t before = cl->used;
    CHECK(!hkd_model_denoise(m[1], d, NULL, &(hkd_model_input){.n = 6, .x = x, .sigma = sigma}), "%s", hkd_last_error());
    const size_t used = cl->used - before, predicted = b[1].plan + b[1].workspace;
    CHECK(used >= predicted && used < predicted + 80 * (HKD_CL_SLACK + 256), "%zu bytes used, %zu predicted", used, predicted);
    for (int k = 0; k < 2; k++) hkd_model_free(m[k]);
    hkd_device_close(dev[0]);
}

/* However few images are widened at a time, the bits are the same. */
static void portions(hkd_device *dev) {
    static double x[6 * SIZE], sigma[6] = {1, 2, 3, 4, 5, 6}, d[3][6 * SIZE];
    static const size_t most[3] = {(size_t)1 << 30, 1, 40000};
    hkd_cl *cl = (hkd_cl *)(void *)dev;
    hkd_model *m = NULL;
    CHECK(!hkd_model_load(&m, model, dev), "%s", hkd_last_error());
    for (int i = 0; i < 6 * SIZE; i++) x[i] = cos(i);
    for (int k = 0; k < 3; k++) {
        cl->most_wide = most[k];
        CHECK(!hkd_model_denoise(m, d[k], NULL, &(hkd_model_input){.n = 6, .x = x, .sigma = sigma}), "%s", hkd_last_error());
        CHECK(!memcmp(d[k], d[0], sizeof d[k]), "images in portions of %zu bytes come out otherwise", most[k]);
    }
    hkd_model_free(m);
}

static hkd_device *opened(void) {
    hkd_device *dev;
    const hkd_device_options options = {.force = true, .half = true};
    return hkd_device_open_opencl(&dev, NULL, &options) ? NULL : dev;
}

void test_opencl_half(void) {
    setenv("POCL_CACHE_DIR", "build/pocl", 0);
    hkd_device *dev = opened();
    if (!dev) {
        test_skip("opencl_half", "no OpenCL device on this machine");
        return;
    }
    const hkd_config c = small_config(true, 0);
    snprintf(model, sizeof model, "%s", scratch("half_model.safetensors"));
    small_model_file(model, &c);
    memory(dev); /* first: no scratch is there yet */
    guards_about = "float16 storage";
    guards_on(dev);
    rounding(dev);
    results(dev);
    portions(dev);
    hkd_device_close(dev);
    CHECK(guards_end() > 50, "few buffers were guarded");
    whole_runs();
}
#else
void test_opencl_half(void) { test_skip("opencl_half", "built without OpenCL"); }
#endif
