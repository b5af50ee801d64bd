#include "program.h"

#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_program *hkd_program_new(void) { return calloc(1, sizeof(hkd_program)); }

void hkd_program_free(hkd_program *p) {
    if (!p) return;
    for (int i = 0; i < p->n_vars; i++) free(p->var[i].name);
    free(p->var);
    free(p->call);
    free(p);
}

hkd_status hkd_program_status(const hkd_program *p) { return p->status; }

/* Room for one more element; capacities are powers of two, so the count tells when to grow. */
static void *grow(void *array, int count, size_t size) {
    if (count & (count - 1)) return array;
    return realloc(array, (count ? 2 * (size_t)count : 1) * size);
}

static char *copy_text(const char *text) {
    char *copy = malloc(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

static hkd_var new_var(hkd_program *p, hkd_var_kind kind, const char *name, hkd_shape shape) {
    if (p->status) return HKD_NO_VAR;
    hkd_program_var *vars = grow(p->var, p->n_vars, sizeof *vars);
    if (vars) p->var = vars;
    char *text = copy_text(name);
    if (!vars || !text) {
        free(text);
        p->status = hkd_fail(HKD_RESOURCES, "out of memory while recording a network");
        return HKD_NO_VAR;
    }
    p->var[p->n_vars] = (hkd_program_var){.kind = kind, .shape = shape, .name = text};
    return p->n_vars++;
}

hkd_var hkd_input(hkd_program *p, const char *name, hkd_shape shape) { return new_var(p, HKD_VAR_INPUT, name, shape); }

hkd_var hkd_weight_var(hkd_program *p, const char *name, hkd_shape shape, bool trained) {
    hkd_var v = p->status ? HKD_NO_VAR : hkd_find_var(p, name);
    if (v == HKD_NO_VAR) v = new_var(p, HKD_VAR_WEIGHT, name, shape);
    if (v != HKD_NO_VAR) p->var[v].want_grad = trained;
    return v;
}

hkd_var hkd_apply(hkd_program *p, const char *op_name, const double *params, int count, ...) {
    if (p->status) return HKD_NO_VAR;
    hkd_program_call c = {.op = hkd_find_op(op_name)};
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
    if (!c.op || count > hkd_op_inputs(c.op) || hkd_op_outputs(c.op) != 1) {
        p->status = hkd_fail(HKD_USAGE, "no operator '%s' with %d inputs and one output", op_name, count);
        return HKD_NO_VAR;
    }
    for (int i = 0; i < hkd_op_params(c.op); i++) c.p[i] = params ? params[i] : c.op->param[i].value;
    va_list args;
    va_start(args, count);
    for (int i = 0; i < HKD_MAX_IN; i++) {
        c.in[i] = i < count ? va_arg(args, hkd_var) : HKD_NO_VAR;
        in[i] = c.in[i] == HKD_NO_VAR ? HKD_ABSENT : p->var[c.in[i]].shape;
    }
    va_end(args);
    p->status = hkd_op_shapes(c.op, out, in, c.p);
    hkd_program_call *calls = p->status ? NULL : grow(p->call, p->n_calls, sizeof *calls);
    if (!p->status && !calls) p->status = hkd_fail(HKD_RESOURCES, "out of memory while recording a network");
    if (p->status) return HKD_NO_VAR;
    p->call = calls;
    c.out[0] = new_var(p, HKD_VAR_RESULT, "", out[0]);
    if (c.out[0] != HKD_NO_VAR) p->call[p->n_calls++] = c;
    return c.out[0];
}

void hkd_name(hkd_program *p, hkd_var v, const char *name) {
    if (p->status) return;
    char *text = copy_text(name);
    if (!text) {
        p->status = hkd_fail(HKD_RESOURCES, "out of memory while recording a network");
        return;
    }
    free(p->var[v].name);
    p->var[v].name = text;
}

void hkd_output(hkd_program *p, hkd_var v, const char *name) {
    hkd_name(p, v, name);
    if (!p->status) p->var[v].keep = true;
}

void hkd_want_grad(hkd_program *p, hkd_var v) {
    if (!p->status) p->var[v].want_grad = true;
}

void hkd_seed(hkd_program *p, hkd_var v) {
    if (!p->status) p->var[v].seed = p->var[v].keep = true;
}

hkd_var hkd_find_var(const hkd_program *p, const char *name) {
    for (int i = 0; i < p->n_vars; i++)
        if (!strcmp(p->var[i].name, name)) return i;
    return HKD_NO_VAR;
}

const hkd_shape *hkd_var_shape(const hkd_program *p, hkd_var v) { return &p->var[v].shape; }

void hkd_var_name(char *out, size_t size, const hkd_program *p, hkd_var v) {
    int times = 1;
    snprintf(out, size, "%s", p->var[v].name ? p->var[v].name : "");
    for (hkd_var earlier = 0; *out && earlier < v; earlier++)
        times += p->var[earlier].name && !strcmp(p->var[earlier].name, out);
    if (times > 1) snprintf(out + strlen(out), size - strlen(out), "@%d", times);
    for (int c = 0; !*out && c < p->n_calls; c++)
        for (int i = 0; i < hkd_op_outputs(p->call[c].op); i++)
            if (p->call[c].out[i] == v) snprintf(out, size, "%s.%d", p->call[c].op->name, c);
}
