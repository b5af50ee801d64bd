#include "foreign_rng.h"
#include "test.h"

#include "foreign_noise.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 12288 };

/* What the tools drew, live: a stream of another order, another pairing in an odd tail, a lost cache or a seed cut elsewhere
 * fails by 0.1 or more. 1e-6 is twice the rounding of float32 at the largest values; NumPy computes in double. */
static void recorded(void) {
    double *x = malloc(MOST * sizeof *x);
    for (size_t i = 0; i < sizeof foreign_noise / sizeof *foreign_noise; i++) {
        const hkd_rng_kind kind = foreign_noise[i].kind;
        const uint64_t seed = foreign_noise[i].seed;
        const int64_t n = foreign_noise[i].n;
        const double allowed = kind == HKD_RNG_NUMPY ? 1e-14 : 1e-6;
        double sum = 0;
        int64_t label = -1;
        hkd_foreign g;
        CHECK(!hkd_foreign_seed(&g, seed, kind) && !hkd_foreign_normals(x, n, &g), "%s", hkd_last_error());
        for (int64_t k = 0; k < n; k++) sum += x[k];
        CHECK(fabs(x[0] - foreign_noise[i].first) < allowed && fabs(x[n / 2] - foreign_noise[i].middle) < allowed &&
              fabs(x[n - 1] - foreign_noise[i].last) < allowed && fabs(sum - foreign_noise[i].sum) < allowed * (double)n + 1e-9,
              "%s, seed %llu, %lld numbers: %.9g %.9g %.9g, sum %.12g", hkd_rng_name(kind), (unsigned long long)seed,
                  (long long)n,
              x[0], x[n / 2], x[n - 1], sum);
        if (foreign_noise[i].label < 0) continue;
        CHECK(!hkd_foreign_label(&label, 10, &g) && label == foreign_noise[i].label, "label %d after %d, not %d",
              (int)label, (int)n, foreign_noise[i].label);
    }
    free(x);
}

static hkd_status draw(double *x, int64_t n, uint64_t seed, hkd_rng_kind kind) {
    hkd_foreign g;
    const hkd_status status = hkd_foreign_seed(&g, seed, kind);
    return status ? status : hkd_foreign_normals(x, n, &g);
}

/* Values that users of PyTorch published from CUDA devices: sine and cosine swapped, or another counter, fails. */
static void published(void) {
    static const struct {
        uint64_t seed;
        double x[3];
    } cuda[] = {{42, {0.1940, 2.1614, -0.1721}}, {1, {-0.2963, 2.6764, -0.1408}}};
    for (int i = 0; i < 2; i++) {
        double x[3];
        draw(x, 3, cuda[i].seed, HKD_RNG_TORCH_CUDA);
        for (int k = 0; k < 3; k++) CHECK(fabs(x[k] - cuda[i].x[k]) < 6e-5, "seed %d: %g", (int)cuda[i].seed, x[k]);
    }
}

/* 17 and 3 normals, a class of 10, then 5 and 16 normals from one generator: a cache that is lost or kept too long, a counter
 * that stands still, or another way to a class fails. */
static void continued(void) {
    for (size_t i = 0; i < sizeof foreign_streams / sizeof *foreign_streams; i++) {
        hkd_foreign g;
        double x[41], allowed = foreign_streams[i].kind == HKD_RNG_NUMPY ? 1e-14 : 1e-6;
        int64_t label = -1;
        CHECK(!hkd_foreign_seed(&g, 42, foreign_streams[i].kind), "%s", hkd_last_error());
        CHECK(!hkd_foreign_normals(x, 17, &g) && !hkd_foreign_normals(x + 17, 3, &g) && !hkd_foreign_label(&label, 10, &g) &&
                  !hkd_foreign_normals(x + 20, 5, &g) && !hkd_foreign_normals(x + 25, 16, &g), "%s", hkd_last_error());
        CHECK(label == foreign_streams[i].label, "%s: class %d, not %d", hkd_rng_name(g.kind), (int)label,
              foreign_streams[i].label);
        static const int at[4] = {19, 20, 24, 40};
        for (int k = 0; k < 4; k++)
            CHECK(fabs(x[at[k]] - foreign_streams[i].x[k]) < allowed, "%s, number %d: %.9g, not %.9g",
                    hkd_rng_name(g.kind), at[k],
                  x[at[k]], foreign_streams[i].x[k]);
    }
}

/* On CUDA element k depends on k alone, and all 64 bits of the seed count, except in EDM; what the tools refuse is refused. */
static void rules(void) {
    double few[3], *many = malloc((MOST + 1) * sizeof *many), m = 0, v = 0;
    const uint64_t high = (uint64_t)1 << 32;
    hkd_foreign g;
    int64_t label;
    draw(few, 3, 7, HKD_RNG_TORCH_CUDA);
    CHECK(!draw(many, MOST, 7, HKD_RNG_TORCH_CUDA), "%s", hkd_last_error());
    CHECK(few[2] == many[2], "a longer stream begins otherwise");
    for (int i = 0; i < MOST; i++) m += many[i] / MOST, v += many[i] * many[i] / MOST;
    CHECK(fabs(m) < 4 / sqrt(MOST) && fabs(v - 1) < 4 * sqrt(2.0 / MOST), "mean %g, variance %g", m, v);
    draw(many, 3, high + 7, HKD_RNG_TORCH_CUDA);
    CHECK(few[2] != many[2], "the seed's high word is lost");
    draw(many, 3, high + 7, HKD_RNG_EDM);
    CHECK(few[2] == many[2], "EDM takes seeds modulo 2^32");
    CHECK(draw(many, MOST + 1, 7, HKD_RNG_TORCH_CUDA) == HKD_USAGE, "more than every GPU agrees on");
    CHECK(draw(many, 3, high, HKD_RNG_NUMPY) == HKD_USAGE, "NumPy refuses 2^32");
    CHECK(draw(many, 3, high << 31, HKD_RNG_JAX) == HKD_USAGE, "JAX refuses 2^63");
    hkd_foreign_seed(&g, 7, HKD_RNG_TORCH_CPU);
    CHECK(hkd_foreign_label(&label, 0, &g) == HKD_USAGE, "no classes");
    draw(few, 3, 7, HKD_RNG_HKD);
    const hkd_stream stream = {.seed = 7, .purpose = HKD_FOR_LATENTS};
    for (uint64_t i = 0; i < 3; i++) CHECK(few[i] == hkd_random_normal(&stream, i), "our own stream");
    free(many);
}

void test_foreign_rng(void) {
    recorded();
    published();
    continued();
    rules();
}
