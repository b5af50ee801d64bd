/* Rows of `hkd bench` as Markdown and as CSV. */
#include "bench.h"

#include <stdio.h>

/* The columns: name in JSON and CSV, heading in Markdown, unit of the latter, format. */
static const struct {
    const char *name, *heading;
    double unit;
    int decimals;
} column[] = {
    {"channels", "channels", 1, 0},
    {"resolution", "resolution", 1, 0},
    {"batch", "batch", 1, 0},
    {"threads", "threads", 1, 0},
    {"least_seconds", "ms per image, least", 1e3, 3},
    {"median_seconds", "median", 1e3, 3},
    {"gflops", "GF/s", 1, 0},
    {"percent_of_peak", "% of peak", 1, 0},
    {"percent_of_bandwidth", "% of bandwidth", 1, 0},
    {"peak_memory", "peak memory, MB", 1e-6, 0},
    {"preparation_seconds", "preparing weights, s", 1, 2},
    {"first_pass_seconds", "first pass, s", 1, 2},
    {"evaluations", "evaluations", 1, 0},
};
enum { COLUMNS = sizeof column / sizeof *column };

static const char *text(const json_t *row, const char *name) { return json_string_value(json_object_get(row, name)); }

static bool anywhere(const json_t *rows, const char *name) {
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (json_object_get(row, name)) return true;
    return false;
}

/* What the machine did in each round; rows of one run share it. */
static void print_rounds(const json_t *rows) {
    size_t i, k;
    json_t *row, *value;
    const json_t *last = NULL;
    json_array_foreach(rows, i, row) {
        const json_t *peak = json_object_get(row, "peak_gflops"), *memory = json_object_get(row, "bandwidth_gbytes");
        if (json_real_value(json_array_get(peak, 0)) <= 0 || (last && json_equal(peak, last))) continue;
        printf("* multiply-adds GF/s and memory GB/s in each round of %s (%s, %.0f channels, batch %.0f):", text(row, "work"),
               text(row, "math"), hkd_bench_number(row, "channels"), hkd_bench_number(row, "batch"));
        json_array_foreach(peak, k, value)
            printf(" %.0f/%.1f", json_real_value(value), json_real_value(json_array_get(memory, k)));
        printf("\n");
        last = peak;
    }
}

static void print_profile(const json_t *row) {
    size_t k;
    json_t *op;
    printf("\n| %s, %s, %.0f channels, batch %.0f | ms | %% |\n|---|---|---|\n", text(row, "work"), text(row, "math"),
           hkd_bench_number(row, "channels"), hkd_bench_number(row, "batch"));
    json_array_foreach(json_object_get(row, "profile"), k, op)
        printf("| %s | %.2f | %.1f |\n", text(op, "operator"), 1e3 * hkd_bench_number(op, "seconds"),
               hkd_bench_number(op, "percent"));
}

void hkd_bench_print_table(const json_t *rows, bool profile) {
    size_t i;
    json_t *row;
    printf("| work | math |");
    for (int k = 0; k < COLUMNS; k++)
        if (anywhere(rows, column[k].name)) printf(" %s |", column[k].heading);
    printf("\n|---|---|");
    for (int k = 0; k < COLUMNS; k++)
        if (anywhere(rows, column[k].name)) printf("---|");
    printf("\n");
    json_array_foreach(rows, i, row) {
        printf("| %s | %s |", text(row, "work"), text(row, "math"));
        for (int k = 0; k < COLUMNS; k++) {
            if (!anywhere(rows, column[k].name)) continue;
            if (!json_object_get(row, column[k].name)) printf(" |");
            else printf(" %.*f |", column[k].decimals, column[k].unit * hkd_bench_number(row, column[k].name));
        }
        printf("\n");
    }
    printf("\nGF/s: whole networks at the multiply-adds of their algorithm (Winograd's a quarter), single convolutions\n"
           "counted as direct. Shares: of what the machine did in the same round; bandwidth for every array of an\n"
           "operator moved once.\n\n");
    print_rounds(rows);
    if (!profile) return;
    json_array_foreach(rows, i, row) if (json_object_get(row, "profile")) print_profile(row);
}

void hkd_bench_print_csv(const json_t *rows) {
    size_t i;
    json_t *row;
    printf("work,math");
    for (int k = 0; k < COLUMNS; k++) printf(",%s", column[k].name);
    printf("\n");
    json_array_foreach(rows, i, row) {
        printf("\"%s\",%s", text(row, "work"), text(row, "math"));
        for (int k = 0; k < COLUMNS; k++) {
            printf(",");
            if (json_object_get(row, column[k].name)) printf("%.9g", hkd_bench_number(row, column[k].name));
        }
        printf("\n");
    }
}
