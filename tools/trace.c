#include "trace.h"

#include "fused.h"
#include "safetensors.h"
#include "status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static json_t *names_json(char (*name)[HKD_VAR_NAME], const hkd_var *v, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, v[i] == HKD_NO_VAR ? json_null() : json_string(name[v[i]]));
    return list;
}

char *hkd_trace_calls(const hkd_program_call *all, int count, char (*name)[HKD_VAR_NAME]) {
    json_t *calls = json_array();
    for (int c = 0; c < count; c++) {
        const hkd_program_call *call = &all[c];
        json_t *params = json_array();
        for (int i = 0; i < hkd_op_params(call->op); i++) json_array_append_new(params, json_real(call->p[i]));
        json_array_append_new(calls, json_pack("{s:s, s:o, s:o, s:o}", "op", call->op->name, "params", params, "in",
                                               names_json(name, call->in, hkd_op_inputs(call->op)), "out",
                                               names_json(name, call->out, hkd_op_outputs(call->op))));
    }
    char *text = json_dumps(calls, JSON_COMPACT);
    json_decref(calls);
    return text;
}

typedef struct {
    hkd_device *dev;
    const hkd_tensor *tensor;
} source;

static hkd_status fetch(void *to, const hkd_saved *s) {
    const source *from = s->context;
    return from->dev->download(from->dev, to, s->as, from->tensor);
}

hkd_status hkd_trace_save(const char *path, const hkd_program *p, const hkd_plan *plan, hkd_device *dev) {
    const size_t n = (size_t)p->n_vars;
    char(*name)[HKD_VAR_NAME] = calloc(n + 1, sizeof *name), *calls = NULL;
    hkd_saved *saved = calloc(n + 1, sizeof *saved);
    source *from = calloc(n + 1, sizeof *from);
    size_t count = 0;
    for (int v = 0; name && v < p->n_vars; v++) hkd_var_name(name[v], sizeof name[v], p, v);
    if (name) calls = hkd_trace_calls(p->call, p->n_calls, name);
    hkd_status status = calls && saved && from ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the trace");
    for (int v = 0; !status && v < p->n_vars; v++) {
        const bool doubles = !strcmp(dev->kind, "ref");
        from[count] = (source){dev, hkd_plan_tensor(plan, v)};
        if (!from[count].tensor) continue;
        saved[count] = (hkd_saved){.name = name[v], .type = doubles ? HKD_DOUBLE : HKD_FLOAT, .shape = p->var[v].shape,
                                   .as = doubles ? HKD_F64 : HKD_F32, .fetch = fetch, .context = &from[count]};
        count++;
    }
    const hkd_metadata metadata[] = {{"hkd.trace", "1"}, {"hkd.device", dev->kind}, {"hkd.calls", calls}};
    if (!status) status = hkd_safetensors_save(path, saved, count, metadata, 3);
    free(name), free(calls), free(saved), free(from);
    return status;
}

/* ---- reading ---- */

enum { MOST_IN_CHAIN = sizeof hkd_fused_table->chain / sizeof *hkd_fused_table->chain };

/* The variable of this name, made when it is new; -1: out of memory. */
static int variable(hkd_trace *t, const char *name) {
    for (int v = 0; v < t->vars; v++)
        if (!strcmp(t->var[v].name, name)) return v;
    hkd_traced *larger = realloc(t->var, ((size_t)t->vars + 1) * sizeof *larger);
    char *copy = larger ? malloc(strlen(name) + 1) : NULL;
    if (larger) t->var = larger;
    if (!copy) return -1;
    strcpy(copy, name);
    t->var[t->vars] = (hkd_traced){copy, HKD_ABSENT, NULL};
    return t->vars++;
}

static bool read_names(hkd_trace *t, int *to, json_t *list, int count) {
    if (!json_is_array(list) || (int)json_array_size(list) != count) return false;
    for (int i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, (size_t)i);
        to[i] = json_is_string(name) ? variable(t, json_string_value(name)) : -1;
        if (!json_is_null(name) && to[i] < 0) return false;
    }
    return true;
}

/* NULL: no fused row has this name. */
static const hkd_fused *find_fused(const char *name) {
    for (const hkd_fused *f = hkd_fused_table; f->row; f++)
        if (!strcmp(f->row->name, name)) return f;
    return NULL;
}

/* A fused call stands for its chain, whose inner results the trace lacks. */
static bool add_chain(hkd_trace *t, const hkd_traced_call *c, const hkd_fused *f) {
    char inner[256];
    int inputs = 0, params = 0, previous = -1;
    for (int k = 0; f->chain[k]; k++) {
        hkd_traced_call *one = &t->call[t->calls++];
        one->op = hkd_find_op(f->chain[k]);
        for (int i = 0; i < hkd_op_inputs(one->op); i++) one->in[i] = k && !i ? previous : c->in[inputs++];
        for (int i = 0; i < hkd_op_params(one->op); i++) one->p[i] = c->p[params++];
        snprintf(inner, sizeof inner, "%s within call %d", f->chain[k], t->calls);
        previous = one->out[0] = f->chain[k + 1] ? variable(t, inner) : c->out[0];
        if (previous < 0) return false;
    }
    return true;
}

static bool read_call(hkd_trace *t, hkd_traced_call *c, json_t *o) {
    const char *op = NULL;
    json_t *params = NULL, *in = NULL, *out = NULL;
    if (json_unpack(o, "{s:s, s:o, s:o, s:o}", "op", &op, "params", &params, "in", &in, "out", &out)) return false;
    c->op = find_fused(op) ? find_fused(op)->row : hkd_find_op(op);
    if (!c->op || !json_is_array(params) || (int)json_array_size(params) != hkd_op_params(c->op)) return false;
    for (int i = 0; i < hkd_op_params(c->op); i++) {
        if (!json_is_number(json_array_get(params, (size_t)i))) return false;
        c->p[i] = json_number_value(json_array_get(params, (size_t)i));
    }
    return read_names(t, c->in, in, hkd_op_inputs(c->op)) && read_names(t, c->out, out, hkd_op_outputs(c->op));
}

/* A result has one call that makes it. */
static bool made_once(const hkd_trace *t) {
    bool *made = calloc((size_t)t->vars + 1, sizeof *made), good = made != NULL;
    for (int c = 0; good && c < t->calls; c++)
        for (int i = 0; good && i < hkd_op_outputs(t->call[c].op); i++) {
            const int v = t->call[c].out[i];
            good = v < 0 || !made[v];
            if (v >= 0) made[v] = true;
        }
    free(made);
    return good;
}

static hkd_status read_calls(hkd_trace *t, const hkd_safetensors *st, const char *path) {
    const char *text = hkd_safetensors_metadata(st, "hkd.calls");
    json_t *calls = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    t->call = json_is_array(calls) ? calloc(MOST_IN_CHAIN * json_array_size(calls) + 1, sizeof *t->call) : NULL;
    bool good = t->call != NULL;
    for (size_t i = 0; good && i < json_array_size(calls); i++) {
        hkd_traced_call c;
        good = read_call(t, &c, json_array_get(calls, i));
        const hkd_fused *f = good ? find_fused(c.op->name) : NULL;
        if (f) good = add_chain(t, &c, f);
        else if (good) t->call[t->calls++] = c;
    }
    json_decref(calls);
    return good && made_once(t) ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: not a trace (hkd.calls is missing or malformed)", path);
}

static hkd_status read_values(hkd_trace *t, const hkd_safetensors *st) {
    hkd_status status = HKD_OK;
    for (int v = 0; !status && v < t->vars; v++) {
        hkd_traced *var = &t->var[v];
        const hkd_safetensor *s = hkd_safetensors_find(st, var->name);
        hkd_shape shape;
        if (!s) continue;
        status = hkd_safetensors_shape(&shape, st, s);
        if (!status && var->value && !hkd_same_shape(&shape, &var->shape))
            status = hkd_fail(HKD_BAD_FILE, "tensor '%s' has another shape than in the trace", var->name);
        if (!status && !var->value) var->value = calloc((size_t)hkd_count(&shape) + 1, sizeof *var->value);
        if (!status && !var->value) status = hkd_fail(HKD_RESOURCES, "out of memory for the trace");
        if (!status) status = hkd_safetensors_read(st, s, var->value, HKD_F64);
        var->shape = shape;
    }
    return status;
}

hkd_status hkd_trace_load(hkd_trace *out, const char *path) {
    *out = (hkd_trace){.vars = 0};
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = read_calls(out, st, path);
    if (!status) status = read_values(out, st);
    hkd_safetensors_close(st);
    if (status) hkd_trace_free(out);
    return status;
}

hkd_status hkd_trace_values(hkd_trace *t, const char *path) {
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    for (int c = 0; c < t->calls; c++)
        for (int i = 0; i < hkd_op_outputs(t->call[c].op); i++) {
            hkd_traced *var = t->call[c].out[i] < 0 ? NULL : &t->var[t->call[c].out[i]];
            if (!var || hkd_safetensors_find(st, var->name)) continue;
            free(var->value);
            var->value = NULL;
        }
    status = read_values(t, st);
    hkd_safetensors_close(st);
    return status;
}

void hkd_trace_free(hkd_trace *t) {
    for (int v = 0; v < t->vars; v++) free(t->var[v].name), free(t->var[v].value);
    free(t->var);
    free(t->call);
    *t = (hkd_trace){.vars = 0};
}
