/* hkd tune - find the fastest right way of every matrix product and convolution of a network on an OpenCL device. */
#include "cli.h"
#include "status.h"

#ifdef HKD_OPENCL
#include "model.h"
#include "tune.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The contractions of a pass and of its gradient, without computing either. */
static hkd_status shapes_of(hkd_cl_shapes *out, hkd_model *m, int64_t n) {
    hkd_cl *cl = (hkd_cl *)(void *)m->dev;
    const int64_t size = n * m->config.img_channels * m->config.img_resolution * m->config.img_resolution;
    double *x = calloc((size_t)size, sizeof *x), *sigma = calloc((size_t)n, sizeof *sigma);
    for (int64_t i = 0; sigma && i < n; i++) sigma[i] = 1;
    const hkd_model_input in = {.n = n, .x = x, .sigma = sigma};
    m->batch = n;
    cl->seen = out;
    hkd_status status = x && sigma ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) status = hkd_model_denoise(m, x, NULL, &in);
    if (!status) status = hkd_model_gradient(m, NULL, NULL, NULL, x, &in);
    cl->seen = NULL;
    free(x), free(sigma);
    return status;
}

/* The model that was given, or EDM's network for CIFAR-10 with operators. */
static hkd_status open_model(hkd_model **out, hkd_device *dev, const hkd_args *a) {
    const char *path = hkd_arg(a, "model");
    int64_t channels = 0;
    const hkd_status status = hkd_arg_int(&channels, a, "channels", 8, 4096);
    if (status || path) return status ? status : hkd_model_load(out, path, dev);
    hkd_config config = hkd_config_default(HKD_ARCH_DDPMPP);
    config.model_channels = (int)channels;
    config.is_hkd = true;
    return hkd_model_new(out, &config, dev);
}

static json_t *report(const hkd_contract *k, const hkd_cl_choice *best, const hkd_cl_trial *trial, int count) {
    json_t *trials = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(trials, *trial[i].wrong
                                          ? json_pack("{s:s, s:s}", "way", trial[i].way->name, "discarded", trial[i].wrong)
                                          : json_pack("{s:s, s:f}", "way", trial[i].way->name, "seconds", trial[i].seconds));
    return json_pack("{s:i, s:i, s:i, s:i, s:s, s:o}", "m", k->m, "n", k->n, "terms", k->r0 * k->r1 * k->r2, "batch",
                     k->z0 * k->z1, "chosen", best->way->name, "trials", trials);
}

static void print(const hkd_contract *k, const hkd_cl_choice *best, const hkd_cl_trial *trial, int count) {
    printf("%d x %d x %d", k->m, k->n, k->r0 * k->r1 * k->r2);
    if (k->z0 * k->z1 > 1) printf(", %d of them", k->z0 * k->z1);
    printf(": %s, %.2f of the time of %s\n", best->way->name, best->seconds / best->standard, trial[0].way->name);
    for (int i = 0; i < count; i++)
        if (*trial[i].wrong) printf("  %s discarded: %s\n", trial[i].way->name, trial[i].wrong);
}

static hkd_status tune(hkd_cl *cl, const hkd_cl_shapes *shapes, json_t *rows, const hkd_args *a) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < shapes->count; i++) {
        hkd_cl_choice best;
        hkd_cl_trial trial[HKD_CL_WAYS + 1];
        int count;
        if (hkd_cancelled()) return hkd_fail(HKD_RESOURCES, "interrupted");
        status = hkd_cl_try(&best, trial, &count, cl, &shapes->item[i], hkd_cl_ways);
        if (status) return status;
        status = hkd_cl_choose(cl, &best);
        json_array_append_new(rows, report(&shapes->item[i], &best, trial, count));
        if (!hkd_given(a, "json")) print(&shapes->item[i], &best, trial, count);
    }
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    hkd_cl_shapes shapes = {NULL, 0};
    int64_t n = 0;
    hkd_status status = hkd_arg_int(&n, a, "batch", 1, 4096);
    if (!status && strncmp(hkd_arg(a, "device"), "opencl", 6) != 0)
        status = hkd_fail(HKD_USAGE, "--device %s: only OpenCL devices are tuned", hkd_arg(a, "device"));
    if (!status) status = hkd_open_device(&dev, a);
    if (!status) status = open_model(&m, dev, a);
    if (!status) status = shapes_of(&shapes, m, n);
    if (m) hkd_model_free(m); /* its memory may be needed */
    json_t *rows = json_array();
    hkd_cl *cl = (hkd_cl *)(void *)dev;
    if (!status) {
        hkd_say(a, "%s: %s; %d products, with %s", dev->kind, dev->name, shapes.count, hkd_cl_blas_name());
        status = tune(cl, &shapes, rows, a);
        hkd_cl_store_choices(cl);
    }
    if (!status && hkd_given(a, "json")) {
        json_dumpf(rows, stdout, JSON_INDENT(1));
        printf("\n");
    }
    json_decref(rows);
    free(shapes.item);
    hkd_device_close(dev);
    return status;
}
#else
static hkd_status run(const hkd_args *a) {
    (void)a;
    return hkd_fail(HKD_DEVICE, "built without OpenCL, and other devices are not tuned");
}
#endif

const hkd_verb hkd_verb_tune = {
    .name = "tune",
    .summary = "find the fastest right way of a network's matrix products on an OpenCL device; later runs use it",
    .option = {{"model", "FILE", NULL, "whose products (not given: EDM's CIFAR-10 network)"},
               {"channels", "N", "128", "model_channels when no model is given"},
               {"batch", "N", "16", "images at a time, as of sample --batch and train --micro-batch"}},
    .example = {"tune --device opencl --model M.safetensors",
                "sample --model M.safetensors --device opencl --no-tune ...    without what was found"},
    .run = run,
};
