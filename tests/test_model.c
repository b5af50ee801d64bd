/* The network as a whole, without trained weights. */
#include "model.h"

#include "cpu.h"
#include "init.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef hkd_status opener(hkd_device **, const hkd_device_options *);

static hkd_config small(hkd_arch arch) {
    hkd_config c = hkd_config_default(arch);
    c.img_resolution = 8;
    c.model_channels = 12;
    c.levels = 2;
    c.channel_mult[0] = 1, c.channel_mult[1] = 2;
    c.num_blocks = 1;
    c.attn_resolutions[0] = 4;
    c.label_dim = 3;
    return c;
}

enum { SIZE = 3 * 8 * 8, MOST = 5 };

typedef struct {
    double x[MOST * SIZE], sigma[MOST], labels[MOST * 3];
} inputs;

static void fill(inputs *in) {
    for (int i = 0; i < MOST * SIZE; i++) in->x[i] = sin(i * 0.37) * (1 + i % 7);
    for (int n = 0; n < MOST; n++) {
        in->sigma[n] = 0.05 * pow(4, n);
        for (int k = 0; k < 3; k++) in->labels[n * 3 + k] = n % 3 == k;
    }
}

static hkd_model_input request(const inputs *in, int64_t first, int64_t n) {
    return (hkd_model_input){.n = n, .x = in->x + first * SIZE, .sigma = in->sigma + first,
                             .class_labels = in->labels + first * 3};
}

/* Give `to` the weights of `from`; what `from` lacks becomes 0. */
static void copy_weights(hkd_model *to, const hkd_model *from) {
    for (int i = 0; i < to->weights->count; i++) {
        const hkd_weight *w = &to->weights->item[i], *source = hkd_weights_find(from->weights, w->name);
        if (source) to->dev->copy(to->dev, &w->value, &source->value);
        else to->dev->fill(to->dev, &w->value, 0);
    }
}

/* With A = 0 and the decoder told sigma, HKD is the denoiser, bit for bit: catches any difference in wiring. */
static void still_operators(opener *open, hkd_arch arch) {
    static inputs in;
    static double want[MOST * SIZE], got[MOST * SIZE];
    hkd_device *dev = NULL;
    hkd_model *plain = NULL, *hkd = NULL;
    hkd_config c = small(arch);
    fill(&in);
    CHECK(!open(&dev, &(hkd_device_options){.threads = 2}), "%s", hkd_last_error());
    CHECK(!hkd_model_new(&plain, &c, dev) && !hkd_init_weights(plain->weights, 7, true), "%s", hkd_last_error());
    c.is_hkd = true;
    CHECK(!hkd_model_new(&hkd, &c, dev), "%s", hkd_last_error());
    copy_weights(hkd, plain);
    hkd_model_input r = request(&in, 0, MOST);
    CHECK(!hkd_model_denoise(plain, want, NULL, &r), "%s", hkd_last_error());
    r.decoder_sigma = in.sigma;
    CHECK(!hkd_model_denoise(hkd, got, NULL, &r), "%s", hkd_last_error());
    CHECK(!memcmp(got, want, sizeof got), "%s %s: A = 0 does not give the denoiser", dev->kind, hkd_arch_name(arch));
    hkd_model_free(hkd);
    hkd_model_free(plain);
    hkd_device_close(dev);
}

/* One image alone, in a batch, and with other threads: the same bits. And encode + decode is the whole, bit for bit. */
static void invariance(opener *open) {
    static inputs in;
    static double whole[MOST * SIZE], one[SIZE], parts[MOST * SIZE];
    fill(&in);
    hkd_config c = small(HKD_ARCH_DDPMPP);
    c.is_hkd = true;
    for (int threads = 1; threads <= 3; threads += 2) {
        hkd_device *dev = NULL;
        hkd_model *m = NULL;
        double *z[HKD_MAX_LATENTS + 1];
        hkd_model_input r = request(&in, 0, MOST);
        CHECK(!open(&dev, &(hkd_device_options){.threads = threads}) && !hkd_model_new(&m, &c, dev) &&
                  !hkd_init_weights(m->weights, 7, true), "%s", hkd_last_error());
        if (threads == 1) CHECK(!hkd_model_denoise(m, whole, NULL, &r), "%s", hkd_last_error());
        for (int n = 0; n < MOST; n++) {
            const hkd_model_input single = request(&in, n, 1);
            CHECK(!hkd_model_denoise(m, one, NULL, &single), "%s", hkd_last_error());
            CHECK(!memcmp(one, whole + n * SIZE, sizeof one), "%s: image %d depends on its batch or on %d threads", dev->kind,
                  n, threads);
        }
        for (int i = 0; i < hkd_model_latent_count(m); i++) {
            const hkd_shape s = hkd_model_latent_shape(m, i);
            z[i] = malloc((size_t)(MOST * hkd_count(&s)) * sizeof *z[i]);
        }
        CHECK(!hkd_model_encode(m, z, &r) && !hkd_model_decode(m, parts, NULL, (const double *const *)z, &r), "%s",
              hkd_last_error());
        CHECK(!memcmp(parts, whole, sizeof parts), "%s: encode then decode differs from the whole", dev->kind);
        for (int i = 0; i < hkd_model_latent_count(m); i++) free(z[i]);
        hkd_model_free(m);
        hkd_device_close(dev);
    }
}

/* Memory shared between variables against memory of their own: catches a backward that reads what its row does not name, and
 * a value that is made again in another way than the first time. */
static void shared_memory(opener *open) {
    static inputs in;
    fill(&in);
    hkd_config c = small(HKD_ARCH_NCSNPP);
    c.is_hkd = true;
    c.augment_dim = 9;
    c.dropout = 0.2;
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    double *first = NULL;
    CHECK(!open(&dev, &(hkd_device_options){.threads = 1}) && !hkd_model_new(&m, &c, dev) &&
          !hkd_init_weights(m->weights, 7, true) &&
              !hkd_weights_need_grad(m->weights), "%s", hkd_last_error());
    const int64_t total = hkd_weights_total(m->weights, false);
    for (int trace = 1; trace >= 0; trace--) {
        static const double augment[2 * 9] = {0.5, -1, 0.25}, up[2 * SIZE] = {1, -2, 3}, dt[2] = {-0.3, -0.7},
                            decoder[2] = {0.002, 0.002};
        hkd_program *p = hkd_model_program(&c, &(hkd_model_options){.n = 2, .augment = true, .training = true});
        hkd_plan *plan = NULL;
        hkd_seed(p, hkd_find_var(p, "d"));
        CHECK(!hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.backward = true, .trace = trace, .as_run = trace}), "%s",
              hkd_last_error());
        const struct { const char *name; const double *data; } given[] = {
            {"x", in.x}, {"sigma", in.sigma}, {"class_labels", in.labels}, {"augment_labels", augment}, {"dt", dt},
                {"decoder_sigma", decoder}};
        for (size_t i = 0; i < sizeof given / sizeof *given; i++)
            dev->upload(dev, hkd_plan_named(plan, given[i].name), given[i].data, HKD_F64);
        dev->upload(dev, hkd_plan_grad(plan, hkd_find_var(p, "d")), up, HKD_F64);
        CHECK(!hkd_weights_zero_grad(m->weights) && !hkd_plan_forward(plan) && !hkd_plan_backward(plan) &&
                  !hkd_weights_collect_grad(m->weights), "%s", hkd_last_error());
        double *gradients = calloc((size_t)total, sizeof *gradients), *at = gradients;
        for (int i = 0; i < m->weights->count; i++) {
            if (m->weights->item[i].trained) dev->download(dev, at, HKD_F64, &m->weights->item[i].grad);
            at += hkd_count(&m->weights->item[i].value.shape);
        }
        if (first) CHECK(!memcmp(first, gradients, (size_t)total * sizeof *gradients), "%s: sharing memory changes a gradient",
                         dev->kind);
        if (trace) first = gradients;
        else free(gradients);
        hkd_plan_free(plan);
        hkd_program_free(p);
    }
    free(first);
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* ---- the published networks ---- */

static hkd_config published(hkd_arch arch, bool ffhq) {
    hkd_config c = hkd_config_default(arch);
    c.augment_dim = 9;
    if (ffhq) {
        c.img_resolution = 64;
        c.levels = 4;
        memcpy(c.channel_mult, (int[]){1, 2, 2, 2}, 4 * sizeof(int));
    }
    return c;
}

static int64_t parameters(const hkd_program *p, const char *prefix) {
    int64_t total = 0;
    for (int i = 0; i < p->n_vars; i++)
        if (p->var[i].kind == HKD_VAR_WEIGHT && p->var[i].want_grad && !strncmp(p->var[i].name, prefix, strlen(prefix)))
            total += hkd_count(&p->var[i].shape);
    return total;
}

static void totals(hkd_arch arch, bool ffhq, int64_t network, int64_t operators) {
    hkd_config c = published(arch, ffhq);
    c.is_hkd = true;
    hkd_program *p = hkd_model_program(&c, &(hkd_model_options){.n = 1, .augment = true});
    CHECK(!hkd_program_status(p), "%s", hkd_last_error());
    CHECK(parameters(p, "model.") == network, "%lld parameters in the network, expected %lld",
          (long long)parameters(p, "model."), (long long)network);
    CHECK(parameters(p, "koopman.") == operators, "%lld in the operators, expected %lld", (long long)parameters(p, "koopman."),
          (long long)operators);
    hkd_program_free(p);
}

/* Names and shapes against the published state dicts. */
static void keys(hkd_arch arch, bool ffhq, const char *file) {
    char path[4096], line[512], name[256];
    const hkd_config c = published(arch, ffhq);
    snprintf(path, sizeof path, "%s/spec/keys/%s", test_shared(), file);
    FILE *f = fopen(path, "r");
    if (!CHECK(f, "%s: cannot be read", path)) return;
    hkd_program *p = hkd_model_program(&c, &(hkd_model_options){.n = 1, .augment = true});
    int listed = 0, weights = 0;
    for (int i = 0; i < p->n_vars; i++) weights += p->var[i].kind == HKD_VAR_WEIGHT;
    while (fgets(line, sizeof line, f)) {
        hkd_shape s = {0, {0}};
        char *at = strchr(line, '[');
        if (line[0] == '#' || !at || strstr(line, "resample_filter") || sscanf(line, "%255s", name) != 1) continue;
        while (at && s.rank < 4 && (at = strpbrk(at, "0123456789"))) s.dim[s.rank++] = strtol(at, &at, 10);
        const hkd_var v = hkd_find_var(p, name);
        listed++;
        CHECK(v != HKD_NO_VAR && hkd_same_shape(&s, &p->var[v < 0 ? 0 : v].shape), "%s: %s is missing or has another shape",
              file, name);
    }
    CHECK(listed == weights, "%s lists %d tensors, the network has %d", file, listed, weights);
    fclose(f);
    hkd_program_free(p);
}

/* tau(sigma_max) = 1, tau(sigma_min) = 0, and the way back. */
static void time_map(void) {
    const hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    CHECK(fabs(hkd_time_of_sigma(&c, 80) - 1) < 1e-15 && fabs(hkd_time_of_sigma(&c, 0.002)) < 1e-15, "the ends of time");
    CHECK(fabs(hkd_sigma_of_time(&c, 0.5) - 2.5152190) < 1e-7, "sigma(1/2) = %.9g", hkd_sigma_of_time(&c, 0.5));
    for (double t = 0; t <= 1; t += 0.125)
        CHECK(fabs(hkd_time_of_sigma(&c, hkd_sigma_of_time(&c, t)) - t) < 1e-14, "time %g does not come back", t);
}

void test_model(void) {
    opener *const devices[] = {hkd_device_open_ref, hkd_device_open_cpu};
    for (int i = 0; i < 2; i++) {
        still_operators(devices[i], HKD_ARCH_DDPMPP);
        still_operators(devices[i], HKD_ARCH_NCSNPP);
        invariance(devices[i]);
        shared_memory(devices[i]);
    }
    totals(HKD_ARCH_DDPMPP, false, 55733891, 1605632);
    totals(HKD_ARCH_NCSNPP, false, 56397827, 1605632);
    totals(HKD_ARCH_DDPMPP, true, 61805571, 4227072);
    time_map();
    if (!test_shared()) {
        test_skip("published key lists", "no development data");
        return;
    }
    keys(HKD_ARCH_DDPMPP, false, "keys_cifar10_vp_uncond.txt");
    keys(HKD_ARCH_NCSNPP, false, "keys_cifar10_ve_uncond.txt");
    keys(HKD_ARCH_DDPMPP, true, "keys_ffhq64_vp_uncond.txt");
}
