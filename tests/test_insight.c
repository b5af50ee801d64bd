/* hkd_insight.h as someone meets it who has nothing but the public headers and a model file, on every device. */
#include <hkd_insight.h>

#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, SIDE = 8, SIZE = 3 * SIDE * SIDE };
static const uint64_t seeds[N] = {3, 9}, others[N] = {5, 1};

typedef struct {
    const char *name; /* of the device */
    hkd_model *m, *teacher;
    hkd_insight *in;
    double x[N * SIZE], other[N * SIZE]; /* the samples of both lists */
} stage;

static bool same(const double *a, const double *b) { return !memcmp(a, b, N * SIZE * sizeof *a); }

static double *room(int64_t count) { return calloc((size_t)count + 1, sizeof(double)); }

/* What a level says of itself is what the model's weights hold; the discrete eigenvalue is e^(dt (alpha + i beta)). */
static void spectrum(const stage *s) {
    hkd_insight *none = s->in;
    CHECK(hkd_insight_open(&none, s->teacher) == HKD_USAGE && !none, "a denoiser has no operators");
    for (int k = 0; k < hkd_insight_levels(s->in); k++) {
        const hkd_insight_level l = hkd_insight_level_at(s->in, k);
        const int64_t modes = l.pairs * l.rows * l.columns;
        const hkd_shape z = hkd_model_latent_shape(s->m, l.latent);
        const hkd_weight *w = hkd_weights_find(s->m->weights, l.name);
        double *alpha = room(4 * modes), *beta = alpha + modes, *values = beta + modes;
        CHECK(w && 2 * l.pairs == z.dim[0] && l.rows == z.dim[1] && l.columns == z.dim[2], "level %d has another shape", k);
        hkd_insight_spectrum(alpha, beta, s->in, k);
        if (w) s->m->dev->download(s->m->dev, values, HKD_F64, &w->value);
        CHECK(!memcmp(alpha, values, (size_t)(2 * modes) * sizeof *alpha), "level %d: other eigenvalues than its weight", k);
        free(alpha);
    }
    double re, im;
    hkd_insight_discrete(&re, &im, 0.3, 1.1, -1);
    CHECK(fabs(re - exp(-0.3) * cos(1.1)) < 1e-15 && fabs(im + exp(-0.3) * sin(1.1)) < 1e-15, "%g + %g i", re, im);
}

/* Thirds share out the modes, their effects add up to 1, all modes give the sample bit for bit; a measurement leaves the chosen
 * band as it was. */
static void bands(const stage *s) {
    const double times[3] = {1, 0.4, 0};
    double effect[3], sum[3] = {0}, d[N * SIZE];
    const int count = hkd_insight_levels(s->in);
    for (int joint = 0; joint < 2; joint++) {
        CHECK(!hkd_insight_rank(s->in, joint ? HKD_SORT_DETAIL : HKD_SORT_ALPHA, joint != 0), "%s", hkd_last_error());
        memset(sum, 0, sizeof sum);
        int64_t in_bands = 0, all = 0;
        for (int b = 0; b < 3; b++) {
            CHECK(!hkd_insight_choose(s->in, b / 3.0, (b + 1) / 3.0), "%s", hkd_last_error());
            CHECK(!hkd_insight_effect(s->in, effect, seeds, N, times, 3), "%s", hkd_last_error());
            for (int t = 0; t < 3; t++) sum[t] += effect[t];
            for (int k = 0; k < count; k++) {
                const hkd_insight_level l = hkd_insight_level_at(s->in, k);
                const int64_t modes = l.pairs * l.rows * l.columns;
                unsigned char *mask = malloc((size_t)modes + 1);
                hkd_insight_mask(mask, s->in, k);
                for (int64_t m = 0; m < modes; m++) in_bands += mask[m];
                all += modes;
                free(mask);
            }
        }
        CHECK(3 * in_bands == all, "%s: %d modes in thirds of %d", s->name, (int)in_bands, (int)all / 3);
        CHECK(sum[0] == 0 && fabs(sum[2] - 1) < 1e-12, "%s: effects add up to %.15g", s->name, sum[2]);
    }
    hkd_insight_polarity p;
    CHECK(!hkd_insight_choose(s->in, 0, 1) && !hkd_insight_measure_polarity(&p, s->in), "%s", hkd_last_error());
    CHECK(p.half > 0 && p.decided == (fabs(p.difference) > p.half), "polarity %g +- %g", p.difference, p.half);
    CHECK(!hkd_insight_band_images(s->in, d, seeds, N, 0) && same(d, s->x), "%s: all modes are not the sample", s->name);
    CHECK(!hkd_insight_choose(s->in, 0, 0.5) && !hkd_insight_band_images(s->in, d, seeds, N, 0) && !same(d, s->x),
          "%s: half of the modes make the whole picture", s->name);
    CHECK(hkd_insight_choose(s->in, 0.5, 0.4) == HKD_USAGE, "a reversed interval is accepted");
    CHECK(hkd_insight_band_images(s->in, d, seeds, N, 1.5) == HKD_USAGE, "time 1.5 is accepted");
    CHECK(hkd_insight_rank(s->in, (hkd_sort)7, false) == HKD_USAGE, "a sort key that does not exist is accepted");
}

/* Frequencies (u, v) of a SIDE x SIDE picture whose distance from 0 rounds to k; the corners beyond are the last shell. */
static int shell_size(int k) {
    int size = 0;
    for (int u = -SIDE / 2; u < SIDE / 2; u++)
        for (int v = -SIDE / 2; v < SIDE / 2; v++) {
            const int shell = (int)(sqrt((double)(u * u + v * v)) + 0.5);
            size += (shell > SIDE / 2 ? SIDE / 2 + 1 : shell) == k;
        }
    return size;
}

/* A picture without half of the modes is one of the other half alone: the mark must be of that difference, and its spectrum
 * hold the same energy (Parseval). To leave out a band of no modes changes nothing. */
static void marks(const stage *s) {
    enum { SHELLS = SIDE / 2 + 2 };
    double power[3 * SHELLS], d[N * SIZE], square = 0, energy = 0;
    hkd_insight_mark mark;
    CHECK(!hkd_insight_choose(s->in, 0.5, 1) && !hkd_insight_band_images(s->in, d, seeds, N, 0) &&
              !hkd_insight_choose(s->in, 0, 0.5) && !hkd_insight_band_mark(&mark, power, s->in, seeds, N), "%s",
          hkd_last_error());
    for (int i = 0; i < N * SIZE; i++) square += (d[i] - s->x[i]) * (d[i] - s->x[i]) / (N * SIZE);
    for (int k = 0; k < SHELLS; k++) energy += power[2 * SHELLS + k] * shell_size(k) / (SIDE * SIDE);
    CHECK(mark.shells == SHELLS && mark.change > 0 && fabs(mark.change - sqrt(square)) < 1e-6 * mark.change,
          "%s: the change is %g, of the pictures %g", s->name, mark.change, sqrt(square));
    CHECK(fabs(energy - square) < 1e-6 * square, "%s: the spectrum holds %g of %g", s->name, energy, square);
    CHECK(fabs(mark.low + mark.middle + mark.high - 1) < 1e-12 && mark.centroid != mark.without, "%s: shares add up to %g",
          s->name, mark.low + mark.middle + mark.high);
    CHECK(!hkd_insight_choose(s->in, 0.5, 0.5) && !hkd_insight_band_mark(&mark, NULL, s->in, seeds, N) && mark.change == 0 &&
              mark.centroid == mark.without, "%s: a band without modes changes %g", s->name, mark.change);
}

/* The comparison is of this edit with sets of this seed, and refuses what it cannot compare. (What it computes is tested where
 * it is defined.) */
static void control(const stage *s) {
    const hkd_edit e = {.n = N, .seeds = seeds, .reference_seeds = others, .time = 0.5, .ratio = 0.5};
    hkd_edit bad = e;
    hkd_edit_control a = {.sets = 3}, b = a, c = a, none = {.sets = 1};
    CHECK(!hkd_insight_choose(s->in, 0, 0.3) && !hkd_insight_edit_control(&a, s->in, &e, 1) &&
              !hkd_insight_edit_control(&b, s->in, &e, 1) && !hkd_insight_edit_control(&c, s->in, &e, 2), "%s",
          hkd_last_error());
    CHECK(a.n == N && a.rmse > 0 && a.half > 0 && fabs(a.low[1] - a.low[0] - a.difference) < 1e-12, "%s: %g - %g is not %g",
          s->name, a.low[1], a.low[0], a.difference);
    CHECK(a.difference == b.difference && a.half == b.half && a.difference != c.difference, "%s: sets of another seed",
          s->name);
    CHECK(hkd_insight_edit_control(&none, s->in, &e, 1) == HKD_USAGE, "one set has no spread");
    bad.n = 1;
    CHECK(hkd_insight_edit_control(&b, s->in, &bad, 1) == HKD_USAGE, "one picture has no spread");
    bad.n = N, bad.everything = true;
    CHECK(hkd_insight_edit_control(&c, s->in, &bad, 1) == HKD_USAGE, "everything is no band");
}

/* The path ends in the sample bit for bit, the teacher's in the teacher's sample, and x_T is the same noise. */
static void path(const stage *s) {
    const double times[3] = {1, 0.6, 0}; /* levels of the teacher's own grid of 6 */
    double x[3 * N * SIZE], t[3 * N * SIZE], sample[N * SIZE], worst = 0;
    CHECK(!hkd_insight_path(s->in, x, seeds, N, times, 3), "%s", hkd_last_error());
    CHECK(same(x + 2 * N * SIZE, s->x), "%s: the path does not end in the sample", s->name);
    CHECK(!same(x, s->x), "%s: the path does not move", s->name);
    CHECK(!hkd_insight_teacher_path(s->in, t, s->teacher, seeds, N, times, 3, 6), "%s", hkd_last_error());
    CHECK(!hkd_sample(s->teacher, sample, seeds, N, 6), "%s", hkd_last_error());
    CHECK(fabs(hkd_insight_sigma(s->in, 1) - 80) < 1e-9 && fabs(hkd_insight_sigma(s->in, 0) - 0.002) < 1e-9, "noise levels");
    for (int i = 0; i < N * SIZE; i++) worst = fmax(worst, fabs(t[2 * N * SIZE + i] - sample[i]));
    CHECK(worst < 1e-4, "%s: the teacher's path ends %g from its sample", s->name, worst);
    CHECK(hkd_insight_teacher_path(s->in, t, s->m, seeds, N, times, 3, 6) == HKD_USAGE, "an HKD model teaches");
}

static void edits(const stage *s) {
    double d[N * SIZE], noised[N * SIZE], region[SIDE * SIDE];
    hkd_edit e = {.n = N, .seeds = seeds, .reference_seeds = others, .time = 0.5, .everything = true};
    CHECK(!hkd_insight_edit(s->in, d, &e) && same(d, s->x), "%s: ratio 0 is not the image", s->name);
    e.ratio = 1;
    CHECK(!hkd_insight_edit(s->in, d, &e) && same(d, s->other), "%s: ratio 1 is not the reference", s->name);
    e.everything = false;
    CHECK(!hkd_insight_choose(s->in, 0.5, 0.5) && !hkd_insight_edit(s->in, d, &e) && same(d, s->x),
          "%s: a band without modes changes the image", s->name);
    hkd_region_triangle(region, SIDE, SIDE);
    e.region = region;
    CHECK(!hkd_insight_choose(s->in, 0, 0.5) && !hkd_insight_edit(s->in, d, &e) && !same(d, s->x) && !same(d, s->other),
          "%s: half of the modes", s->name);
    e.reference = s->other;
    CHECK(hkd_insight_edit(s->in, d, &e) == HKD_USAGE, "two references are accepted");
    e.reference_seeds = NULL;
    CHECK(!hkd_insight_edit(s->in, noised, &e), "%s", hkd_last_error());
    e.time = 0.2;
    CHECK(!hkd_insight_edit(s->in, d, &e) && !same(d, noised), "%s: the time of a noised reference does not matter", s->name);
    e.time = 1.2;
    CHECK(hkd_insight_edit(s->in, d, &e) == HKD_USAGE, "time 1.2 is accepted");
    e.time = 0.2, e.ratio = 1.5;
    CHECK(hkd_insight_edit(s->in, d, &e) == HKD_USAGE, "ratio 1.5 is accepted");
}

/* The image side bounds the latent side from above; not a number of anything else: another seed, another value. */
static void consistency(const stage *s) {
    hkd_consistency a, b;
    CHECK(!hkd_insight_consistency(&a, s->in, s->teacher, 7, 4) && !hkd_insight_consistency(&b, s->in, s->teacher, 8, 4), "%s",
          hkd_last_error());
    CHECK(a.loss > 0 && a.loss >= a.bound && a.rho > 0 && a.rho <= 1 && a.loss != b.loss, "%s: %g, %g, %g", s->name, a.loss,
          a.bound, a.rho);
    CHECK(hkd_insight_consistency(&a, s->in, s->m, 7, 4) == HKD_USAGE, "an HKD model teaches");
    CHECK(hkd_insight_consistency(&a, s->in, s->teacher, 7, 1) == HKD_USAGE, "one step has no middle");
}

/* Known pixels come back unchanged, the others do not. */
static void restoration(const stage *s) {
    unsigned char mask[SIDE * SIDE];
    double d[N * SIZE];
    for (int i = 0; i < SIDE * SIDE; i++) mask[i] = i % 3 != 0;
    hkd_known known = {HKD_KEEP_PIXELS, 3, SIDE, mask, 0};
    CHECK(!hkd_insight_restore(s->in, d, s->x, &known, others, N, 3), "%s", hkd_last_error());
    int kept = 0, changed = 0;
    for (int i = 0; i < N * SIZE; i++)
        if (mask[i % (SIDE * SIDE)]) kept += d[i] == s->x[i];
        else changed += d[i] != s->x[i];
    CHECK(kept == N * 3 * 42 && changed > N * 3 * 20, "%s: %d known pixels of %d stayed, %d changed", s->name, kept, N * 3 * 42,
          changed);
    known.side = 4;
    CHECK(hkd_insight_restore(s->in, d, s->x, &known, others, N, 3) == HKD_USAGE, "pictures of another size are accepted");
    known.side = SIDE;
    CHECK(hkd_insight_restore(s->in, d, s->x, &known, others, N, 0) == HKD_USAGE, "no step is accepted");
}

/* Kinds start from the teacher with A = 0: a rate of 0 leaves trained and zero there, and random ones elsewhere. Who is told of
 * the progress may end it. Catches a kind that starts from other weights, and a size that is not used. */
static hkd_status stop_at_refit(void *self, const char *what, int64_t done, int64_t all) {
    (void)self, (void)done, (void)all;
    return strcmp(what, "refit") ? HKD_OK : HKD_RESOURCES;
}

static void refit(const stage *s) {
    static hkd_refit r;
    hkd_refit_settings how = {.images = 16, .runs = 1, .trajectories = 16, .steps = 3, .lr = 0, .size = 0.5};
    if (!CHECK(!hkd_insight_refit(&r, s->in, s->teacher, &how), "%s", hkd_last_error())) return;
    const hkd_refit_loss *trained = &r.after[HKD_REFIT_TRAINED][0][HKD_REFIT_CHECKS - 1];
    const hkd_refit_loss *zero = &r.after[HKD_REFIT_ZERO][0][HKD_REFIT_CHECKS - 1];
    const hkd_refit_loss *random = &r.after[HKD_REFIT_RANDOM][0][HKD_REFIT_CHECKS - 1];
    CHECK(r.size == 0.5 && r.before.end > 0 && r.before.path > 0, "size %g, start %g, %g", r.size, r.before.end, r.before.path);
    CHECK(trained->end == r.before.end && zero->end == r.before.end && zero->path == r.before.path,
          "%s: a rate of 0 trained something: %g, %g, start %g", s->name, trained->end, zero->end, r.before.end);
    CHECK(random->end != r.before.end, "%s: random operators are those of A = 0", s->name);
    how.progress = stop_at_refit;
    CHECK(hkd_insight_refit(&r, s->in, s->teacher, &how) == HKD_RESOURCES, "the refit was not ended");
    how.runs = 0;
    CHECK(hkd_insight_refit(&r, s->in, s->teacher, &how) == HKD_USAGE, "no run");
    CHECK(hkd_insight_refit(&r, s->in, s->m, &how) == HKD_USAGE, "an HKD model teaches");
}

static void on(const char *device, const char *model, const char *teacher) {
    static stage s;
    hkd_device *dev;
    const hkd_device_options options = {.force = true, .threads = 2};
    if (hkd_device_open(&dev, device, &options)) {
        test_skip("hkd_insight.h on opencl", hkd_last_error());
        return;
    }
    s = (stage){.name = device};
    if (CHECK(!hkd_model_load(&s.m, model, dev) && !hkd_model_load(&s.teacher, teacher, dev) && !hkd_insight_open(&s.in, s.m) &&
                  !hkd_sample(s.m, s.x, seeds, N, 1) && !hkd_sample(s.m, s.other, others, N, 1), "%s", hkd_last_error())) {
        spectrum(&s);
        bands(&s);
        marks(&s);
        path(&s);
        edits(&s);
        control(&s);
        restoration(&s);
        consistency(&s);
        refit(&s);
    }
    hkd_insight_free(s.in);
    hkd_model_free(s.m);
    hkd_model_free(s.teacher);
    hkd_device_close(dev);
}

/* A quarter turn in 100 equal steps: hkd_insight.h gives its first explained variance. */
static void turn(void) {
    enum { STEPS = 101 };
    static double x[STEPS * 2];
    hkd_path_shape s;
    for (int t = 0; t < STEPS; t++) x[2 * t] = cos(t * acos(0) / (STEPS - 1)), x[2 * t + 1] = sin(t * acos(0) / (STEPS - 1));
    CHECK(!hkd_trajectory_shape(&s, x, STEPS, 2), "%s", hkd_last_error());
    CHECK(fabs(s.explained[0] - 0.959138) < 2e-3 && fabs(s.explained[1] - 1) < 1e-12 && fabs(s.explained[2] - 1) < 1e-12,
          "explained %g, %g, %g", s.explained[0], s.explained[1], s.explained[2]);
    CHECK(fabs(s.degrees - 90) < 1e-9 && s.residual < 1e-12, "%g degrees, residual %g", s.degrees, s.residual);
}

/* Three models: y, y + 1, y + 2 have a spread of 1 at every place and agree wholly; against -y they do not. */
static void spread(void) {
    const double y[4] = {0, 3, 0, 3}, y1[4] = {1, 4, 1, 4}, y2[4] = {2, 5, 2, 5}, back[4] = {0, -3, 0, -3};
    const double *const three[3] = {y, y1, y2}, *const two[2] = {y, back};
    hkd_scatter s = {0};
    CHECK(!hkd_scatter_over_models(&s, three, 3, 4) && fabs(s.over_models - 1) < 1e-14 && fabs(s.over_places - 1.5) < 1e-14 &&
              fabs(s.correlation - 1) < 1e-14, "%g, %g, %g", s.over_models, s.over_places, s.correlation);
    CHECK(!hkd_scatter_over_models(&s, two, 2, 4) && fabs(s.over_models - 3) < 1e-14 && fabs(s.correlation + 1) < 1e-14,
          "%g, %g", s.over_models, s.correlation);
    CHECK(hkd_scatter_over_models(&s, three, 1, 4) == HKD_USAGE, "one model has a spread");
}

void test_insight(void) {
    char model[512], teacher[512];
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    setenv("POCL_CACHE_DIR", "build/pocl", 0);
    snprintf(model, sizeof model, "%s", scratch("insight_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("insight_teacher.safetensors"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    turn();
    spread();
    on("ref", model, teacher);
    on("cpu", model, teacher);
    on("opencl", model, teacher);
}
