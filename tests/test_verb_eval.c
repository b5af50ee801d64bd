/* hkd eval: distances with a known answer, statistics that merge without a trace, files that do not fit. */
#include "image.h"
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 200, SIDE = 8, SIZE = 3 * SIDE * SIDE, SHIFT = 17 };
static char a[512], b[512];

/* Samples first .. first + n - 1 of a stream, `shift` bytes brighter. */
static void write_samples(const char *path, int first, int n, int shift) {
    double *x = malloc((size_t)(n * SIZE) * sizeof *x);
    for (int i = 0; i < n * SIZE; i++) {
        const hkd_stream s = {.purpose = HKD_FOR_TEST};
        x[i] = hkd_to_value((unsigned char)(40 + shift + hkd_random_below(&s, (uint64_t)(first * SIZE + i), 150)));
    }
    const hkd_shape shape = hkd_shape_of(4, (int64_t)n, (int64_t)3, (int64_t)SIDE, (int64_t)SIDE);
    small_tensor_file(path, &(small_tensor){"x", x, shape, HKD_FLOAT}, 1);
    free(x);
}

static double value(const char *words, const char *key) {
    double v = NAN;
    if (!CHECK(program("eval --json --quiet %s", words) == 0, "'%s': %s", words, program_err())) return v;
    json_t *o = json_loads(program_out(), JSON_REJECT_DUPLICATES, NULL);
    if (CHECK(o, "not JSON: %s", program_out())) v = json_number_value(json_object_get(o, key));
    json_decref(o);
    return v;
}

static double between(const char *options, const char *first, const char *second, const char *key) {
    char words[2048];
    snprintf(words, sizeof words, "%s %s %s", options, first, second);
    return value(words, key);
}

/* Equal covariances, means apart by SHIFT bytes everywhere. Catches a scale or a rounding of the pixels, and a lost mean. */
static void closed_forms(void) {
    const double step = SHIFT / 127.5;
    CHECK(fabs(between("--metric frechet", a, b, "value") / (SIZE * step * step) - 1) < 1e-9, "frechet %g, expected %g",
          between("--metric frechet", a, b, "value"), SIZE * step * step);
    CHECK(fabs(between("--metric frechet --side 2", a, b, "value") / (12 * step * step) - 1) < 1e-9,
          "frechet of 2 x 2 averages");
    CHECK(fabs(between("--metric frechet", a, a, "value")) < 1e-9, "a set is apart from itself");
    CHECK(between("--metric swd", a, a, "value") == 0, "swd of a set with itself");
    const double swd =
        between("--metric swd --directions 4096", a, b, "value"); /* mean (shift . direction)^2 = |shift|^2 / dim */
    CHECK(fabs(swd / step - 1) < 0.1, "swd %g, expected about %g", swd, step);
    CHECK(between("--metric precision", a, a, "value") == 1 && between("--metric precision", a, a, "recall") == 1,
          "precision and recall of a set with itself");
    CHECK(between("--metric kernel --subsets 20", a, b, "value") > between("--metric kernel --subsets 20", a, a, "value"),
          "kernel");
}

/* 64 + 64 + 72 pictures counted in three runs are 200 counted in one, to the last bit, in any order of merging. */
static void merging(void) {
    char part[3][512], all[512], once[512], words[4096];
    static const int first[3] = {0, 64, 128}, count[3] = {64, 64, 72};
    snprintf(all, sizeof all, "%s", scratch("all.safetensors"));
    snprintf(once, sizeof once, "%s", scratch("once.safetensors"));
    for (int i = 0; i < 3; i++) {
        char set[512];
        snprintf(set, sizeof set, "%s", scratch("part-of.safetensors"));
        write_samples(set, first[i], count[i], 0);
        snprintf(part[i], sizeof part[i], "%s",
                 scratch(i == 0   ? "p0.safetensors"
                         : i == 1 ? "p1.safetensors"
                                  : "p2.safetensors"));
        snprintf(words, sizeof words, "--metric frechet --offset %d --save-stats %s %s", first[i], part[i], set);
        CHECK(value(words, "images") == count[i], "part %d", i);
    }
    snprintf(words, sizeof words, "--metric frechet --save-stats %s %s %s %s", all, part[2], part[0], part[1]);
    CHECK(value(words, "images") == IMAGES, "merged");
    snprintf(words, sizeof words, "--metric frechet --save-stats %s %s", once, a);
    CHECK(value(words, "images") == IMAGES, "at once");
    unsigned char *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    CHECK(!hkd_read_file(&x, &n, all, 1 << 26) && !hkd_read_file(&y, &m, once, 1 << 26), "%s", hkd_last_error());
    CHECK(x && y && n == m && !memcmp(x, y, n), "merged statistics differ from those of one run");
    free(x);
    free(y);
    CHECK(between("--metric frechet", all, b, "value") == between("--metric frechet", a, b, "value"),
          "statistics lose something");
    program_refuses(3, "counted already", "eval --metric frechet --save-stats %s %s %s", all, part[0], part[0]);
    program_refuses(1, "64 to 127 missing", "eval --metric frechet %s %s", all, scratch("gap.safetensors"));
}

static void same_files(const char *p, const char *q, const char *what) {
    unsigned char *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    CHECK(!hkd_read_file(&x, &n, p, 1 << 26) && !hkd_read_file(&y, &m, q, 1 << 26), "%s", hkd_last_error());
    CHECK(x && y && n == m && !memcmp(x, y, n), "%s", what);
    free(x);
    free(y);
}

/* Three shards, merged, are one run's file; so is a run that goes on from what another left after 128 pictures. */
static void shards(void) {
    char once[512], part[3][512], merged[512], resumed[512];
    snprintf(once, sizeof once, "%s", scratch("whole.safetensors"));
    snprintf(merged, sizeof merged, "%s", scratch("merged.safetensors"));
    snprintf(resumed, sizeof resumed, "%s", scratch("resumed.safetensors"));
    CHECK(program("eval --metric frechet --save-stats %s %s", once, a) == 0, "%s", program_err());
    for (int i = 0; i < 3; i++) {
        snprintf(part[i], sizeof part[i], "%s",
                scratch(i == 0 ? "s0.safetensors" : i == 1 ? "s1.safetensors" : "s2.safetensors"));
        CHECK(program("eval --metric frechet --shard %d/3 --save-stats %s %s", i, part[i], a) == 0, "%s", program_err());
    }
    CHECK(program("eval --metric frechet --save-stats %s %s %s %s", merged, part[1], part[2], part[0]) == 0, "%s",
            program_err());
    same_files(merged, once, "three shards, merged, differ from one run");
    CHECK(program("eval --metric frechet --count 128 --save-stats %s %s", resumed, a) == 0, "%s", program_err());
    CHECK(program("eval --metric frechet --resume --save-stats %s %s", resumed, a) == 0, "%s", program_err());
    same_files(resumed, once, "a resumed run differs from one run");
    CHECK(program("eval --metric frechet --resume --save-stats %s %s", resumed, a) == 0, "%s", program_err());
    same_files(resumed, once, "a finished run, resumed, differs from one run");
    program_refuses(2, "of another shard", "eval --metric frechet --resume --shard 1/3 --save-stats %s %s", part[0], a);
    program_refuses(2, "0 <= i < n", "eval --metric frechet --shard 3/3 --save-stats %s %s", merged, a);
    program_refuses(2, "are for --save-stats", "eval --metric frechet --shard 0/3 %s %s", a, b);
}

static void gap(void) {
    char p0[512], p2[512];
    snprintf(p0, sizeof p0, "%s", scratch("g0.safetensors"));
    snprintf(p2, sizeof p2, "%s", scratch("g2.safetensors"));
    CHECK(program("eval --metric frechet --count 64 --save-stats %s %s", p0, a) == 0, "%s", program_err());
    CHECK(program("eval --metric frechet --count 64 --offset 128 --save-stats %s %s", p2, a) == 0, "%s", program_err());
    CHECK(program("eval --metric frechet --save-stats %s %s %s", scratch("gap.safetensors"), p0, p2) == 0, "%s", program_err());
}

static void bad_input(void) {
    char stats[512], net[512];
    snprintf(stats, sizeof stats, "%s", scratch("gap.safetensors"));
    snprintf(net, sizeof net, "%s", scratch("net.safetensors"));
    write_samples(net, 0, 1, 0);
    program_refuses(2, "pt_inception-2015-12-05-6726825d.pth", "eval --metric fid %s %s", a, b);
    program_refuses(2, "hkd convert BACKBONE.pth", "eval --metric lpips %s %s", a, b);
    program_refuses(3, "not the Inception-v3", "eval --metric fid --features %s %s %s", net, a, b);
    program_refuses(3, "no LPIPS network", "eval --metric lpips --features %s %s %s", net, a, b);
    program_refuses(2, "ends with .safetensors or .npz", "eval --metric frechet --save-stats %s.txt %s", stats, a);
    program_refuses(2, "expected two sets", "eval --metric swd %s", a);
    program_refuses(2, "needs --features", "eval --metric frd %s %s", a, b);
    program_refuses(2, "multiple of 64", "eval --metric frechet --offset 5 --save-stats %s %s", scratch("no.safetensors"), a);
    program_refuses(2, "needs the pictures", "eval --metric swd %s %s", stats, b);
    program_refuses(2, "cannot be averaged", "eval --metric frechet --side 3 %s %s", a, b);
    program_refuses(3, "expected 'pixels averaged to 2 x 2'", "eval --metric frechet --side 2 %s %s", stats, b);
    program_refuses(3, "no feature network", "eval --metric frd --features %s %s %s", net, a, b);
    program_refuses(3, "no such file", "eval --metric swd %s %s", scratch("nothing"), b);
}

void test_verb_eval(void) {
    snprintf(a, sizeof a, "%s", scratch("a.safetensors"));
    snprintf(b, sizeof b, "%s", scratch("b.safetensors"));
    write_samples(a, 0, IMAGES, 0);
    write_samples(b, 0, IMAGES, SHIFT);
    closed_forms();
    gap();
    merging();
    shards();
    bad_input();
}
