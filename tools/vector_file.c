#include "vector_file.h"

#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which tensors a file holds ---- */

enum { MOST_TENSORS = 3 * (HKD_MAX_IN + HKD_MAX_OUT) };

typedef struct {
    char name[64];
    hkd_stored type;
    const hkd_shape *shape;
    double **data;
} slot;

static int add(slot *s, int n, const char *role, const char *name, hkd_stored type, const hkd_shape *shape, double **data) {
    s[n] = (slot){"", type, shape, data};
    snprintf(s[n].name, sizeof s[n].name, "%s.%s", role, name);
    return n + 1;
}

/* Every tensor that this operator may have. */
static int slots(slot *s, hkd_vector *v) {
    const hkd_stored given = v->half ? HKD_F16 : HKD_FLOAT;
    int n = 0;
    for (int i = 0; i < hkd_op_inputs(v->op); i++) {
        const char *name = hkd_op_input_name(v->op, i);
        n = add(s, n, "in", name, given, &v->in_shape[i], &v->in[i]);
        if (!v->op->backward || v->op->no_grad >> i & 1) continue;
        n = add(s, n, "grad", name, HKD_DOUBLE, &v->in_shape[i], &v->grad[i]);
        n = add(s, n, "bound.grad", name, HKD_FLOAT, &v->in_shape[i], &v->grad_bound[i]);
    }
    for (int i = 0; i < hkd_op_outputs(v->op); i++) {
        const char *name = v->op->out[i];
        n = add(s, n, "out", name, HKD_DOUBLE, &v->out_shape[i], &v->out[i]);
        n = add(s, n, "bound.out", name, HKD_FLOAT, &v->out_shape[i], &v->out_bound[i]);
        if (v->op->backward) n = add(s, n, "up", name, given, &v->out_shape[i], &v->up[i]);
    }
    return n;
}

/* ---- writing ---- */

hkd_status hkd_vector_save(const char *path, const hkd_vector *v) {
    hkd_vector view = *v;
    slot s[MOST_TENSORS];
    hkd_saved saved[MOST_TENSORS];
    size_t count = 0;
    for (int i = 0, n = slots(s, &view); i < n; i++)
        if (*s[i].data)
            saved[count++] = (hkd_saved){.name = s[i].name, .type = s[i].type, .shape = *s[i].shape, .as = HKD_F64,
                                         .data = *s[i].data};
    char params[512], n_text[32];
    hkd_vector_params_text(params, sizeof params, v);
    snprintf(n_text, sizeof n_text, "%lld", (long long)hkd_vector_elements(v));
    const hkd_metadata metadata[] = {
        {"hkd.vector", HKD_VECTOR_FORMAT},
        {"op", v->op->name},
        {"case", v->name},
        {"class", hkd_vector_class_name[v->kind]},
        {"flags", v->flags},
        {"storage", v->half ? "float16" : "float32"},
        {"accumulator", "float32"},
        {"n", n_text},
        {"params", params},
    };
    return hkd_safetensors_save(path, saved, count, metadata, sizeof metadata / sizeof *metadata);
}

/* ---- reading ---- */

static hkd_status read_tensor(double **out, hkd_shape *shape, const hkd_safetensors *st, const hkd_safetensor *t) {
    const hkd_status status = hkd_safetensors_shape(shape, st, t);
    if (status) return status;
    *out = calloc((size_t)hkd_count(shape) + 1, sizeof **out);
    return *out ? hkd_safetensors_read(st, t, *out, HKD_F64) : hkd_fail(HKD_RESOURCES, "out of memory");
}

static hkd_status read_metadata(hkd_vector *v, const hkd_safetensors *st, const char *path) {
    const char *format = hkd_safetensors_metadata(st, "hkd.vector"), *op = hkd_safetensors_metadata(st, "op");
    const char *name = hkd_safetensors_metadata(st, "case"), *kind = hkd_safetensors_metadata(st, "class");
    const char *storage = hkd_safetensors_metadata(st, "storage"), *params = hkd_safetensors_metadata(st, "params");
    const char *flags = hkd_safetensors_metadata(st, "flags");
    if (!format || !op || !name || !kind || !storage || !params || !flags)
        return hkd_fail(HKD_BAD_FILE, "%s: not a test vector: its metadata lack op, case, class, ...", path);
    if (strcmp(format, HKD_VECTOR_FORMAT) != 0)
        return hkd_fail(HKD_BAD_FILE, "%s: vector format '%s', expected %s", path, format, HKD_VECTOR_FORMAT);
    *v = (hkd_vector){.op = hkd_find_op(op), .half = !strcmp(storage, "float16")};
    if (!v->op) return hkd_fail(HKD_BAD_FILE, "%s: operator '%s' is unknown", path, op);
    int k = 0;
    while (hkd_vector_class_name[k] && strcmp(hkd_vector_class_name[k], kind) != 0) k++;
    if (!hkd_vector_class_name[k]) return hkd_fail(HKD_BAD_FILE, "%s: class '%s' is unknown", path, kind);
    v->kind = (hkd_vector_class)k;
    snprintf(v->name, sizeof v->name, "%s", name);
    snprintf(v->flags, sizeof v->flags, "%s", flags);
    return hkd_vector_params_read(v, params);
}

/* Does every result have the shape that the row demands, and a bound of the same shape? */
static hkd_status check_shapes(const hkd_vector *v, const hkd_shape *found, const slot *s, int n) {
    hkd_shape out[HKD_MAX_OUT];
    const hkd_status status = hkd_op_shapes(v->op, out, v->in_shape, v->p);
    if (status) return status;
    for (int i = 0; i < n; i++) {
        const hkd_shape *wanted = s[i].shape;
        for (int k = 0; k < hkd_op_outputs(v->op); k++)
            if (wanted == &v->out_shape[k]) wanted = &out[k];
        if (*s[i].data && !hkd_same_shape(wanted, &found[i])) return hkd_fail(HKD_USAGE, "%s has a wrong shape", s[i].name);
    }
    for (int i = 0; i < hkd_op_outputs(v->op); i++)
        if (!v->out[i] || !v->out_bound[i]) return hkd_fail(HKD_USAGE, "out.%s or its bound is missing", v->op->out[i]);
    for (int i = 0; i < hkd_op_inputs(v->op); i++)
        if (!v->grad[i] != !v->grad_bound[i]) return hkd_fail(HKD_USAGE, "grad.%s lacks its bound", hkd_op_input_name(v->op,
                                                                                                                      i));
    for (int i = 0; i < hkd_op_inputs(v->op); i++)
        for (int k = 0; v->grad[i] && k < hkd_op_outputs(v->op); k++)
            if (!v->up[k] || !v->in[i]) return hkd_fail(HKD_USAGE, "a gradient without input or upstream gradient");
    return HKD_OK;
}

static hkd_status read_tensors(hkd_vector *v, const hkd_safetensors *st) {
    slot s[MOST_TENSORS];
    hkd_shape found[MOST_TENSORS];
    hkd_status status = HKD_OK;
    const int n = slots(s, v);
    size_t used = 0;
    for (int i = 0; i < HKD_MAX_IN; i++) v->in_shape[i] = HKD_ABSENT;
    for (int i = 0; !status && i < n; i++) {
        const hkd_safetensor *t = hkd_safetensors_find(st, s[i].name);
        if (!t) continue;
        used++;
        status = t->type == s[i].type ? read_tensor(s[i].data, &found[i], st, t)
                                      : hkd_fail(HKD_BAD_FILE, "%s must be %s", s[i].name, hkd_stored_name(s[i].type));
        for (int k = 0; k < hkd_op_inputs(v->op); k++)
            if (!status && s[i].data == &v->in[k]) v->in_shape[k] = found[i];
        for (int k = 0; k < hkd_op_outputs(v->op); k++)
            if (!status && s[i].data == &v->out[k]) v->out_shape[k] = found[i];
    }
    if (!status && used != st->count) status = hkd_fail(HKD_BAD_FILE, "a tensor that %s does not know", v->op->name);
    return status ? status : check_shapes(v, found, s, n);
}

/* Put the file's name before the message of the last failure. */
static hkd_status in_file(const char *path) {
    char why[512];
    snprintf(why, sizeof why, "%s", hkd_last_error());
    return strncmp(why, path, strlen(path)) ? hkd_fail(HKD_BAD_FILE, "%s: %s", path, why) : HKD_BAD_FILE;
}

hkd_status hkd_vector_load(hkd_vector *out, const char *path) {
    *out = (hkd_vector){.op = NULL};
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = read_metadata(out, st, path);
    if (!status) status = read_tensors(out, st);
    hkd_safetensors_close(st);
    if (!status) return HKD_OK;
    hkd_vector_free(out);
    return status == HKD_RESOURCES ? status : in_file(path);
}

static hkd_status read_result(double **out, bool *half, const hkd_safetensors *st, const char *role, const char *name,
                              const hkd_shape *wanted) {
    char key[64];
    hkd_shape shape;
    snprintf(key, sizeof key, "%s.%s", role, name);
    const hkd_safetensor *t = hkd_safetensors_find(st, key);
    if (!t) return HKD_OK;
    if (t->type != HKD_FLOAT && t->type != HKD_F16 && t->type != HKD_DOUBLE)
        return hkd_fail(HKD_BAD_FILE, "%s is %s, expected F32, F16 or F64", key, hkd_stored_name(t->type));
    const hkd_status status = read_tensor(out, &shape, st, t);
    *half = t->type == HKD_F16;
    if (!status && !hkd_same_shape(&shape, wanted)) return hkd_fail(HKD_BAD_FILE, "%s has a wrong shape", key);
    return status;
}

hkd_status hkd_vector_result_load(hkd_vector_result *out, const hkd_vector *v, const char *path) {
    *out = (hkd_vector_result){.out = {NULL}};
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++)
        status = read_result(&out->out[i], &out->half_out[i], st, "out", v->op->out[i], &v->out_shape[i]);
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i])
            status = read_result(&out->grad[i], &out->half_grad[i], st, "grad", hkd_op_input_name(v->op, i), &v->in_shape[i]);
    hkd_safetensors_close(st);
    if (!status) return HKD_OK;
    hkd_vector_result_free(out);
    return status == HKD_RESOURCES ? status : in_file(path);
}
