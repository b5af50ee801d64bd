/* LPIPS and Inception-v3 against an independent implementation (metric_networks.py: pure Python), with weights that both make
 * from the names of the tensors, at 1/16 of their widths; LPIPS with its real weights against a published pair of values. */
#include "cpu.h"
#include "feature_file.h"
#include "image.h"
#include "inception.h"
#include "metric_networks.h"
#include "program.h"
#include "sample_distance.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NARROWER = 16, H = 37, W = 42, SIZE = 3 * H * W, SIDE = 20 };

/* ---- tensors from their names ------------------------------------------------------------------------------------------- */

static uint32_t word(const char *name, int64_t i) {
    uint32_t x = 5381;
    for (const char *c = name; *c; c++) x = x * 33 + (unsigned char)*c;
    x += (uint32_t)i * 2654435761u;
    x = (x ^ x >> 15) * 2246822519u;
    x = (x ^ x >> 13) * 3266489917u;
    return (x ^ x >> 16) >> 16;
}

static double centred(const char *name, int64_t i) { return word(name, i) / 65536.0 - 0.5; }

static bool ends(const char *name, const char *ending) {
    const size_t n = strlen(name), m = strlen(ending);
    return n >= m && !strcmp(name + n - m, ending);
}

static double element(const char *name, const hkd_shape *s, int64_t i) {
    const double v = centred(name, i);
    if (!strncmp(name, "lin", 3)) return v + 0.5;
    if (ends(name, ".bn.weight")) return 1 + v / 2;
    if (ends(name, "running_var")) return 1 + v;
    if (s->rank == 1) return v / 2;
    double scale = 8;
    while (scale * scale * (double)(s->dim[1] * s->dim[2] * s->dim[3]) > 48) scale /= 2;
    return scale * v;
}

static hkd_status fetch(void *to, const hkd_saved *t) {
    for (int64_t i = 0; i < hkd_count(&t->shape); i++) ((double *)to)[i] = element(t->name, &t->shape, i);
    return HKD_OK;
}

/* A file that holds every weight of the program that is no constant, LPIPS' own as in its files. */
static void write_network(const char *path, const hkd_program *p) {
    hkd_saved *saved = calloc((size_t)p->n_vars + 1, sizeof *saved);
    size_t count = 0;
    for (int i = 0; i < p->n_vars; i++) {
        if (p->var[i].kind != HKD_VAR_WEIGHT || !strncmp(p->var[i].name, HKD_CONSTANT, strlen(HKD_CONSTANT))) continue;
        hkd_shape shape = p->var[i].shape;
        if (!strncmp(p->var[i].name, "lin", 3)) shape.dim[1] = shape.dim[0], shape.dim[0] = 1;
        saved[count++] = (hkd_saved){.name = p->var[i].name, .type = HKD_FLOAT, .shape = shape, .as = HKD_F64, .fetch = fetch};
    }
    CHECK(!hkd_safetensors_save(path, saved, count, NULL, 0), "%s", hkd_last_error());
    free(saved);
}

/* A weight below 0 has no root. */
static void lpips_refuses(hkd_device *ref) {
    hkd_lpips *net;
    if (!CHECK(!hkd_lpips_new(&net, HKD_LPIPS_ALEX, NARROWER, 1, 3, H, W, false, ref), "%s", hkd_last_error())) return;
    for (int i = 0; i < net->weights->count; i++)
        CHECK(!ref->fill(ref, &net->weights->item[i].value, i == net->weights->count - 1 ? -1e-3 : 1), "%s", hkd_last_error());
    CHECK(hkd_lpips_prepare(net) == HKD_BAD_FILE && strstr(hkd_last_error(), "none below 0"), "%s", hkd_last_error());
    hkd_lpips_free(net);
}

static void write_lpips(const char *path, hkd_backbone backbone, hkd_device *dev) {
    hkd_lpips *net;
    if (!CHECK(!hkd_lpips_new(&net, backbone, NARROWER, 1, 3, H, W, false, dev), "%s", hkd_last_error())) return;
    write_network(path, net->program);
    hkd_lpips_free(net);
}

/* ---- against the other implementation ----------------------------------------------------------------------------------- */

/* Catches a wrong layer, stride, padding, pool (ceil or floor), tap, order of channels, name, or scale of the pixels. */
static void lpips_as_recorded(hkd_device *ref, hkd_device *cpu) {
    static double x[2 * SIZE], y[2 * SIZE];
    for (int i = 0; i < SIZE; i++) {
        x[SIZE + i] = x[i] = 2 * centred("x", i);
        y[SIZE + i] = x[i], y[i] = 2 * centred("y", i);
    }
    for (int b = 0; b < HKD_LPIPS_BACKBONES; b++) {
        const char *path = scratch("lpips.safetensors"), *name = hkd_backbone_name((hkd_backbone)b);
        hkd_lpips *exact = NULL, *fast = NULL;
        double l[2] = {-1, -1}, f[2] = {-1, -1};
        write_lpips(path, (hkd_backbone)b, ref);
        CHECK(!hkd_lpips_load(&exact, path, 1, 3, H, W, false, ref) && !hkd_lpips_distance(exact, l, x, y, 2) &&
                  !hkd_lpips_load(&fast, path, 4, 3, H, W, false, cpu) && !hkd_lpips_distance(fast, f, x, y, 2),
              "%s", hkd_last_error());
        CHECK(fabs(l[0] / recorded_lpips[b] - 1) < 1e-12, "%s: %.17g, expected %.17g", name, l[0], recorded_lpips[b]);
        CHECK(l[1] == 0 && f[1] == 0, "%s: a picture is %g and %g away from itself", name, l[1], f[1]);
        CHECK(fabs(f[0] / l[0] - 1) < 1e-5, "%s: cpu gives %.9g, ref %.9g", name, f[0], l[0]);
        hkd_lpips_free(exact);
        hkd_lpips_free(fast);
    }
}

/* The gradient that training gets, against differences; also of a gray picture, whose channels are one. */
static void lpips_gradient(hkd_device *ref, int channels) {
    enum { AT = 6 };
    const int size = channels * H * W;
    static double x[2 * SIZE], y[2 * SIZE], dx[2 * SIZE];
    static const double weight[2] = {0.7, -1.3};
    const double step = 1e-5;
    hkd_lpips *net = NULL;
    for (int i = 0; i < 2 * size; i++) x[i] = 2 * centred("x", i), y[i] = 2 * centred("y", i);
    write_lpips(scratch("lpips.safetensors"), HKD_LPIPS_SQUEEZE, ref);
    double l[2];
    if (!CHECK(!hkd_lpips_load(&net, scratch("lpips.safetensors"), 1, channels, H, W, true, ref) &&
                   !hkd_lpips_gradient(net, l, dx, x, y, weight, 2), "%s", hkd_last_error()))
        return;
    for (int k = 0; k < AT; k++) {
        const int at = (int)((k + 0.5) * 2 * size / AT);
        double sum[2];
        for (int side = 0; side < 2; side++) {
            const double kept = x[at];
            x[at] += side ? step : -step;
            CHECK(!hkd_lpips_distance(net, l, x, y, 2), "%s", hkd_last_error());
            sum[side] = weight[0] * l[0] + weight[1] * l[1];
            x[at] = kept;
        }
        const double slope = (sum[1] - sum[0]) / (2 * step);
        CHECK(fabs(dx[at] - slope) < 1e-7 + 1e-4 * fabs(slope), "%d channels: gradient %d is %g, expected %g", channels, at,
              dx[at], slope);
    }
    x[3] = 1.5;
    CHECK(hkd_lpips_distance(net, l, x, y, 2) == HKD_USAGE && strstr(hkd_last_error(), "in [-1, 1]"),
          "a value of 1.5 is measured");
    CHECK(!hkd_lpips_gradient(net, l, dx, x, y, weight, 1), "%s", hkd_last_error());
    hkd_lpips_free(net);
}

static void inception_as_recorded(hkd_device *ref, hkd_device *cpu) {
    enum { DIM = 2048 / NARROWER };
    static unsigned char bytes[2 * 3 * SIDE * SIDE];
    double got[DIM] = {0}, fast[2 * DIM] = {0}, worst = 0, largest = 0;
    const char *path = scratch("inception.safetensors");
    hkd_program *p = hkd_inception_program(NARROWER, 1, SIDE);
    hkd_features *f = NULL;
    CHECK(sizeof recorded_inception == sizeof got && p && !p->status, "%s", hkd_last_error());
    write_network(path, p);
    hkd_program_free(p);
    for (int i = 0; i < 3 * SIDE * SIDE; i++) bytes[i] = (unsigned char)(word("bytes", i) >> 8);
    CHECK(!hkd_features_load(&f, path, SIDE, 1, ref) && f->dim == DIM && !hkd_features_run(f, got, bytes, 1), "%s",
          hkd_last_error());
    for (int i = 0; i < DIM; i++) worst = fmax(worst, fabs(got[i] - recorded_inception[i]));
    CHECK(worst < 1e-11, "a feature is %g off", worst);
    hkd_features_free(f);
    memcpy(bytes + sizeof bytes / 2, bytes, sizeof bytes / 2);
    CHECK(!hkd_features_load(&f, path, SIDE, 8, cpu) && !hkd_features_run(f, fast, bytes, 2), "%s", hkd_last_error());
    for (int i = 0; i < 2 * DIM; i++) {
        worst = fmax(worst, fabs(fast[i] - got[i % DIM]));
        largest = fmax(largest, fabs(got[i % DIM]));
    }
    CHECK(worst < 1e-4 * largest, "cpu differs from ref by %g of %g", worst, largest);
    hkd_features_free(f);
}

/* The real network has 2048 features from 21.8 million weights in 94 layers, as counted for torchvision's Inception-v3 without
 * its auxiliary and last layers. */
static void inception_of_full_width(void) {
    hkd_program *p = hkd_inception_program(1, 1, 32);
    int64_t weights = 0;
    int layers = 0;
    for (int i = 0; i < p->n_vars; i++)
        if (p->var[i].kind == HKD_VAR_WEIGHT && !strstr(p->var[i].name, "running")) {
            weights += hkd_count(&p->var[i].shape);
            layers += ends(p->var[i].name, "conv.weight");
        }
    CHECK(!p->status && hkd_var_shape(p, hkd_find_var(p, "features"))->dim[1] == 2048, "%s", hkd_last_error());
    CHECK(layers == 94 && weights == 21785568, "%d layers, %lld weights", layers, (long long)weights);
    hkd_program_free(p);
}

/* Sets of more than one tile of points and an odd number of dimensions. Catches a tile lost, or counted twice. */
static void sets_as_recorded(void) {
    enum { N = 70, M = 53, DIM = 19 };
    double x[N * DIM], y[M * DIM], value = 0, precision = 0, recall = 0;
    for (int i = 0; i < N * DIM; i++) x[i] = 4 * centred("first", i);
    for (int i = 0; i < M * DIM; i++) y[i] = 4 * centred("second", i) + 0.5;
    CHECK(!hkd_kernel_distance(&value, x, N, y, M, DIM) && fabs(value - recorded_kernel_distance[0]) < 1e-12,
          "kernel distance %.17g", value);
    CHECK(!hkd_precision_recall(&precision, &recall, x, N, y, M, DIM, 3) && precision == recorded_precision_recall[0] &&
              recall == recorded_precision_recall[1], "precision %.17g, recall %.17g", precision, recall);
}

/* ---- the whole verb ----------------------------------------------------------------------------------------------------- */

enum { FEATURES = 2048 / NARROWER, PICTURES = 9, SMALL = 8 };

/* 0 when the verb fails, after a failed check. */
static double number(const char *key, const char *words) {
    if (!CHECK(program("eval --json --quiet %s", words) == 0, "'%s': %s", words, program_err())) return 0;
    json_t *o = json_loads(program_out(), JSON_REJECT_DUPLICATES, NULL);
    const double v = CHECK(o, "not JSON: %s", program_out()) ? json_number_value(json_object_get(o, key)) : 0;
    json_decref(o);
    return v;
}

static void write_pictures(const char *path, const char *seed, double from, double to) {
    static double x[PICTURES * 3 * SMALL * SMALL];
    const hkd_shape shape = hkd_shape_of(4, (int64_t)PICTURES, (int64_t)3, (int64_t)SMALL, (int64_t)SMALL);
    for (int i = 0; i < PICTURES * 3 * SMALL * SMALL; i++) x[i] = from + (to - from) * (centred(seed, i) + 0.5);
    small_tensor_file(path, &(small_tensor){"x", x, shape, HKD_FLOAT}, 1);
}

/* Against mu + d and 4 sigma, FID is |d|^2 + tr sigma. */
static double move_reference(const char *to, const char *from) {
    static double mu[FEATURES], sigma[FEATURES * FEATURES];
    double expected = 0, *m = tensor_in_file(from, "mu", NULL, NULL), *s = tensor_in_file(from, "sigma", NULL, NULL);
    for (int i = 0; i < FEATURES && m && s; i++) {
        mu[i] = m[i] + 0.01 * (i + 1);
        expected += 0.0001 * (i + 1) * (i + 1) + s[i * FEATURES + i];
    }
    for (int i = 0; i < FEATURES * FEATURES && m && s; i++) sigma[i] = 4 * s[i];
    const small_tensor t[] = {{"mu", mu, {1, {FEATURES}}, HKD_DOUBLE}, {"sigma", sigma, {2, {FEATURES, FEATURES}}, HKD_DOUBLE}};
    small_tensor_file(to, t, 2);
    free(m);
    free(s);
    return expected;
}

/* Pictures to features to statistics to a distance in closed form; other tools' files; the rules of FID. */
static void fid(void) {
    char net[512], set[512], npz[512], mine[512], other[512], words[4096];
    snprintf(net, sizeof net, "%s", scratch("inception.safetensors"));
    snprintf(set, sizeof set, "%s", scratch("set.safetensors"));
    snprintf(npz, sizeof npz, "%s", scratch("stats.npz"));
    snprintf(mine, sizeof mine, "%s", scratch("stats.safetensors"));
    snprintf(other, sizeof other, "%s", scratch("other.safetensors"));
    write_pictures(set, "pictures", -1, 1);
    snprintf(words, sizeof words, "--metric fid --features %s --save-stats %s %s", net, npz, set);
    if (program("eval --quiet %s", words)) {
        CHECK(strstr(program_err(), "without libzip"), "%s", program_err());
        test_skip("statistics in .npz", "built without libzip");
        return;
    }
    CHECK(!program("convert %s %s", npz, mine), "%s", program_err());
    const double expected = move_reference(other, mine);
    snprintf(words, sizeof words, "--metric fid --any-count --features %s %s %s", net, set, other);
    const double value = number("value", words);
    CHECK(fabs(value / expected - 1) < 1e-6, "FID %.12g, expected %.12g", value, expected);
    snprintf(words, sizeof words, "--metric fid --any-count --features %s %s %s", net, npz, other);
    CHECK(fabs(number("value", words) / value - 1) < 1e-9, "statistics in .npz lose something");
    snprintf(words, sizeof words, "--metric fid --any-count --features %s %s %s", net, set, npz);
    CHECK(number("value", words) < 1e-6 * expected, "a set is apart from itself");
    snprintf(words, sizeof words, "--metric fid --any-count --features %s --blocks 3 %s %s", net, set, other);
    const double least = number("least", words), mean = number("mean", words), deviation = number("deviation", words);
    double sum = 0, smallest = INFINITY;
    for (int i = 0; i < 3; i++) { /* the blocks on their own: of 3 pictures each, in order */
        char part[512];
        static double three[3 * 3 * SMALL * SMALL];
        for (int k = 0; k < 3 * 3 * SMALL * SMALL; k++) three[k] = 2 * centred("pictures", i * 3 * 3 * SMALL * SMALL + k);
        snprintf(part, sizeof part, "%s", scratch("three.safetensors"));
        small_tensor_file(part, &(small_tensor){"x", three, {4, {3, 3, SMALL, SMALL}}, HKD_FLOAT}, 1);
        snprintf(words, sizeof words, "--metric fid --any-count --features %s %s %s", net, part, other);
        const double one = number("value", words);
        sum += one;
        smallest = fmin(smallest, one);
    }
    CHECK(least == smallest && fabs(mean * 3 / sum - 1) < 1e-12 && deviation > 0,
          "blocks: least %g of %g, mean %g of %g", least, smallest, mean, sum / 3);
    program_refuses(2, "9 pictures, FID needs 50000", "eval --metric fid --features %s %s %s", net, set, other);
    program_refuses(2, "needs the pictures", "eval --metric swd --features %s %s %s", net, npz, set);
}

/* More pairs than fit a batch: their mean is that of the pictures' own distances. The commonest mistake, pictures in [0, 1], is
 * pointed out. */
static void lpips(hkd_device *ref) {
    enum { PAIRS = 18, RES = 32, EACH = 3 * RES * RES };
    static double x[PAIRS * EACH], y[PAIRS * EACH];
    const hkd_shape shape = hkd_shape_of(4, (int64_t)PAIRS, (int64_t)3, (int64_t)RES, (int64_t)RES);
    double l[PAIRS], mean = 0;
    char net[512], set[2][512], words[2048];
    hkd_lpips *exact = NULL;
    for (int i = 0; i < PAIRS * EACH; i++) {
        x[i] = hkd_to_value(hkd_to_byte(2 * centred("one", i)));
        y[i] = hkd_to_value(hkd_to_byte(0.5 + centred("two", i)));
    }
    snprintf(net, sizeof net, "%s", scratch("lpips.safetensors"));
    for (int i = 0; i < 2; i++) {
        snprintf(set[i], sizeof set[i], "%s", scratch(i ? "y.safetensors" : "x.safetensors"));
        small_tensor_file(set[i], &(small_tensor){"x", i ? y : x, shape, HKD_FLOAT}, 1);
    }
    write_lpips(net, HKD_LPIPS_SQUEEZE, ref);
    CHECK(!hkd_lpips_load(&exact, net, PAIRS, 3, RES, RES, false, ref) && !hkd_lpips_distance(exact, l, x, y, PAIRS), "%s",
          hkd_last_error());
    hkd_lpips_free(exact);
    for (int i = 0; i < PAIRS; i++) mean += l[i] / PAIRS;
    snprintf(words, sizeof words, "--metric lpips --features %s %s %s", net, set[0], set[1]);
    CHECK(fabs(number("value", words) / mean - 1) < 1e-5, "LPIPS %g, expected %g", number("value", words), mean);
    CHECK(!program("eval %s", words) && strstr(program_err(), "y.safetensors: no value is below 0") &&
              !strstr(program_err(), "x.safetensors: no value"), "%s", program_err());
    write_lpips(net, HKD_LPIPS_VGG, ref);
    snprintf(words, sizeof words, "%s", scratch("set.safetensors"));
    program_refuses(2, "8x8 are too small", "eval --metric lpips --features %s %s %s", net, words, words);
    program_refuses(2, "pictures of 8x8 and 32x32", "eval --metric lpips --features %s %s %s", net, words, set[0]);
}

/* ---- the published pair ------------------------------------------------------------------------------------------------- */

/* MT19937 as torch.manual_seed starts it. */
typedef struct {
    uint32_t state[624];
    int at;
} twister;

static uint32_t next(twister *t) {
    for (int i = 0; t->at == 624 && i < 624; i++) {
        const uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
        t->state[i] = t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    if (t->at == 624) t->at = 0;
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* torchmetrics' example: after torch.manual_seed(42) two batches torch.rand(2, 3, 100, 100) * 2 - 1, SqueezeNet: 0.1024 and
 * 0.0938. */
static void published_pair(hkd_device *cpu, const char *path) {
    enum { COUNT = 2 * 3 * 100 * 100 };
    static double x[COUNT], y[COUNT];
    twister t = {.state = {42}, .at = 624};
    hkd_lpips *net = NULL;
    double l[2] = {0};
    for (uint32_t i = 1; i < 624; i++) t.state[i] = 1812433253u * (t.state[i - 1] ^ t.state[i - 1] >> 30) + i;
    for (int i = 0; i < COUNT; i++) x[i] = (next(&t) & 0xffffff) * 0x1p-23 - 1;
    for (int i = 0; i < COUNT; i++) y[i] = (next(&t) & 0xffffff) * 0x1p-23 - 1;
    CHECK(!hkd_lpips_load(&net, path, 2, 3, 100, 100, false, cpu) && !hkd_lpips_distance(net, l, x, y, 2), "%s",
          hkd_last_error());
    CHECK(fabs(l[0] - 0.1024) < 5e-5 && fabs(l[1] - 0.0938) < 5e-5, "LPIPS %.6f %.6f, published 0.1024 0.0938", l[0], l[1]);
    hkd_lpips_free(net);
}

void test_metric_networks(void) {
    hkd_device *ref = NULL, *cpu = NULL;
    char path[4096];
    if (!CHECK(!hkd_device_open_ref(&ref, &(hkd_device_options){0}) &&
                   !hkd_device_open_cpu(&cpu, &(hkd_device_options){.threads = 2}), "%s", hkd_last_error()))
        return;
    lpips_as_recorded(ref, cpu);
    lpips_refuses(ref);
    lpips_gradient(ref, 3);
    lpips_gradient(ref, 1);
    inception_as_recorded(ref, cpu);
    inception_of_full_width();
    sets_as_recorded();
    fid();
    lpips(ref);
    snprintf(path, sizeof path, "%s/data/lpips/lpips_squeeze.safetensors", test_shared() ? test_shared() : "");
    if (test_shared()) published_pair(cpu, path);
    else test_skip("LPIPS' published values", "no development data");
    hkd_device_close(ref);
    hkd_device_close(cpu);
}
