#include "op.h"

#include "status.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

double hkd_kappa(hkd_kappa_rule rule, double n) {
    if (rule == HKD_KAPPA_EXACT) return 0;
    return rule == HKD_KAPPA_RANDOM && n > 16 ? 4 * sqrt(n) : n;
}

hkd_shape hkd_shape_of(int rank, ...) {
    hkd_shape s = {rank, {0, 0, 0, 0}};
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank; i++) s.dim[i] = va_arg(args, int64_t);
    va_end(args);
    return s;
}

int64_t hkd_count(const hkd_shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

bool hkd_same_shape(const hkd_shape *a, const hkd_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

bool hkd_shape_valid(const hkd_shape *s) {
    const int64_t most = (int64_t)((SIZE_MAX / 2 < (size_t)INT64_MAX ? SIZE_MAX / 2 : (size_t)INT64_MAX) / sizeof(double));
    if (s->rank < 0 || s->rank > HKD_MAX_RANK) return false;
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0) return false;
        if (s->dim[i] > 0 && n > most / s->dim[i]) return false; /* zeros do not hide an overflow of the others */
        if (s->dim[i] > 0) n *= s->dim[i];
    }
    return true;
}

static int count_names(const char *const *names) {
    int n = 0;
    while (names[n]) n++;
    return n;
}

int hkd_op_inputs(const hkd_op *op) { return count_names(op->in); }
int hkd_op_outputs(const hkd_op *op) { return count_names(op->out); }

int hkd_op_params(const hkd_op *op) {
    int n = 0;
    while (op->param[n].name) n++;
    return n;
}

bool hkd_op_optional(const hkd_op *op, int input) { return op->in[input][0] == '?'; }

const char *hkd_op_input_name(const hkd_op *op, int input) { return op->in[input] + hkd_op_optional(op, input); }

int hkd_op_param_index(const hkd_op *op, const char *name) {
    for (int i = 0; op->param[i].name; i++)
        if (!strcmp(op->param[i].name, name)) return i;
    return -1;
}

hkd_status hkd_op_shapes(const hkd_op *op, hkd_shape *out, const hkd_shape *in, const double *p) {
    for (int i = 0; i < hkd_op_inputs(op); i++) {
        if (in[i].rank < 0 && hkd_op_optional(op, i)) continue;
        if (!hkd_shape_valid(&in[i]))
            return hkd_fail(HKD_USAGE, "%s: input '%s' is missing or too large", op->name, hkd_op_input_name(op, i));
    }
    for (int i = 0; i < hkd_op_params(op); i++)
        if (op->param[i].type == 'i' && !(fabs(p[i]) < 9007199254740992.0 && p[i] == floor(p[i])))
            return hkd_fail(HKD_USAGE, "%s: parameter '%s' must be a whole number", op->name, op->param[i].name);
    const char *wrong = op->shape(out, in, p);
    if (wrong) return hkd_fail(HKD_USAGE, "%s: %s", op->name, wrong);
    for (int i = 0; i < hkd_op_outputs(op); i++)
        if (!hkd_shape_valid(&out[i])) return hkd_fail(HKD_USAGE, "%s: output '%s' is too large", op->name, op->out[i]);
    return HKD_OK;
}

const hkd_op *hkd_find_op(const char *name) {
    for (int i = 0; hkd_op_table[i]; i++)
        if (!strcmp(hkd_op_table[i]->name, name)) return hkd_op_table[i];
    return NULL;
}
