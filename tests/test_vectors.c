/* The recorded vectors and their judge: are there enough, are they what the reference computes, does the judge see what is
 * wrong and only that? */
#include "cli.h"
#include "fill.h"
#include "gradcheck.h"
#include "manifest.h"
#include "networks.h"
#include "os.h"
#include "scratch.h"
#include "test.h"
#include "vector_file.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool flagged(const hkd_case *c, const char *flag) { return strstr(c->flags, flag) != NULL; }

/* An operator without cases, or a list that somebody emptied, must not pass as "all green". */
static void floors(void) {
    int total = 0;
    for (int k = 0; hkd_op_table[k]; k++) {
        const hkd_op *op = hkd_op_table[k];
        int n = 0, empty = 0, one = 0, half = 0, tail = 0, bad = 0, huge = 0, tiny = 0, kind[4] = {0};
        for (int l = 0; hkd_case_lists[l]; l++) {
            if (strcmp(hkd_case_lists[l]->op, op->name) != 0) continue;
            for (const hkd_case *c = hkd_case_lists[l]->cases; c->name; c++) {
                n++;
                kind[c->kind]++;
                tail += flagged(c, "Tail");
                bad += flagged(c, "NonFinite");
                huge += flagged(c, "Range");
                tiny += flagged(c, "Subnormal");
                empty += flagged(c, "Empty");
                one += flagged(c, "SizeOne");
                half += flagged(c, "Half");
            }
        }
        total += n;
        CHECK(n >= 12, "%s has %d cases, 12 are the least", op->name, n);
        CHECK(empty && one, "%s has no case that is empty, or none of size 1", op->name);
        CHECK(half || !op->backward, "%s has no float16 case", op->name);
        CHECK(op->not_exact ? kind[HKD_STRUCTURED] : kind[HKD_EXACT], "%s has neither exact cases nor a reason and integers",
              op->name);
        CHECK(kind[HKD_RANDOM] >= 3 && kind[HKD_ADVERSARIAL] >= 3, "%s has %d random and %d adversarial cases", op->name,
              kind[HKD_RANDOM], kind[HKD_ADVERSARIAL]);
        CHECK(tail && bad, "%s has no odd size, or nothing infinite or NaN", op->name);
        CHECK(huge && tiny, "%s has no wide range, or no subnormal numbers", op->name);
    }
    CHECK(total >= 600, "%d cases, 600 are the least", total);
    int composites = 0;
    while (hkd_network_name(composites)) composites++;
    CHECK(composites >= 14, "%d composites, 14 are the least", composites);
}

/* ---- the probe ---- */

/* A device that rounds its results as told: the probe must see what it does. */
static hkd_status (*real_forward)(hkd_device *, const hkd_call *);
static double (*spoil)(double);

static hkd_status spoilt_forward(hkd_device *dev, const hkd_call *call) {
    const int64_t n = hkd_count(&call->out[0].shape);
    double *y = calloc((size_t)n + 1, sizeof *y);
    hkd_status status = real_forward(dev, call);
    if (!status) status = dev->download(dev, y, HKD_F64, &call->out[0]);
    for (int64_t i = 0; i < n; i++) y[i] = spoil(y[i]);
    if (!status) status = dev->upload(dev, &call->out[0], y, HKD_F64);
    free(y);
    return status;
}

static double flushed(double y) { return fabs(y) < 0x1p-126 ? 0 : y; }
static double two_ulps_off(double y) { return y * (1 + 0x1p-22); }

static hkd_profile probe(const char *isa, double (*how)(double)) {
    hkd_profile p = {.fma = false};
    hkd_device *dev = NULL;
    const hkd_device_options options = {.threads = 1, .direct = true, .isa = isa};
    const hkd_status status = isa ? hkd_device_open(&dev, "cpu", &options) : hkd_device_open_ref(&dev, &options);
    if (!CHECK(!status, "%s", hkd_last_error())) return p;
    real_forward = dev->forward;
    spoil = how;
    if (how) dev->forward = spoilt_forward;
    CHECK(!hkd_probe(&p, dev), "%s", hkd_last_error());
    hkd_device_close(dev);
    return p;
}

/* Each property of the profile, on a device that has it and on one that has not. */
static void probes(void) {
    char text[200];
    const hkd_profile ref = probe(NULL, NULL), plain = probe("plain", NULL);
    CHECK(ref.wide && !ref.fma && !ref.flushes && !ref.half_store && ref.divide < 1e-6, "the reference is taken for another");
    CHECK(!plain.wide && !plain.flushes && !plain.half_store, "plain C is taken for another");
    CHECK(plain.divide > 0.1 && plain.divide <= 0.5 && plain.square_root <= 0.5, "plain C divides to %g ulp, takes roots to %g",
          plain.divide, plain.square_root);
    CHECK(probe("plain", flushed).flushes, "flushed subnormals are not seen");
    CHECK(probe("plain", hkd_round_half).half_store, "float16 storage is not seen");
    const hkd_profile off = probe("plain", two_ulps_off);
    CHECK(off.divide > 1 && off.square_root > 1, "a division two ulps off is not seen (%g, %g)", off.divide, off.square_root);
    hkd_profile_text(text, sizeof text, &(hkd_profile){.fma = true, .divide = -1, .square_root = 2.5});
    CHECK(!strcmp(text, "FMA yes, subnormals kept, divide not measured, square root 2.50 ulp, results stored as float32"),
          "the profile reads '%s'", text);
#if defined(__x86_64__)
    CHECK(!plain.fma, "plain C for this processor has no FMA");
    hkd_device *dev = NULL;
    if (hkd_device_open(&dev, "cpu", &(hkd_device_options){.threads = 1, .isa = "avx2"})) return;
    hkd_device_close(dev);
#ifdef HKD_SANITIZED /* built without fusing: what a sanitizer puts between product and sum would fuse some only */
    CHECK(!probe("avx2", NULL).fma, "sums of the AVX2 build are fused");
#else
    CHECK(probe("avx2", NULL).fma, "the fused sums of the AVX2 build are not seen");
#endif
#endif
}

/* ---- an operator that a device lacks ---- */

static bool all_but_silu(const hkd_device *dev, const hkd_op *op, bool backward) {
    (void)dev, (void)backward;
    return strcmp(op->name, "silu") != 0;
}

/* "not provided" is a skip, never a pass; alone it is no verdict at all. */
static void lacking(void) {
    hkd_verify_report r;
    hkd_verify_options o = {.dir = "vectors", .only_op = "silu"};
    if (!CHECK(!hkd_device_open_ref(&o.device, &(hkd_device_options){.threads = 1}), "%s", hkd_last_error())) return;
    o.device->supports = all_but_silu;
    CHECK(hkd_verify(&r, &o) == HKD_CHECK_FAILED, "a device without the operator passed");
    CHECK(r.passed == 0 && r.cases == 0 && r.skipped >= 12 && r.op[0].missing && !strcmp(r.op[0].missing, "not provided"),
          "%d passed, %d cases, %d skipped", r.passed, r.cases, r.skipped);
    hkd_verify_report_free(&r);
    hkd_device_close(o.device);
}

typedef struct {
    char first[3400];
} failures;

static void keep_first(void *context, const hkd_check *c) {
    failures *f = context;
    if (c->outcome == HKD_FAIL && !*f->first) snprintf(f->first, sizeof f->first, "%s %s: %s", c->id, c->tensor, c->text);
}

static void verify_on(const char *dir, const char *device, const char *isa) {
    hkd_verify_report r;
    failures f = {""};
    hkd_verify_options o = {.dir = dir, .each = keep_first, .context = &f};
    const hkd_device_options options = {.threads = 2, .direct = true, .isa = isa};
    if (!CHECK(!hkd_device_open(&o.device, device, &options), "%s", hkd_last_error())) return;
    CHECK(!hkd_probe(&o.profile, o.device), "%s", hkd_last_error());
    const hkd_status status = hkd_verify(&r, &o);
    CHECK(status == HKD_OK, "%s %s: %s: %s", device, isa ? isa : "", hkd_last_error(), f.first);
    CHECK(r.skipped == 0 && r.cases >= 600, "%s: %d cases judged, %d results skipped", device, r.cases, r.skipped);
    const hkd_op_report *last = &r.op[r.ops - 1];
    CHECK(!strcmp(last->op, "networks") && last->cases >= 14, "%s: %d composites judged", device, last->cases);
    hkd_verify_report_free(&r);
    hkd_device_close(o.device);
}

/* Winograd's error is not element-wise: a row of its own, inside what it declares; everything else is judged as ever. */
static void verify_winograd(void) {
    hkd_verify_report r;
    failures f = {""};
    hkd_verify_options o = {.dir = "vectors", .only_op = "conv2d", .fast = true, .each = keep_first, .context = &f};
    if (!CHECK(!hkd_device_open(&o.device, "cpu", &(hkd_device_options){.threads = 2}), "%s", hkd_last_error())) return;
    CHECK(hkd_verify(&r, &o) == HKD_OK, "%s: %s", hkd_last_error(), f.first);
    int rows = 0;
    for (int i = 0; i < r.ops; i++) rows += !strncmp(r.op[i].op, "winograd", 8) && r.op[i].cases >= 5 && r.op[i].worst > 0;
    CHECK(rows == 1 && r.ops == 2, "%d rows of Winograd among %d", rows, r.ops);
    hkd_verify_report_free(&r);
    hkd_device_close(o.device);
}

/* ---- the judge on numbers worked out by hand ---- */

static double used(double y, double bound, double got, bool exact) {
    const hkd_shape one = {0, {0, 0, 0, 0}};
    const hkd_profile profile = {.fma = false};
    const hkd_judged j = {&y, &bound, &got, &one, 1, exact, 1, NULL};
    return hkd_judge(&j, &profile).used;
}

static void numbers(void) {
    const double u = 0x1p-24;
    CHECK(used(1, 0, 1 + u, false) > 0.99 && used(1, 0, 1 + u, false) <= 1, "half an ulp of 1 is not 2^-24");
    CHECK(used(1, 0, 1 + 1.01 * u, false) > 1, "more than half an ulp accepted without a bound");
    CHECK(used(1, 9, 1 + 10 * u, false) <= 1 && used(1, 9, 1 + 10.1 * u, false) > 1, "bound 9 does not allow 10 u at 1");
    CHECK(used(2, 0, 2 + 2 * u, false) <= 1 && used(1.999, 0, 1.999 + 1.5 * u, false) > 1, "the ulp of the wrong binade");
    CHECK(used(0, 0, 0x1p-149, false) <= 1 && used(0, 0, 0x1p-147, false) > 1, "the floor at zero");
    CHECK(used(3, 100, 3 + u, true) > 1 && used(3, 0, 3, true) == 0 && used(0, 0, -0.0, true) == 0, "exact is not exact");
    CHECK(used(NAN, 0, 1, false) > 1 && used(1, 1e30, NAN, false) > 1 && used(NAN, 0, NAN, false) == 0, "NaN");
    CHECK(used(INFINITY, 0, INFINITY, false) == 0 && used(INFINITY, 0, 3e38, false) > 1, "infinity expected");
    CHECK(used(INFINITY, 0, -INFINITY, false) > 1 && used(1, 1e6, INFINITY, false) > 1, "infinity got");
    CHECK(used(3.4028235e38, 1, INFINITY, false) == 0, "overflow within the allowance refused");
}

static void guess(char text[200], const char *op, const hkd_shape *shape, const double *y, const double *got) {
    double bound[512];
    const int64_t n = hkd_count(shape);
    const hkd_profile profile = {.fma = false};
    for (int64_t i = 0; i < n; i++) bound[i] = 4;
    const hkd_judged j = {y, bound, got, shape, (double)n, false, 1, op ? hkd_find_op(op) : NULL};
    hkd_guess(text, 200, &j, &profile);
}

/* Mistakes that a row's layout explains: halves of an array, pairs of channels, a bias along another axis, a border where the
 * operator has padding and where it has none, half precision beside numbers near 0. */
static void guesses_along_axes(void) {
    enum { D = 4, H = 4, W = 5, N = 2 * D * H * W };
    static const struct {
        const char *op, *says;
    } kind[] = {{"koopman_evolve", "the halves along axis 1"},
                {"koopman_evolve", "sign is turned in the second half along axis 1"},
                {"koopman_evolve", "another angle"},
                {"koopman_evolve", "another length"},
                {"attention", "the two of each pair along axis 1"},
                {"linear", "axis 3 alone: a bias"},
                {"add_channel", "axis 0 alone: a bias"},
                {"conv2d", "padding"},
                {"koopman_evolve", NULL}, /* it has no padding */
                {"silu", "half precision"}};
    const hkd_shape shape = {4, {2, D, H, W}};
    for (int k = 0; k < 10; k++) {
        double y[N], got[N];
        char text[200];
        hkd_fill(y, N, "normal", "axes");
        for (int i = 0; i < N; i++) {
            const int col = i % W, row = i / W % H, c = i / (H * W) % D, n = i / (D * H * W), area = H * W;
            const int other = c % 2 ? i - area : i + area; /* the same pixel of the pair's other channel */
            const bool border = !row || row == H - 1 || !col || col == W - 1;
            const double turned = c % 2 ? 0.8 * y[i] - 0.6 * y[other] : 0.8 * y[i] + 0.6 * y[other];
            const double wrong[] = {y[n * D * area + (c + D / 2) % D * area + i % area], c < D / 2 ? y[i] : -y[i], turned,
                                    y[i] * (1 + 0.1 * ((c ^ 1) / 2 + col)), y[other], y[i] + col + 1, y[i] + n + 1,
                                    border ? y[i] + 1 + i : y[i], border ? y[i] + 1 + i : y[i],
                                    i % 7 ? y[i] * (1 + 0x1p-12 * (1 + i % 3) / 3) : 0x1p-9};
            if (k == 9 && i % 7 == 0) y[i] = 0x1p-20;
            got[i] = wrong[k];
        }
        guess(text, kind[k].op, &shape, y, got);
        CHECK(kind[k].says ? strstr(text, kind[k].says) != NULL : !*text, "guessed '%s', it was: %s (%d)", text,
              kind[k].says ? kind[k].says : "nothing known", k);
    }
}

/* Each failure looks like something; the judge should say what. */
static void guesses(void) {
    enum { H = 6, W = 10, N = 3 * H * W };
    static const char *const says[] = {"padding", "tail",  "bias", "n/(n-1)", "never written",
                                       "twice",   "sign",  "float16", "wrong places", "bfloat16",
                                       "(n-1)/n", "the factor 0.3", "skipped", "fast or approximate"};
    const hkd_shape shape = {4, {1, 3, H, W}};
    const hkd_profile profile = {.fma = false};
    for (int kind = 0; kind < 14; kind++) {
        double y[N], bound[N], got[N];
        char text[200];
        hkd_fill(y, N, "normal", "guess");
        for (int i = 0; i < N; i++) {
            const int row = i / W % H, col = i % W, c = i / (H * W);
            const bool border = !row || !col || row == H - 1 || col == W - 1;
            const double wrong[] = {border ? y[i] + 1 + i : y[i], col >= 8 ? 7 + i : y[i], y[i] + c + 1, y[i] * 15 / 14, NAN,
                                    2 * y[i],
                                    -y[i], hkd_round_half(y[i]), y[(i + 7) % N], y[i] * (1 + 0x1p-8 * ((i % 3) - 1) * 0.9),
                                    y[i] * 14 / 15, y[i] * 0.3, i % 3 ? y[i] : 0, y[i] * (1 + 0x1p-17 * (1 + i % 5))};
            bound[i] = 4;
            got[i] = wrong[kind];
        }
        const hkd_judged j = {y, bound, got, &shape, N, false, 1, NULL};
        hkd_guess(text, sizeof text, &j, &profile);
        CHECK(strstr(text, says[kind]), "guessed '%s', it was: %s", text, says[kind]);
    }
    guesses_along_axes();
    const hkd_shape pair = {1, {2, 0, 0, 0}};
    const double due[][2] = {{0x1p-130, 1}, {0x1p-120, 1}}, zero[] = {0, 1}, none[] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const hkd_judged j = {due[i], none, zero, &pair, 2, false, 1, NULL};
        char text[200];
        hkd_guess(text, sizeof text, &j, &profile);
        CHECK(strstr(text, i ? "underflows" : "--flush"), "zero for %g is guessed as '%s'", due[i][0], text);
    }
}

/* ---- a small set of vectors, damaged ---- */

static const hkd_case small[] = {
    {"one", HKD_EXACT, "Bias", "pad_h=1 pad_w=1", "x 1x2x4x4 int | w 3x2x3x3 int | b 3 int"},
    {"two", HKD_RANDOM, "Tail", "", "x 1x2x3x3 normal | w 2x2x1x1 normal"},
};

static bool record_small(const char *dir, hkd_vector v[2]) {
    hkd_manifest_writer w;
    char path[512];
    bool good = !hkd_manifest_begin(&w, dir) && hkd_join(path, sizeof path, dir, "conv2d") && !hkd_make_directory(path);
    for (int i = 0; good && i < 2; i++) {
        char file[96];
        snprintf(file, sizeof file, "conv2d/%s.safetensors", small[i].name);
        hkd_join(path, sizeof path, dir, file);
        good = !hkd_vector_make(&v[i], hkd_find_op("conv2d"), &small[i]) && !hkd_vector_save(path, &v[i]) &&
               !hkd_manifest_add(&w, &v[i], file);
    }
    good = good && !hkd_manifest_finish(&w);
    hkd_manifest_writer_free(&w);
    return CHECK(good, "%s", hkd_last_error());
}

static hkd_status verify_small(const char *dir, const char *results, hkd_verify_report *r, failures *f) {
    hkd_verify_options o = {.dir = dir, .results = results, .each = keep_first, .context = f};
    const hkd_device_options options = {.threads = 1};
    if (!results) hkd_device_open_ref(&o.device, &options);
    *f = (failures){""};
    const hkd_status status = hkd_verify(r, &o);
    hkd_device_close(o.device);
    return status;
}

/* Turn the lowest bit of one byte. */
static void damage(const char *path, size_t at) {
    unsigned char *bytes;
    size_t n;
    if (!CHECK(!hkd_read_file(&bytes, &n, path, 1 << 24), "%s", hkd_last_error())) return;
    bytes[at < n ? at : n - 1] ^= 1;
    hkd_write_file(path, bytes, n);
    free(bytes);
}

static void damaged_files(const char *dir) {
    static const char *const files[] = {"conv2d/two.safetensors", "index.tsv", "notes.json", "manifest.json"};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            char path[512];
            hkd_verify_report r;
            failures f;
            const size_t at = k == 0 ? 9 : k == 1 ? 300 : (size_t)-1;
            hkd_join(path, sizeof path, dir, files[i]);
            damage(path, at);
            CHECK(verify_small(dir, NULL, &r, &f) != HKD_OK, "a changed byte in %s passed", files[i]);
            hkd_verify_report_free(&r);
            damage(path, at);
        }
}

/* A port's results: right ones pass, a wrong one fails with its cause, none at all is no pass. */
static void port_results(const char *dir, const char *results, hkd_vector v[2]) {
    hkd_verify_report r;
    failures f;
    char path[512];
    CHECK(verify_small(dir, results, &r, &f) == HKD_CHECK_FAILED && r.passed == 0, "an empty directory of results passed");
    hkd_verify_report_free(&r);
    hkd_join(path, sizeof path, results, "conv2d");
    hkd_make_directory(path);
    for (int i = 0; i < 2; i++) {
        char file[600];
        snprintf(file, sizeof file, "%s/%s.safetensors", path, small[i].name);
        CHECK(!hkd_vector_save(file, &v[i]), "%s", hkd_last_error());
    }
    CHECK(verify_small(dir, results, &r, &f) == HKD_OK && r.cases == 2 && r.failed == 0, "right results failed: %s", f.first);
    hkd_verify_report_free(&r);
    for (int64_t i = 0; i < hkd_count(&v[0].out_shape[0]); i++)
        v[0].out[0][i] += (double)(1 + i / 16); /* another bias per channel */
    char file[600];
    snprintf(file, sizeof file, "%s/one.safetensors", path);
    hkd_vector_save(file, &v[0]);
    CHECK(verify_small(dir, results, &r, &f) == HKD_CHECK_FAILED && r.failed == 1, "a wrong bias passed");
    CHECK(strstr(f.first, "a bias") && strstr(f.first, "repeat: hkd verify"), "report without cause or repetition: %s",
          f.first);
    hkd_verify_report_free(&r);
}

/* A vector cut at any length, or with any byte changed, gives a message or the same call again; never a crash. */
static void hostile_vectors(const char *path) {
    unsigned char *bytes;
    size_t n;
    char bad[512];
    if (!CHECK(!hkd_read_file(&bytes, &n, path, 1 << 24), "%s", hkd_last_error())) return;
    snprintf(bad, sizeof bad, "%s.bad", path);
    for (size_t at = 0; at < n; at += at < 1200 ? 7 : 131) {
        hkd_vector v;
        hkd_write_file(bad, bytes, at);
        CHECK(hkd_vector_load(&v, bad) == HKD_BAD_FILE, "a vector cut after %zu bytes was read", at);
        bytes[at] ^= 0x15;
        hkd_write_file(bad, bytes, n);
        if (!hkd_vector_load(&v, bad)) hkd_vector_free(&v);
        bytes[at] ^= 0x15;
    }
    free(bytes);
    remove(bad);
}

static void damaged(void) {
    char dir[400], results[440], path[500];
    hkd_vector v[2];
    snprintf(dir, sizeof dir, "%s", scratch("vectors_small"));
    snprintf(results, sizeof results, "%s/results", dir);
    hkd_make_directory(results);
    if (!record_small(dir, v)) return;
    hkd_verify_report r;
    failures f;
    CHECK(verify_small(dir, NULL, &r, &f) == HKD_OK && r.cases == 2, "a fresh set failed: %s %s", hkd_last_error(), f.first);
    hkd_verify_report_free(&r);
    damaged_files(dir);
    port_results(dir, results, v);
    hkd_join(path, sizeof path, dir, "conv2d/two.safetensors");
    hostile_vectors(path);
    for (int i = 0; i < 2; i++) hkd_vector_free(&v[i]);
}

/* ---- composites ---- */

/* Judge the files of a port; returns the worst share of what passed. */
static double judge_composite(const char *results, const char *name, hkd_status expected, const char *what) {
    char id[96];
    hkd_verify_report r;
    failures f = {""};
    snprintf(id, sizeof id, "networks/%s", name);
    const hkd_verify_options o = {.dir = "vectors", .results = results, .only_case = id, .each = keep_first, .context = &f};
    CHECK(hkd_verify(&r, &o) == expected, "%s: %s %s", what, hkd_last_error(), f.first);
    CHECK(r.failed == (expected ? 1 : 0), "%s: %d results are wrong", what, r.failed);
    if (expected)
        CHECK(strstr(f.first, "  first (") && strstr(f.first, "  worst (") && strstr(f.first, "--case networks/"),
              "a composite fails without coordinates or repetition: %s", f.first);
    const double worst = r.ops ? r.op[r.ops - 1].worst : INFINITY;
    hkd_verify_report_free(&r);
    return worst;
}

/* Write a composite as a port would, run by a device; `wrong` (NULL: none) gets a tensor a thousandth too large. */
static void write_composite(const char *results, int index, hkd_device *dev, const char *wrong) {
    char path[512];
    hkd_recording r;
    if (!CHECK(!hkd_network_run(&r, index, dev), "%s", hkd_last_error())) return;
    for (int t = 0; t < r.count; t++)
        for (int64_t e = 0; wrong && !strcmp(r.item[t].name, wrong) && e < hkd_count(&r.item[t].shape); e++)
            r.item[t].value[e] *= 1.001;
    snprintf(path, sizeof path, "%s/networks/%s.safetensors", results, hkd_network_name(index));
    CHECK(!hkd_recording_save(path, &r), "%s", hkd_last_error());
    hkd_recording_free(&r);
}

/* A port that wrote its own composites: those of the plain and of the fast build pass, plain's with half of the recorded
 * allowance to spare; one gradient a thousandth too large fails, and it alone. */
static void composites(void) {
    static const char *const names[] = {"hkd_training_step", "ddpmpp_heun", "block_attention"};
    static const char *const wrong[] = {"new.p.koopman.1", "x.4", "grad.model.block.qkv.weight"};
    char results[400], path[512];
    snprintf(results, sizeof results, "%s", scratch("composites"));
    hkd_join(path, sizeof path, results, "networks");
    if (!CHECK(!hkd_make_directory(results) && !hkd_make_directory(path), "%s", hkd_last_error())) return;
    for (int build = 0; build < 2; build++) {
        hkd_device *dev = NULL;
        const hkd_device_options options = {.threads = 2, .direct = true, .isa = build ? NULL : "plain"};
        if (!CHECK(!hkd_device_open(&dev, "cpu", &options), "%s", hkd_last_error())) return;
        for (int i = 0; hkd_network_name(i); i++) {
            write_composite(results, i, dev, NULL);
            const double worst = judge_composite(results, hkd_network_name(i), HKD_OK, dev->name);
            CHECK(build || worst <= 0.5, "%s: plain uses %.0f %% of what a port is allowed", hkd_network_name(i), 100 * worst);
            for (int k = 0; k < 3; k++) {
                if (strcmp(hkd_network_name(i), names[k]) != 0) continue;
                write_composite(results, i, dev, wrong[k]);
                judge_composite(results, names[k], HKD_CHECK_FAILED, wrong[k]);
            }
        }
        hkd_device_close(dev);
    }
}

/* ---- the gradient check sees wrong gradients ---- */

static void zero_backward(const hkd_ref_call *c) { (void)c; }
static void nan_backward(const hkd_ref_call *c) { c->grad[0][0] += NAN; }
static void half_backward(const hkd_ref_call *c) {
    hkd_find_op("silu")->backward(c);
    c->grad[0][1] *= 1 + 1e-6;
}

static void bad_gradients(void) {
    void (*const backward[])(const hkd_ref_call *) = {zero_backward, nan_backward, half_backward};
    const hkd_case c = {"bad", HKD_RANDOM, "", "", "x 3x5 normal"};
    for (int i = 0; i < 3; i++) {
        hkd_op op = *hkd_find_op("silu");
        hkd_gradcheck_result r;
        hkd_vector v;
        op.backward = backward[i];
        if (!CHECK(!hkd_vector_make(&v, &op, &c) && !hkd_gradcheck(&r, &v, 99), "%s", hkd_last_error())) return;
        CHECK(r.wrong || !(r.difference <= HKD_GRADCHECK_DIFFERENCE), "wrong gradient %d passed", i);
        hkd_vector_free(&v);
    }
}

/* The exact class refuses data that are not: a port must never be judged with bound 0 on numbers that need rounding. */
static void inexact_refused(void) {
    const hkd_case c[] = {{"bad", HKD_EXACT, "", "", "x 1x1x1x1 normal | w 1x1x1x1 normal"},
                          {"bad", HKD_EXACT, "", "", "x 1x64x1x1 int:999 | w 1x64x1x1 int:999"}};
    hkd_vector v;
    for (int i = 0; i < 2; i++)
        CHECK(hkd_vector_make(&v, hkd_find_op("conv2d"), &c[i]) == HKD_USAGE, "inexact data accepted as exact (%d)", i);
    const hkd_case exp_case = {"bad", HKD_EXACT, "", "", "x 1 int"};
    CHECK(hkd_vector_make(&v, hkd_find_op("silu"), &exp_case) == HKD_USAGE,
          "an exact case of an operator that cannot have one");
}

/* float16 by definition: values between the half-way points, subnormals, overflow. */
static void halves(void) {
    CHECK(hkd_round_half(1 + 0x1p-11) == 1 && hkd_round_half(1 + 3 * 0x1p-11) == 1 + 0x1p-9, "ties not to even");
    CHECK(hkd_round_half(65519) == 65504 && isinf(hkd_round_half(65520)), "overflow of float16");
    CHECK(hkd_round_half(0x1p-24) == 0x1p-24 && hkd_round_half(0x1p-25) == 0 && hkd_round_half(3 * 0x1p-25) == 0x1p-23,
          "subnormals");
}

void test_vectors(void) {
    floors();
    probes();
    lacking();
    numbers();
    guesses();
    halves();
    inexact_refused();
    bad_gradients();
    damaged();
    composites();
    verify_on("vectors", "ref", NULL);
    verify_on("vectors", "cpu", "plain");
    verify_on("vectors", "cpu", NULL);
    verify_winograd();
}
