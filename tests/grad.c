/* Gradients of the reference against differences of its own forward function, in float64.
 *
 * With the loss L(x) = sum of up * y(x) and a recorded, non-uniform upstream gradient `up`, two checks per input:
 *   - every element (at most 64, evenly spread):  dL/dx_i = (L(x + h e_i) - L(x - h e_i)) / 2h;
 *   - the adjoint identity, all elements at once:  <J v, up> = <v, J' up> for a random direction v.
 * They catch a wrong or missing term, index or sign. A NaN fails, and so does a gradient that is zero everywhere. */
#include "op_case.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

static const double STEP = 1.0 / 131072; /* 2^-17: truncation and rounding both near 1e-10 */
static const double TOLERANCE = 1e-7;    /* of the sum of the absolute terms that make the difference */

typedef struct {
    double slope, scale; /* the difference quotient of L, and what its terms weigh together */
} difference;

/* dL along `v`, by two runs of forward from x + h v and x - h v. x is put back. */
static difference along(const op_run *r, int input, const double *v, double *const *plus, double *const *minus) {
    const int64_t count = hkd_count(&r->in_shape[input]);
    double *x = r->in[input];
    hkd_ref_call call = {.p = r->p, .in_shape = r->in_shape, .out_shape = r->out_shape};
    for (int i = 0; i < HKD_MAX_IN; i++) call.in[i] = r->in[i];
    double *saved = malloc(((size_t)count + 1) * sizeof *saved);
    for (int64_t i = 0; i < count; i++) saved[i] = x[i];
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int i = 0; i < HKD_MAX_OUT; i++) call.out[i] = sign > 0 ? plus[i] : minus[i];
        for (int64_t i = 0; i < count; i++) x[i] = saved[i] + sign * STEP * v[i];
        r->op->forward(&call);
    }
    for (int64_t i = 0; i < count; i++) x[i] = saved[i];
    free(saved);
    difference d = {0, 0};
    for (int k = 0; k < hkd_op_outputs(r->op); k++)
        for (int64_t i = 0; i < hkd_count(&r->out_shape[k]); i++) {
            const double term = r->up[k][i] * (plus[k][i] - minus[k][i]) / (2 * STEP);
            d.slope += term;
            d.scale += fabs(term) + 1e-4 * fabs(r->up[k][i] * r->out[k][i]); /* rounding of y: 1e-16 / h */
        }
    return d;
}

static void check_input(const op_run *r, int input, double *const *plus, double *const *minus) {
    const char *op = r->op->name, *name = hkd_op_input_name(r->op, input), *shapes = r->source->in;
    const int64_t count = hkd_count(&r->in_shape[input]), stride = count / 64 + 1;
    const double *g = r->grad[input];
    double *v = calloc((size_t)count + 1, sizeof *v), inner = 0, most = 0;
    int64_t results = 0;
    for (int k = 0; k < hkd_op_outputs(r->op); k++) results += hkd_count(&r->out_shape[k]);
    for (int64_t i = 0; i < count; i++) most = fabs(g[i]) <= most ? most : fabs(g[i]);
    CHECK(isfinite(most), "%s \"%s\": d%s has a NaN or infinity", op, shapes, name);
    CHECK(most > 0 || !count || !results, "%s \"%s\": d%s is zero everywhere", op, shapes, name);
    for (int64_t i = 0; i < count; i += stride) {
        v[i] = 1;
        const difference d = along(r, input, v, plus, minus);
        v[i] = 0;
        CHECK(fabs(g[i] - d.slope) <= TOLERANCE * d.scale, "%s \"%s\": d%s[%lld] = %.12g, difference quotient %.12g", op,
              shapes, name, (long long)i, g[i], d.slope);
    }
    for (int64_t i = 0; i < count; i++) {
        v[i] = (double)(i * 7919 % 101) / 50 - 1;
        inner += v[i] * g[i];
    }
    const difference d = along(r, input, v, plus, minus);
    CHECK(fabs(inner - d.slope) <= TOLERANCE * d.scale, "%s \"%s\": <v, d%s> = %.12g, <J v, up> = %.12g", op, shapes, name,
          inner, d.slope);
    free(v);
}

void check_gradient(const op_case *c) {
    op_run r;
    double *plus[HKD_MAX_OUT] = {NULL}, *minus[HKD_MAX_OUT] = {NULL};
    const bool opened = op_run_open(&r, c, false);
    for (int k = 0; opened && k < hkd_op_outputs(r.op); k++) {
        plus[k] = calloc((size_t)hkd_count(&r.out_shape[k]) + 1, sizeof(double));
        minus[k] = calloc((size_t)hkd_count(&r.out_shape[k]) + 1, sizeof(double));
    }
    for (int i = 0; opened && i < hkd_op_inputs(r.op); i++)
        if (op_run_wants(&r, i)) check_input(&r, i, plus, minus);
    for (int k = 0; k < HKD_MAX_OUT; k++) {
        free(plus[k]);
        free(minus[k]);
    }
    op_run_close(&r);
}
