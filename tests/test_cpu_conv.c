/* The cpu's convolutions against hkd_ref_conv2d, on every instruction set of this processor. */
#include "cpu.h"
#include "on_cpu.h"
#include "test.h"
#include "winograd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { X, W, B };

/* Every shape says which mistake it is there for. */
static const struct {
    hkd_conv2d_dims d;
    const char *catches;
} shapes[] = {
    {{2, 64, 8, 8, 64, 3, 3, 1, 1, 1, 1, 8, 8}, "the network's own case"},
    {{1, 32, 16, 16, 48, 3, 3, 1, 1, 1, 1, 16, 16}, "columns that fill a panel and a half"},
    {{5, 3, 12, 10, 40, 3, 3, 1, 1, 1, 1, 12, 10}, "three input channels; a second group of one image"},
    {{2, 40, 10, 12, 3, 3, 3, 1, 1, 1, 1, 10, 12}, "three output channels: a narrow panel"},
    {{9, 16, 4, 4, 16, 3, 3, 1, 1, 1, 1, 4, 4}, "three groups of images in the weight gradient"},
    {{3, 20, 6, 5, 33, 1, 1, 1, 0, 0, 1, 6, 5}, "1x1: one long row, one column left over"},
    {{13, 20, 6, 6, 33, 1, 1, 1, 0, 0, 1, 6, 6}, "1x1: more groups of images than threads, more pixels than a chunk"},
    {{9, 80, 8, 8, 40, 3, 3, 1, 1, 1, 1, 8, 8}, "groups by one thread each, two blocks of channels"},
    {{2, 17, 7, 9, 7, 3, 3, 1, 1, 1, 1, 7, 9}, "odd channels, odd picture"},
    {{2, 5, 9, 8, 6, 3, 2, 1, 2, 0, 1, 11, 7}, "unequal kernel and padding"},
    {{2, 18, 9, 11, 5, 3, 3, 2, 1, 1, 1, 5, 6}, "stride 2: phases of the data gradient"},
    {{1, 3, 23, 17, 8, 7, 5, 3, 2, 1, 1, 7, 5}, "stride 3, 7x5 kernel, pixels that no output reads"},
    {{2, 12, 6, 6, 18, 1, 1, 2, 0, 0, 1, 3, 3}, "stride larger than the kernel: gradients that are zero"},
    {{2, 12, 6, 7, 18, 3, 3, 1, 1, 1, 3, 6, 7}, "groups"},
    {{2, 6, 6, 7, 6, 3, 3, 1, 1, 1, 6, 6, 7}, "one channel per group"},
    {{2, 40, 5, 5, 80, 3, 3, 2, 1, 1, 2, 3, 3}, "groups wider than a panel, with stride"},
    {{1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1}, "one pixel, one channel"},
    {{1, 4, 2, 3, 4, 3, 3, 1, 1, 1, 1, 2, 3}, "a picture smaller than a tile"},
    {{1, 8, 5, 6, 8, 2, 2, 1, 0, 0, 1, 4, 5}, "no padding: read in place"},
    {{1, 2, 3, 3, 2, 5, 5, 1, 4, 4, 1, 7, 7}, "padding wider than the picture"},
    {{0, 4, 4, 4, 4, 3, 3, 1, 1, 1, 1, 4, 4}, "an empty batch: weight gradient zero"},
    {{3, 24, 11, 13, 20, 3, 3, 1, 1, 1, 1, 11, 13}, "tiles over the edge, channels that fill no vector"},
    {{2, 16, 12, 12, 100, 3, 3, 1, 1, 1, 1, 12, 12}, "few channels in, many out"},
    {{10, 16, 32, 16, 16, 3, 3, 1, 1, 1, 1, 32, 16}, "more tiles than a wave"},
    {{2, 16, 32, 32, 20, 3, 3, 1, 1, 1, 1, 32, 32}, "one panel: threads share the tiles"},
    {{1, 40, 8, 7, 200, 3, 3, 1, 1, 1, 1, 8, 7}, "four tiles meet frozen weights, channels in three stretches, a narrow panel"},
    {{1, 130, 30, 29, 98, 3, 3, 1, 1, 1, 1, 30, 29}, "tiles that fill a cache: transformed weights a row at a time"},
    {{2, 32, 1, 260, 34, 1, 3, 1, 0, 1, 1, 1, 260}, "a row longer than an item"},
};

typedef struct {
    int64_t x, w, b, y;
} counts;

static counts counts_of(const hkd_conv2d_dims *d) {
    return (counts){d->n * d->c_in * d->h * d->w, d->c_out * (d->c_in / d->groups) * d->kh * d->kw, d->c_out,
                    d->n * d->c_out * d->h_out * d->w_out};
}

/* Reproducible values: small integers, or about normal by a sum of uniforms. */
static void fill(double *to, int64_t count, unsigned seed, bool integers) {
    uint64_t state = seed * 2654435761u + 12345;
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 40) / (1 << 24) - 0.5;
        }
        to[i] = integers ? floor(sum * 3) : (double)(float)(sum * sqrt(3));
    }
}

typedef struct {
    double *x, *w, *b, *dy;
} inputs;

/* Everything one call yields: y, dx, dw, db. The gradients start at `before` when they accumulate. */
typedef struct {
    double *y, *dx, *dw, *db;
} results;

static results results_new(const counts *c) {
    return (results){calloc((size_t)c->y + 1, 8), calloc((size_t)c->x + 1, 8), calloc((size_t)c->w + 1, 8),
                     calloc((size_t)c->b + 1, 8)};
}

static void results_free(results *r) { free(r->y), free(r->dx), free(r->dw), free(r->db); }

/* A frozen weight gives the same bits, is refused where its raw form would be read, and thaws when it is written. */
static void frozen(hkd_device *dev, const hkd_call *call, const inputs *in) {
    const int64_t count = hkd_count(&call->out[0].shape);
    float *raw = calloc((size_t)count + 1, 4), *prepared = calloc((size_t)count + 1, 4);
    dev->download(dev, raw, HKD_F32, &call->out[0]);
    CHECK(dev->freeze(dev, call) == HKD_OK && hkd_device_forward(dev, call) == HKD_OK, "%s", hkd_last_error());
    dev->download(dev, prepared, HKD_F32, &call->out[0]);
    CHECK(!memcmp(raw, prepared, (size_t)count * 4), "a frozen weight changes bits");
    CHECK(hkd_device_backward(dev, call) == HKD_USAGE, "the gradient of a frozen weight was computed from memory that is gone");
    dev->upload(dev, &call->in[W], in->w, HKD_F64);
    free(raw), free(prepared);
}

static void run(const hkd_device_options *options, const hkd_conv2d_dims *d, const inputs *in, bool accumulate, results *out) {
    hkd_device *dev;
    if (!CHECK(hkd_device_open_cpu(&dev, options) == HKD_OK, "%s", hkd_last_error())) return;
    hkd_call call = {.op = hkd_find_op("conv2d"),
                     .p = {(double)d->stride, (double)d->pad_h, (double)d->pad_w, (double)d->groups}};
    const hkd_shape xs = hkd_shape_of(4, d->n, d->c_in, d->h, d->w), bs = hkd_shape_of(1, d->c_out);
    const hkd_shape ws = hkd_shape_of(4, d->c_out, d->c_in / d->groups, d->kh, d->kw);
    const hkd_shape ys = hkd_shape_of(4, d->n, d->c_out, d->h_out, d->w_out);
    hkd_tensor_new(dev, &call.in[X], &xs, HKD_ACTIVATION), dev->upload(dev, &call.in[X], in->x, HKD_F64);
    hkd_tensor_new(dev, &call.in[W], &ws, HKD_WEIGHT), dev->upload(dev, &call.in[W], in->w, HKD_F64);
    hkd_tensor_new(dev, &call.in[B], &bs, HKD_WEIGHT), dev->upload(dev, &call.in[B], in->b, HKD_F64);
    hkd_tensor_new(dev, &call.out[0], &ys, HKD_ACTIVATION), dev->fill(dev, &call.out[0], NAN);
    hkd_tensor_new(dev, &call.up[0], &ys, HKD_ACTIVATION), dev->upload(dev, &call.up[0], in->dy, HKD_F64);
    double *grads[3] = {out->dx, out->dw, out->db};
    for (int i = 0; i < 3; i++) {
        hkd_tensor_new(dev, &call.grad[i], &call.in[i].shape, i ? HKD_STATE : HKD_ACTIVATION);
        dev->fill(dev, &call.grad[i], accumulate ? 3 : NAN); /* NAN: whatever was there must not matter */
        call.accumulate[i] = accumulate;
    }
    CHECK(hkd_device_forward(dev, &call) == HKD_OK, "%s", hkd_last_error());
    frozen(dev, &call, in);
    CHECK(hkd_device_backward(dev, &call) == HKD_OK, "%s", hkd_last_error());
    dev->download(dev, out->y, HKD_F64, &call.out[0]);
    for (int i = 0; i < 3; i++) dev->download(dev, grads[i], HKD_F64, &call.grad[i]);
    for (int i = 0; i < 3; i++) hkd_tensor_free(dev, &call.in[i]), hkd_tensor_free(dev, &call.grad[i]);
    hkd_tensor_free(dev, &call.out[0]), hkd_tensor_free(dev, &call.up[0]);
    hkd_device_close(dev);
}

/* The largest share of the allowance u * bound + ulp32(y)/2 + floor that was used, in percent. */
static double share(const double *got, const double *want, const double *bound, int64_t count) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        const double half_ulp = want[i] == 0 ? 0 : ldexp(1, ilogb(want[i]) - 24);
        const double allowed = ldexp(bound[i], -24) + half_ulp + ldexp(1, -120), error = fabs(got[i] - want[i]);
        if (!(error / allowed <= worst)) worst = error / allowed;
    }
    return 100 * worst;
}

static bool same(const double *a, const double *b, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (a[i] != b[i]) return false;
    return true;
}

typedef struct {
    inputs in;
    results want, bound;
} problem;

static problem problem_new(const hkd_conv2d_dims *d, const counts *c, bool integers) {
    const results like = results_new(c);
    problem p = {{like.dx, like.dw, like.db, like.y}, results_new(c), results_new(c)};
    fill(p.in.x, c->x, 1, integers), fill(p.in.w, c->w, 2, integers);
    fill(p.in.b, c->b, 3, integers), fill(p.in.dy, c->y, 4, integers);
    hkd_ref_conv2d(p.want.y, p.in.x, p.in.w, p.in.b, d);
    hkd_ref_conv2d_grad(p.want.dx, p.want.dw, p.want.db, p.in.dy, p.in.x, p.in.w, d);
    hkd_ref_conv2d_bound(p.bound.y, p.bound.dx, p.bound.dw, p.bound.db, p.in.dy, p.in.x, p.in.w, p.in.b, d, HKD_KAPPA_RANDOM);
    return p;
}

static void problem_free(problem *p) {
    results like = {p->in.dy, p->in.x, p->in.w, p->in.b};
    results_free(&like), results_free(&p->want), results_free(&p->bound);
}

/* Direct: inside the bound on random data, bit-equal on integers, exactly 3 more when it adds to 3. */
static void direct(const char *isa, size_t k) {
    const hkd_conv2d_dims *d = &shapes[k].d;
    const counts c = counts_of(d);
    results got = results_new(&c);
    problem p = problem_new(d, &c, false);
    run(&(hkd_device_options){.threads = 2, .direct = true, .isa = isa}, d, &p.in, false, &got);
    const double used[4] = {share(got.y, p.want.y, p.bound.y, c.y), share(got.dx, p.want.dx, p.bound.dx, c.x),
                            share(got.dw, p.want.dw, p.bound.dw, c.w), share(got.db, p.want.db, p.bound.db, c.b)};
    for (int i = 0; i < 4; i++)
        CHECK(used[i] <= 100, "%s, %s: %s uses %.3g %% of its allowance", isa, shapes[k].catches,
              (const char *[]){"y", "dx", "dw", "db"}[i], used[i]);
    problem_free(&p);
    p = problem_new(d, &c, true);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        run(&(hkd_device_options){.threads = 1, .direct = true, .isa = isa}, d, &p.in, accumulate, &got);
        CHECK(same(got.y, p.want.y, c.y) && same(got.dx, p.want.dx, c.x) && same(got.dw, p.want.dw, c.w) &&
              same(got.db, p.want.db, c.b), "%s, %s: integers are not exact%s", isa, shapes[k].catches,
              accumulate ? " (accumulate)" : "");
        for (int64_t i = 0; i < c.x; i++) p.want.dx[i] += 3;
        for (int64_t i = 0; i < c.w; i++) p.want.dw[i] += 3;
        for (int64_t i = 0; i < c.b; i++) p.want.db[i] += 3;
    }
    problem_free(&p);
    results_free(&got);
}

/* The same bits for any number of threads, and for an image alone or as the second of two. */
static void invariance(const char *isa, size_t k, bool plain) {
    hkd_conv2d_dims d = shapes[k].d;
    if (!d.n) return;
    const counts c = counts_of(&d);
    results one = results_new(&c), four = results_new(&c), alone = results_new(&c);
    problem p = problem_new(&d, &c, false);
    run(&(hkd_device_options){.threads = 1, .direct = plain, .isa = isa}, &d, &p.in, false, &one);
    run(&(hkd_device_options){.threads = 4, .direct = plain, .isa = isa}, &d, &p.in, false, &four);
    CHECK(same(one.y, four.y, c.y) && same(one.dx, four.dx, c.x) && same(one.dw, four.dw, c.w) && same(one.db, four.db, c.b),
          "%s, %s: bits depend on the number of threads", isa, shapes[k].catches);
    const int64_t n = d.n - 1, x_image = c.x / d.n, y_image = c.y / d.n;
    const inputs last = {p.in.x + n * x_image, p.in.w, p.in.b, p.in.dy + n * y_image};
    d.n = 1;
    run(&(hkd_device_options){.threads = 3, .direct = plain, .isa = isa}, &d, &last, false, &alone);
    CHECK(same(alone.y, one.y + n * y_image, y_image) && same(alone.dx, one.dx + n * x_image, x_image),
          "%s, %s: an image's bits depend on its batch", isa, shapes[k].catches);
    results_free(&one), results_free(&four), results_free(&alone);
    problem_free(&p);
}

/* The largest bound over each element's neighbourhood, times the declared factor: outputs of a tile, taps of a kernel. */
static void spread(double *bound, int64_t planes, int64_t h, int64_t w, int64_t tile) {
    for (int64_t k = 0; k < planes; k++)
        for (int64_t i = 0; i < h; i += tile)
            for (int64_t j = 0; j < w; j += tile) {
                double most = 0;
                for (int pass = 0; pass < 2; pass++)
                    for (int64_t p = i; p < i + tile && p < h; p++)
                        for (int64_t q = j; q < j + tile && q < w; q++) {
                            double *at = bound + (k * h + p) * w + q;
                            if (pass) *at = HKD_WINOGRAD_FACTOR * most;
                            else most = fmax(most, *at);
                        }
            }
}

/* Winograd inside the neighbourhood's bound: catches a wrong transform or a tile at the wrong place. */
static void winograd(const char *isa, size_t k) {
    const hkd_conv2d_dims *d = &shapes[k].d;
    if (!hkd_winograd_pays(d)) return;
    const counts c = counts_of(d);
    results got = results_new(&c), plain = results_new(&c);
    problem p = problem_new(d, &c, false);
    spread(p.bound.y, d->n * d->c_out, d->h, d->w, 4);
    spread(p.bound.dx, d->n * d->c_in, d->h, d->w, 4);
    spread(p.bound.dw, d->c_out * d->c_in, 3, 3, 3);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        run(&(hkd_device_options){.threads = 2, .isa = isa}, d, &p.in, accumulate, &got);
        const double used[4] = {share(got.y, p.want.y, p.bound.y, c.y), share(got.dx, p.want.dx, p.bound.dx, c.x),
                                share(got.dw, p.want.dw, p.bound.dw, c.w), share(got.db, p.want.db, p.bound.db, c.b)};
        for (int i = 0; i < 4; i++)
            CHECK(used[i] <= 100, "%s, %s: Winograd %s uses %.3g %% of its allowance", isa, shapes[k].catches,
                  (const char *[]){"y", "dx", "dw", "db"}[i], used[i]);
        for (int64_t i = 0; i < c.x; i++) p.want.dx[i] += 3;
        for (int64_t i = 0; i < c.w; i++) p.want.dw[i] += 3;
        for (int64_t i = 0; i < c.b; i++) p.want.db[i] += 3;
    }
    run(&(hkd_device_options){.threads = 2, .direct = true, .isa = isa}, d, &p.in, true, &plain);
    CHECK(!same(got.y, plain.y, c.y) && !same(got.dx, plain.dx, c.x) && !same(got.dw, plain.dw, c.w),
          "%s, %s: Winograd was not used", isa, shapes[k].catches);
    results_free(&got), results_free(&plain);
    problem_free(&p);
}

void test_cpu_conv(void) {
    for (int i = 0; i < CPU_BUILDS; i++) {
        const char *isa = cpu_builds[i];
        if (!cpu_runs(isa, "cpu_conv")) continue;
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
            direct(isa, k);
            invariance(isa, k, true);
            winograd(isa, k);
            if (hkd_winograd_pays(&shapes[k].d)) invariance(isa, k, false);
        }
    }
}
