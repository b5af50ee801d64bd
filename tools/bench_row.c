#include "bench.h"

#include "cpu.h"
#include "os.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The best of five tries, each long enough that threads which woke on one core have moved apart. a = b + 3 c on arrays that no
 * cache holds, written before they are read: untouched pages of calloc are all one page of zeros, which a cache does hold. */
hkd_machine hkd_measure_machine(const hkd_device *dev) {
    enum { COUNT = 8 << 20 };
    hkd_machine best = {0, 0};
    if (strcmp(dev->kind, "cpu") != 0) return best;
    const hkd_cpu *cpu = (const hkd_cpu *)(const void *)dev;
    float *data = malloc(3 * (size_t)COUNT * sizeof *data);
    for (int i = 0; i < 3 * COUNT && data; i++) data[i] = 1;
    for (int round = 0; round < 5; round++) {
        double start = hkd_seconds();
        const double work = cpu->isa->multiply_adds(cpu->threads, 4000000);
        best.gflops = fmax(best.gflops, 1e-9 * work / (hkd_seconds() - start));
        if (!data) continue;
        start = hkd_seconds();
        const double moved = cpu->isa->triad(cpu->threads, data, data + COUNT, data + 2 * COUNT, COUNT);
        best.gbytes = fmax(best.gbytes, 1e-9 * moved / (hkd_seconds() - start));
    }
    free(data);
    return best;
}

/* ---- rows ---- */

static const char *const of_rounds[] = {"seconds", "peak_gflops", "bandwidth_gbytes"};
static const char *const same[] = {"work", "math", "channels", "resolution", "batch", "threads"};

double hkd_bench_number(const json_t *row, const char *name) { return json_number_value(json_object_get(row, name)); }

static json_t *find(const json_t *rows, const json_t *like) {
    size_t i, k;
    json_t *row;
    json_array_foreach(rows, i, row) {
        for (k = 0; k < sizeof same / sizeof *same; k++) {
            const json_t *a = json_object_get(row, same[k]), *b = json_object_get(like, same[k]);
            if (a != b && !json_equal(a, b)) break;
        }
        if (k == sizeof same / sizeof *same) return row;
    }
    return NULL;
}

json_t *hkd_bench_row(json_t *rows, const hkd_bench *b, const char *work) {
    int64_t threads = 0;
    if (hkd_arg_int(&threads, b->args, "threads", 0, 4096) || threads == 0) threads = hkd_cores();
    if (!strcmp(b->dev->kind, "cpu")) threads = ((const hkd_cpu *)(const void *)b->dev)->threads;
    json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:[], s:[], s:[]}", "work", work, "math",
                            hkd_arg(b->args, "math"), "channels", (json_int_t)b->channels, "resolution",
                            (json_int_t)b->resolution, "batch", (json_int_t)b->batch, "threads", (json_int_t)threads,
                            of_rounds[0], of_rounds[1], of_rounds[2]);
    json_t *there = find(rows, row);
    if (there) return json_decref(row), there;
    json_array_append_new(rows, row);
    return row;
}

void hkd_bench_cost(json_t *row, double multiply_adds, double bytes) {
    json_object_set_new(row, "multiply_adds", json_real(multiply_adds));
    json_object_set_new(row, "bytes", json_real(bytes));
}

void hkd_bench_round(json_t *row, double seconds_per_image, hkd_machine m) {
    const double value[] = {seconds_per_image, m.gflops, m.gbytes};
    for (int i = 0; i < 3; i++) json_array_append_new(json_object_get(row, of_rounds[i]), json_real(value[i]));
}

static double least_of(const json_t *row) {
    size_t i;
    json_t *value;
    double least = HUGE_VAL;
    json_array_foreach(json_object_get(row, "seconds"), i, value) least = fmin(least, json_real_value(value));
    return least;
}

void hkd_bench_merge(json_t *rows, const json_t *more) {
    size_t i;
    json_t *row;
    json_array_foreach(more, i, row) {
        json_t *there = find(rows, row);
        if (!there) {
            json_array_append_new(rows, json_deep_copy(row));
            continue;
        }
        json_t *profile = json_object_get(row, "profile");
        if (profile && least_of(row) < least_of(there)) json_object_set(there, "profile", profile);
        for (int k = 0; k < 3; k++) json_array_extend(json_object_get(there, of_rounds[k]), json_object_get(row, of_rounds[k]));
    }
}

/* ---- figures ---- */

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, size_t count) {
    qsort(value, count, sizeof *value, by_size);
    return (value[(count - 1) / 2] + value[count / 2]) / 2;
}

static double in_round(const json_t *row, const char *name, size_t round) {
    return json_real_value(json_array_get(json_object_get(row, name), round));
}

void hkd_bench_finish(json_t *rows) {
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        const size_t rounds = json_array_size(json_object_get(row, "seconds"));
        double *seconds = malloc((rounds + 1) * sizeof *seconds);
        if (!seconds || !rounds) {
            free(seconds);
            continue;
        }
        size_t best = 0;
        for (size_t k = 0; k < rounds; k++) {
            seconds[k] = in_round(row, "seconds", k);
            if (seconds[k] < seconds[best]) best = k;
        }
        const double least = seconds[best], peak = in_round(row, "peak_gflops", best);
        json_object_set_new(row, "least_seconds", json_real(least));
        json_object_set_new(row, "median_seconds", json_real(median(seconds, rounds)));
        free(seconds);
        if (!json_object_get(row, "multiply_adds")) continue;
        const double gflops = 2e-9 * hkd_bench_number(row, "multiply_adds") / least;
        const double gbytes = 1e-9 * hkd_bench_number(row, "bytes") / least, memory = in_round(row, "bandwidth_gbytes", best);
        json_object_set_new(row, "gflops", json_real(gflops));
        if (peak > 0) json_object_set_new(row, "percent_of_peak", json_real(100 * gflops / peak));
        if (memory > 0) json_object_set_new(row, "percent_of_bandwidth", json_real(100 * gbytes / memory));
    }
}
