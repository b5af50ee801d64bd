#include "test_vector.h"

#include "fill.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const hkd_vector_class_name[] = {"exact", "structured", "random", "adversarial", NULL};

hkd_kappa_rule hkd_vector_kappa(const hkd_vector *v) {
    return v->kind == HKD_RANDOM ? HKD_KAPPA_RANDOM : HKD_KAPPA_WORST;
}

bool hkd_vector_differentiable(const hkd_vector *v, int input) {
    return v->op->backward && v->in[input] && !(v->op->no_grad >> input & 1);
}

int64_t hkd_vector_elements(const hkd_vector *v) {
    int64_t n = 0;
    for (int i = 0; i < hkd_op_inputs(v->op); i++) n += v->in[i] ? hkd_count(&v->in_shape[i]) : 0;
    for (int i = 0; i < hkd_op_outputs(v->op); i++) n += v->up[i] ? hkd_count(&v->out_shape[i]) : 0;
    return n;
}

hkd_ref_call hkd_vector_ref_call(const hkd_vector *v) {
    hkd_ref_call c = {.p = v->p, .in_shape = v->in_shape, .out_shape = v->out_shape, .kappa = hkd_vector_kappa(v)};
    for (int i = 0; i < HKD_MAX_IN; i++) {
        c.in[i] = v->in[i];
        c.grad[i] = v->grad[i];
        c.grad_bound[i] = v->grad_bound[i];
    }
    for (int i = 0; i < HKD_MAX_OUT; i++) {
        c.out[i] = v->out[i];
        c.up[i] = v->up[i];
        c.out_bound[i] = v->out_bound[i];
    }
    return c;
}

void hkd_vector_free(hkd_vector *v) {
    for (int i = 0; i < HKD_MAX_IN; i++) free(v->in[i]), free(v->grad[i]), free(v->grad_bound[i]);
    for (int i = 0; i < HKD_MAX_OUT; i++) free(v->up[i]), free(v->out[i]), free(v->out_bound[i]);
    *v = (hkd_vector){.op = v->op};
}

static hkd_status new_array(double **out, const hkd_shape *shape) {
    *out = calloc((size_t)hkd_count(shape) + 1, sizeof **out);
    return *out ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}

/* ---- parameters as text ---- */

/* The shortest decimal that reads back as the same double. */
static void number_text(char *out, size_t size, double x) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

void hkd_vector_params_text(char *out, size_t size, const hkd_vector *v) {
    size_t at = 0;
    *out = 0;
    for (int i = 0; i < hkd_op_params(v->op) && at < size; i++) {
        char number[40];
        number_text(number, sizeof number, v->p[i]);
        at += (size_t)snprintf(out + at, size - at, "%s%s=%s", i ? " " : "", v->op->param[i].name, number);
    }
}

hkd_status hkd_vector_params_read(hkd_vector *v, const char *text) {
    for (int i = 0; i < hkd_op_params(v->op); i++) v->p[i] = v->op->param[i].value;
    while (*text) {
        char name[32];
        double value;
        int used = 0;
        if (sscanf(text, " %31[a-z_0-9]=%lf %n", name, &value, &used) != 2)
            return hkd_fail(HKD_USAGE, "expected name=number at '%s'", text);
        const int at = hkd_op_param_index(v->op, name);
        if (at < 0) return hkd_fail(HKD_USAGE, "%s has no parameter '%s'", v->op->name, name);
        v->p[at] = value;
        text += used;
    }
    return HKD_OK;
}

/* ---- reading a case ---- */

/* "2x3x5" or "scalar" */
static hkd_status read_shape(hkd_shape *out, const char *text) {
    *out = (hkd_shape){0, {0, 0, 0, 0}};
    if (!strcmp(text, "scalar")) return HKD_OK;
    for (char *end;; text = end + 1) {
        if (out->rank == HKD_MAX_RANK) return hkd_fail(HKD_USAGE, "more than %d extents", (int)HKD_MAX_RANK);
        out->dim[out->rank++] = strtol(text, &end, 10);
        if (end == text || (*end && *end != 'x')) return hkd_fail(HKD_USAGE, "expected a shape at '%s'", text);
        if (!*end) break;
    }
    return hkd_shape_valid(out) ? HKD_OK : hkd_fail(HKD_USAGE, "a shape that is too large");
}

static int find_name(const hkd_vector *v, const char *name, bool upstream) {
    for (int i = 0; upstream && i < hkd_op_outputs(v->op); i++)
        if (!strcmp(v->op->out[i], name)) return i;
    for (int i = 0; !upstream && i < hkd_op_inputs(v->op); i++)
        if (!strcmp(hkd_op_input_name(v->op, i), name)) return i;
    return -1;
}

static hkd_status fill_array(const hkd_vector *v, double *x, const hkd_shape *shape, const char *role, const char *name,
                             const char *how) {
    char stream[192];
    snprintf(stream, sizeof stream, "%s/%s/%s.%s", v->op->name, v->name, role, name);
    const int64_t n = hkd_count(shape);
    const hkd_status status = hkd_fill(x, n, how, stream);
    for (int64_t i = 0; v->half && i < n; i++) x[i] = hkd_round_half(x[i]);
    return status;
}

/* One piece, "x 2x3 normal" or "^y normal"; the latter only remembers the filling. */
static hkd_status read_input(hkd_vector *v, const char *piece, char up_how[][64]) {
    char name[32], shape[48], how[256];
    if (sscanf(piece, " ^%31s %47s", name, shape) == 2) {
        const int at = find_name(v, name, true);
        if (at < 0) return hkd_fail(HKD_USAGE, "%s has no output '%s'", v->op->name, name);
        snprintf(up_how[at], 64, "%s", shape);
        return HKD_OK;
    }
    if (sscanf(piece, " %31s %47s %255s", name, shape, how) != 3)
        return hkd_fail(HKD_USAGE, "expected 'name shape filling' at '%s'", piece);
    const int at = find_name(v, name, false);
    if (at < 0) return hkd_fail(HKD_USAGE, "%s has no input '%s'", v->op->name, name);
    if (v->in[at]) return hkd_fail(HKD_USAGE, "input '%s' is given twice", name);
    hkd_status status = read_shape(&v->in_shape[at], shape);
    if (!status) status = new_array(&v->in[at], &v->in_shape[at]);
    return status ? status : fill_array(v, v->in[at], &v->in_shape[at], "in", name, how);
}

static hkd_status read_inputs(hkd_vector *v, const char *text, char up_how[][64]) {
    for (int i = 0; i < HKD_MAX_IN; i++) v->in_shape[i] = HKD_ABSENT;
    while (*text) {
        char piece[512];
        const size_t length = strcspn(text, "|");
        snprintf(piece, sizeof piece, "%.*s", (int)length, text);
        const hkd_status status = read_input(v, piece, up_how);
        if (status) return status;
        text += length + (text[length] == '|');
    }
    return HKD_OK;
}

/* ---- the reference's answer ---- */

static hkd_status new_results(hkd_vector *v) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++) {
        status = new_array(&v->out[i], &v->out_shape[i]);
        if (!status) status = new_array(&v->out_bound[i], &v->out_shape[i]);
        if (!status && v->op->backward) status = new_array(&v->up[i], &v->out_shape[i]);
    }
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++) {
        if (!hkd_vector_differentiable(v, i)) continue;
        status = new_array(&v->grad[i], &v->in_shape[i]);
        if (!status) status = new_array(&v->grad_bound[i], &v->in_shape[i]);
    }
    return status;
}

/* The least float32 that is not below x >= 0. */
static double float_up(double x) {
    const float f = (float)x;
    return (double)f >= x ? (double)f : (double)nextafterf(f, INFINITY);
}

/* The largest power of two, at most 1, that divides every element. */
static double grain(const double *x, int64_t n, double g) {
    for (int64_t i = 0; x && i < n; i++)
        while (g > 0x1p-60 && isfinite(x[i]) && fmod(x[i], g) != 0) g /= 2;
    return g;
}

static double largest(const double *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; x && i < n; i++) most = fmax(most, isfinite(x[i]) ? fabs(x[i]) : 0);
    return most;
}

/* Winograd's F(2x2, 3x3): transformed inputs are at most 4 times, transformed weights 9/4 times the largest, in quarters; each
 * result sums 9 positions of as many channels. So 4 * 81 channels |x| |w| in units of both grains must fit 24 digits. */
static bool winograd_fits(const hkd_vector *v) {
    const hkd_shape *w = &v->in_shape[1];
    if (strcmp(v->op->name, "conv2d") != 0 || w->dim[2] != 3 || w->dim[3] != 3) return true;
    const int64_t x_n = hkd_count(&v->in_shape[0]), w_n = hkd_count(w), y_n = hkd_count(&v->out_shape[0]);
    const double weights = largest(v->in[1], w_n) / grain(v->in[1], w_n, 1);
    const double forward = largest(v->in[0], x_n) / grain(v->in[0], x_n, 1) * (double)w->dim[1];
    const double backward = largest(v->up[0], y_n) / grain(v->up[0], y_n, 1) * (double)w->dim[0];
    return 4 * 81 * weights * fmax(forward, backward) < 0x1p24;
}

/* Do all partial sums fit float32's 24 digits? The bound with kappa = n, n sum|terms|, is above those of direct sums. */
static bool sums_fit(const hkd_vector *v, const double *worst, const double *y, int64_t n) {
    double inputs = 1, ups = 1;
    for (int i = 0; i < hkd_op_inputs(v->op); i++) inputs *= v->in[i] ? grain(v->in[i], hkd_count(&v->in_shape[i]), 1) : 1;
    for (int i = 0; i < hkd_op_outputs(v->op); i++) ups *= v->up[i] ? grain(v->up[i], hkd_count(&v->out_shape[i]), 1) : 1;
    const double g = grain(y, n, inputs * ups);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(y[i]) && !(worst[i] / g < 0x1p24 && fabs(y[i]) / g < 0x1p24)) return false;
    return true;
}

/* Make one result ready for a file, and see that it is fit for one. */
static const char *seal_array(const hkd_vector *v, double *y, double *bound, int64_t n) {
    if (v->kind == HKD_EXACT && !(sums_fit(v, bound, y, n) && winograd_fits(v)))
        return "not exact: a partial sum may need more than 24 digits";
    for (int64_t i = 0; i < n; i++) {
        if (isnan(y[i])) y[i] = NAN; /* the sign of a NaN differs between processors */
        bound[i] = !isfinite(y[i]) || v->kind == HKD_EXACT ? 0 : float_up(bound[i]);
        if (!(bound[i] >= 0 && bound[i] <= 3.4e38)) return "a bound is not a finite float32";
    }
    return NULL;
}

static hkd_status seal(hkd_vector *v, const hkd_case *c) {
    const char *wrong = NULL;
    if (c->kind == HKD_EXACT && v->op->not_exact) return hkd_fail(HKD_USAGE, "the row says: not exact (%s)", v->op->not_exact);
    for (int i = 0; !wrong && i < hkd_op_outputs(v->op); i++)
        wrong = seal_array(v, v->out[i], v->out_bound[i], hkd_count(&v->out_shape[i]));
    for (int i = 0; !wrong && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i]) wrong = seal_array(v, v->grad[i], v->grad_bound[i], hkd_count(&v->in_shape[i]));
    return wrong ? hkd_fail(HKD_USAGE, "%s", wrong) : HKD_OK;
}

static hkd_status make(hkd_vector *v, const hkd_case *c) {
    char up_how[HKD_MAX_OUT][64] = {{0}};
    hkd_status status = hkd_vector_params_read(v, c->params);
    if (!status) status = read_inputs(v, c->inputs, up_how);
    if (!status) status = hkd_op_shapes(v->op, v->out_shape, v->in_shape, v->p);
    if (!status) status = new_results(v);
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++) {
        const char *how = *up_how[i] ? up_how[i] : c->kind == HKD_EXACT || c->kind == HKD_STRUCTURED ? "int" : "normal";
        if (v->up[i]) status = fill_array(v, v->up[i], &v->out_shape[i], "up", v->op->out[i], how);
    }
    if (status) return status;
    const hkd_ref_call call = hkd_vector_ref_call(v);
    v->op->forward(&call);
    if (v->op->backward) v->op->backward(&call);
    v->op->bound(&call);
    return seal(v, c);
}

hkd_status hkd_vector_make(hkd_vector *out, const hkd_op *op, const hkd_case *c) {
    *out = (hkd_vector){.op = op, .kind = c->kind, .half = !strncmp(c->name, "half_", 5)};
    snprintf(out->name, sizeof out->name, "%s", c->name);
    snprintf(out->flags, sizeof out->flags, "%s", c->flags);
    const hkd_status status = make(out, c);
    if (!status) return HKD_OK;
    hkd_vector_free(out);
    char why[512];
    snprintf(why, sizeof why, "%s", hkd_last_error());
    return hkd_fail(status, "case %s/%s: %s", op->name, c->name, why);
}
