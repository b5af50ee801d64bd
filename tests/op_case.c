#include "op_case.h"

#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele et al. 2014) of a counter: any element can be computed alone. */
static uint64_t hash(uint64_t i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill(double *x, int64_t count, int stream, char mark, bool whole) {
    for (int64_t i = 0; i < count; i++) {
        const uint64_t h = hash((uint64_t)i + ((uint64_t)stream << 32)) >> 40;
        const double unit = (double)h / 16777216; /* [0, 1) in steps of 2^-24 */
        if (mark == '#') x[i] = (double)(h % 4);
        else if (whole) x[i] = mark == '+' ? (double)(1 + h % 4) : (double)(h % 9) - 4;
        else x[i] = mark == '+' ? 0.5 + unit : 2 * unit - 1;
    }
}

static double *array(const hkd_shape *s) { return calloc((size_t)hkd_count(s) + 1, sizeof(double)); }

/* "w6x3x3x3" -> shape, role and fill mark; returns the rest of the text, NULL when it is no shape. */
static const char *parse_input(const char *text, hkd_shape *shape, hkd_role *role, char *mark) {
    *shape = HKD_ABSENT;
    *role = HKD_ACTIVATION;
    *mark = 0;
    while (*text == ' ') text++;
    if (*text == '-') return text + 1;
    for (; *text && strchr("w+#", *text); text++)
        if (*text == 'w') *role = HKD_WEIGHT;
        else *mark = *text;
    shape->rank = 0;
    do {
        char *end;
        if (shape->rank == HKD_MAX_RANK) return NULL;
        shape->dim[shape->rank++] = strtoll(text, &end, 10);
        if (end == text) return NULL;
        text = end;
    } while (*text++ == 'x');
    return text - 1;
}

static bool parse(op_run *r, const op_case *c, char *mark) {
    r->op = hkd_find_op(c->op);
    if (!CHECK(r->op, "%s: no such row", c->op)) return false;
    const char *text = c->in;
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        text = parse_input(text, &r->in_shape[i], &r->role[i], &mark[i]);
        if (!CHECK(text, "%s \"%s\": input %d is no shape", c->op, c->in, i)) return false;
    }
    for (int i = 0; i < hkd_op_params(r->op); i++) r->p[i] = r->op->param[i].value;
    char name[64];
    double value;
    int used;
    for (text = c->p ? c->p : ""; sscanf(text, " %63[^=]=%lf%n", name, &value, &used) == 2; text += used) {
        const int i = hkd_op_param_index(r->op, name);
        if (!CHECK(i >= 0, "%s: no parameter '%s'", c->op, name)) return false;
        r->p[i] = value;
    }
    return CHECK(!*text, "%s: parameters \"%s\" not understood", c->op, text) &&
           CHECK(hkd_op_shapes(r->op, r->out_shape, r->in_shape, r->p) == HKD_OK, "%s", hkd_last_error());
}

bool op_run_wants(const op_run *r, int input) {
    return r->op->backward && r->in_shape[input].rank >= 0 && !(r->op->no_grad >> input & 1);
}

bool op_run_open(op_run *r, const op_case *c, bool whole) {
    char mark[HKD_MAX_IN];
    *r = (op_run){.source = c};
    if (!parse(r, c, mark)) return false;
    hkd_ref_call call = {.p = r->p, .in_shape = r->in_shape, .out_shape = r->out_shape,
                         .kappa = whole ? HKD_KAPPA_EXACT : HKD_KAPPA_RANDOM};
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        if (r->in_shape[i].rank < 0) continue;
        call.in[i] = r->in[i] = array(&r->in_shape[i]);
        fill(r->in[i], hkd_count(&r->in_shape[i]), i, mark[i], whole);
        if (!op_run_wants(r, i)) continue;
        call.grad[i] = r->grad[i] = array(&r->in_shape[i]);
        call.grad_bound[i] = r->grad_bound[i] = array(&r->in_shape[i]);
    }
    for (int i = 0; i < hkd_op_outputs(r->op); i++) {
        call.out[i] = r->out[i] = array(&r->out_shape[i]);
        call.out_bound[i] = r->out_bound[i] = array(&r->out_shape[i]);
        call.up[i] = r->up[i] = array(&r->out_shape[i]);
        fill(r->up[i], hkd_count(&r->out_shape[i]), HKD_MAX_IN + i, 0, whole);
    }
    r->op->forward(&call);
    if (r->op->backward) r->op->backward(&call);
    r->op->bound(&call);
    return true;
}

void op_run_close(op_run *r) {
    for (int i = 0; i < HKD_MAX_IN; i++) {
        free(r->in[i]);
        free(r->grad[i]);
        free(r->grad_bound[i]);
    }
    for (int i = 0; i < HKD_MAX_OUT; i++) {
        free(r->out[i]);
        free(r->up[i]);
        free(r->out_bound[i]);
    }
}
