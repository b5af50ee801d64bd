/* hkd.h as someone meets it who has nothing but that header and a model file. */
#include <hkd.h>

#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 3 * 8 * 8, LATENTS = 16 };

/* A caller who forgets the status must find NULL, not a stale pointer, and the message must name what was asked for. */
static void failures(hkd_device *dev) {
    hkd_device *none = dev;
    hkd_model *m = (hkd_model *)(void *)dev;
    CHECK(hkd_device_open(&none, "gpu", NULL) == HKD_USAGE && !none, "an unknown device opens");
    CHECK(strstr(hkd_last_error(), "gpu"), "the message does not name the device: %s", hkd_last_error());
    CHECK(hkd_model_load(&m, scratch("absent"), dev) == HKD_BAD_FILE && !m, "an absent model loads");
    CHECK(strstr(hkd_last_error(), "absent"), "the message does not name the file: %s", hkd_last_error());
}

/* Samples must not depend on their neighbours, and an argument out of range must be refused. */
static void samples(hkd_model *m) {
    const uint64_t seeds[5] = {3, 4, 5, 6, 7};
    double five[5 * SIZE], one[SIZE], again[SIZE];
    CHECK(!hkd_sample(m, five, seeds, 5, 1) && !hkd_sample(m, one, seeds + 4, 1, 1), "%s", hkd_last_error());
    CHECK(!memcmp(five + 4 * SIZE, one, sizeof one), "seed 7 gives another image alone than among others");
    CHECK(!hkd_sample(m, again, seeds + 4, 1, 2) && memcmp(again, one, sizeof one), "two steps give the image of one");
    CHECK(hkd_sample(m, one, seeds, 1, 0) == HKD_USAGE, "no steps at all are accepted");
    CHECK(!hkd_sample(m, NULL, NULL, 0, 1), "no images: %s", hkd_last_error());
}

/* Encoding and decoding at the end of time are one pass in two halves: the same bits, or a latent was left behind. */
static void halves(hkd_model *m) {
    double x[2 * SIZE], whole[2 * SIZE], made[2 * SIZE], *z[LATENTS] = {NULL};
    const double sigma[2] = {80, 1.5};
    for (int i = 0; i < 2 * SIZE; i++) x[i] = (i * 37 % 101) / 50.0 - 1;
    const hkd_model_input in = {.n = 2, .x = x, .sigma = sigma};
    const int count = hkd_model_latent_count(m);
    if (!CHECK(count > 1 && count <= LATENTS, "%d latents", count)) return;
    for (int i = 0; i < count; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(2 * s.dim[0] * s.dim[1] * s.dim[2]) * sizeof *z[i]);
    }
    CHECK(!hkd_model_denoise(m, whole, NULL, &in), "%s", hkd_last_error());
    CHECK(!hkd_model_encode(m, z, &in), "%s", hkd_last_error());
    CHECK(!hkd_model_decode(m, made, NULL, (const double *const *)z, &in), "%s", hkd_last_error());
    CHECK(!memcmp(whole, made, sizeof whole), "encode and decode differ from denoise");
    for (int i = 0; i < count; i++) free(z[i]);
}

/* A sampler by name must be the one of that name: NULL is hkd_sample's, others differ, and count their evaluations. */
static void samples_by_name(hkd_model *m, bool one_step, int classes) {
    const uint64_t seeds[2] = {3, 1ull << 40};
    double usual[2 * SIZE], x[2 * SIZE];
    int64_t nfe = 0;
    CHECK(!hkd_sample(m, usual, seeds, 2, 2) && !hkd_sample_with(m, x, &nfe, seeds, 2, NULL, 2, NULL, -1), "%s",
          hkd_last_error());
    CHECK(!memcmp(usual, x, sizeof x) && nfe == (one_step ? 4 : 6), "other images, or %d evaluations", (int)nfe);
    CHECK(!hkd_sample_with(m, x, NULL, seeds, 2, NULL, 2, "torch-cpu", -1) && memcmp(usual, x, sizeof x), "no other noise");
    CHECK(hkd_sample_with(m, x, NULL, seeds, 2, "best", 2, NULL, -1) == HKD_USAGE && strstr(hkd_last_error(), "onestep|"),
          "sampler 'best': %s", hkd_last_error());
    CHECK(hkd_sample_with(m, x, NULL, seeds, 2, NULL, 2, "numpy", -1) == HKD_USAGE, "numpy takes a seed of 41 bits");
    CHECK(hkd_sample_with(m, x, NULL, seeds, 2, NULL, 2, NULL, classes) == HKD_USAGE, "a class beyond the last is accepted");
    CHECK(hkd_sample_with(m, x, NULL, seeds, 2, NULL, 2, NULL, -2) == HKD_USAGE, "class -2 is accepted");
    if (one_step) CHECK(hkd_sample_with(m, x, NULL, seeds, 2, "heun", 2, NULL, -1) == HKD_USAGE, "an HKD model follows Heun");
    else CHECK(!hkd_sample_with(m, x, &nfe, seeds, 2, "euler", 0, NULL, -1) && nfe == 36, "euler: %d evaluations", (int)nfe);
    for (int k = 0; k < 2 && classes; k++)
        CHECK(!hkd_sample_with(m, k ? x : usual, NULL, seeds, 2, NULL, 1, NULL, k), "class %d: %s", k, hkd_last_error());
    CHECK(memcmp(x, usual, sizeof x), "two classes, one image");
}

/* Evolution outside of a pass: every pair turns by its eigenvalue, e^(alpha dt) (cos(beta dt), sin(beta dt)); a latent without
 * an operator stays, and has no eigenvalues. A pair, a sign or an image's own dt exchanged shows here. */
static void evolution(hkd_model *m, bool one_step) {
    const double dt[2] = {-0.5, -1};
    double *z[LATENTS] = {NULL}, *before[LATENTS] = {NULL}, worst = 0;
    const int count = hkd_model_latent_count(m);
    if (!CHECK(count > 1 && count <= LATENTS, "%d latents", count)) return;
    for (int i = 0; i < count; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        const int64_t size = s.dim[0] * s.dim[1] * s.dim[2];
        z[i] = malloc((size_t)(2 * size) * sizeof *z[i]), before[i] = malloc((size_t)(2 * size) * sizeof *z[i]);
        for (int64_t k = 0; k < 2 * size; k++) z[i][k] = before[i][k] = (double)(k * 37 % 101) / 50 - 1;
    }
    CHECK(!hkd_model_move(m, z, dt, 2), "%s", hkd_last_error());
    for (int i = 0; i < count; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        const int64_t area = s.dim[1] * s.dim[2], pairs = s.dim[0] / 2;
        double *alpha = calloc((size_t)(pairs * area), sizeof *alpha), *beta = calloc((size_t)(pairs * area), sizeof *beta);
        const hkd_status status = hkd_model_eigenvalues(m, i, alpha, beta);
        CHECK(status == (one_step ? HKD_OK : HKD_USAGE) && hkd_model_moves(m, i) == one_step, "latent %d: %d", i, status);
        for (int64_t at = 0; at < 2 * pairs * area; at++) {
            const int64_t n = at / (pairs * area), mode = at % (pairs * area);
            const int64_t even = (n * pairs + mode / area) * 2 * area + mode % area, odd = even + area;
            const double g = exp(alpha[mode] * dt[n]), c = g * cos(beta[mode] * dt[n]), q = g * sin(beta[mode] * dt[n]);
            worst = fmax(worst, fabs(z[i][even] - (c * before[i][even] + q * before[i][odd])));
            worst = fmax(worst, fabs(z[i][odd] - (c * before[i][odd] - q * before[i][even])));
        }
        free(alpha), free(beta);
    }
    CHECK(worst < 1e-6, "latents are %g away from where their eigenvalues send them", worst);
    double none[1];
    CHECK(hkd_model_eigenvalues(m, -1, none, none) == HKD_USAGE && hkd_model_eigenvalues(m, count, none, none) == HKD_USAGE &&
          !hkd_model_moves(m, count), "a latent that is none has eigenvalues");
    for (int i = 0; i < count; i++) free(z[i]), free(before[i]);
}

typedef struct {
    int tensors, stop_at;
    double d[SIZE];
} visited;

static hkd_status visit(void *self, const char *name, int rank, const int64_t *dims, const double *values) {
    visited *v = self;
    if (!strcmp(name, "d") && rank == 4 && dims[1] * dims[2] * dims[3] == SIZE) memcpy(v->d, values, sizeof v->d);
    return ++v->tensors == v->stop_at ? HKD_RESOURCES : HKD_OK;
}

/* A trace shows the result of the very run that hkd_model_denoise makes, and ends when it is told so. */
static void traces(hkd_model *m) {
    double x[SIZE], d[SIZE];
    const double sigma = 3;
    for (int i = 0; i < SIZE; i++) x[i] = (i * 37 % 101) / 50.0 - 1;
    const hkd_model_input in = {.n = 1, .x = x, .sigma = &sigma};
    visited all = {0}, few = {.stop_at = 3};
    CHECK(!hkd_model_denoise(m, d, NULL, &in) && !hkd_model_trace(m, &in, visit, &all), "%s", hkd_last_error());
    CHECK(all.tensors > 50 && !memcmp(all.d, d, sizeof d), "%d tensors, or another result", all.tensors);
    CHECK(hkd_model_trace(m, &in, visit, &few) == HKD_RESOURCES && few.tensors == 3, "%d tensors, stop at 3", few.tensors);
}

/* An operator by name is that operator: closed forms of conv2d with one weight, y = w x + b, and its three gradients. */
static void operators(hkd_device *dev) {
    const double x[4] = {1, -2, 3, 0.5}, w[1] = {3}, b[1] = {-1}, up[4] = {1, 2, 4, 8};
    const double *in[3] = {x, w, b}, *ups[1] = {up};
    double y[4], dx[4], dw[1], db[1], *out[1] = {y}, *grad[3] = {dx, dw, db}, standard = -1;
    hkd_shape shape[3] = {{4, {1, 1, 2, 2}}, {4, {1, 1, 1, 1}}, {1, {1, 0, 0, 0}}}, made;
    CHECK(!strcmp(hkd_operator_input("conv2d", 2), "?b") && !strcmp(hkd_operator_output("conv2d", 0), "y") &&
          !strcmp(hkd_operator_parameter("conv2d", 0, &standard), "stride") && standard == 1, "the row of conv2d");
    CHECK(!hkd_operator_input("conv2d", 3) && !hkd_operator_input("conv2d", -1) && !hkd_operator_output("conv9d", 0) &&
          !hkd_operator_parameter("conv2d", 99, &standard) && !hkd_operator_name(-1) && !hkd_operator_name(9999),
          "names behind the last");
    CHECK(hkd_operator_has_gradient("conv2d", 1) && !hkd_operator_has_gradient("ema", 0) &&
          !hkd_operator_has_gradient("conv2d", 3), "gradients that are none");
    CHECK(!hkd_operator_shapes(&made, "conv2d", NULL, shape) && made.rank == 4 && made.dim[3] == 2, "%s", hkd_last_error());
    CHECK(!hkd_operator_forward(dev, "conv2d", NULL, shape, in, out), "%s", hkd_last_error());
    CHECK(!hkd_operator_backward(dev, "conv2d", NULL, shape, in, ups, grad), "%s", hkd_last_error());
    for (int i = 0; i < 4; i++) CHECK(y[i] == 3 * x[i] - 1 && dx[i] == 3 * up[i], "%d: %g, gradient %g", i, y[i], dx[i]);
    CHECK(dw[0] == 1 - 4 + 12 + 4 && db[0] == 15, "gradients %g and %g of weight and bias", dw[0], db[0]);
    grad[0] = grad[2] = NULL;
    shape[2].rank = -1, in[2] = NULL, dw[0] = 0;
    CHECK(!hkd_operator_backward(dev, "conv2d", NULL, shape, in, ups, grad) && dw[0] == 13, "without bias: %g", dw[0]);
    grad[2] = db;
    CHECK(hkd_operator_backward(dev, "conv2d", NULL, shape, in, ups, grad) == HKD_USAGE && strstr(hkd_last_error(), "'b'"),
          "the gradient of a bias that is not given: %s", hkd_last_error());
    ups[0] = NULL;
    CHECK(hkd_operator_backward(dev, "conv2d", NULL, shape, in, ups, grad) == HKD_USAGE, "no upstream gradient is accepted");
    in[1] = NULL;
    CHECK(hkd_operator_forward(dev, "conv2d", NULL, shape, in, out) == HKD_USAGE, "a shape without values is accepted");
    shape[1].rank = -1;
    CHECK(hkd_operator_shapes(&made, "conv2d", NULL, shape) == HKD_USAGE && strstr(hkd_last_error(), "'w'"), "no weight: %s",
          hkd_last_error());
    CHECK(hkd_operator_forward(dev, "conv9d", NULL, shape, in, out) == HKD_USAGE && strstr(hkd_last_error(), "conv9d"),
          "conv9d: %s", hkd_last_error());
}

void test_library(void) {
    const hkd_config hkd = small_config(true, 4), denoiser = small_config(false, 0);
    hkd_device *dev;
    CHECK(!strcmp(hkd_version(), HKD_VERSION) && hkd_abi_version() == HKD_ABI, "library %s, header %s", hkd_version(),
          HKD_VERSION);
    if (!CHECK(!hkd_device_open(&dev, "cpu", NULL), "%s", hkd_last_error())) return;
    failures(dev);
    operators(dev);
    for (int i = 0; i < 2; i++) {
        hkd_model *m;
        hkd_model_info info;
        small_model_file(scratch("library.safetensors"), i ? &denoiser : &hkd);
        if (!CHECK(!hkd_model_load(&m, scratch("library.safetensors"), dev), "%s", hkd_last_error())) continue;
        hkd_model_describe(&info, m);
        CHECK(info.one_step == !i && info.channels == 3 && info.resolution == 8 && info.classes == (i ? 0 : 4),
              "a wrong description");
        CHECK(info.sigma_min == 0.002 && info.sigma_max == 80, "noise levels %g to %g", info.sigma_min, info.sigma_max);
        samples(m);
        halves(m);
        samples_by_name(m, info.one_step, info.classes);
        evolution(m, info.one_step);
        traces(m);
        hkd_model_free(m);
    }
    hkd_device_close(dev);
}
