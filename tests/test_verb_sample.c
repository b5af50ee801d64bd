/* hkd sample: images depend on their seed alone, ends of paths are one-step samples, several steps follow their definition. */
#include "generate.h"
#include "image.h"
#include "npy.h"
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "schedule.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 3 * 8 * 8, CLASSES = 3 };
static char hkd[512], teacher[512];

static double *sample(const char *words, int64_t images) {
    int64_t count = 0;
    if (!CHECK(program("sample --quiet --out %s %s", scratch("x.safetensors"), words) == 0, "'%s': %s", words, program_err()))
        return calloc((size_t)images * SIZE, sizeof(double));
    double *x = tensor_in_file(scratch("x.safetensors"), "x", NULL, &count);
    CHECK(count == images * SIZE, "'%s' gives %d values", words, (int)count);
    return x;
}

static void same(const double *a, const double *b, int64_t images, const char *what) {
    CHECK(!memcmp(a, b, (size_t)images * SIZE * sizeof *a), "%s", what);
}

static double *sample_of(const char *device, const char *model, const char *rest, int64_t images) {
    char words[4096];
    snprintf(words, sizeof words, "--device %s --model %s %s", device, model, rest);
    return sample(words, images);
}

/* Noise, labels and results must not leak from one image into its neighbours, nor depend on how they are batched. */
static void seeds_alone(const char *device) {
    static const char *const ways[][2] = {{"", hkd}, {"--steps 3", hkd}, {"--steps 3 --churn 20", teacher}};
    for (int i = 0; i < 3; i++) {
        char all[256], one[256];
        snprintf(all, sizeof all, "%s --batch 4 --seeds 3-8", ways[i][0]);
        snprintf(one, sizeof one, "%s --seeds 7", ways[i][0]);
        double *many = sample_of(device, ways[i][1], all, 6), *single = sample_of(device, ways[i][1], one, 1);
        same(many + 4 * SIZE, single, 1, "seed 7 gives another image alone than among others");
        CHECK(memcmp(many, many + SIZE, SIZE * sizeof *many), "two seeds give one image");
        free(many);
        free(single);
    }
}

/* Encoding, moving to time 0 and decoding is one step; at time 1 nothing has moved. */
static void path(const char *device) {
    double *end = sample_of(device, hkd, "--seeds 0-4 --batch 2", 5);
    double *way = sample_of(device, hkd, "--seeds 0-4 --batch 2 --decode-at 1,0.25,0", 15);
    for (int k = 0; k < 5; k++) {
        same(way + (3 * k + 2) * SIZE, end + k * SIZE, 1, "the path does not end in the one-step sample");
        CHECK(memcmp(way + 3 * k * SIZE, way + (3 * k + 1) * SIZE, SIZE * sizeof *way), "time does not matter");
    }
    free(end);
    free(way);
}

static hkd_model *load(const char *path, hkd_device **dev) {
    hkd_model *m = NULL;
    CHECK(!hkd_device_open_ref(dev, &(hkd_device_options){0}) && !hkd_model_load(&m, path, *dev), "%s", hkd_last_error());
    return m;
}

/* Two steps written out: x = D(80 n), then D(x + sqrt(tau^2 - eps^2) z). Catches tau instead of the root, and a wrong level. */
static void two_steps(void) {
    hkd_device *dev;
    hkd_model *m = load(hkd, &dev);
    if (!m) return;
    const double half = hkd_karras_sigma(0.5, 0.002, 80, 7), sigma[2] = {80, half};
    double x[SIZE], z[SIZE], d[SIZE], label[CLASSES] = {0, 1, 0};
    hkd_random_normals(x, 0, SIZE, &(hkd_stream){.seed = 9, .purpose = HKD_FOR_LATENTS});
    hkd_random_normals(z, 0, SIZE, &(hkd_stream){.seed = 9, .purpose = HKD_FOR_CHURN, .draw = 1});
    for (int i = 0; i < SIZE; i++) x[i] *= 80;
    hkd_model_denoise(m, d, NULL, &(hkd_model_input){.n = 1, .x = x, .sigma = sigma, .class_labels = label});
    for (int i = 0; i < SIZE; i++) x[i] = d[i] + sqrt(half * half - 0.002 * 0.002) * z[i];
    hkd_model_denoise(m, d, NULL, &(hkd_model_input){.n = 1, .x = x, .sigma = sigma + 1, .class_labels = label});
    double *got = sample_of("ref", hkd, "--class 1 --seeds 9 --steps 2", 1);
    double *named = sample_of("ref", hkd, "--class 1 --seeds 9 --times 0.5", 1);
    double worst = 0;
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(got[i] - d[i]));
    CHECK(worst < 1e-12, "two steps differ from their definition by %g", worst);
    same(got, named, 1, "--times 0.5 is not the even grid of two steps");
    char words[128]; /* the same start as a level */
    snprintf(words, sizeof words, "--class 1 --seeds 9 --levels %.17g", half);
    double *level = sample_of("ref", hkd, words, 1);
    same(got, level, 1, "--levels of the middle is not --times 0.5");
    free(level);
    free(got);
    free(named);
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* ECT's sampler written out: x = f(80 n), x = f(x + 0.821 z) without a correction, unclipped, with c_skip and c_out that are
 * exact at 0.003. Catches the floor of consistency models, a clip, and the levels of a schedule. */
static void ect(void) {
    hkd_device *dev;
    hkd_model *m = load(teacher, &dev);
    if (!m) return;
    const double sigma[2] = {80, 0.821}, eps = 0.003, sd = 0.5;
    double x[SIZE], z[SIZE], f[SIZE], label[CLASSES] = {1};
    hkd_random_normals(x, 0, SIZE, &(hkd_stream){.seed = 4, .purpose = HKD_FOR_LATENTS});
    hkd_random_normals(z, 0, SIZE, &(hkd_stream){.seed = 4, .purpose = HKD_FOR_CHURN, .draw = 1});
    for (int k = 0; k < 2; k++) {
        const double from = sigma[k] - eps;
        for (int i = 0; i < SIZE; i++) x[i] = k ? x[i] + sigma[k] * z[i] : sigma[k] * x[i];
        hkd_model_denoise(m, NULL, f, &(hkd_model_input){.n = 1, .x = x, .sigma = sigma + k, .class_labels = label});
        for (int i = 0; i < SIZE; i++)
            x[i] = sd * sd * x[i] / (from * from + sd * sd) + from * sd * f[i] / sqrt(sigma[k] * sigma[k] + sd * sd);
    }
    double *got = sample_of("ref", teacher, "--sampler consistency --levels 0.821 --floor 0 --boundary 0.003 --clip no "
                            "--seeds 4 --class 0", 1), worst = 0;
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(got[i] - x[i]));
    CHECK(worst < 1e-12, "ECT's two steps differ from their definition by %g", worst);
    free(got);
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* A file of unit normals replaces those of the seeds, and only those. */
static void latents(void) {
    static double n[3 * SIZE], labels[3 * CLASSES];
    hkd_device *dev;
    hkd_model *m = load(teacher, &dev);
    if (!m) return;
    const uint64_t seeds[3] = {0, 1, 2};
    const hkd_generator g = {.model = m, .class_label = -1};
    hkd_draw_labels(labels, &g, seeds, 3);
    for (int k = 0; k < 3; k++)
        hkd_random_normals(n + k * SIZE, 0, SIZE, &(hkd_stream){.seed = seeds[k], .purpose = HKD_FOR_LATENTS});
    const small_tensor t[] = {{"latents", n, hkd_shape_of(4, (int64_t)3, (int64_t)3, (int64_t)8, (int64_t)8), HKD_FLOAT},
                              {"class_labels", labels, hkd_shape_of(2, (int64_t)3, (int64_t)CLASSES), HKD_FLOAT}};
    char words[600], file[512];
    snprintf(file, sizeof file, "%s", scratch("latents"));
    small_tensor_file(file, t, 2);
    snprintf(words, sizeof words, "--steps 4 --latents %s", file);
    double *from_file = sample_of("ref", teacher, words, 3),
           *from_seeds = sample_of("ref", teacher, "--steps 4 --seeds 0-2", 3);
    same(from_file, from_seeds, 3, "the normals of the seeds, given in a file, make other images");
    char npy[512]; /* classes are then those of the seeds 0, 1, 2 */
    snprintf(npy, sizeof npy, "%s", scratch("latents.npy"));
    CHECK(!hkd_npy_write(npy, &t[0].shape, HKD_DOUBLE, n, HKD_F64), "%s", hkd_last_error());
    snprintf(words, sizeof words, "--steps 4 --latents %s", npy);
    double *from_npy = sample_of("ref", teacher, words, 3);
    same(from_npy, from_seeds, 3, "the normals of the seeds, given as .npy, make other images");
    free(from_npy);
    program_refuses(3, "'latents' is [3,3,8,8], expected [2,3,8,8]", "sample --model %s --seeds 0-1 --latents %s --out %s",
                    teacher, npy, scratch("no.png"));
    free(from_file);
    free(from_seeds);
    program_refuses(3, "'latents' is [3,3,8,8], expected [2,3,8,8]", "sample --model %s --seeds 0-1 --latents %s --out %s",
                    teacher, file, scratch("no.png"));
    n[2 * SIZE] = NAN; /* what a damaged model makes of good ones, too */
    small_tensor_file(file, t, 2);
    program_refuses(1, "the picture of seed 2 is not finite", "sample --model %s --latents %s --out %s", teacher, file,
                    scratch("no.png"));
    int seen[CLASSES] = {0};
    for (uint64_t s = 0; s < 60; s++) {
        double one[CLASSES];
        hkd_draw_labels(one, &g, &s, 1);
        for (int k = 0; k < CLASSES; k++) seen[k] += one[k] == 1;
    }
    CHECK(seen[0] > 5 && seen[1] > 5 && seen[2] > 5 && seen[0] + seen[1] + seen[2] == 60, "labels: %d %d %d", seen[0], seen[1],
          seen[2]);
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* Pictures hold the bytes of the samples; a folder can be filled in two goes. */
static void pictures(void) {
    hkd_image image = {0};
    static double values[SIZE];
    char dir[512], file[600];
    snprintf(dir, sizeof dir, "%s", scratch("pictures"));
    snprintf(file, sizeof file, "%s/000042.%s", dir, hkd_image_ending());
    CHECK(program("sample --model %s --seeds 41,42 --out %s/", hkd, dir) == 0 && strstr(program_out(), "NFE 1,"), "%s%s",
          program_out(), program_err());
    double *x = sample_of("cpu", hkd, "--seeds 42", 1);
    if (CHECK(!hkd_image_read(&image, file) && image.width == 8 && image.channels == 3, "%s", hkd_last_error())) {
        int wrong = 0;
        hkd_image_get(values, &image);
        for (int i = 0; i < SIZE; i++) wrong += hkd_to_byte(values[i]) != hkd_to_byte(x[i]);
        CHECK(!wrong, "%d bytes of 000042 are not the sample's", wrong);
    }
    hkd_image_free(&image);
    free(x);
    CHECK(program("sample --model %s --seeds 40-43 --resume --json --out %s/", hkd, dir) == 0 &&
              strstr(program_out(), "\"images\": 2"), "resume: %s%s", program_out(), program_err());
    char **names;
    size_t count = 0;
    CHECK(!hkd_list_directory(&names, &count, dir) && count == 4, "%d files", (int)count);
    hkd_names_free(names, count);
    snprintf(file, sizeof file, "%s.%s", dir, hkd_image_ending());
    CHECK(program("sample --model %s --seeds 0-2 --decode-at 0:1:4 --out %s", hkd, file) == 0, "%s", program_err());
    CHECK(!hkd_image_read(&image, file) && image.width > 4 * 96 && image.height > 3 * 96 && image.width > image.height,
          "the strip is %d x %d", (int)image.width, (int)image.height);
    hkd_image_free(&image);
    CHECK(program("sample --model %s --steps 5 --seeds 0 --json --out %s", teacher, file) == 0 &&
              strstr(program_out(), "\"nfe\": 9"), "Heun with 5 steps: %s%s", program_out(), program_err());
}

/* Every sampler on a network of every preconditioning: as many evaluations as the table says, finite images, an image alone is
 * the one of its batch, also where a sampler draws noise. A level outside what the network knows, noise shared by a batch, or a
 * sampler that the program does not reach fails. */
static void all_samplers(void) {
    static const char *const often[] = {"", "--steps 3 --churn 5", "--steps 3",
                                        ("--steps 3 --churn 5 --solver midpoint --schedule vp "
                                         "--scaling vp --disc iddpm"), "--steps 3 --eta 0.5", "--steps 3 --variance large",
                                        "--steps 3 --sde sub-vp", "--steps 3 --correctors 2", "--tolerance 0.1", ""};
    static const int64_t evaluations[] = {1, 5, 3, 5, 3, 3, 3, 9, 0, 2};
    for (int p = 0; p < 4; p++) {
        hkd_config c = small_config(false, CLASSES);
        char file[512], words[1024], nfe[40];
        c.precond = (hkd_precond)p;
        snprintf(file, sizeof file, "%s", scratch("precond.safetensors"));
        small_model_file(file, &c);
        for (int k = 0; k < HKD_SAMPLER_KINDS; k++) {
            hkd_sampler_options o = hkd_sampler_default((hkd_sampler_kind)k, &c);
            if (strstr(often[k], "--steps 3")) o.steps = 3;
            o.correctors = 2;
            CHECK(hkd_sampler_evaluations(&o) == evaluations[k], "%s: the table says %d evaluations", hkd_sampler_name[k],
                  (int)hkd_sampler_evaluations(&o));
            snprintf(words, sizeof words, "--sampler %s %s --rng %s --seeds 5-7", hkd_sampler_name[k], often[k],
                    k % 2 ? "edm" : "hkd");
            double *many = sample_of("ref", file, words, 3);
            snprintf(nfe, sizeof nfe, "NFE %d,", (int)evaluations[k]);
            snprintf(words + strlen(words) - 3, 4, "6");
            double *one = sample_of("ref", file, words, 1);
            CHECK(!evaluations[k] || strstr(program_out(), nfe), "%s on %s: %s", hkd_sampler_name[k],
                    hkd_precond_name(c.precond),
                  program_out());
            int wrong = 0;
            for (int i = 0; i < 3 * SIZE; i++) wrong += !isfinite(many[i]);
            CHECK(!wrong && memcmp(many, many + SIZE, SIZE * sizeof *many),
                    "%s on %s: %d numbers are not finite, or two seeds agree",
                  hkd_sampler_name[k], hkd_precond_name(c.precond), wrong);
            same(many + SIZE, one, 1, hkd_sampler_name[k]);
            free(many);
            free(one);
        }
    }
}

/* --rng edm is the noise of PyTorch on a GPU and its class; --noise with the same numbers, all of them, is the same picture. */
static void foreign(void) {
    enum { DRAWS = 4 };
    static double n[DRAWS * SIZE], labels[CLASSES];
    char file[512], words[700];
    hkd_foreign g;
    int64_t label;
    hkd_foreign_seed(&g, 9, HKD_RNG_TORCH_CUDA);
    hkd_foreign_normals(n, SIZE, &g);
    hkd_foreign_label(&label, CLASSES, &g);
    labels[label] = 1;
    for (int k = 1; k < DRAWS; k++) hkd_foreign_normals(n + k * SIZE, SIZE, &g);
    const small_tensor t[] = {{"latents", n, hkd_shape_of(4, (int64_t)1, (int64_t)(3 * DRAWS), (int64_t)8, (int64_t)8),
            HKD_FLOAT},
                              {"class_labels", labels, hkd_shape_of(2, (int64_t)1, (int64_t)CLASSES), HKD_FLOAT}};
    snprintf(file, sizeof file, "%s", scratch("noise.safetensors"));
    small_tensor_file(file, t, 2);
    snprintf(words, sizeof words, "--steps 3 --churn 5 --noise %s", file);
    double *given = sample_of("ref", teacher, words, 1);
    double *drawn = sample_of("ref", teacher, "--steps 3 --churn 5 --rng edm --seeds 4294967305", 1);
    same(given, drawn, 1, "EDM's noise from a file and from its seed 2^32 + 9 make two images");
    program_refuses(2, "more often than the 4 times", "sample --model %s --out %s --steps 5 --churn 5 --noise %s", teacher,
                    scratch("no.png"), file);
    free(given);
    free(drawn);
}

/* Three shards fill a folder with what one run makes, each seed once. */
static void sharded(void) {
    char dir[512], file[600];
    int made = 0;
    snprintf(dir, sizeof dir, "%s", scratch("shards"));
    for (int i = 0; i < 3; i++) {
        CHECK(program("sample --model %s --seeds 0-149 --shard %d/3 --json --out %s", hkd, i, dir) == 0, "%s", program_err());
        const char *images = strstr(program_out(), "\"images\": ");
        made += images ? atoi(images + 10) : 0;
    }
    char **names;
    size_t count = 0;
    CHECK(!hkd_list_directory(&names, &count, dir) && count == 150 && made == 150, "%d files, %d pictures", (int)count, made);
    hkd_names_free(names, count);
    hkd_image image = {0};
    static double values[SIZE];
    snprintf(file, sizeof file, "%s/000149.%s", dir, hkd_image_ending());
    double *x = sample_of("cpu", hkd, "--seeds 149", 1);
    if (CHECK(!hkd_image_read(&image, file), "%s", hkd_last_error())) {
        int wrong = 0;
        hkd_image_get(values, &image);
        for (int i = 0; i < SIZE; i++) wrong += hkd_to_byte(values[i]) != hkd_to_byte(x[i]);
        CHECK(!wrong, "%d bytes of 000149 are not the sample's", wrong);
    }
    hkd_image_free(&image);
    free(x);
    program_refuses(2, "--shard is for", "sample --model %s --shard 0/2 --out %s", hkd, scratch("no.png"));
}

static void same_files(const char *p, const char *q, const char *what) {
    unsigned char *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    CHECK(!hkd_read_file(&x, &n, p, 1 << 26) && !hkd_read_file(&y, &m, q, 1 << 26), "%s", hkd_last_error());
    CHECK(x && y && n == m && !memcmp(x, y, n), "%s", what);
    free(x);
    free(y);
}

/* Parts of a run, one of them empty, joined in any order are its file: tensors, seeds beyond 2^53 and metadata. Catches an
 * order by arguments, a seed that went through a double, and a trace of the parts. */
static void joined(void) {
    char whole[512], part[5][512], all[512];
    static const char seeds[] = "0-99,9007199254740993,18446744073709551600-18446744073709551615,200-249";
    snprintf(whole, sizeof whole, "%s", scratch("one_run.safetensors"));
    snprintf(all, sizeof all, "%s", scratch("joined.safetensors"));
    CHECK(program("sample --model %s --seeds %s --out %s", hkd, seeds, whole) == 0, "%s", program_err());
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "part%d.safetensors", i);
        snprintf(part[i], sizeof part[i], "%s", scratch(name));
        if (i < 4) CHECK(program("sample --model %s --seeds %s --shard %d/4 --out %s", hkd, seeds, i, part[i]) == 0, "%s",
                         program_err());
    }
    CHECK(program("convert --quiet %s %s %s %s %s", part[2], part[0], part[3], part[1], all) == 0, "%s", program_err());
    same_files(whole, all, "the joined parts of a run are not its file");
    program_refuses(2, "but 3 files are given", "convert %s %s %s %s", part[0], part[1], part[2], all);
    program_refuses(2, "part 1/4, as", "convert %s %s %s %s %s", part[0], part[1], part[1], part[2], all);
    program_refuses(2, "no part that sample --shard wrote", "convert %s %s %s %s %s", part[0], whole, part[1], part[2], all);
    CHECK(program("sample --model %s --seeds 0-199 --shard 3/4 --out %s", hkd, part[4]) == 0, "%s", program_err());
    program_refuses(2, "parts of different runs", "convert %s %s %s %s %s", part[0], part[1], part[2], part[4], all);
    program_refuses(2, "become a .safetensors file", "convert %s %s", part[0], scratch("joined.npz"));
}

/* Statistics know the seeds of samples, from a file's `seeds` and from the names of pictures: the same picture does not count
 * twice, however its files are called and wherever it stands. Numbers that occur twice are no seeds. */
static void counted_once(void) {
    char first[512], again[512], folder[512], classes[512], stats[4][512], merged[512];
    static const char *const name[] = {"first.safetensors", "again.safetensors", "named", "classes"};
    char *const path[] = {first, again, folder, classes};
    for (int i = 0; i < 4; i++) {
        char saved[40];
        snprintf(path[i], 512, "%s", scratch(name[i]));
        snprintf(saved, sizeof saved, "seen%d.safetensors", i);
        snprintf(stats[i], sizeof stats[i], "%s", scratch(saved));
    }
    snprintf(merged, sizeof merged, "%s", scratch("seen.safetensors"));
    CHECK(!program("sample --model %s --seeds 0-63 --out %s", hkd, first), "%s", program_err());
    CHECK(!program("sample --model %s --seeds 128-190,63 --out %s", hkd, again), "%s", program_err());
    CHECK(!program("sample --model %s --seeds 60-65 --out %s", hkd, folder), "%s", program_err());
    CHECK(!program("sample --model %s --seeds 1-2 --out %s/a", hkd, classes), "%s", program_err());
    CHECK(!program("sample --model %s --seeds 2-3 --out %s/b", hkd, classes), "%s", program_err());
    for (int i = 0; i < 4; i++)
        CHECK(!program("eval --metric frechet --offset %d --save-stats %s %s", 64 * i, stats[i], path[i]), "%s", program_err());
    program_refuses(3, "seeds 63 to 63 are counted already", "eval --metric frechet --save-stats %s %s %s", merged, stats[0],
                    stats[1]);
    program_refuses(3, "seeds 60 to 63 are counted already", "eval --metric frechet --save-stats %s %s %s", merged, stats[0],
                    stats[2]);
    CHECK(!program("eval --metric frechet --save-stats %s %s %s", merged, stats[1], stats[3]), "%s", program_err());
    program_refuses(3, "seeds 63 to 63 are counted already", "eval --metric frechet --save-stats %s %s %s",
                    scratch("twice.safetensors"), merged, stats[1]); /* merging keeps them */
}

static void bad_input(void) {
    const char *png = scratch("bad.png");
    static const struct {
        const char *says, *words;
    } usage[] = {{"5-2 runs backwards", "--seeds 5-2"},
                 {"--class 3", "--class 3"},
                 {"heun", "--sampler heun"},
                 {"--steps 0", "--steps 0"},
                 {"decrease", "--times 0.5,0.7"},
                 {"decrease", "--times 1"},
                 {"between 0.002 and 80", "--levels 0.001"},
                 {"between 0.002 and 80", "--levels 80"},
                 {"decrease", "--levels 1,2"},
                 {"not both", "--levels 1 --times 0.5"},
                 {"not 1", "--steps 3 --levels 1"},
                 {"--churn is for", "--churn 3"},
                 {"expected hkd|edm|", "--rng rand"},
                 {"not both", "--noise a --latents b"},
                 {"below 2^32", "--rng numpy --seeds 4294967296"},
                 {"a boundary is for denoisers", "--boundary 0.002"},
                 {"not 1", "--steps 3 --times 0.5"},
                 {"leave out --steps", "--steps 2 --decode-at 0"}};
    for (size_t i = 0; i < sizeof usage / sizeof *usage; i++)
        program_refuses(2, usage[i].says, "sample --model %s --out %s %s", hkd, png, usage[i].words);
    program_refuses(2, "for HKD models", "sample --model %s --out %s --decode-at 0", teacher, png);
    program_refuses(2, "cannot write", "sample --model %s --out %s", hkd, scratch("no/such/dir.png"));
    program_refuses(2, "expected a folder", "sample --model %s --out %s", hkd, "/dev/null");
    program_refuses(2, "expected a folder", "sample --model %s --out %s.jpg", hkd, hkd);
    program_refuses(3, "No such file", "sample --model %s --out %s", scratch("nothing"), png);
    program_refuses(2, "--out is needed", "sample --model %s", hkd);
    CHECK(!hkd_exists(png), "a failed run left a file");
    if (hkd_exists("/dev/full")) {
        char full[512];
        snprintf(full, sizeof full, "%s", scratch("full.safetensors"));
        if (CHECK(!symlink("/dev/full", full), "no link"))
            program_refuses(5, "No space left", "sample --model %s --seeds 0 --out %s", hkd, full);
    }
}

void test_verb_sample(void) {
    const hkd_config student = small_config(true, CLASSES), plain = small_config(false, CLASSES);
    snprintf(hkd, sizeof hkd, "%s", scratch("sample_hkd.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("sample_teacher.safetensors"));
    small_model_file(hkd, &student);
    small_model_file(teacher, &plain);
    seeds_alone("ref");
    seeds_alone("cpu");
    path("ref");
    path("cpu");
    two_steps();
    ect();
    latents();
    pictures();
    all_samplers();
    foreign();
    sharded();
    joined();
    counted_once();
    bad_input();
}
