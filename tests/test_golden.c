/* Whole networks against values that were not computed here: outputs, Heun samples and all gradients of small networks, from
 * EDM's definition in float64. Catches any mistake of structure (order, names, skips, embeddings, interleaving) that an
 * operator's own tests cannot see. */
#include "model_file.h"
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

static double *values(const hkd_safetensors *st, const char *name, int64_t *count) {
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    if (count) *count = 0;
    if (!t) return NULL;
    double *data = malloc((t->count + 1) * sizeof *data);
    if (count) *count = (int64_t)t->count;
    if (hkd_safetensors_read(st, t, data, HKD_F64)) data[0] = NAN;
    return data;
}

/* max |a - b| / max |b| */
static double relative(const double *a, const double *b, int64_t n) {
    double error = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        error = isnan(a[i]) ? INFINITY : fmax(error, fabs(a[i] - b[i]));
        scale = fmax(scale, fabs(b[i]));
    }
    return error / scale;
}

static void compare(const char *file, const char *what, const double *got, const double *want, int64_t n, double limit) {
    const double r = relative(got, want, n);
    CHECK(r <= limit, "%s: %s differs by %.3g of its largest value (allowed %.3g)", file, what, r, limit);
}

static void check_gradients(const char *file, const hkd_safetensors *st, const hkd_model *m, double limit) {
    for (int i = 0; i < m->weights->count; i++) {
        char name[256];
        int64_t n = 0;
        snprintf(name, sizeof name, "grad.%s", m->weights->item[i].name);
        double *want = values(st, name, &n);
        if (!m->weights->item[i].trained) continue;
        if (!CHECK(want, "%s: no %s", file, name)) continue;
        double *got = malloc((size_t)n * sizeof *got + 1);
        m->dev->download(m->dev, got, HKD_F64, &m->weights->item[i].grad);
        compare(file, name, got, want, n, limit);
        free(got);
        free(want);
    }
}

/* What the golden bottleneck was evolved by, read off the growth of one pair of each sample; then the evolution itself, which
 * checks pairing, signs and layout of alpha and beta to the last digits. */
static void check_evolution(const char *file, const hkd_safetensors *st, double dt[3]) {
    double *z = values(st, "out.z_bottleneck", NULL), *want = values(st, "out.evolved_bottleneck", NULL);
    double *a = values(st, "weight.koopman.bottleneck", NULL);
    const hkd_koopman_dims d = {3, 32, 4, 4, 4, 4};
    enum { COUNT = 3 * 32 * 16, AREA = 16 };
    double got[COUNT];
    for (int n = 0; n < 3; n++) {
        const double *before = z + n * 32 * AREA, *after = want + n * 32 * AREA;
        int best = 0; /* the pair and position that grow fastest tell dt most exactly */
        for (int k = 0; k < 16 * AREA; k++)
            if (fabs(a[k]) > fabs(a[best])) best = k;
        const int at = best / AREA * 2 * AREA + best % AREA;
        dt[n] = log(hypot(after[at], after[at + AREA]) / hypot(before[at], before[at + AREA])) / a[best];
    }
    hkd_ref_koopman_evolve(got, z, a, dt, &d);
    compare(file, "evolved_bottleneck", got, want, COUNT, 1e-13);
    free(z);
    free(want);
    free(a);
}

/* ---- how exact the HKD file is ------------------------------------------------------------------------------------------
 *
 * Its network ran in float64, but its noise levels were float32, and so was everything formed from them alone: c_in, c_skip,
 * c_out, dt, and the whole embedding up to each block's `affine`, whose gradients in the file are float32 numbers. What does
 * not pass through the embedding is checked here to the last digits with scalars formed that way; the rest differs from float64
 * by what float32 sums in an unknown order leave: up to 2^-23 in the outputs, 2^-20 in gradients. */

enum { N = 3 };

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
        double *v = values(st, st->tensor[i].name, &n);
        narrow = narrow && is_float32(v, n);
        free(v);
    }
    return narrow ? 0x1p-20 : 1e-10;
}

/* c_in x through the first convolution, moved by its operator; and d = c_skip x + c_out f. */
static void check_around_embedding(const char *file, const hkd_safetensors *st, hkd_model *m, const double *dt) {
    int64_t total = 0, count = 0;
    double *x = values(st, "in.x", &total), *sigma = values(st, "in.sigma", NULL), *f = values(st, "out.f", NULL);
    double *want_d = values(st, "out.d", NULL), *want_z = values(st, "out.evolved_0", &count);
    double *x_in = malloc((size_t)total * 2 * sizeof *x_in), *d = x_in + total, *z = malloc((size_t)count * sizeof *z);
    const int64_t res = m->config.img_resolution, size = total / N;
    for (int64_t i = 0; i < total; i++) {
        const float level = (float)sigma[i / size], sum = level * level + 0.25F, root = sqrtf(sum);
        x_in[i] = (double)(1 / root) * x[i];
        d[i] = (double)(0.25F / sum) * x[i] + (double)(level * 0.5F / root) * f[i];
    }
    compare(file, "c_skip x + c_out f", d, want_d, total, 1e-14);
    hkd_net net = {.p = hkd_program_new(), .config = &m->config};
    hkd_plan *plan = NULL;
    const int64_t width = m->config.model_channels;
    const hkd_var in = hkd_input(net.p, "x", hkd_shape_of(4, (int64_t)N, (int64_t)m->config.img_channels, res, res));
    const hkd_var time = hkd_input(net.p, "dt", hkd_shape_of(1, (int64_t)N));
    const hkd_var first = hkd_layer_conv(&net, in, "enc.8x8_conv", width, 3);
    const hkd_var a = hkd_weight_var(net.p, "koopman.0", hkd_shape_of(3, width, res, res), true);
    hkd_output(net.p, hkd_apply(net.p, "koopman_evolve", NULL, 3, first, a, time), "evolved_0");
    hkd_status status = hkd_plan_new(&plan, net.p, m->weights, &(hkd_plan_options){0});
    if (!status) status = m->dev->upload(m->dev, hkd_plan_named(plan, "x"), x_in, HKD_F64);
    if (!status) status = m->dev->upload(m->dev, hkd_plan_named(plan, "dt"), dt, HKD_F64);
    if (!status) status = hkd_plan_forward(plan);
    if (!status) status = m->dev->download(m->dev, z, HKD_F64, hkd_plan_named(plan, "evolved_0"));
    if (CHECK(!status, "%s", hkd_last_error())) compare(file, "evolved_0", z, want_z, count, 1e-13);
    hkd_plan_free(plan);
    hkd_program_free(net.p);
    double *arrays[] = {x, sigma, f, want_d, want_z, x_in, z};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

/* ---- all files ---- */

static void check_latents(const char *file, const hkd_safetensors *st, hkd_model *m, const hkd_model_input *in, double limit) {
    const int count = hkd_model_latent_count(m);
    double *z[HKD_MAX_LATENTS + 1];
    for (int i = 0; i < count; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(in->n * hkd_count(&s)) * sizeof *z[i]);
    }
    CHECK(!hkd_model_encode(m, z, in), "%s", hkd_last_error());
    int64_t n;
    double *want = values(st, "out.z_bottleneck", &n);
    compare(file, "z_bottleneck", z[count - 1], want, n, limit);
    free(want);
    for (int k = 1; k <= 3; k++) { /* the first sample's latents moved from tau = 1 to tau = k/4, then decoded */
        char name[32];
        snprintf(name, sizeof name, "out.traj_%g", k / 4.0);
        want = values(st, name, &n);
        double *d = malloc((size_t)n * sizeof *d), dt = k / 4.0 - 1;
        hkd_model_input one = *in;
        one.n = 1;
        one.dt = &dt;
        CHECK(!hkd_model_decode(m, d, NULL, (const double *const *)z, &one), "%s", hkd_last_error());
        compare(file, name, d, want, n, limit);
        free(d);
        free(want);
    }
    for (int i = 0; i < count; i++) free(z[i]);
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

static void check_heun(const char *file, const hkd_safetensors *st, hkd_model *m, const double *labels, double limit) {
    int64_t size = 0;
    const int steps = integer(st, "heun_steps");
    double *x = values(st, "in.latents", &size), *want = values(st, "out.heun", NULL), sigma[65];
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    guide g = {m, labels};
    hkd_sampling s = {.denoise = denoise, .denoiser = &g, .n = 2, .size = size / 2};
    CHECK(!hkd_schedule_grid(sigma, steps, &schedule), "%s", hkd_last_error());
    for (int64_t i = 0; i < size; i++) x[i] *= sigma[0];
    CHECK(!hkd_sample_edm(&s, x, sigma, steps, &hkd_edm_heun), "%s", hkd_last_error());
    CHECK(s.nfe == 2 * steps - 1, "%s: %d evaluations for %d steps", file, (int)s.nfe, steps);
    compare(file, "heun", x, want, size, limit);
    free(x);
    free(want);
}

static void golden(const char *name, hkd_status (*open)(hkd_device **, const hkd_device_options *),
                   const hkd_device_options *options) {
    char path[4096];
    snprintf(path, sizeof path, "%s/golden/%s.safetensors", test_shared(), name);
    hkd_safetensors *st = NULL;
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    if (!CHECK(!hkd_safetensors_open(&st, path) && !open(&dev, options), "%s", hkd_last_error())) return;
    const hkd_config config = config_of(st);
    const double limit = limit_of(st);
    if (CHECK(!hkd_model_new(&m, &config, dev) && !hkd_model_file_weights(m, st, "weight.", false), "%s", hkd_last_error())) {
        int64_t size = 0, n = 0;
        double *x = values(st, "in.x", &size), *sigma = values(st, "in.sigma", &n), *grad_d = values(st, "in.grad_d", NULL);
        double *labels = values(st, "in.class_labels", NULL), *augment = values(st, "in.augment_labels", NULL);
        double *want_d = values(st, "out.d", NULL), *want_f = values(st, "out.f", NULL), *want_x = values(st, "grad.x", NULL);
        double *d = malloc((size_t)size * 3 * sizeof *d), *f = d + size, *grad_x = f + size;
        const hkd_model_input in = {.n = n, .x = x, .sigma = sigma, .class_labels = labels, .augment_labels = augment};
        CHECK(!hkd_weights_need_grad(m->weights) && !hkd_weights_zero_grad(m->weights), "%s", hkd_last_error());
        if (CHECK(!hkd_model_gradient(m, d, f, grad_x, grad_d, &in) && !hkd_weights_collect_grad(m->weights), "%s",
                  hkd_last_error())) {
            compare(name, "f", f, want_f, size, limit);
            compare(name, "d", d, want_d, size, limit);
            if (want_x) compare(name, "grad.x", grad_x, want_x, size, limit);
            check_gradients(name, st, m, limit);
            if (config.is_hkd) {
                double dt[N];
                check_latents(name, st, m, &in, limit);
                check_evolution(name, st, dt);
                check_around_embedding(name, st, m, dt);
            } else {
                check_heun(name, st, m, labels, 10 * limit);
            }
        }
        double *arrays[] = {x, sigma, grad_d, labels, augment, want_d, want_f, want_x, d};
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    }
    hkd_model_free(m);
    hkd_device_close(dev);
    hkd_safetensors_close(st);
}

void test_golden(void) {
    static const char *const files[] = {"edm_ddpmpp_tiny", "edm_ncsnpp_tiny", "hkd_ddpmpp_tiny"};
    if (!test_shared()) {
        test_skip("golden", "no development data");
        return;
    }
    for (int i = 0; i < 3; i++) golden(files[i], hkd_device_open_ref, &(hkd_device_options){0});
}
