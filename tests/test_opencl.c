/* Every operator of the OpenCL device against the reference, within the reference's own bound, in both profiles.
 *
 * Per case: forward, all gradients at once, added to what was there, and each alone. Whole numbers must come out exactly, a
 * second run must give the same bits. Every buffer, scratch too, starts as NaN and lies between guards: an element that nobody
 * writes, or a write outside, is seen. */
#ifdef HKD_OPENCL
#include "guards.h"
#include "op_case.h"
#endif
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HKD_OPENCL
/* Shapes that the table of all devices has no need of: tiles of the contraction cut short on every side, strides, groups,
 * more images than one group, rows longer than a work-group. */
static const op_case more[] = {
    {"conv2d", "9x3x6x5 w10x3x3x3 w10", "pad_h=1 pad_w=1", false},
    {"conv2d", "1x33x9x8 w17x33x3x3 w17", "pad_h=1 pad_w=1", false},
    {"conv2d", "5x4x7x6 w6x4x1x1 w6", NULL, false},
    {"conv2d", "2x70x4x4 w35x70x1x1 -", NULL, false},
    {"conv2d", "2x6x9x8 w8x3x3x2 w8", "stride=2 pad_h=1 groups=2", false},
    {"conv2d", "3x2x8x8 w4x2x5x3 -", "stride=3 pad_h=2 pad_w=4", false},
    {"conv2d", "2x5x6x6 w5x1x3x3 -", "pad_h=1 pad_w=1 groups=5", false},
    {"conv2d", "0x3x4x4 w2x3x3x3 w2", "pad_h=1 pad_w=1", false},
    {"conv2d", "1x3x1x1 w2x3x1x1 w2", "pad_h=3 pad_w=0", false},
    {"conv2d", "3x5x4x16 w9x5x3x3 w9", "pad_h=1 pad_w=1", false}, /* rows of whole vectors, in both profiles */
    {"conv2d", "2x6x5x32 w8x3x3x3 w8", "pad_h=1 pad_w=1 groups=2", false},
    {"conv2d", "1x4x3x16 w5x4x3x1 -", "pad_h=2", false},
    {"linear", "9x300 w10x300 w10", NULL, false},
    {"linear", "45x37 w41x37 w41", NULL, false},
    {"linear", "270x9 w261x9 w261", NULL, false},
    {"sum_squares", "10000", NULL, false},
    {"koopman_evolve", "9x4x5x7 w4x5x7 9", NULL, false},
    {"koopman_evolve", "6x4x13x11 w4x1x1 6", NULL, false},
    {"koopman_evolve", "0x4x2x2 w4x2x2 0", NULL, false},
    {NULL, NULL, NULL, false},
};

static double worst_used; /* largest share of the allowance of the operator at hand */

static double ulp32(double y) {
    int exponent;
    frexp(y, &exponent);
    return ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

typedef struct {
    hkd_device *dev;
    const op_run *run;
    const char *profile;
} session;

static bool say(const session *s, bool ok, const char *what, const char *problem) {
    const op_case *c = s->run->source;
    return CHECK(ok, "%s \"%s\" %s, profile %s: %s %s", c->op, c->in, c->p ? c->p : "", s->profile, what, problem);
}

static hkd_tensor filled(session *s, const hkd_shape *shape, hkd_role role, double value) {
    hkd_tensor t;
    CHECK(hkd_tensor_new(s->dev, &t, shape, role) == HKD_OK && s->dev->fill(s->dev, &t, value) == HKD_OK, "%s",
          hkd_last_error());
    return t;
}

static double *fetch(session *s, const hkd_tensor *t) {
    double *a = calloc((size_t)hkd_count(&t->shape) + 1, sizeof *a);
    CHECK(s->dev->download(s->dev, a, HKD_F64, t) == HKD_OK, "%s", hkd_last_error());
    return a;
}

/* |got - (prior + y)| <= u (bound + 4 |prior|) + ulp/2 */
static void compare(const session *s, const char *name, const double *got, const double *y, const double *bound, double prior,
                    int64_t count) {
    double worst = -1;
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        const double allowed = (bound[i] + 4 * fabs(prior)) / 16777216 + ulp32(y[i] + prior) / 2 + ldexp(1, -126);
        double used = fabs(got[i] - (y[i] + prior)) / allowed;
        if (!(bound[i] >= 0) || isnan(used)) used = INFINITY;
        if (used > worst) worst = used, at = i;
    }
    char problem[160];
    if (worst > worst_used) worst_used = worst;
    snprintf(problem, sizeof problem, "[%lld] = %.9g, expected %.9g (%.3g of the allowance)", (long long)at,
             count ? got[at] : 0, count ? y[at] + prior : 0, worst);
    say(s, worst <= 1, name, problem);
}

static void forward(session *s, hkd_call *call) {
    const op_run *r = s->run;
    double *first[HKD_MAX_OUT] = {NULL};
    for (int again = 0; again < 2; again++) {
        for (int k = 0; k < hkd_op_outputs(r->op); k++) call->out[k] = filled(s, &r->out_shape[k], HKD_ACTIVATION, NAN);
        CHECK(hkd_device_forward(s->dev, call) == HKD_OK, "%s", hkd_last_error());
        for (int k = 0; k < hkd_op_outputs(r->op); k++) {
            const int64_t count = hkd_count(&r->out_shape[k]);
            double *y = fetch(s, &call->out[k]);
            if (again) say(s, !memcmp(y, first[k], (size_t)count * sizeof *y), r->op->out[k], "differs from run to run");
            else compare(s, r->op->out[k], y, r->out[k], r->out_bound[k], 0, count);
            if (again) free(first[k]);
            first[k] = y;
            hkd_tensor_free(s->dev, &call->out[k]);
        }
    }
    for (int k = 0; k < hkd_op_outputs(r->op); k++) free(first[k]);
}

/* Gradients for the inputs in `wanted`, over buffers that hold `prior` (NaN: to be written, not added to). */
static void backward(session *s, hkd_call *call, unsigned wanted, double prior) {
    const op_run *r = s->run;
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        call->grad[i] = (hkd_tensor){.buffer = NULL};
        call->accumulate[i] = !isnan(prior);
        if (wanted >> i & 1) call->grad[i] = filled(s, &r->in_shape[i], HKD_STATE, prior);
    }
    CHECK(hkd_device_backward(s->dev, call) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        if (!(wanted >> i & 1)) continue;
        double *g = fetch(s, &call->grad[i]);
        compare(s, hkd_op_input_name(r->op, i), g, r->grad[i], r->grad_bound[i], isnan(prior) ? 0 : prior,
                hkd_count(&r->in_shape[i]));
        free(g);
        hkd_tensor_free(s->dev, &call->grad[i]);
    }
}

static void check(hkd_device *dev, const char *profile, const op_run *r) {
    session s = {dev, r, profile};
    hkd_call call = {.op = r->op};
    unsigned wanted = 0;
    char about[240];
    snprintf(about, sizeof about, "%s \"%s\" %s, profile %s", r->source->op, r->source->in, r->source->p ? r->source->p : "",
             profile);
    guards_about = about;
    memcpy(call.p, r->p, sizeof r->p);
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        if (!r->in[i]) continue;
        call.in[i] = filled(&s, &r->in_shape[i], r->role[i], 0);
        dev->upload(dev, &call.in[i], r->in[i], HKD_F64);
        wanted |= (unsigned)op_run_wants(r, i) << i;
    }
    forward(&s, &call);
    for (int k = 0; k < hkd_op_outputs(r->op); k++) {
        call.up[k] = filled(&s, &r->out_shape[k], HKD_ACTIVATION, 0);
        dev->upload(dev, &call.up[k], r->up[k], HKD_F64);
        if (r->op->reads_out >> k & 1) {
            call.out[k] = filled(&s, &r->out_shape[k], HKD_ACTIVATION, 0);
            dev->upload(dev, &call.out[k], r->out[k], HKD_F64);
        }
    }
    if (wanted && say(&s, dev->supports(dev, r->op, true), "backward", "is not provided")) {
        backward(&s, &call, wanted, NAN);
        backward(&s, &call, wanted, 1);
        for (int i = 0; i < hkd_op_inputs(r->op); i++)
            if (wanted >> i & 1) backward(&s, &call, 1u << i, NAN);
    }
    for (int i = 0; i < HKD_MAX_IN; i++) hkd_tensor_free(dev, &call.in[i]);
    for (int k = 0; k < HKD_MAX_OUT; k++) hkd_tensor_free(dev, &call.out[k]);
    for (int k = 0; k < HKD_MAX_OUT; k++) hkd_tensor_free(dev, &call.up[k]);
    guards_about = profile;
}

/* Under a simulator (HKD_TEST_SMALL) only cases of few numbers are run, written and not added to. */
static bool wanted_size(const op_run *r) {
    int64_t size = 0;
    for (int i = 0; i < hkd_op_inputs(r->op); i++) size += r->in[i] ? hkd_count(&r->in_shape[i]) : 0;
    return size <= (getenv("HKD_TEST_SMALL") ? 150 : INT64_MAX);
}

static void check_op(hkd_device *dev, const char *profile, const hkd_op *op) {
    const op_case *const lists[] = {op_cases, more};
    if (!dev->supports(dev, op, false)) {
        test_skip(op->name, "no OpenCL kernel");
        return;
    }
    worst_used = 0;
    for (int l = 0; l < 2; l++)
        for (const op_case *c = lists[l]; c->op; c++) {
            if (strcmp(c->op, op->name)) continue;
            for (int whole = 0; whole < 2; whole++) {
                op_run r;
                const bool exact = !whole || !(c->inexact || op->not_exact);
                if (op_run_open(&r, c, whole) && wanted_size(&r) && exact) check(dev, profile, &r);
                op_run_close(&r);
            }
        }
    if (getenv("HKD_TEST_REPORT")) printf("%-22s %-4s %3.0f %% of the allowance\n", op->name, profile, 100 * worst_used);
}

/* All ones, added to ones: a launch that covers again what another one covered adds it twice. The product is longer than a
 * launch may be; many small ones are cut in test_opencl. */
static void long_product(hkd_device *dev, const char *profile) {
    enum { N = 2100, SIDE = 1000 };
    const hkd_shape x = hkd_shape_of(2, (int64_t)N, (int64_t)SIDE), w = hkd_shape_of(2, (int64_t)SIDE, (int64_t)SIDE);
    hkd_call call = {.op = hkd_find_op("linear"), .accumulate = {false, true}};
    hkd_tensor *const all[] = {&call.in[0], &call.in[1], &call.up[0], &call.grad[1]};
    float *got = calloc((size_t)SIDE * SIDE, sizeof *got);
    int wrong = 0;
    CHECK((double)N * SIDE * SIDE > 1.5 * ((hkd_cl *)(void *)dev)->most_work, "the product fits into one launch");
    for (int i = 0; i < 4; i++) {
        CHECK(hkd_tensor_new(dev, all[i], i % 2 ? &w : &x, i % 2 ? HKD_STATE : HKD_ACTIVATION) == HKD_OK, "%s",
              hkd_last_error());
        dev->fill(dev, all[i], 1);
    }
    CHECK(hkd_device_backward(dev, &call) == HKD_OK, "%s", hkd_last_error());
    CHECK(dev->download(dev, got, HKD_F32, &call.grad[1]) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < SIDE * SIDE; i++) wrong += got[i] != N + 1;
    CHECK(!wrong, "profile %s: %d of %d weight gradients of a long linear are wrong", profile, wrong, SIDE * SIDE);
    for (int i = 0; i < 4; i++) hkd_tensor_free(dev, all[i]);
    free(got);
}

/* Many rows are computed the other way round than few (linear.c), and must come out with the same bits. */
static void linear_rows(hkd_device *dev, const char *profile) {
    enum { FEW = 7, MANY = 300, IN = 50, OUT = 260 };
    float x[MANY * IN], w[OUT * IN], b[OUT], *y[2];
    const int64_t rows[2] = {FEW, MANY};
    for (int i = 0; i < MANY * IN; i++) x[i] = sinf((float)i);
    for (int i = 0; i < OUT * IN; i++) w[i] = cosf((float)i);
    for (int i = 0; i < OUT; i++) b[i] = (float)i;
    for (int k = 0; k < 2; k++) {
        hkd_call call = {.op = hkd_find_op("linear")};
        const hkd_shape shape[4] = {hkd_shape_of(2, rows[k], (int64_t)IN), hkd_shape_of(2, (int64_t)OUT, (int64_t)IN),
                                    hkd_shape_of(1, (int64_t)OUT), hkd_shape_of(2, rows[k], (int64_t)OUT)};
        hkd_tensor *const all[4] = {&call.in[0], &call.in[1], &call.in[2], &call.out[0]};
        const float *const values[3] = {x, w, b};
        y[k] = calloc((size_t)hkd_count(&shape[3]), sizeof **y);
        for (int i = 0; i < 4; i++)
            CHECK(!hkd_tensor_new(dev, all[i], &shape[i], i % 3 ? HKD_WEIGHT : HKD_ACTIVATION), "%s", hkd_last_error());
        for (int i = 0; i < 3; i++) dev->upload(dev, all[i], values[i], HKD_F32);
        CHECK(!hkd_device_forward(dev, &call) && !dev->download(dev, y[k], HKD_F32, &call.out[0]), "%s", hkd_last_error());
        for (int i = 0; i < 4; i++) hkd_tensor_free(dev, all[i]);
    }
    CHECK(!memcmp(y[0], y[1], FEW * OUT * sizeof **y), "profile %s: rows of a linear depend on how many there are", profile);
    free(y[0]), free(y[1]);
}

static hkd_status (*right)(hkd_device *, const hkd_call *);

/* A driver that gets the last output of one operator slightly wrong. */
static hkd_status slightly_wrong(hkd_device *dev, const hkd_call *call) {
    const hkd_status status = right(dev, call);
    if (status || strcmp(call->op->name, "group_norm")) return status;
    float *y = calloc((size_t)hkd_count(&call->out[0].shape), sizeof *y);
    dev->download(dev, y, HKD_F32, &call->out[0]);
    y[hkd_count(&call->out[0].shape) - 1] *= 1.0001f;
    dev->upload(dev, &call->out[0], y, HKD_F32);
    free(y);
    return HKD_OK;
}

/* A device whose launches overlap when a long product is cut: what they share is added twice. */
static hkd_status adds_twice(hkd_device *dev, const hkd_call *call) {
    const hkd_status status = right(dev, call);
    return status || !call->accumulate[1] ? status : right(dev, call);
}

/* The self-check passes here, and names the operator on a device that errs in the fifth digit of one element. */
static void self_check(hkd_device *dev) {
    CHECK(hkd_cl_self_check(dev) == HKD_OK, "%s", hkd_last_error());
    right = dev->forward;
    dev->forward = slightly_wrong;
    CHECK(hkd_cl_self_check(dev) == HKD_DEVICE, "a wrong group_norm passed the self-check");
    CHECK(strstr(hkd_last_error(), "group_norm"), "the message does not name the operator: %s", hkd_last_error());
    dev->forward = right;
    right = dev->backward;
    dev->backward = adds_twice;
    CHECK(hkd_cl_self_check(dev) == HKD_DEVICE, "gradients added twice passed the self-check");
    CHECK(strstr(hkd_last_error(), "linear"), "the message does not name the operator: %s", hkd_last_error());
    dev->backward = right;
}

void test_opencl(void) {
    static const char *const profiles[] = {"cpu", "gpu"};
    setenv("POCL_CACHE_DIR", "build/pocl", 0); /* not the home folder of whoever tests */
    for (int p = 0; p < 2; p++) {
        const hkd_device_options options = {.isa = profiles[p], .force = true};
        hkd_device *dev;
        if (hkd_device_open_opencl(&dev, getenv("HKD_TEST_OPENCL"), &options)) {
            hkd_cl_machine *list;
            int count;
            char empty[256];
            if (hkd_cl_machines(&list, &count, empty, sizeof empty) == HKD_OK && !count)
                test_skip("opencl", "no OpenCL device on this machine");
            else CHECK(false, "%s", hkd_last_error());
            free(list);
            return;
        }
        hkd_cl *cl = (hkd_cl *)(void *)dev;
        const bool simulated = getenv("HKD_TEST_SMALL"); /* which knows where each buffer ends, unless it is part of another */
        if (!simulated) guards_on(dev);
        for (int i = 0; hkd_op_table[i]; i++) check_op(dev, profiles[p], hkd_op_table[i]);
        self_check(dev);
        if (!simulated) long_product(dev, profiles[p]), linear_rows(dev, profiles[p]);
        cl->most_work = 1, cl->most_visits = 1; /* every launch cut as small as it can be */
        for (int i = 0; hkd_op_table[i]; i++) check_op(dev, p ? "gpu, cut" : "cpu, cut", hkd_op_table[i]);
        hkd_device_close(dev);
        if (!simulated) CHECK(guards_end() > 1000, "few buffers were guarded");
    }
}
#else
void test_opencl(void) { test_skip("opencl", "built without OpenCL"); }
#endif
