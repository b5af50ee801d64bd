/* hkd bench - how fast a device is, beside what the machine can do at best. */
#include "bench_ratio.h"
#include "cli.h"
#include "cpu.h"
#include "init.h"
#include "model.h"
#include "os.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the machine ------------------------------------------------------------------------------------------------------- */

typedef struct {
    double gflops, gbytes; /* per second; 0: not measured on this device */
} machine;

/* Multiply-adds in registers, and a = b + 3 c on arrays that no cache holds. */
static machine measure_machine(const hkd_device *dev) {
    enum { COUNT = 8 << 20 };
    machine best = {0, 0};
    if (strcmp(dev->kind, "cpu") != 0) return best;
    const hkd_cpu *cpu = (const hkd_cpu *)(const void *)dev;
    float *data = calloc(3 * (size_t)COUNT, sizeof *data);
    for (int round = 0; round < 3; round++) {
        double start = hkd_seconds();
        const double work = cpu->isa->multiply_adds(cpu->threads, 1000000);
        best.gflops = fmax(best.gflops, 1e-9 * work / (hkd_seconds() - start));
        if (!data) continue;
        start = hkd_seconds();
        const double moved = cpu->isa->triad(cpu->threads, data, data + COUNT, data + 2 * COUNT, COUNT);
        best.gbytes = fmax(best.gbytes, 1e-9 * moved / (hkd_seconds() - start));
    }
    free(data);
    return best;
}

/* ---- convolutions of the network --------------------------------------------------------------------------------------- */

typedef struct {
    int c_in, c_out, side, kernel;
} layer;

static const layer layers[] = {
    {256, 256, 32, 3}, {512, 256, 32, 3}, {384, 256, 32, 3}, {128, 128, 32, 3}, {256, 256, 16, 3}, {512, 256, 16, 3},
    {256, 256, 8, 3},  {512, 256, 8, 3},  {64, 64, 32, 3},   {3, 128, 32, 3},   {256, 3, 32, 3},   {512, 256, 32, 1},
    {512, 256, 16, 1}, {256, 768, 16, 1},
};

typedef enum { FORWARD, FROZEN, TO_INPUT, TO_WEIGHT, WAYS } way;
static const char *const way_name[WAYS] = {"forward", "frozen", "dx", "dw"};

typedef struct {
    hkd_device *dev;
    hkd_call call;
    hkd_tensor dx, dw;
    double flops;
    double seconds[WAYS]; /* best so far */
} subject;

static hkd_status subject_new(subject *s, hkd_device *dev, const layer *l, int64_t n) {
    const int64_t pad = l->kernel / 2, side = l->side;
    const hkd_shape x = hkd_shape_of(4, n, (int64_t)l->c_in, side, side), y = hkd_shape_of(4, n, (int64_t)l->c_out, side, side);
    const hkd_shape w = hkd_shape_of(4, (int64_t)l->c_out, (int64_t)l->c_in, (int64_t)l->kernel, (int64_t)l->kernel);
    *s = (subject){.dev = dev, .call = {.op = hkd_find_op("conv2d"), .p = {1, (double)pad, (double)pad, 1}}};
    s->flops = 2.0 * (double)hkd_count(&y) * l->c_in * l->kernel * l->kernel;
    for (int k = 0; k < WAYS; k++) s->seconds[k] = HUGE_VAL;
    hkd_status status = hkd_tensor_new(dev, &s->call.in[0], &x, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->call.in[1], &w, HKD_WEIGHT);
    if (!status) status = hkd_tensor_new(dev, &s->call.out[0], &y, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->call.up[0], &y, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->dx, &x, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &s->dw, &w, HKD_STATE);
    if (!status) status = dev->fill(dev, &s->call.in[0], 0.5);
    if (!status) status = dev->fill(dev, &s->call.in[1], 0.01);
    return status ? status : dev->fill(dev, &s->call.up[0], 0.5);
}

static void subject_free(subject *s) {
    hkd_tensor *const all[] = {&s->call.in[0], &s->call.in[1], &s->call.out[0], &s->call.up[0], &s->dx, &s->dw};
    for (int i = 0; i < 6; i++)
        if (all[i]->buffer) hkd_tensor_free(s->dev, all[i]);
}

/* The best of a few runs within about 50 ms. */
static hkd_status measure(subject *s, way k) {
    hkd_status status = HKD_OK;
    s->call.grad[0].buffer = s->call.grad[1].buffer = NULL;
    if (k == TO_INPUT) s->call.grad[0] = s->dx;
    if (k == TO_WEIGHT) s->call.grad[1] = s->dw;
    if (k == FROZEN && s->dev->freeze) status = s->dev->freeze(s->dev, &s->call);
    const double begin = hkd_seconds();
    for (int run = 0; !status && (run < 2 || hkd_seconds() < begin + 0.05); run++) {
        const double start = hkd_seconds();
        status = (k == TO_INPUT || k == TO_WEIGHT ? hkd_device_backward : hkd_device_forward)(s->dev, &s->call);
        if (!status) status = s->dev->sync(s->dev);
        s->seconds[k] = fmin(s->seconds[k], hkd_seconds() - start);
    }
    return k == FROZEN && !status ? s->dev->fill(s->dev, &s->call.in[1], 0.01) : status;
}

static hkd_status convolutions(hkd_device *dev, int64_t n, int64_t rounds, json_t *rows) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        subject s;
        hkd_status status = subject_new(&s, dev, &layers[i], n);
        for (int64_t round = 0; !status && round < rounds; round++)
            for (int k = 0; !status && k < WAYS; k++) status = measure(&s, (way)k);
        char what[64];
        snprintf(what, sizeof what, "%dx%d %d->%d %dx%d", layers[i].kernel, layers[i].kernel, layers[i].c_in, layers[i].c_out,
                 layers[i].side, layers[i].side);
        json_t *row = json_pack("{s:s}", "work", what);
        for (int k = 0; k < WAYS; k++) json_object_set_new(row, way_name[k], json_real(1e-9 * s.flops / s.seconds[k]));
        json_array_append_new(rows, row);
        subject_free(&s);
        if (status) return status;
        if (hkd_cancelled()) return hkd_fail(HKD_RESOURCES, "interrupted");
    }
    return HKD_OK;
}

static void print_convolutions(const json_t *rows, double peak) {
    size_t i;
    json_t *row;
    printf("| convolution, GF/s as direct | forward | frozen | dx | dw | %s |\n|---|---|---|---|---|---|\n",
           peak > 0 ? "forward, % of peak" : "");
    json_array_foreach(rows, i, row) {
        const double forward = json_real_value(json_object_get(row, "forward"));
        printf("| %s |", json_string_value(json_object_get(row, "work")));
        for (int k = 0; k < WAYS; k++) printf(" %.0f |", json_real_value(json_object_get(row, way_name[k])));
        if (peak > 0) printf(" %.0f |\n", 100 * forward / peak);
        else printf(" |\n");
    }
}

/* ---- whole networks, and where their time goes ------------------------------------------------------------------------ */

enum { MOST_OPS = 64 };

/* The device's own functions, and the seconds of every operator that went through them. */
static struct {
    hkd_status (*forward)(hkd_device *, const hkd_call *), (*backward)(hkd_device *, const hkd_call *);
    const hkd_op *op[MOST_OPS + 1]; /* in the order they were met; ends with NULL */
    double seconds[MOST_OPS], best[MOST_OPS]; /* of this round, of the best */
    double products;                          /* of this round */
} watch;

/* Multiply-adds of one call; a Winograd convolution needs a quarter of the direct count, transforms aside. A way back is two
 * products of the same size. */
static double products(const hkd_device *dev, const hkd_call *call, bool backward) {
    const double outputs = (double)hkd_count(&call->out[0].shape), ways = backward ? 2 : 1;
    const hkd_shape *w = &call->in[1].shape;
    if (!strcmp(call->op->name, "attention"))
        return ways * 2 * outputs * (double)(call->out[0].shape.dim[2] * call->out[0].shape.dim[3]);
    const bool convolution = !strncmp(call->op->name, "conv2d", 6);
    if (!convolution && strcmp(call->op->name, "linear") != 0) return 0;
    const double direct = ways * outputs * (double)hkd_count(w) / (double)w->dim[0];
    return convolution && dev->spread && dev->spread(dev, call) ? direct / 4 : direct;
}

static hkd_status timed(hkd_device *dev, const hkd_call *call, hkd_status (*run)(hkd_device *, const hkd_call *)) {
    const double start = hkd_seconds();
    hkd_status status = run(dev, call);
    if (!status) status = dev->sync(dev);
    watch.products += products(dev, call, run == watch.backward);
    int i = 0;
    while (watch.op[i] && watch.op[i] != call->op) i++;
    if (i == MOST_OPS) return status;
    watch.op[i] = call->op;
    watch.seconds[i] += hkd_seconds() - start;
    return status;
}

static hkd_status timed_forward(hkd_device *dev, const hkd_call *call) { return timed(dev, call, watch.forward); }
static hkd_status timed_backward(hkd_device *dev, const hkd_call *call) { return timed(dev, call, watch.backward); }

static json_t *profile_rows(double whole) {
    json_t *rows = json_array();
    for (int i = 0; watch.op[i]; i++)
        if (watch.best[i] > 0)
            json_array_append_new(rows, json_pack("{s:s, s:f, s:f}", "operator", watch.op[i]->name, "seconds",
                                                  watch.best[i], "percent", 100 * watch.best[i] / whole));
    return rows;
}

static hkd_status network(hkd_device *dev, int64_t channels, int64_t n, int64_t rounds, bool frozen, bool gradient,
                          json_t *rows) {
    hkd_config config = hkd_config_default(HKD_ARCH_DDPMPP);
    hkd_model *m = NULL;
    config.model_channels = (int)channels;
    config.is_hkd = true;
    hkd_status status = hkd_model_new(&m, &config, dev);
    if (!status) status = hkd_init_weights(m->weights, 1, true);
    if (status) return hkd_model_free(m), status;
    m->batch = n;
    m->frozen = frozen;
    const int64_t size = n * config.img_channels * config.img_resolution * config.img_resolution;
    double *x = calloc((size_t)size, sizeof *x), *d = calloc((size_t)size, sizeof *d);
    double *sigma = calloc((size_t)n, sizeof *sigma);
    double best = HUGE_VAL;
    for (int64_t i = 0; i < size && x; i++) x[i] = (double)(i * 7 % 11) - 5;
    for (int64_t i = 0; i < n && sigma; i++) sigma[i] = 80;
    if (!x || !d || !sigma) status = hkd_fail(HKD_RESOURCES, "out of memory");
    const hkd_model_input in = {.n = n, .x = x, .sigma = sigma};
    for (int64_t round = 0; !status && round <= rounds; round++) { /* the first prepares and does not count */
        memset(watch.seconds, 0, sizeof watch.seconds);
        watch.products = 0;
        const double start = hkd_seconds();
        status = gradient ? hkd_model_gradient(m, NULL, NULL, NULL, x, &in) : hkd_model_denoise(m, d, NULL, &in);
        const double seconds = hkd_seconds() - start;
        if (round && seconds < best) {
            best = seconds;
            memcpy(watch.best, watch.seconds, sizeof watch.best);
        }
        if (hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    }
    const char *what = gradient ? "forward and backward" : frozen ? "one step, frozen weights" : "one step";
    if (!status)
        json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:f, s:f, s:I, s:o}", "work", what, "channels",
                                              (json_int_t)channels, "batch", (json_int_t)n, "seconds_per_image",
                                              best / (double)n, "gflops", 2e-9 * watch.products / best, "peak_memory",
                                              (json_int_t)hkd_peak_memory(), "profile", profile_rows(best)));
    free(x), free(d), free(sigma);
    hkd_model_free(m);
    return status;
}

enum { ALL, STEP, FROZEN_STEP, GRADIENT };

static hkd_status networks(hkd_device *dev, int64_t channels, int64_t n, int64_t rounds, int work, json_t *rows) {
    watch.forward = dev->forward, watch.backward = dev->backward;
    dev->forward = timed_forward, dev->backward = timed_backward;
    hkd_status status = HKD_OK;
    if (work == ALL || work == STEP) status = network(dev, channels, n, rounds, false, false, rows);
    if (!status && dev->freeze && (work == ALL || work == FROZEN_STEP))
        status = network(dev, channels, n, rounds, true, false, rows);
    if (!status && (work == ALL || work == GRADIENT)) status = network(dev, channels, n, rounds, false, true, rows);
    dev->forward = watch.forward, dev->backward = watch.backward;
    return status;
}

static void print_networks(const json_t *rows, double peak, bool profile) {
    size_t i, k;
    json_t *row, *op;
    printf("| network | channels | batch | ms per image | GF/s, Winograd's count | %% of peak | peak memory so far, MB |\n"
           "|---|---|---|---|---|---|---|\n");
    json_array_foreach(rows, i, row)
        printf("| %s | %lld | %lld | %.1f | %.0f | %.0f | %.0f |\n", json_string_value(json_object_get(row, "work")),
               (long long)json_integer_value(json_object_get(row, "channels")),
               (long long)json_integer_value(json_object_get(row, "batch")),
               1e3 * json_real_value(json_object_get(row, "seconds_per_image")),
               json_real_value(json_object_get(row, "gflops")),
               peak > 0 ? 100 * json_real_value(json_object_get(row, "gflops")) / peak : 0,
               1e-6 * (double)json_integer_value(json_object_get(row, "peak_memory")));
    if (!profile) return;
    json_array_foreach(rows, i, row) {
        printf("\n| %s | ms | %% |\n|---|---|---|\n", json_string_value(json_object_get(row, "work")));
        json_array_foreach(json_object_get(row, "profile"), k, op)
            printf("| %s | %.2f | %.1f |\n", json_string_value(json_object_get(op, "operator")),
                   1e3 * json_real_value(json_object_get(op, "seconds")), json_real_value(json_object_get(op, "percent")));
    }
}

/* ---- the verb ---- */

static hkd_status run(const hkd_args *a) {
    hkd_device *dev = NULL;
    int64_t n = 4, rounds = 3, channels = 128, threads = 0;
    int what = 0, work = 0;
    hkd_status status = hkd_arg_int(&n, a, "batch", 1, 4096);
    if (!status) status = hkd_arg_int(&rounds, a, "rounds", 1, 1000);
    if (!status) status = hkd_arg_int(&channels, a, "channels", 8, 4096);
    if (!status) status = hkd_arg_choice(&what, a, "what", "convolutions|network|ratios");
    if (!status) status = hkd_arg_choice(&work, a, "work", "all|step|frozen|gradient");
    if (!status && what == 2 && strncmp(hkd_arg(a, "device"), "opencl", 6))
        status = hkd_fail(HKD_USAGE, "--what ratios compares --device opencl with the processor");
    if (!status) status = hkd_arg_int(&threads, a, "threads", 0, 4096);
    if (!status) status = hkd_open_device(&dev, a);
    if (status) return status;
    const machine best = measure_machine(dev);
    json_t *rows = json_array();
    if (what == 2) status = hkd_bench_ratios(rows, dev, rounds, (int)threads);
    else status = what ? networks(dev, channels, n, rounds, work, rows) : convolutions(dev, n, rounds, rows);
    if (!status && hkd_given(a, "json")) {
        json_t *all = json_pack("{s:s, s:s, s:f, s:f, s:I, s:I, s:O}", "device", dev->kind, "name", dev->name, "peak_gflops",
                                best.gflops, "bandwidth_gbytes", best.gbytes, "batch", (json_int_t)n, "rounds",
                                (json_int_t)rounds, "rows", rows);
        json_dumpf(all, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(all);
    } else if (!status) {
        printf("%s: %s; batch %lld, best of %lld rounds", dev->kind, dev->name, (long long)n, (long long)rounds);
        if (best.gflops > 0) printf("; multiply-adds %.0f GF/s, memory %.1f GB/s", best.gflops, best.gbytes);
        printf("\n\n");
        if (what == 2) hkd_print_ratios(rows);
        else if (what) print_networks(rows, best.gflops, hkd_given(a, "profile"));
        else print_convolutions(rows, best.gflops);
    }
    json_decref(rows);
    hkd_device_close(dev);
    return status;
}

const hkd_verb hkd_verb_bench = {
    .name = "bench",
    .summary = "how fast a device is, beside what the machine can do at best",
    .option = {{"what", "WHAT", "convolutions", "convolutions (of the network, one by one), network (whole, EDM's "
                                      "CIFAR-10), or ratios (OpenCL beside the processor)"},
               {"batch", "N", "4", "images"},
               {"work", "WORK", "all", "all, or one alone in its process (for its memory): step, frozen or gradient"},
               {"channels", "N", "128", "model_channels of the network"},
               {"rounds", "N", "3", "measure so often, report the best"},
               {"profile", NULL, NULL, "time by operator, of the best round"}},
    .example = {"bench --threads 1", "bench --what network --batch 1 --profile    where the time of one step goes"},
    .run = run,
};
