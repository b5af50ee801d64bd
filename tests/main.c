/* Runs the suites named on the command line (all without arguments); the last line counts what happened. */
#include "cli.h"
#include "os.h"
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITES(X) \
    X(adam) \
    X(arrange) \
    X(augment) \
    X(cli) \
    X(convert) \
    X(core) \
    X(cpu_conv) \
    X(dataset) \
    X(dropout) \
    X(eigen) \
    X(exact) \
    X(exactness) \
    X(fit) \
    X(feature_net) \
    X(foreign_rng) \
    X(frozen) \
    X(fused) \
    X(gaussian_koopman) \
    X(golden) \
    X(image) \
    X(insight) \
    X(koopman) \
    X(library) \
    X(loss) \
    X(metric) \
    X(metric_networks) \
    X(model) \
    X(model_edit) \
    X(norm) \
    X(npy) \
    X(opencl) \
    X(opencl_half) \
    X(opencl_host) \
    X(opencl_runs) \
    X(ops) \
    X(os) \
    X(pickle) \
    X(paths) \
    X(perceptual) \
    X(plan) \
    X(precond) \
    X(prepared) \
    X(rng) \
    X(room) \
    X(safetensors) \
    X(sampler) \
    X(sampler_papers) \
    X(scenes) \
    X(schedule) \
    X(report) \
    X(restore) \
    X(trajectory) \
    X(tune) \
    X(verb_bands) \
    X(verb_bench) \
    X(verb_demo) \
    X(verb_edit) \
    X(spectrum_verb) \
    X(svg) \
    X(teacher) \
    X(training) \
    X(trace) \
    X(vectors) \
    X(verb_denoise) \
    X(verb_eval) \
    X(verb_info) \
    X(verb_sample) \
    X(verb_train) \
    X(verb_verify)

#define DECLARE(name) void test_##name(void);
SUITES(DECLARE)

#define ENTRY(name) {#name, test_##name},
static const struct {
    const char *name;
    void (*run)(void);
} suites[] = {SUITES(ENTRY)};

static int passed, failed, skipped;

bool test_check(bool ok, const char *file, int line, const char *format, ...) {
    if (ok) {
        passed++;
        return true;
    }
    failed++;
    va_list args;
    va_start(args, format);
    printf("FAIL %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    return false;
}

void test_skip(const char *what, const char *why) {
    skipped++;
    printf("SKIP %s: %s\n", what, why);
}

const char *test_shared(void) {
    const char *dir = getenv("HKD_SHARED");
    static char probe[4096];
    if (!dir) dir = "../shared";
    snprintf(probe, sizeof probe, "%s/DESIGN.md", dir);
    FILE *f = fopen(probe, "rb");
    if (f) fclose(f);
    return f ? dir : NULL;
}

/* A process of its own for what `hkd_run_again` starts: the program, and what it took of memory. */
static int as_program(int argc, char **argv) {
    const int code = hkd_main(hkd_verbs, argc, (const char **)argv);
    printf("peak %llu\n", (unsigned long long)hkd_peak_memory());
    return code;
}

int main(int argc, char **argv) {
    hkd_set_wait_policy(argv); /* as the program does */
    if (!strcmp(argv[0], "hkd")) return as_program(argc, argv);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++) wanted |= !strcmp(argv[a], suites[i].name);
        if (!wanted) continue;
        const int before = failed;
        suites[i].run();
        printf("%s %s\n", failed == before ? "ok  " : "FAIL", suites[i].name);
        fflush(stdout);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed || !passed;
}
