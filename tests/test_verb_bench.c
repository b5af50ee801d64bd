/* hkd bench: what it writes can be read by other programs, and its figures follow from the rounds. No time is judged. */
#include "program.h"
#include "scratch.h"
#include "test.h"

#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL "--channels 16 --resolution 8 --rounds 2 --threads 1"

static const json_t *only_row(json_t *report) { return json_array_get(json_object_get(report, "rows"), 0); }

static json_t *report(const char *words) {
    CHECK(program("bench " SMALL " --json %s", words) == 0, "%s", program_err());
    json_t *o = json_loads(program_out(), JSON_REJECT_DUPLICATES, NULL);
    CHECK(o && json_array_size(json_object_get(o, "rows")) > 0, "not a report: %s", program_out());
    return o;
}

/* One report of each work: catches fields that are missing, rounds that are dropped, and a count of multiply-adds that is not
 * there, not per image (then batch 2 has twice that of batch 1), or Winograd's counted as direct. */
static void json(void) {
    static const char *const works[] = {"--what step --math direct", "--what frozen --math direct --batch 2",
                                        "--what training --math direct --batch 4", "--what step"};
    double counted[4];
    for (int i = 0; i < 4; i++) {
        json_t *o = report(works[i]);
        const json_t *row = only_row(o);
        CHECK(json_array_size(json_object_get(row, "seconds")) == 2, "%s: not two rounds", works[i]);
        CHECK(json_array_size(json_object_get(row, "peak_gflops")) == 2, "%s: the machine is not in every round", works[i]);
        CHECK(hkd_bench_number(row, "least_seconds") > 0 &&
                  hkd_bench_number(row, "least_seconds") <= hkd_bench_number(row, "median_seconds"),
              "%s: least and median are out of order", works[i]);
        CHECK(hkd_bench_number(row, "peak_memory") > 0 && hkd_bench_number(row, "first_pass_seconds") > 0,
              "%s: neither memory nor the first pass", works[i]);
        CHECK(json_array_size(json_object_get(row, "profile")) > 3, "%s: no profile", works[i]);
        counted[i] = hkd_bench_number(row, "multiply_adds");
        json_decref(o);
    }
    CHECK(counted[0] > 0 && counted[0] == counted[1], "multiply-adds %g and %g of one network", counted[0], counted[1]);
    CHECK(counted[2] > 2.5 * counted[0] && counted[2] < 3.5 * counted[0], "training has %g multiply-adds, forward %g",
          counted[2], counted[0]);
    CHECK(counted[3] < counted[0], "Winograd's count %g is not below the direct %g", counted[3], counted[0]);
}

/* As many commas in every line as in the first, quoted names apart. */
static void csv(const char *words, int least_rows) {
    CHECK(program("bench " SMALL " --csv %s", words) == 0, "%s", program_err());
    int columns = 0, lines = 0, commas = 0;
    bool quoted = false;
    for (const char *c = program_out(); *c; c++) {
        quoted ^= *c == '"';
        commas += *c == ',' && !quoted;
        if (*c != '\n') continue;
        if (!lines++) columns = commas;
        CHECK(commas == columns && !quoted, "line %d has %d commas, the first %d", lines, commas, columns);
        commas = 0;
    }
    CHECK(columns > 8 && lines > least_rows, "%d lines, %d commas", lines, columns);
}

/* The merge of two rounds and the figures that follow: a median that is the mean, or a share taken from another round's peak,
 * shows. */
static void figures(void) {
    static const char one[] = "[{\"work\":\"w\",\"multiply_adds\":1e9,\"bytes\":2e9,\"seconds\":[0.5],"
                              "\"peak_gflops\":[8.0],\"bandwidth_gbytes\":[10.0]}]";
    static const char more[] = "[{\"work\":\"w\",\"multiply_adds\":1e9,\"bytes\":2e9,\"seconds\":[0.25,4.0],"
                               "\"peak_gflops\":[16.0,1.0],\"bandwidth_gbytes\":[16.0,1.0]},"
                               "{\"work\":\"other\",\"seconds\":[1.0]}]";
    json_t *rows = json_loads(one, 0, NULL), *second = json_loads(more, 0, NULL);
    hkd_bench_merge(rows, second);
    hkd_bench_finish(rows);
    const json_t *row = json_array_get(rows, 0);
    CHECK(json_array_size(rows) == 2, "%d rows", (int)json_array_size(rows));
    const double least = hkd_bench_number(row, "least_seconds"), median = hkd_bench_number(row, "median_seconds");
    CHECK(least == 0.25 && median == 0.5, "least %g, median %g", least, median);
    CHECK(fabs(hkd_bench_number(row, "gflops") - 8) < 1e-9 && fabs(hkd_bench_number(row, "percent_of_peak") - 50) < 1e-9,
          "%g GF/s, %g %%", hkd_bench_number(row, "gflops"), hkd_bench_number(row, "percent_of_peak"));
    CHECK(fabs(hkd_bench_number(row, "percent_of_bandwidth") - 50) < 1e-9, "%g %% of bandwidth",
          hkd_bench_number(row, "percent_of_bandwidth"));
    json_decref(rows), json_decref(second);
}

void test_verb_bench(void);
void test_verb_bench(void) {
    figures();
    json();
    csv("--what convolutions", 14 * 4);
    csv("--table6", 5);
    program_refuses(2, "--csv", "bench --csv --json");
    program_refuses(2, "ratios", "bench --what ratios --device cpu");
}
