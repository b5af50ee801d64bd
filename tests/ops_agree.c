/* Every build of the cpu device against the reference, element by element, within the reference's own bound.
 *
 * Per case and instruction set: forward, every gradient written, every gradient added to what was there, and each gradient
 * asked for alone; with 1 and with 3 threads, which must agree to the bit. Whole numbers must come out exactly.
 * Outputs start as NaN, so an element that nobody writes is seen. */
#include "cpu.h"
#include "on_cpu.h"
#include "op_case.h"
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double U = 1.0 / 16777216; /* 2^-24 */

static double ulp32(double y) {
    int exponent;
    frexp(y, &exponent);
    return ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

/* |got - (prior + y)| <= u (bound + 4 |prior|) + ulp/2, for all elements: `prior` enters at most four more sums. */
static void compare(const op_run *r, const char *device, const char *what, const double *got, const double *y,
                    const double *bound, double prior, const hkd_shape *shape) {
    double worst = -1;
    int64_t at = 0; /* arrays have a spare element: an empty one can be named, too */
    for (int64_t i = 0; i < hkd_count(shape); i++) {
        const double allowed = U * (bound[i] + 4 * fabs(prior)) + ulp32(y[i] + prior) / 2 + ldexp(1, -149);
        double used = fabs(got[i] - (y[i] + prior)) / allowed;
        if (!(bound[i] >= 0) || isnan(used)) used = INFINITY;
        if (used > worst) worst = used, at = i;
    }
    CHECK(worst <= 1, "%s \"%s\" %s on %s: %s[%lld] = %.9g, expected %.9g (%.3g of the allowance)", r->op->name, r->source->in,
          r->source->p ? r->source->p : "", device, what, (long long)at, got[at], y[at] + prior, worst);
}

typedef struct {
    hkd_device *dev;
    hkd_call call;
} session;

static bool open_session(session *s, const op_run *r, const char *isa, int threads) {
    const hkd_device_options options = {.threads = threads, .isa = isa};
    *s = (session){.call = {.op = r->op}};
    if (hkd_device_open_cpu(&s->dev, &options)) return false;
    memcpy(s->call.p, r->p, sizeof r->p);
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        if (!r->in[i]) continue;
        hkd_tensor_new(s->dev, &s->call.in[i], &r->in_shape[i], r->role[i]);
        s->dev->upload(s->dev, &s->call.in[i], r->in[i], HKD_F64);
        hkd_tensor_new(s->dev, &s->call.grad[i], &r->in_shape[i], r->role[i] == HKD_WEIGHT ? HKD_STATE : r->role[i]);
    }
    for (int i = 0; i < hkd_op_outputs(r->op); i++) {
        hkd_tensor_new(s->dev, &s->call.out[i], &r->out_shape[i], HKD_ACTIVATION);
        hkd_tensor_new(s->dev, &s->call.up[i], &r->out_shape[i], HKD_ACTIVATION);
        s->dev->upload(s->dev, &s->call.up[i], r->up[i], HKD_F64);
    }
    return true;
}

static void close_session(session *s) {
    if (!s->dev) return;
    for (int i = 0; i < HKD_MAX_IN; i++) {
        hkd_tensor_free(s->dev, &s->call.in[i]);
        hkd_tensor_free(s->dev, &s->call.grad[i]);
    }
    for (int i = 0; i < HKD_MAX_OUT; i++) {
        hkd_tensor_free(s->dev, &s->call.out[i]);
        hkd_tensor_free(s->dev, &s->call.up[i]);
    }
    hkd_device_close(s->dev);
}

static double *fetch(session *s, const hkd_tensor *t) {
    double *a = calloc((size_t)hkd_count(&t->shape) + 1, sizeof *a);
    s->dev->download(s->dev, a, HKD_F64, t);
    return a;
}

/* Backward for the inputs in `wanted`, over gradients that hold `prior` beforehand (NaN: to be written, not added to). */
static void backward(session *s, const op_run *r, unsigned wanted, double prior) {
    hkd_call call = s->call;
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        call.accumulate[i] = !isnan(prior);
        if (wanted >> i & 1) s->dev->fill(s->dev, &call.grad[i], prior);
        else call.grad[i].buffer = NULL;
    }
    CHECK(hkd_device_backward(s->dev, &call) == HKD_OK, "%s", hkd_last_error());
}

static void same_bits(const op_run *r, session *s, const hkd_tensor *t, const double *expected, const char *what) {
    double *a = fetch(s, t);
    CHECK(!memcmp(a, expected, (size_t)hkd_count(&t->shape) * sizeof *a), "%s \"%s\" on %s: %s", r->op->name, r->source->in,
          s->dev->name, what);
    free(a);
}

static void check_gradients(const op_run *r, session *s, session *threaded, unsigned wanted) {
    double *written[HKD_MAX_IN] = {NULL};
    backward(s, r, wanted, NAN);
    for (int i = 0; i < hkd_op_inputs(r->op); i++)
        if (wanted >> i & 1) {
            written[i] = fetch(s, &s->call.grad[i]);
            compare(r, s->dev->name, hkd_op_input_name(r->op, i), written[i], r->grad[i], r->grad_bound[i], 0,
                    &r->in_shape[i]);
        }
    backward(threaded, r, wanted, NAN);
    for (int i = 0; i < hkd_op_inputs(r->op); i++)
        if (wanted >> i & 1) same_bits(r, threaded, &threaded->call.grad[i], written[i], "a gradient depends on the threads");
    backward(threaded, r, wanted, 1);
    for (int i = 0; i < hkd_op_inputs(r->op); i++)
        if (wanted >> i & 1) {
            double *added = fetch(threaded, &threaded->call.grad[i]);
            compare(r, "cpu (accumulate)", hkd_op_input_name(r->op, i), added, r->grad[i], r->grad_bound[i], 1,
                    &r->in_shape[i]);
            free(added);
        }
    for (int i = 0; i < hkd_op_inputs(r->op); i++)
        if (wanted >> i & 1) {
            backward(s, r, 1u << i, NAN);
            same_bits(r, s, &s->call.grad[i], written[i], "a gradient depends on which others are wanted");
            free(written[i]);
        }
}

static void check_build(const op_run *r, const char *isa) {
    session one, three = {.dev = NULL};
    if (open_session(&one, r, isa, 1) && open_session(&three, r, isa, 3) && one.dev->supports(one.dev, r->op, false)) {
        unsigned wanted = 0;
        for (int i = 0; i < hkd_op_inputs(r->op); i++) wanted |= (unsigned)op_run_wants(r, i) << i;
        for (int k = 0; k < hkd_op_outputs(r->op); k++) {
            one.dev->fill(one.dev, &one.call.out[k], NAN);
            three.dev->fill(three.dev, &three.call.out[k], NAN);
        }
        CHECK(hkd_device_forward(one.dev, &one.call) == HKD_OK, "%s", hkd_last_error());
        CHECK(hkd_device_forward(three.dev, &three.call) == HKD_OK, "%s", hkd_last_error());
        for (int k = 0; k < hkd_op_outputs(r->op); k++) {
            double *y = fetch(&one, &one.call.out[k]);
            compare(r, one.dev->name, r->op->out[k], y, r->out[k], r->out_bound[k], 0, &r->out_shape[k]);
            same_bits(r, &three, &three.call.out[k], y, "the result depends on the threads");
            free(y);
        }
        if (r->op->backward && one.dev->supports(one.dev, r->op, true)) check_gradients(r, &one, &three, wanted);
    }
    close_session(&three);
    close_session(&one);
}

void check_agreement(const op_case *c) {
    for (int whole = 0; whole < 2; whole++) {
        op_run r;
        if (op_run_open(&r, c, whole) && !(whole && (c->inexact || r.op->not_exact)))
            for (int i = 0; i < CPU_BUILDS; i++) check_build(&r, cpu_builds[i]);
        op_run_close(&r);
    }
}
