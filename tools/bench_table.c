/* The whole table: every work and round in a process of its own, in turn, so that each has its own peak of memory and a slow
 * moment of the machine meets all alike. */
#include "bench.h"

#include "os.h"
#include "status.h"

#include <stdlib.h>

static const struct {
    const char *what, *channels, *batch, *math;
} table[] = {
    {"frozen", "128", "1", "fast"},   {"frozen", "128", "16", "fast"},  {"step", "128", "16", "fast"},
    {"frozen", "128", "1", "direct"}, {"frozen", "128", "16", "direct"}, {"training", "128", "8", "fast"},
    {"frozen", "32", "16", "fast"},   {"training", "32", "16", "fast"}, {"convolutions", "128", "4", "fast"},
};

/* `hkd bench --what ... --json` once more; its rows join ours. */
static hkd_status in_a_process(json_t *rows, const hkd_bench *b, int which) {
    static const char *const handed_on[][2] = {
        {"device", "--device"}, {"threads", "--threads"}, {"isa", "--isa"}, {"micro-batch", "--micro-batch"}};
    const char *words[32] = {"hkd", "bench", "--json", "--rounds", "1", "--what", table[which].what, "--channels",
                             table[which].channels, "--batch", table[which].batch, "--math", table[which].math};
    int count = 13;
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++)
        if (hkd_given(b->args, handed_on[i][0])) {
            words[count++] = handed_on[i][1];
            words[count++] = hkd_arg(b->args, handed_on[i][0]);
        }
    char *text;
    hkd_status status = hkd_run_again(&text, words);
    if (status) return status;
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (!report) return hkd_fail(HKD_RESOURCES, "another process of this program wrote no report");
    hkd_bench_merge(rows, json_object_get(report, "rows"));
    json_decref(report);
    return HKD_OK;
}

hkd_status hkd_bench_table(json_t *rows, const hkd_bench *b) {
    enum { WORKS = sizeof table / sizeof *table };
    hkd_status status = HKD_OK;
    for (int64_t round = 0; round < b->rounds && !status; round++)
        for (int i = 0; i < WORKS && !status; i++) {
            hkd_say(b->args, "round %lld of %lld, work %d of %d", (long long)round + 1, (long long)b->rounds, i + 1, WORKS);
            status = in_a_process(rows, b, i);
            if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        }
    return status;
}
