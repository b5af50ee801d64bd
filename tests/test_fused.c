/* Fused rows against the chains that define them, on every instruction set of this processor and on OpenCL. */
#include "cpu.h"
#include "fused.h"
#include "on_cpu.h"
#include "plan.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *row;                  /* what is expected to replace the chain */
    int64_t n, ci, co, h, w, kernel;
    const char *catches;
} chain_case;

static const chain_case cases[] = {
    {"group_norm+silu", 3, 24, 24, 9, 7, 1, "a statistic of another image or group"},
    {"group_norm+silu", 1, 128, 128, 16, 16, 1, "rows of several threads"},
    {"conv2d+add_channel", 3, 20, 40, 8, 12, 3, "the row of another image; a panel half full"},
    {"conv2d+add_channel", 3, 8, 18, 5, 7, 1, "1x1: pixels of all images in one long row"},
    {"conv2d+add_channel", 2, 5, 3, 6, 6, 3, "a narrow panel"},
    {"conv2d+add_channel", 3, 8, 18, 8, 8, 3, "rows shorter than a vector"},
    {"conv2d+add+scale", 2, 16, 100, 12, 12, 3, "the residual of another tile or panel"},
    {"conv2d+add+scale", 3, 12, 34, 5, 6, 1, "1x1: the residual of another pixel"},
    {"conv2d+add+scale", 1, 40, 20, 32, 20, 3, "the factor left out of a part"},
    {"conv2d+add+scale", 2, 9, 20, 8, 32, 3, "the residual of another row of whole vectors"},
};

static double noise(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return (double)(float)((double)(*state >> 8) / (1 << 23) - 1);
}

/* The chain, and its result kept; `shared`: somebody else reads the first result, so nothing may be replaced. */
static hkd_program *record(const chain_case *c, bool shared) {
    hkd_program *p = hkd_program_new();
    const hkd_var x = hkd_input(p, "x", hkd_shape_of(4, c->n, c->ci, c->h, c->w));
    hkd_var y;
    hkd_want_grad(p, x);
    if (!strcmp(c->row, "group_norm+silu")) {
        const hkd_var gamma = hkd_weight_var(p, "gamma", hkd_shape_of(1, c->ci), true);
        const hkd_var beta = hkd_weight_var(p, "beta", hkd_shape_of(1, c->ci), true);
        y = hkd_apply(p, "group_norm", (double[]){4, 1e-6}, 3, x, gamma, beta);
        if (shared) hkd_output(p, y, "inner");
        y = hkd_apply(p, "silu", NULL, 1, y);
    } else {
        const double pad = (double)(c->kernel / 2);
        const hkd_var w = hkd_weight_var(p, "w", hkd_shape_of(4, c->co, c->ci, c->kernel, c->kernel), true);
        const hkd_var b = hkd_weight_var(p, "b", hkd_shape_of(1, c->co), true);
        const bool channel = !strcmp(c->row, "conv2d+add_channel");
        const hkd_shape row = hkd_shape_of(2, c->n, c->co), picture = hkd_shape_of(4, c->n, c->co, c->h, c->w);
        const hkd_var more = hkd_input(p, "more", channel ? row : picture);
        hkd_want_grad(p, more);
        y = hkd_apply(p, "conv2d", (double[]){1, pad, pad, 1}, 3, x, w, b);
        if (shared) hkd_output(p, y, "inner");
        y = hkd_apply(p, channel ? "add_channel" : "add", NULL, 2, y, more);
        if (!channel) y = hkd_apply(p, "scale", (double[]){0.6}, 1, y);
    }
    hkd_output(p, y, "y");
    hkd_seed(p, y);
    return p;
}

static void set(hkd_device *dev, const hkd_tensor *t, unsigned seed) {
    const int64_t count = hkd_count(&t->shape);
    double *values = calloc((size_t)count + 1, sizeof *values);
    for (int64_t i = 0; i < count; i++) values[i] = noise(&seed);
    dev->upload(dev, t, values, HKD_F64);
    free(values);
}

/* Everything a run gives, one after the other: y, then the gradients. */
static double *run(const chain_case *c, hkd_device *dev, bool fuse, bool backward, bool freeze, int64_t *count) {
    enum { MOST = 1 << 18 };
    hkd_program *p = record(c, false);
    hkd_weights *w = NULL;
    hkd_plan *plan = NULL;
    double *all = calloc(MOST, sizeof *all);
    *count = 0;
    CHECK(!hkd_weights_new(&w, p, dev) && !hkd_weights_need_grad(w) && !hkd_weights_zero_grad(w), "%s", hkd_last_error());
    for (int i = 0; i < w->count; i++) set(dev, &w->item[i].value, (unsigned)i + 7);
    CHECK(!hkd_plan_new(&plan, p, w, &(hkd_plan_options){.backward = backward, .unfused = !fuse}), "%s", hkd_last_error());
    const bool one = plan && hkd_plan_program(plan)->n_calls == 1;
    const bool offered = !backward || strcmp(c->row, "conv2d+add+scale") != 0; /* forward only */
    CHECK(one == (fuse && offered), "%s: %sfused", c->row, one ? "" : "not ");
    for (hkd_var v = 0; v < p->n_vars; v++)
        if (p->var[v].kind == HKD_VAR_INPUT) set(dev, hkd_plan_tensor(plan, v), (unsigned)v + 99);
    const hkd_var y = hkd_find_var(p, "y");
    if (freeze) CHECK(!hkd_plan_freeze(plan, NULL), "%s", hkd_last_error());
    CHECK(!hkd_plan_forward(plan), "%s", hkd_last_error());
    dev->download(dev, all, HKD_F64, hkd_plan_tensor(plan, y));
    *count = hkd_count(&p->var[y].shape);
    if (backward) {
        set(dev, hkd_plan_grad(plan, y), 5);
        CHECK(!hkd_plan_backward(plan), "%s", hkd_last_error());
        for (hkd_var v = 0; v < p->n_vars; v++) {
            const hkd_tensor *g = p->var[v].want_grad ? hkd_plan_grad(plan, v) : NULL;
            if (!g || *count + hkd_count(&g->shape) > MOST) continue;
            dev->download(dev, all + *count, HKD_F64, g);
            *count += hkd_count(&g->shape);
        }
    }
    hkd_plan_free(plan);
    hkd_weights_free(w);
    hkd_program_free(p);
    return all;
}

/* The same sums, then the same steps in the same order: equal bits behind a convolution; a normalisation and sums over pixels
 * may be contracted or dealt out in another way. */
static void compare(const chain_case *c, const char *device, const hkd_device_options *options) {
    hkd_device *dev = NULL;
    if (!CHECK(!hkd_device_open(&dev, device, options), "%s", hkd_last_error())) return;
    for (int backward = 0; backward < 2; backward++)
        for (int freeze = 0; freeze + backward < 2; freeze++) {
            int64_t count, same_count;
            double *chain = run(c, dev, false, backward, freeze, &count);
            double *fused = run(c, dev, true, backward, freeze, &same_count);
            double most = 0, off = 0;
            for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(chain[i])), off = fmax(off, fabs(chain[i] - fused[i]));
            const bool exact = !backward && !strncmp(c->row, "conv2d", 6);
            CHECK(count == same_count && off <= (exact ? 0 : 1e-6 * most), "%s, %s, %s: %s off by %g of %g", c->row,
                  options->isa, c->catches, backward ? "with gradients," : "forward,", off, most);
            free(chain), free(fused);
        }
    hkd_device_close(dev);
}

/* An inner result that is an output stays, and the reference runs chains as they are. */
static void left_alone(const chain_case *c) {
    hkd_device *cpu = NULL, *ref = NULL;
    CHECK(!hkd_device_open_cpu(&cpu, &(hkd_device_options){.threads = 1}) && !hkd_device_open_ref(&ref, NULL), "%s",
          hkd_last_error());
    for (int shared = 0; shared < 2; shared++) {
        hkd_program *p = record(c, shared), out = {.n_calls = 0};
        CHECK(!hkd_fuse(&out, p, shared ? cpu : ref, false) && out.n_calls == p->n_calls, "%s: replaced %s", c->row,
              shared ? "though its inner result is an output" : "on ref");
        free(out.call);
        hkd_program_free(p);
    }
    hkd_device_close(cpu), hkd_device_close(ref);
}

void test_fused(void) {
    for (int i = 0; i < CPU_BUILDS; i++) {
        if (!cpu_runs(cpu_builds[i], "fused")) continue;
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            for (int direct = 0; direct < 2; direct++)
                compare(&cases[k], "cpu", &(hkd_device_options){.threads = 2, .direct = direct, .isa = cpu_builds[i]});
    }
    for (int gpu = 0; gpu < 2; gpu++) {
        const hkd_device_options options = {.isa = gpu ? "gpu" : "cpu"};
        hkd_device *dev;
        if (hkd_device_open(&dev, "opencl", &options)) {
            test_skip("fused on OpenCL", hkd_last_error());
            continue;
        }
        hkd_device_close(dev);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            compare(&cases[k], "opencl", &options);
    }
    left_alone(&cases[0]), left_alone(&cases[2]), left_alone(&cases[6]);
}
