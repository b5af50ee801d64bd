/* hkd bench - how fast a device is, beside what the machine can do at best. */
#include "bench.h"
#include "bench_ratio.h"
#include "files.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

enum { TABLE, LAYERS, STEP, FROZEN, TRAINING, RATIOS };

static hkd_status read_settings(hkd_bench *b, int *what, const hkd_args *a) {
    b->args = a;
    hkd_status status = hkd_arg_choice(what, a, "what", "table|convolutions|step|frozen|training|ratios");
    if (!status) status = hkd_arg_int(&b->batch, a, "batch", 1, 4096);
    if (!status) status = hkd_arg_int(&b->rounds, a, "rounds", 1, 1000);
    if (!status) status = hkd_arg_int(&b->channels, a, "channels", 8, 4096);
    if (!status) status = hkd_arg_int(&b->resolution, a, "resolution", 8, 1024);
    if (!status) status = hkd_arg_int(&b->micro_batch, a, "micro-batch", 0, 4096);
    if (!status && *what == RATIOS && strncmp(hkd_arg(a, "device"), "opencl", 6) != 0)
        status = hkd_fail(HKD_USAGE, "--what ratios compares --device opencl with the processor");
    if (!status && hkd_given(a, "csv") && (hkd_given(a, "json") || *what == RATIOS))
        status = hkd_fail(HKD_USAGE, "--csv goes neither with --json nor with --what ratios");
    if (!status && hkd_given(a, "scaling")) status = hkd_check_writable(hkd_arg(a, "scaling"));
    b->frozen = *what == FROZEN || hkd_given(a, "table6") || hkd_given(a, "scaling");
    return status;
}

static hkd_status measure(json_t *rows, const hkd_bench *b, int what) {
    int64_t threads = 0;
    if (hkd_given(b->args, "table6")) return hkd_bench_samplers(rows, b);
    if (hkd_given(b->args, "scaling")) return hkd_bench_scaling(rows, b, hkd_arg(b->args, "scaling"));
    switch (what) {
    case TABLE: return hkd_bench_table(rows, b);
    case LAYERS: return hkd_bench_layers(rows, b);
    case TRAINING: return hkd_bench_training(rows, b);
    case RATIOS: {
        const hkd_status status = hkd_arg_int(&threads, b->args, "threads", 0, 4096);
        return status ? status : hkd_bench_ratios(rows, b->dev, b->rounds, (int)threads);
    }
    default: return hkd_bench_step(rows, b);
    }
}

static void print(const json_t *rows, const hkd_bench *b, int what) {
    if (hkd_given(b->args, "json")) {
        json_t *all = json_pack("{s:s, s:s, s:I, s:O}", "device", b->dev->kind, "name", b->dev->name, "rounds",
                                (json_int_t)b->rounds, "rows", rows);
        json_dumpf(all, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(all);
    } else if (hkd_given(b->args, "csv")) {
        hkd_bench_print_csv(rows);
    } else {
        printf("%s: %s; %lld rounds\n\n", b->dev->kind, b->dev->name, (long long)b->rounds);
        if (what == RATIOS) hkd_print_ratios(rows);
        else hkd_bench_print_table(rows, hkd_given(b->args, "profile"));
    }
}

static hkd_status run(const hkd_args *a) {
    hkd_bench b = {0};
    int what = 0;
    hkd_status status = read_settings(&b, &what, a);
    if (!status) status = hkd_open_device(&b.dev, a);
    if (status) return status;
    json_t *rows = json_array();
    status = measure(rows, &b, what);
    if (!status && what != RATIOS) hkd_bench_finish(rows);
    if (!status) print(rows, &b, what);
    json_decref(rows);
    hkd_device_close(b.dev);
    return status;
}

const hkd_verb hkd_verb_bench = {
    .name = "bench",
    .summary = "how fast a device is, beside what the machine can do at best",
    .option = {{"what", "WHAT", "table", "table (all that follows but ratios, each in a process of its own), "
                                "convolutions (one by one), step, frozen (a step with prepared weights), training, or ratios "
                                "(OpenCL beside the processor)"},
               {"table6", NULL, NULL, "one step beside Heun-15, Heun-35, DDIM-10 and DDIM-100 on one network"},
               {"scaling", "FILE.svg", NULL, "draw the time over batch, threads, resolution and width"},
               {"batch", "N", "1", "images at a time (not of the table)"},
               {"micro-batch", "N", "0", "training: samples in one pass; 0: the whole batch"},
               {"channels", "N", "128", "model_channels of EDM's CIFAR-10 network (not of the table)"},
               {"resolution", "N", "32", "pixels along a side (not of the table)"},
               {"rounds", "N", "3", "measure so often; least and median are reported"},
               {"profile", NULL, NULL, "time by operator, of the best round"},
               {"csv", NULL, NULL, "the rows as CSV"}},
    .example = {"bench    the whole table, minutes", "bench --what frozen --profile    where the time of one step goes",
                "bench --table6 --threads 1", "bench --scaling scaling.svg --channels 32"},
    .run = run,
};
