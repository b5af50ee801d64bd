#include "cpu.h"
#include "fused.h"
#include "on_cpu.h"
#include "optimizer.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef hkd_adam_scalars scalars_of(const hkd_adam_settings *);

/* Eight steps on one weight that starts at 1.5. */
static void trajectory(double *p, scalars_of *scalars, hkd_adam_settings settings, const double *g) {
    double w = 1.5, m = 0, v = 0;
    for (settings.t = 1; settings.t <= 8; settings.t++) {
        const hkd_adam_scalars s = scalars(&settings);
        hkd_ref_adam(&w, &m, &v, &w, &m, &v, &g[settings.t - 1], 1, &s);
        p[settings.t - 1] = w;
    }
}

/* The same eight steps by PyTorch 1.13 in float64 (torch.optim.Adam, AdamW, RAdam): a bias correction off by one step, eps in
 * the wrong place, decay added where it should shrink. RAdam leaves plain momentum at step 6. */
static void other_implementation(void) {
    static const double g[8] = {0.5, -2.0, 0.01, 3.0, -0.25, 1.0, 0.125, -0.75};
    static const struct {
        const char *name;
        scalars_of *scalars;
        double weight_decay;
        int decoupled;
        double p[8];
    } known[] = {
        {"Adam", hkd_ref_adam_scalars, 0.1, 0,
         {1.4900000001538463, 1.4948023439920901, 1.4979844658465331, 1.4944350905119306, 1.4915839056287814,
          1.487691997087784, 1.4839454310132665, 1.4814390300285125}},
        {"AdamW", hkd_ref_adam_scalars, 0.1, 1,
         {1.4885000002, 1.4926065351018054, 1.4954078527575587, 1.4911120993145153, 1.4876336992189247, 1.4831125520386221,
          1.4788141996337241, 1.4758667265228376}},
        {"RAdam", hkd_ref_radam_scalars, 0, 0,
         {1.4950000000000001, 1.5031578947368422, 1.5082685958438533, 1.5031697298944495, 1.4999264635517473,
          1.4998481348640145, 1.499755967256021, 1.4996990739445244}},
    };
    for (int k = 0; k < 3; k++) {
        double p[8];
        const hkd_adam_settings settings = {0.01, 0.9, 0.999, 1e-8, known[k].weight_decay, known[k].decoupled, 1};
        trajectory(p, known[k].scalars, settings, g);
        for (int t = 0; t < 8; t++)
            CHECK(fabs(p[t] - known[k].p[t]) < 1e-12, "%s step %d: %.15g, expected %.15g", known[k].name, t + 1, p[t],
                  known[k].p[t]);
    }
}

/* A constant gradient: both moments are corrected to g and g^2 exactly, so every Adam step is lr g / (|g| + eps); RAdam's are
 * lr g while it waits and r lr sign(g) after, r rising to 1. */
static void constant_gradient(void) {
    const hkd_adam_settings base = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    double w[2] = {1.5, 1.5}, m[2] = {0}, v[2] = {0}, r = 0;
    int falls = 0, wrong = 0;
    const double g = -0.3;
    for (int t = 1; t <= 20000; t++) {
        hkd_adam_settings settings = base;
        settings.t = t;
        const double before[2] = {w[0], w[1]};
        const hkd_adam_scalars adam = hkd_ref_adam_scalars(&settings), radam = hkd_ref_radam_scalars(&settings);
        hkd_ref_adam(&w[0], &m[0], &v[0], &w[0], &m[0], &v[0], &g, 1, &adam);
        hkd_ref_adam(&w[1], &m[1], &v[1], &w[1], &m[1], &v[1], &g, 1, &radam);
        const double step = w[0] - before[0], rectified = w[1] - before[1];
        wrong += !(fabs(step - 0.01 * 0.3 / (0.3 + 1e-8)) < 1e-13);
        if (t <= 5) CHECK(fabs(rectified - 0.003) < 1e-15, "RAdam step %d is %.15g, expected lr g", t, rectified);
        falls += t > 6 && t < 10000 && rectified <= r;
        r = t > 5 ? rectified : 0;
    }
    CHECK(!wrong, "%d of 20000 Adam steps are not lr g / (|g| + eps)", wrong);
    CHECK(!falls, "RAdam's rectification falls %d times", falls);
    CHECK(fabs(r / 0.01 - 1) < 1e-6, "RAdam after 20000 steps moves by %.9g, expected lr", r);
}

/* cpu writes over its own inputs; a weight of rank 4 keeps its order; and where v = 0, v' = (1 - beta2) g^2 shows whether
 * 1 - beta2 was formed in float32. */
static void in_place(void) {
    enum { COUNT = 2 * 3 * 3 * 5 };
    const hkd_shape one = hkd_shape_of(4, (int64_t)2, (int64_t)3, (int64_t)3, (int64_t)5), shape[4] = {one, one, one, one};
    static const double settings[7] = {0.01, 0.9, 0.999, 1e-8, 0.1, 0, 7}, decay[1] = {0.9};
    double in[4][COUNT], y[3][COUNT], e[3][COUNT], got[3][COUNT], worst = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < COUNT; i++) in[k][i] = (double)(float)(k == 2 ? i % 7 : sin(i + 40.0 * k));
    const double *inputs[4] = {in[0], in[1], in[2], in[3]};
    double *outputs[3] = {got[0], got[1], got[2]};
    for (int radam = 0; radam < 2; radam++) {
        const hkd_adam_settings s = {0.01, 0.9, 0.999, 1e-8, 0.1, 0, 7};
        const hkd_adam_scalars scalars = radam ? hkd_ref_radam_scalars(&s) : hkd_ref_adam_scalars(&s);
        hkd_ref_adam(y[0], y[1], y[2], in[0], in[1], in[2], in[3], COUNT, &scalars);
        hkd_ref_adam_bound(e[0], e[1], e[2], in[0], in[1], in[2], in[3], COUNT, &scalars);
        on_cpu(outputs, radam ? "radam" : "adam", settings, shape, inputs, HKD_WEIGHT, true);
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < COUNT; i++) worst = fmax(worst, share_of_allowance(got[k][i], y[k][i], e[k][i]));
        CHECK(worst <= 1, "%s in place: %g of the allowance", radam ? "radam" : "adam", worst);
    }
    hkd_ref_ema(y[0], in[0], in[1], COUNT, 0.9);
    hkd_ref_ema_bound(e[0], in[0], in[1], COUNT, 0.9);
    on_cpu(outputs, "ema", decay, shape, inputs, HKD_WEIGHT, true);
    for (int i = 0; i < COUNT; i++) worst = fmax(worst, share_of_allowance(got[0][i], y[0][i], e[0][i]));
    CHECK(worst <= 1, "ema in place: %g of the allowance", worst);
}

/* An average of constant weights does not drift in float32, decay 0 copies, and the closed form p + decay^T (e - p) holds. */
static void averages(void) {
    const hkd_shape one = hkd_shape_of(1, (int64_t)1), shape[2] = {one, one};
    double e = (double)0.1f, decay[1] = {0.9999};
    const double p = (double)0.1f, other = (double)0.3f;
    double *out[1] = {&e};
    const double *same[2] = {&e, &p}, *copy[2] = {&e, &other};
    for (int t = 0; t < 200; t++) on_cpu(out, "ema", decay, shape, same, HKD_WEIGHT, true);
    CHECK(e == p, "200 averages of a constant drifted by %g", e - p);
    decay[0] = 0;
    on_cpu(out, "ema", decay, shape, copy, HKD_WEIGHT, true);
    CHECK(e == other, "decay 0 does not copy");
    double x = 5;
    for (int t = 0; t < 100; t++) hkd_ref_ema(&x, &x, &p, 1, 0.97);
    CHECK(fabs(x - (p + pow(0.97, 100) * (5 - p))) < 1e-13, "100 averages give %.15g", x);
}

/* ---- one pass ---- */

static bool (*offered)(const hkd_device *, const hkd_op *, bool);

static bool one_by_one(const hkd_device *dev, const hkd_op *op, bool backward) {
    return op != &hkd_op_adam_ema && op != &hkd_op_radam_ema && offered(dev, op, backward);
}

static hkd_status put_noise(hkd_device *dev, const hkd_tensor *t, int seed) {
    const int64_t count = hkd_count(&t->shape);
    float *x = malloc((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = (float)(exp(3 * sin(0.7 * (double)i + seed)) * cos(1.3 * (double)i * seed));
    const hkd_status status = dev->upload(dev, t, x, HKD_F32);
    free(x);
    return status;
}

/* Weights, moments and average after three steps, one array after the other. */
static float *three_steps(const hkd_device_options *options, bool radam, double decay, bool separate, int64_t *total) {
    const int64_t sizes[] = {5, HKD_SMALL + 4099, 4096};
    hkd_program *p = hkd_program_new();
    hkd_device *dev = NULL;
    hkd_weights *w = NULL;
    hkd_optimizer *o = NULL;
    hkd_optimizer_settings settings = HKD_OPTIMIZER_DEFAULT;
    settings.radam = radam, settings.weight_decay = 0.1, settings.clip = 50;
    hkd_weight_var(p, "a", hkd_shape_of(1, sizes[0]), true);
    hkd_weight_var(p, "b", hkd_shape_of(1, sizes[1]), true);
    hkd_weight_var(p, "c", hkd_shape_of(1, sizes[2]), true);
    hkd_status status = hkd_device_open_cpu(&dev, options);
    if (!status) status = hkd_weights_new(&w, p, dev);
    for (int i = 0; i < 3 && !status; i++) status = put_noise(dev, &w->item[i].value, i + 1);
    if (!status) status = hkd_optimizer_new(&o, w, &settings);
    offered = dev->supports;
    if (separate) dev->supports = one_by_one;
    for (int t = 0; t < 3 && !status; t++) {
        for (int i = 0; i < 3 && !status; i++) status = put_noise(dev, &w->item[i].grad, 10 * t + i);
        if (!status) status = hkd_optimizer_step(o, 1e-2, decay, t == 1 ? 100 : 10);
    }
    *total = 4 * (sizes[0] + sizes[1] + sizes[2]);
    float *all = calloc((size_t)*total, sizeof *all), *at = all;
    for (int i = 0; i < 3 && !status; i++) {
        const hkd_tensor *const part[] = {&w->item[i].value, &o->m[i], &o->v[i], &o->ema[i]};
        for (int k = 0; k < 4; k++, at += sizes[i]) dev->download(dev, at, HKD_F32, part[k]);
    }
    CHECK(!status, "%s", hkd_last_error());
    hkd_optimizer_free(o);
    hkd_weights_free(w);
    hkd_program_free(p);
    hkd_device_close(dev);
    return all;
}

/* Step and average in one pass give the bits of the rows one by one: an average of the old weights, a stretch that is left out
 * or taken twice, a sum that is rounded once instead of twice. */
static void one_pass(void) {
    for (int i = 0; i < CPU_BUILDS; i++) {
        const char *isa = cpu_builds[i];
        const hkd_device_options two = {.threads = 2, .isa = isa}, three = {.threads = 3, .isa = isa};
        if (!cpu_runs(isa, "adam")) continue;
        for (int radam = 0; radam < 2; radam++)
            for (int near_p = 0; near_p < 2; near_p++) {
                int64_t count;
                float *one = three_steps(&two, radam, near_p ? 0.25 : 0.999, false, &count);
                float *rows = three_steps(&three, radam, near_p ? 0.25 : 0.999, true, &count);
                CHECK(!memcmp(one, rows, (size_t)count * sizeof *one), "%s, %s: one pass has other bits than the rows", isa,
                      radam ? "radam" : "adam");
                free(one), free(rows);
            }
    }
}

void test_adam(void) {
    other_implementation();
    constant_gradient();
    in_place();
    averages();
    one_pass();
}
