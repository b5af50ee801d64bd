/* Whole networks against values that were not computed here: outputs, Heun samples and all gradients of small networks, from
 * EDM's definition in float64. Catches any mistake of structure (order, names, skips, embeddings, interleaving) that an
 * operator's own tests cannot see. The reference is held to the files, every other device to the reference. */
#include "golden.h"

#include "cpu.h"
#include "recording.h"
#include "sampler.h"
#include "schedule.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The golden files hold their configuration as plain metadata. */
static int integer(const hkd_safetensors *st, const char *key) {
    const char *text = hkd_safetensors_metadata(st, key);
    return text ? atoi(text) : 0;
}

static int list(const hkd_safetensors *st, const char *key, int *out) {
    const char *at = hkd_safetensors_metadata(st, key);
    int count = 0;
    while (at && (at = strpbrk(at, "0123456789"))) out[count++] = (int)strtol(at, (char **)&at, 10);
    return count;
}

static hkd_config config_of(const hkd_safetensors *st) {
    hkd_config c = hkd_config_default((hkd_arch)hkd_arch_of(hkd_safetensors_metadata(st, "arch")));
    c.img_resolution = integer(st, "img_resolution");
    c.label_dim = integer(st, "label_dim");
    c.augment_dim = integer(st, "augment_dim");
    c.model_channels = integer(st, "model_channels");
    c.num_blocks = integer(st, "num_blocks");
    c.levels = list(st, "channel_mult", c.channel_mult);
    c.attn_count = list(st, "attn_resolutions", c.attn_resolutions);
    c.is_hkd = !strcmp(hkd_safetensors_metadata(st, "kind"), "HKD");
    return c;
}

double *golden_values(const hkd_safetensors *st, const char *name, int64_t *count) {
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    if (count) *count = 0;
    if (!t) return NULL;
    double *data = malloc((t->count + 1) * sizeof *data);
    if (count) *count = (int64_t)t->count;
    if (hkd_safetensors_read(st, t, data, HKD_F64)) data[0] = NAN;
    return data;
}

void golden_compare(const char *file, const char *what, const double *got, const double *want, int64_t n, double limit) {
    const double r = hkd_relative_error(got, want, n);
    CHECK(r <= limit, "%s: %s differs by %.3g of its largest value (allowed %.3g)", file, what, r, limit);
}

/* ---- how exact a file is: golden_hkd.c says why one of them is not ---- */

static bool is_float32(const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (v[i] != (double)(float)v[i]) return false;
    return true;
}

/* 2^-20 for a file whose embedding was computed in float32, 1e-10 for one that is float64 throughout. */
static double limit_of(const hkd_safetensors *st) {
    bool narrow = true;
    for (size_t i = 0; i < st->count; i++) {
        int64_t n = 0;
        if (strncmp(st->tensor[i].name, "grad.", 5) || !strstr(st->tensor[i].name, ".affine.")) continue;
        double *v = golden_values(st, st->tensor[i].name, &n);
        narrow = narrow && is_float32(v, n);
        free(v);
    }
    return narrow ? 0x1p-20 : 1e-10;
}

/* ---- one run: everything that a file holds the result of, on one device, under the file's names ---- */

enum { DRAWS = 8 }; /* 0: the file's inputs; others: the same numbers in other places, for gradients alone */

typedef struct {
    const char *name;
    hkd_safetensors *st;
    hkd_config config;
    hkd_recording run[DRAWS]; /* of the reference */
} golden;

/* Samples [n, size], each turned by 37 places for every draw. */
static void turn(double *x, int64_t n, int64_t size, int draw) {
    double *turned = malloc((size_t)size * sizeof *turned + 1);
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < size; i++) turned[i] = x[k * size + (i + 37 * draw) % size];
        memcpy(x + k * size, turned, (size_t)size * sizeof *x);
    }
    free(turned);
}

/* The encoder's last latents, and the first sample's moved from tau = 1 to tau = k/4, then decoded. */
static hkd_status record_latents(hkd_recording *r, hkd_model *m, const hkd_model_input *in) {
    const int count = hkd_model_latent_count(m);
    double *z[HKD_MAX_LATENTS + 1] = {NULL};
    hkd_shape shape = {0};
    for (int i = 0; i < count; i++) {
        shape = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(in->n * hkd_count(&shape)) * sizeof *z[i]);
    }
    hkd_status status = hkd_model_encode(m, z, in);
    const hkd_shape all = hkd_shape_of(4, in->n, shape.dim[0], shape.dim[1], shape.dim[2]);
    if (!status) status = hkd_record_values(r, "out.z_bottleneck", false, &all, z[count - 1]);
    for (int k = 1; k <= 3 && !status; k++) {
        const int64_t size = m->config.img_resolution;
        const hkd_shape picture = hkd_shape_of(4, (int64_t)1, (int64_t)m->config.img_channels, size, size);
        const double dt = k / 4.0 - 1;
        char name[32];
        snprintf(name, sizeof name, "out.traj_%g", k / 4.0);
        hkd_model_input one = *in;
        one.n = 1;
        one.dt = &dt;
        hkd_recorded *t = hkd_recording_append(r, name, false, &picture);
        status = t ? hkd_model_decode(m, t->value, NULL, (const double *const *)z, &one) : HKD_RESOURCES;
    }
    for (int i = 0; i < count; i++) free(z[i]);
    return status;
}

typedef struct {
    hkd_model *model;
    const double *class_labels;
} guide;

static hkd_status denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    const guide *g = self;
    double sigmas[16];
    (void)size;
    for (int64_t i = 0; i < n; i++) sigmas[i] = sigma;
    return hkd_model_denoise(g->model, d, NULL, &(hkd_model_input){.n = n, .x = x, .sigma = sigmas,
                                                                   .class_labels = g->class_labels});
}

static hkd_status record_heun(hkd_recording *r, const golden *g, hkd_model *m, const hkd_model_input *in) {
    int64_t size = 0;
    const int steps = integer(g->st, "heun_steps");
    double *x = golden_values(g->st, "in.latents", &size), sigma[65];
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    guide by = {m, in->class_labels};
    hkd_sampling s = {.denoise = denoise, .denoiser = &by, .n = 2, .size = size / 2};
    const hkd_shape shape = hkd_shape_of(1, size);
    hkd_status status = hkd_schedule_grid(sigma, steps, &schedule);
    for (int64_t i = 0; i < size; i++) x[i] *= sigma[0];
    if (!status) status = hkd_sample_edm(&s, x, sigma, steps, &hkd_edm_heun);
    CHECK(s.nfe == 2 * steps - 1, "%s: %d evaluations for %d steps", g->name, (int)s.nfe, steps);
    if (!status) status = hkd_record_values(r, "out.heun", false, &shape, x);
    free(x);
    return status;
}

static hkd_status record_gradients(hkd_recording *r, hkd_weights *w) {
    hkd_status status = hkd_weights_collect_grad(w);
    for (int i = 0; i < w->count && !status; i++) {
        char name[256];
        snprintf(name, sizeof name, "grad.%s", w->item[i].name);
        if (w->item[i].trained) status = hkd_record_tensor(r, name, false, w->dev, &w->item[i].grad);
    }
    return status;
}

static hkd_status record(hkd_recording *r, const golden *g, hkd_model *m, int draw) {
    int64_t size = 0, n = 0;
    double *x = golden_values(g->st, "in.x", &size), *sigma = golden_values(g->st, "in.sigma", &n);
    double *grad_d = golden_values(g->st, "in.grad_d", NULL), *labels = golden_values(g->st, "in.class_labels", NULL);
    double *augment = golden_values(g->st, "in.augment_labels", NULL), *out[3];
    static const char *const name[3] = {"out.d", "out.f", "grad.x"};
    const hkd_shape shape = hkd_shape_of(1, size);
    const hkd_model_input in = {.n = n, .x = x, .sigma = sigma, .class_labels = labels, .augment_labels = augment};
    hkd_status status = hkd_weights_need_grad(m->weights);
    turn(x, n, size / n, draw);
    turn(grad_d, n, size / n, draw);
    for (int i = 0; i < 3; i++) out[i] = malloc((size_t)size * sizeof *out[i] + 1);
    if (!status) status = hkd_weights_zero_grad(m->weights);
    if (!status) status = hkd_model_gradient(m, out[0], out[1], out[2], grad_d, &in);
    for (int i = 0; i < 3 && !status; i++) status = hkd_record_values(r, name[i], false, &shape, out[i]);
    if (!status) status = record_gradients(r, m->weights);
    if (!status && !draw) status = g->config.is_hkd ? record_latents(r, m, &in) : record_heun(r, g, m, &in);
    double *arrays[] = {x, sigma, grad_d, labels, augment, out[0], out[1], out[2]};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    return status;
}

/* Open the model of the file on a device; NULL after a failed check. */
static hkd_model *model_of(const golden *g, hkd_device *dev) {
    hkd_model *m = NULL;
    CHECK(!hkd_model_new(&m, &g->config, dev) && !hkd_model_file_weights(m, g->st, "weight.", false), "%s: %s", g->name,
          hkd_last_error());
    return m;
}

/* All draws of one device; false after a failed check. */
static bool run_on(hkd_recording *out, const golden *g, hkd_model *m, const char *label) {
    bool good = m != NULL;
    for (int k = 0; k < DRAWS && good; k++) {
        out[k] = (hkd_recording){.count = 0};
        good = CHECK(!record(&out[k], g, m, k), "%s on %s: %s", g->name, label, hkd_last_error());
    }
    return good;
}

static void free_draws(hkd_recording *r) {
    for (int k = 0; k < DRAWS; k++) hkd_recording_free(&r[k]);
}

/* ---- the reference against the file ---- */

static bool on_reference(golden *g) {
    const double limit = limit_of(g->st);
    hkd_device *ref = NULL;
    if (!CHECK(!hkd_device_open_ref(&ref, &(hkd_device_options){0}), "%s", hkd_last_error())) return false;
    hkd_model *m = model_of(g, ref);
    const bool good = run_on(g->run, g, m, "ref");
    if (good) {
        for (int i = 0; i < g->run[0].count; i++) {
            const hkd_recorded *t = &g->run[0].item[i];
            int64_t n = 0;
            double *want = golden_values(g->st, t->name, &n);
            if (CHECK(want && n == hkd_count(&t->shape), "%s: no %s, or of another size", g->name, t->name))
                golden_compare(g->name, t->name, t->value, want, n, strcmp(t->name, "out.heun") ? limit : 10 * limit);
            free(want);
        }
        if (g->config.is_hkd) golden_hkd(g->name, g->st, m);
    }
    hkd_model_free(m);
    hkd_device_close(ref);
    return good;
}

/* ---- every other device against the reference: for each tensor at most twice what the cpu's plain build is off (--math fast:
 * eight times), plus eight roundings. Many gradients have four or eight numbers, or are sums that nearly vanish: how far one
 * of them is off for one input is a draw of chance, on plain as on any device. So both sides of the rule are means over draws.
 * ---- */

static double error_of(const golden *g, const hkd_recording *runs, int i) {
    const hkd_recorded *y = &g->run[0].item[i];
    const int draws = strncmp(y->name, "grad.", 5) ? 1 : DRAWS;
    double sum = 0;
    for (int k = 0; k < draws; k++)
        sum += hkd_relative_error(runs[k].item[i].value, g->run[k].item[i].value, hkd_count(&y->shape));
    return sum / draws;
}

static void on_device(const golden *g, const hkd_recording *plain, hkd_device *dev, const char *label, double factor) {
    hkd_recording got[DRAWS] = {{.count = 0}};
    hkd_model *m = model_of(g, dev);
    if (run_on(got, g, m, label))
        for (int i = 0; i < got[0].count; i++) {
            const double error = error_of(g, got, i), allowed = factor * error_of(g, plain, i) + 8.0 / 16777216;
            CHECK(error <= allowed, "%s on %s: %s differs from the reference by %.3g of its largest value (allowed %.3g)",
                  g->name, label, g->run[0].item[i].name, error, allowed);
        }
    free_draws(got);
    hkd_model_free(m);
}

static void on_devices(const golden *g) {
    static const struct {
        const char *name, *label;
        hkd_device_options options;
        double factor;
    } device[] = {
        {"cpu", "cpu, direct", {.direct = true}, 2},
        {"cpu", "cpu, fast", {.direct = false}, 8},
        {"opencl", "opencl", {.force = true}, 2},
        {"opencl", "opencl, GPU profile", {.isa = "gpu", .force = true}, 2},
    };
    hkd_recording plain[DRAWS] = {{.count = 0}};
    hkd_device *dev = NULL;
    if (!CHECK(!hkd_device_open(&dev, "cpu", &(hkd_device_options){.direct = true, .isa = "plain"}), "%s", hkd_last_error()))
        return;
    hkd_model *m = model_of(g, dev);
    const bool good = run_on(plain, g, m, "cpu, plain");
    hkd_model_free(m);
    hkd_device_close(dev);
    for (size_t i = 0; i < sizeof device / sizeof *device && good; i++) {
        if (hkd_device_open(&dev, device[i].name, &device[i].options)) {
            if (strcmp(device[i].name, "opencl")) CHECK(false, "%s", hkd_last_error());
            else test_skip("golden on opencl", hkd_last_error());
            continue;
        }
        on_device(g, plain, dev, device[i].label, device[i].factor);
        hkd_device_close(dev);
    }
    free_draws(plain);
}

void test_golden(void) {
    static const char *const files[] = {"edm_ddpmpp_tiny", "edm_ncsnpp_tiny", "hkd_ddpmpp_tiny"};
    if (!test_shared()) {
        test_skip("golden", "no development data");
        return;
    }
    setenv("POCL_CACHE_DIR", "build/pocl", 0); /* not the home folder of whoever tests */
    for (int i = 0; i < 3; i++) {
        golden g = {.name = files[i]};
        char path[4096];
        snprintf(path, sizeof path, "%s/golden/%s.safetensors", test_shared(), g.name);
        if (!CHECK(!hkd_safetensors_open(&g.st, path), "%s", hkd_last_error())) continue;
        g.config = config_of(g.st);
        if (on_reference(&g)) on_devices(&g);
        free_draws(g.run);
        hkd_safetensors_close(g.st);
    }
}
