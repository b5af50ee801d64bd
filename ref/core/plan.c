#include "plan.h"

#include "fused.h"
#include "layout.h"
#include "order.h"
#include "remake.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The value, the gradient or the value made again of one variable: how long it lives and where. */
typedef struct {
    bool exists;
    int first, last; /* steps, inclusive */
    int host;        /* the cell whose memory it uses: itself, or that of an input it overwrites */
    int buffer;
    int uses;        /* gradients of weights: how many steps deliver so far */
    hkd_tensor tensor;
} cell;

/* On the way back: a call's gradient, or a call once more for a gradient that reads its result. */
typedef enum { FORWARD, AGAIN, BACKWARD } way;

typedef struct {
    int call;
    way way;
    hkd_call on_device;
    bool *none_yet[HKD_MAX_IN]; /* of a weight whose gradient collects here: it is written instead of added to */
} step;

struct hkd_plan {
    hkd_program fused;          /* what runs: calls of its own, variables of the program */
    const hkd_program *program; /* &fused */
    hkd_weights *weights;
    hkd_device *dev;
    hkd_plan_options options;
    int n_steps, n_pieces, n_buffers;
    step *steps;
    bool *again; /* by variable: not kept for the way back, but made again there */
    cell *cells; /* values of all variables, then their gradients, then values made again */
    hkd_buffer **buffers; /* the pieces of memory, then their parts */
    size_t *piece_bytes;
};

static cell *value_of(const hkd_plan *plan, hkd_var v) { return &plan->cells[v]; }
static cell *grad_of(const hkd_plan *plan, hkd_var v) { return &plan->cells[plan->program->n_vars + v]; }
static cell *again_of(const hkd_plan *plan, hkd_var v) { return &plan->cells[2 * plan->program->n_vars + v]; }
static int count_cells(const hkd_plan *plan) { return 3 * plan->program->n_vars; }
static int last_step(const hkd_plan *plan) { return 3 * plan->program->n_calls; }

/* The value that a step of this way reads. */
static cell *read_by(const hkd_plan *plan, way how, hkd_var v) {
    return how != FORWARD && again_of(plan, v)->exists ? again_of(plan, v) : value_of(plan, v);
}

static void reach(cell *c, int when) {
    if (when < c->first) c->first = when;
    if (when > c->last) c->last = when;
}

static bool wants(const hkd_op *op, int input, const bool *needed, hkd_var v) {
    return v != HKD_NO_VAR && needed[v] && !(op->no_grad >> input & 1);
}

/* ---- which gradients flow ---- */

/* needed[v]: something that wants a gradient lies at or before v. */
static void find_needed(const hkd_plan *plan, bool *needed) {
    const hkd_program *p = plan->program;
    for (int v = 0; v < p->n_vars; v++) needed[v] = p->var[v].want_grad && p->var[v].kind != HKD_VAR_RESULT;
    for (int c = 0; c < p->n_calls; c++)
        for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++)
            if (wants(p->call[c].op, i, needed, p->call[c].in[i])) needed[p->call[c].out[0]] = true;
}

/* Before v is read on the way back: the steps that make it, where it is not kept. */
static void make_again(hkd_plan *plan, hkd_var v) {
    const hkd_program *p = plan->program;
    if (v == HKD_NO_VAR || !plan->again[v] || again_of(plan, v)->exists) return;
    int c = 0;
    while (p->call[c].out[0] != v) c++;
    for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++) make_again(plan, p->call[c].in[i]);
    const int when = plan->n_steps;
    plan->steps[plan->n_steps++] = (step){.call = c, .way = AGAIN};
    *again_of(plan, v) = (cell){.exists = true, .first = when, .last = when};
    for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++)
        if (p->call[c].in[i] != HKD_NO_VAR) reach(read_by(plan, AGAIN, p->call[c].in[i]), when);
}

static bool reads(const hkd_op *op, int input) { return op->reads_in >> input & 1; }

/* Append the backward step of one call: where its gradients go, and who is first. */
static hkd_status add_backward(hkd_plan *plan, int index, const bool *needed) {
    const hkd_program_call *call = &plan->program->call[index];
    if (!grad_of(plan, call->out[0])->exists || !needed[call->out[0]]) return HKD_OK;
    if (!call->op->backward && !plan->dev->supports(plan->dev, call->op, true)) /* fused rows are the device's alone */
        return hkd_fail(HKD_USAGE, "%s has no gradient, but one is wanted through it", call->op->name);
    for (int i = 0; i < hkd_op_inputs(call->op); i++)
        if (reads(call->op, i)) make_again(plan, call->in[i]);
    if (call->op->reads_out & 1) make_again(plan, call->out[0]);
    const int when = plan->n_steps;
    step *s = &plan->steps[plan->n_steps++];
    *s = (step){.call = index, .way = BACKWARD};
    reach(grad_of(plan, call->out[0]), when);
    for (int i = 0; i < hkd_op_inputs(call->op); i++) {
        const hkd_var v = call->in[i];
        if (v == HKD_NO_VAR) continue;
        if (reads(call->op, i)) reach(read_by(plan, BACKWARD, v), when);
        if (!wants(call->op, i, needed, v)) continue;
        cell *g = grad_of(plan, v);
        s->on_device.accumulate[i] = g->exists || plan->program->var[v].kind == HKD_VAR_WEIGHT;
        if (!g->exists) g->first = g->last = when;
        g->exists = true;
        reach(g, when);
    }
    if (call->op->reads_out & 1) reach(read_by(plan, BACKWARD, call->out[0]), when);
    return HKD_OK;
}

static hkd_status add_steps(hkd_plan *plan) {
    const hkd_program *p = plan->program;
    const int end = last_step(plan);
    for (int v = 0; v < p->n_vars; v++) {
        *value_of(plan, v) = (cell){.exists = p->var[v].kind != HKD_VAR_RESULT, .first = end, .last = 0};
        if (p->var[v].kind == HKD_VAR_INPUT) value_of(plan, v)->first = 0, value_of(plan, v)->last = end;
        if (p->var[v].keep) value_of(plan, v)->last = end;
        if (p->var[v].seed) *grad_of(plan, v) = (cell){.exists = true, .first = 0, .last = end};
    }
    for (int c = 0; c < p->n_calls; c++) {
        plan->steps[plan->n_steps++] = (step){.call = c};
        value_of(plan, p->call[c].out[0])->exists = true;
        reach(value_of(plan, p->call[c].out[0]), c);
        for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++)
            if (p->call[c].in[i] != HKD_NO_VAR) reach(value_of(plan, p->call[c].in[i]), c);
    }
    if (!plan->options.backward) return HKD_OK;
    bool *needed = calloc((size_t)p->n_vars + 1, sizeof *needed);
    if (!needed) return hkd_fail(HKD_RESOURCES, "out of memory while planning");
    find_needed(plan, needed);
    hkd_status status = plan->options.trace ? HKD_OK : hkd_choose_remade(plan->again, p, needed);
    for (int c = p->n_calls - 1; c >= 0 && !status; c--) status = add_backward(plan, c, needed);
    for (int v = 0; v < p->n_vars; v++)
        if (p->var[v].kind == HKD_VAR_INPUT && grad_of(plan, v)->exists) grad_of(plan, v)->last = end;
    free(needed);
    return status;
}

/* ---- who shares memory with whom ---- */

/* A result may overwrite an input whose last reader is this very step. */
static void share_in_place(hkd_plan *plan) {
    const hkd_program *p = plan->program;
    for (int i = 0; i < count_cells(plan); i++) plan->cells[i].host = i;
    for (int k = 0; k < plan->n_steps && !plan->options.trace; k++) {
        const step *s = &plan->steps[k];
        const hkd_program_call *call = &p->call[s->call];
        const hkd_var in = call->in[0], out = call->out[0];
        if (s->way == BACKWARD || !(call->op->in_place & 1) || in == HKD_NO_VAR || p->var[in].kind != HKD_VAR_RESULT) continue;
        const cell *from = read_by(plan, s->way, in);
        cell *to = s->way == AGAIN ? again_of(plan, out) : value_of(plan, out);
        if (from->last != k || p->var[in].keep || !hkd_same_shape(&p->var[in].shape, &p->var[out].shape)) continue;
        to->host = from->host;
        reach(&plan->cells[from->host], to->last);
    }
}

static size_t cell_bytes(const hkd_plan *plan, int i) {
    return plan->dev->bytes(plan->dev, &plan->program->var[i % plan->program->n_vars].shape, HKD_ACTIVATION);
}

static bool needs_memory(const hkd_plan *plan, int i) {
    const bool weight = plan->program->var[i % plan->program->n_vars].kind == HKD_VAR_WEIGHT;
    return plan->cells[i].exists && plan->cells[i].host == i && !weight;
}

/* One piece of memory and its parts, or pieces that cells share. Dry: a token, so that devices see which tensors are there. */
static hkd_status allocate(hkd_plan *plan, const hkd_life *life, int count) {
    hkd_device *dev = plan->dev;
    const bool dry = plan->options.dry;
    hkd_status status = HKD_OK;
    for (int i = 0; i < plan->n_pieces && !status; i++)
        status = dev->alloc(dev, &plan->buffers[plan->n_buffers++], dry ? 1 : plan->piece_bytes[i], HKD_ACTIVATION);
    for (int i = 0; i < count && dev->slice && !status; i++)
        status = dev->slice(dev, &plan->buffers[plan->n_buffers++], plan->buffers[0], dry ? 0 : life[i].at, life[i].bytes);
    return status;
}

static hkd_status share_memory(hkd_plan *plan) {
    enum { LINE = 64 };
    const int most = count_cells(plan);
    int count = 0;
    hkd_life *life = calloc((size_t)most + 1, sizeof *life);
    plan->buffers = calloc((size_t)most + 2, sizeof *plan->buffers);
    plan->piece_bytes = calloc((size_t)most + 1, sizeof *plan->piece_bytes);
    if (!life || !plan->buffers || !plan->piece_bytes) {
        free(life);
        return hkd_fail(HKD_RESOURCES, "out of memory while planning");
    }
    for (int i = 0; i < most; i++) {
        cell *c = &plan->cells[i];
        if (!needs_memory(plan, i)) continue;
        c->buffer = count;
        life[count++] = plan->options.trace ? (hkd_life){cell_bytes(plan, i), 0, last_step(plan), 0}
                                            : (hkd_life){cell_bytes(plan, i), c->first, c->last, 0};
    }
    if (plan->dev->slice) {
        for (int i = 0; i < count; i++) life[i].bytes = (life[i].bytes + LINE - 1) / LINE * LINE;
        plan->piece_bytes[0] = hkd_layout_offsets(life, count);
        plan->n_pieces = 1;
    } else {
        plan->n_pieces = hkd_layout_pieces(life, count, plan->piece_bytes);
    }
    for (int i = 0; i < most; i++)
        if (needs_memory(plan, i))
            plan->cells[i].buffer = plan->dev->slice ? 1 + plan->cells[i].buffer : (int)life[plan->cells[i].buffer].at;
    const hkd_status status = allocate(plan, life, count);
    free(life);
    return status;
}

/* ---- tensors of the steps ---- */

static hkd_status place_cells(hkd_plan *plan) {
    const hkd_program *p = plan->program;
    for (int i = 0; i < count_cells(plan); i++) {
        const hkd_program_var *var = &p->var[i % p->n_vars];
        cell *c = &plan->cells[i];
        c->tensor.shape = var->shape;
        if (!c->exists) continue;
        if (var->kind != HKD_VAR_WEIGHT) {
            c->tensor.buffer = plan->buffers[plan->cells[c->host].buffer];
            continue;
        }
        const hkd_weight *w = hkd_weights_find(plan->weights, var->name);
        if (!w || !hkd_same_shape(&w->value.shape, &var->shape))
            return hkd_fail(HKD_USAGE, "the network asks for a weight '%s' that the model lacks or has in another shape",
                            var->name);
        c->tensor = i < p->n_vars ? w->value : w->grad;
        if (!c->tensor.buffer && plan->options.dry) c->tensor.buffer = w->value.buffer;
        if (!c->tensor.buffer) return hkd_fail(HKD_USAGE, "no room for the gradient of '%s' was made", var->name);
    }
    return HKD_OK;
}

/* Where a backward step's gradient of input i goes; a weight's second use and those after it have a place of their own. */
static hkd_status gradient_place(hkd_plan *plan, step *s, int i, hkd_var v) {
    cell *g = grad_of(plan, v);
    s->on_device.grad[i] = g->tensor;
    if (plan->program->var[v].kind != HKD_VAR_WEIGHT) return HKD_OK;
    hkd_weight *w = hkd_weights_find(plan->weights, plan->program->var[v].name);
    if (!g->uses) s->none_yet[i] = &w->no_grad_yet;
    return hkd_weights_grad_of_use(&s->on_device.grad[i], plan->weights, w, g->uses++);
}

static hkd_status fill_step(hkd_plan *plan, step *s) {
    const hkd_program_call *call = &plan->program->call[s->call];
    s->on_device.op = call->op;
    memcpy(s->on_device.p, call->p, sizeof call->p);
    for (int i = 0; i < hkd_op_inputs(call->op); i++) {
        if (call->in[i] == HKD_NO_VAR) continue;
        s->on_device.in[i] = read_by(plan, s->way, call->in[i])->tensor;
        if (s->way != BACKWARD || !grad_of(plan, call->in[i])->exists || (call->op->no_grad >> i & 1)) continue;
        const hkd_status status = gradient_place(plan, s, i, call->in[i]);
        if (status) return status;
    }
    s->on_device.out[0] = read_by(plan, s->way, call->out[0])->tensor;
    if (s->way == BACKWARD) s->on_device.up[0] = grad_of(plan, call->out[0])->tensor;
    return HKD_OK;
}

hkd_status hkd_plan_new(hkd_plan **out, const hkd_program *p, hkd_weights *weights, const hkd_plan_options *options) {
    *out = NULL;
    if (p->status) return p->status;
    hkd_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return hkd_fail(HKD_RESOURCES, "out of memory while planning");
    plan->program = &plan->fused;
    plan->weights = weights;
    plan->dev = weights->dev;
    plan->options = *options;
    plan->steps = calloc(3 * (size_t)p->n_calls + 1, sizeof *plan->steps);
    plan->cells = calloc(3 * (size_t)p->n_vars + 1, sizeof *plan->cells);
    plan->again = calloc((size_t)p->n_vars + 1, sizeof *plan->again);
    const bool fuse = !options->unfused && (!options->trace || options->as_run);
    hkd_status status = hkd_fuse(&plan->fused, p, fuse ? plan->dev : NULL, options->backward);
    if (!status && !options->trace && !options->backward) hkd_order_calls(&plan->fused);
    if (!plan->steps || !plan->cells || !plan->again) status = hkd_fail(HKD_RESOURCES, "out of memory while planning");
    if (!status) status = add_steps(plan);
    if (!status) share_in_place(plan);
    if (!status) status = share_memory(plan);
    if (!status) status = place_cells(plan);
    for (int i = 0; i < plan->n_steps && !status; i++) status = fill_step(plan, &plan->steps[i]);
    if (status) {
        hkd_plan_free(plan);
        return status;
    }
    *out = plan;
    return HKD_OK;
}

void hkd_plan_free(hkd_plan *plan) {
    if (!plan) return;
    while (plan->n_buffers) plan->dev->release(plan->dev, plan->buffers[--plan->n_buffers]);
    free(plan->buffers);
    free(plan->piece_bytes);
    free(plan->steps);
    free(plan->cells);
    free(plan->again);
    free(plan->fused.call);
    free(plan);
}

const hkd_tensor *hkd_plan_tensor(const hkd_plan *plan, hkd_var v) {
    if (v < 0) return NULL;
    const hkd_program_var *var = &plan->program->var[v];
    const bool outlives = var->keep || var->kind != HKD_VAR_RESULT || plan->options.trace;
    return outlives && value_of(plan, v)->exists ? &value_of(plan, v)->tensor : NULL;
}

const hkd_tensor *hkd_plan_grad(const hkd_plan *plan, hkd_var v) {
    if (v < 0 || !grad_of(plan, v)->exists) return NULL;
    const hkd_program_var *var = &plan->program->var[v];
    return var->seed || var->kind != HKD_VAR_RESULT || plan->options.trace ? &grad_of(plan, v)->tensor : NULL;
}

const hkd_tensor *hkd_plan_named(const hkd_plan *plan, const char *name) {
    return hkd_plan_tensor(plan, hkd_find_var(plan->program, name));
}

const hkd_program *hkd_plan_program(const hkd_plan *plan) { return plan->program; }

hkd_status hkd_plan_set(hkd_plan *plan, const char *op_name, const char *param, double value) {
    const hkd_op *op = hkd_find_op(op_name);
    const int index = op ? hkd_op_param_index(op, param) : -1;
    if (index < 0) return hkd_fail(HKD_USAGE, "no operator '%s' with a parameter '%s'", op_name, param);
    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].on_device.op == op) plan->steps[i].on_device.p[index] = value;
    return HKD_OK;
}

static hkd_status run_step(hkd_plan *plan, step *s) {
    for (int i = 0; i < HKD_MAX_IN; i++) {
        if (!s->none_yet[i]) continue;
        s->on_device.accumulate[i] = !*s->none_yet[i];
        *s->none_yet[i] = false;
    }
    return (s->way == BACKWARD ? hkd_device_backward : hkd_device_forward)(plan->dev, &s->on_device);
}

static hkd_status run(hkd_plan *plan, bool backward) {
    if (plan->options.dry) return hkd_fail(HKD_USAGE, "a dry plan has no memory to run in");
    for (int i = 0; i < plan->n_steps; i++) {
        if ((plan->steps[i].way != FORWARD) != backward) continue;
        const hkd_status status = run_step(plan, &plan->steps[i]);
        if (status) return status;
    }
    return HKD_OK;
}

hkd_status hkd_plan_forward(hkd_plan *plan) { return run(plan, false); }
hkd_status hkd_plan_backward(hkd_plan *plan) { return run(plan, true); }

hkd_status hkd_plan_freeze(hkd_plan *plan, const hkd_weight *only) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < plan->n_steps && plan->dev->freeze && !status; i++) {
        const hkd_call *call = &plan->steps[i].on_device;
        bool wanted = !only;
        for (int k = 0; k < HKD_MAX_IN && only; k++) wanted = wanted || call->in[k].buffer == only->value.buffer;
        if (wanted && plan->steps[i].way == FORWARD) status = plan->dev->freeze(plan->dev, call);
    }
    return status;
}

/* ---- diagnosis ---- */

static hkd_status all_finite(hkd_plan *plan, const hkd_tensor *t, bool *finite) {
    const int64_t n = hkd_count(&t->shape);
    double *data = malloc((size_t)n * sizeof *data + 1);
    if (!data) return hkd_fail(HKD_RESOURCES, "out of memory while looking for a value that is not finite");
    const hkd_status status = plan->dev->download(plan->dev, data, HKD_F64, t);
    for (int64_t i = 0; i < n && !status; i++) *finite = *finite && isfinite(data[i]);
    free(data);
    return status;
}

/* The name of a call's result; without one, of the first weight that it reads. */
static const char *place_of(const hkd_program *p, const hkd_program_call *call) {
    const char *name = p->var[call->out[0]].name;
    for (int i = 0; !*name && i < hkd_op_inputs(call->op); i++)
        if (call->in[i] != HKD_NO_VAR && p->var[call->in[i]].kind == HKD_VAR_WEIGHT) name = p->var[call->in[i]].name;
    return name;
}

hkd_status hkd_plan_find_nonfinite(hkd_plan *plan, const char **op, const char **name) {
    *op = NULL;
    for (int i = 0; i < plan->n_steps; i++) {
        step *s = &plan->steps[i];
        bool finite = true;
        hkd_status status = run_step(plan, s);
        if (!status && s->way != BACKWARD) status = all_finite(plan, &s->on_device.out[0], &finite);
        for (int k = 0; k < HKD_MAX_IN && s->way == BACKWARD && !status; k++)
            if (s->on_device.grad[k].buffer) status = all_finite(plan, &s->on_device.grad[k], &finite);
        if (status) return status;
        if (finite) continue;
        *op = s->on_device.op->name;
        *name = place_of(plan->program, &plan->program->call[s->call]);
        return HKD_OK;
    }
    return HKD_OK;
}

size_t hkd_plan_bytes(const hkd_plan *plan) {
    size_t total = 0;
    for (int i = 0; i < plan->n_pieces; i++) total += plan->piece_bytes[i];
    return total;
}

/* Each part as large as any step needs it. */
static void workspace_parts(const hkd_plan *plan, size_t most[HKD_WORKSPACES]) {
    for (int i = 0; i < plan->n_steps; i++) {
        size_t need[HKD_WORKSPACES] = {0};
        plan->dev->workspace(plan->dev, &plan->steps[i].on_device, plan->steps[i].way == BACKWARD, need);
        for (int k = 0; k < HKD_WORKSPACES; k++)
            if (need[k] > most[k]) most[k] = need[k];
    }
}

size_t hkd_plan_workspace(const hkd_plan *plan) {
    size_t part[HKD_WORKSPACES] = {0}, total = 0;
    workspace_parts(plan, part);
    for (int k = 0; k < HKD_WORKSPACES; k++) total += part[k];
    return total;
}

size_t hkd_plan_largest(const hkd_plan *plan) {
    size_t part[HKD_WORKSPACES] = {0}, largest = 0;
    workspace_parts(plan, part);
    for (int k = 0; k < HKD_WORKSPACES; k++)
        if (part[k] > largest) largest = part[k];
    for (int i = 0; i < plan->n_pieces; i++)
        if (plan->piece_bytes[i] > largest) largest = plan->piece_bytes[i];
    return largest;
}
