/* A device proves itself before its first use: the operators that drivers get wrong most often, on small shapes, against the
 * reference, within the reference's own bound. */
#include "opencl.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

static const double SHORT_LAUNCH = 1e5; /* multiply-adds: every contraction below takes several */

typedef struct {
    const char *op;
    hkd_shape in[3]; /* rank -1: not there */
    double p[4];
} probe;

static const probe probes[] = {
    {"linear", {{2, {37, 70}}, {2, {50, 70}}, {1, {50}}}, {0}},
    {"conv2d", {{4, {3, 24, 17, 19}}, {4, {21, 24, 3, 3}}, {1, {21}}}, {1, 1, 1, 1}},
    {"conv2d", {{4, {2, 24, 8, 8}}, {4, {21, 24, 3, 3}}, {1, {21}}}, {1, 1, 1, 1}}, /* rows too short for vectors */
    {"group_norm", {{4, {3, 32, 9, 11}}, {1, {32}}, {1, {32}}}, {8, 1e-6}},
    {"attention", {{4, {2, 96, 7, 9}}, {-1, {0}}, {-1, {0}}}, {2}},
    {"koopman_evolve", {{4, {3, 16, 9, 11}}, {3, {16, 9, 11}}, {1, {3}}}, {0}},
};

/* The arrays of one probe on the reference; `call` holds the same on the device. */
typedef struct {
    const hkd_op *op;
    hkd_ref_call ref;
    hkd_call call;
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
} trial;

static double *array(const hkd_shape *s) { return calloc((size_t)hkd_count(s) + 1, sizeof(double)); }

/* Numbers in (-1, 1) that are exact in float32. */
static void fill(double *x, int64_t count, uint32_t state) {
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: any would do */
        x[i] = (double)(state >> 8) / 8388608 - 1;
    }
}

static hkd_status put(hkd_device *dev, hkd_tensor *t, const hkd_shape *shape, hkd_role role, const double *values) {
    const hkd_status status = hkd_tensor_new(dev, t, shape, role);
    return status || !values ? status : dev->upload(dev, t, values, HKD_F64);
}

static bool prepare(trial *t, const probe *p) {
    bool ok = true;
    for (int i = 0; i < 3 && p->in[i].rank >= 0; i++) {
        t->in[i] = p->in[i];
        double *x = array(&t->in[i]), *g = array(&t->in[i]), *e = array(&t->in[i]);
        if (x) fill(x, hkd_count(&t->in[i]), (uint32_t)i + 1);
        t->ref.in[i] = x, t->ref.grad[i] = g, t->ref.grad_bound[i] = e;
        ok = ok && x && g && e;
    }
    double *y = array(&t->out[0]), *dy = array(&t->out[0]), *e = array(&t->out[0]);
    if (dy) fill(dy, hkd_count(&t->out[0]), 99);
    t->ref.out[0] = y, t->ref.up[0] = dy, t->ref.out_bound[0] = e;
    return ok && y && dy && e;
}

/* Every gradient once more, added to what is there and with contractions cut into short launches, as a large one's are. */
static hkd_status add_gradients(hkd_cl *cl, hkd_call call) {
    const double most_work = cl->most_work;
    for (int i = 0; i < HKD_MAX_IN; i++) call.accumulate[i] = call.grad[i].buffer != NULL;
    cl->most_work = SHORT_LAUNCH;
    const hkd_status status = hkd_device_backward(&cl->base, &call);
    cl->most_work = most_work;
    return status;
}

/* So the reference's are twice as large, and so is what they may be off by; the addition rounds once more. */
static void double_gradients(trial *t) {
    for (int i = 0; t->ref.in[i]; i++)
        for (int64_t k = 0; k < hkd_count(&t->in[i]); k++) {
            t->ref.grad[i][k] *= 2;
            t->ref.grad_bound[i][k] = 2 * t->ref.grad_bound[i][k] + fabs(t->ref.grad[i][k]);
        }
}

static hkd_status run(hkd_device *dev, trial *t) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && t->ref.in[i]; i++) {
        status = put(dev, &t->call.in[i], &t->in[i], i ? HKD_WEIGHT : HKD_ACTIVATION, t->ref.in[i]);
        if (!status) status = put(dev, &t->call.grad[i], &t->in[i], HKD_STATE, NULL);
    }
    if (!status) status = put(dev, &t->call.out[0], &t->out[0], HKD_ACTIVATION, NULL);
    if (!status) status = put(dev, &t->call.up[0], &t->out[0], HKD_ACTIVATION, t->ref.up[0]);
    if (!status) status = hkd_device_forward(dev, &t->call);
    if (!status) status = hkd_device_backward(dev, &t->call);
    return status ? status : add_gradients((hkd_cl *)(void *)dev, t->call);
}

static hkd_status compare(hkd_device *dev, const hkd_tensor *t, const double *y, const double *bound, const char *op,
                          const char *name) {
    const int64_t count = hkd_count(&t->shape);
    double *got = array(&t->shape);
    if (!got) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    hkd_status status = dev->download(dev, got, HKD_F64, t);
    for (int64_t i = 0; !status && i < count; i++) {
        int exponent;
        frexp(y[i], &exponent);
        const double ulp = ldexp(1, exponent < -125 ? -149 : exponent - 24);
        const double allowed = bound[i] / 16777216 + ulp / 2 + (double)count * ldexp(1, -126);
        if (!(fabs(got[i] - y[i]) <= allowed))
            status = hkd_fail(HKD_DEVICE,
                              "%s (%s) computes wrongly: %s, %s[%lld] is %g and should be %g; use another device or "
                              "driver, or --force", dev->kind, dev->name, op, name, (long long)i, got[i], y[i]);
    }
    free(got);
    return status;
}

static hkd_status judge(hkd_device *dev, const trial *t) {
    hkd_status status = compare(dev, &t->call.out[0], t->ref.out[0], t->ref.out_bound[0], t->op->name, t->op->out[0]);
    for (int i = 0; !status && t->ref.in[i]; i++)
        status = compare(dev, &t->call.grad[i], t->ref.grad[i], t->ref.grad_bound[i], t->op->name,
                         hkd_op_input_name(t->op, i));
    return status;
}

static void clear(hkd_device *dev, trial *t) {
    for (int i = 0; i < HKD_MAX_IN; i++) {
        hkd_tensor_free(dev, &t->call.in[i]);
        hkd_tensor_free(dev, &t->call.grad[i]);
        free((void *)(uintptr_t)t->ref.in[i]);
        free(t->ref.grad[i]);
        free(t->ref.grad_bound[i]);
    }
    hkd_tensor_free(dev, &t->call.out[0]);
    hkd_tensor_free(dev, &t->call.up[0]);
    free(t->ref.out[0]);
    free((void *)(uintptr_t)t->ref.up[0]);
    free(t->ref.out_bound[0]);
}

static hkd_status try_one(hkd_device *dev, const probe *p) {
    trial t = {.op = hkd_find_op(p->op), .ref = {.p = p->p, .kappa = HKD_KAPPA_RANDOM}};
    t.call.op = t.op;
    t.ref.in_shape = t.in;
    t.ref.out_shape = t.out;
    for (int i = 0; i < 4; i++) t.call.p[i] = p->p[i];
    hkd_status status = hkd_op_shapes(t.op, t.out, p->in, p->p);
    if (!status && !prepare(&t, p)) status = hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    if (!status) {
        t.op->forward(&t.ref);
        t.op->backward(&t.ref);
        t.op->bound(&t.ref);
        double_gradients(&t);
        status = run(dev, &t);
    }
    if (!status) status = judge(dev, &t);
    clear(dev, &t);
    return status;
}

hkd_status hkd_cl_self_check(hkd_device *dev) {
    hkd_status status = HKD_OK;
    for (size_t i = 0; !status && i < sizeof probes / sizeof *probes; i++) status = try_one(dev, &probes[i]);
    return status;
}
