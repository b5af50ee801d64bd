#include "fused.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

/* ---- the rows ---- */

extern const hkd_op hkd_op_conv2d, hkd_op_group_norm, hkd_op_adam;

static const char *norm_shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    return hkd_op_group_norm.shape(out, in, p);
}

enum { EXTRA = 3 }; /* after x, w and b of a convolution */

static const char *channel_shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const char *wrong = hkd_op_conv2d.shape(out, in, p);
    const hkd_shape *v = &in[EXTRA];
    const bool fits = v->rank == 2 && v->dim[0] == out->dim[0] && v->dim[1] == out->dim[1];
    return !wrong && !fits ? "v must be [n, channels of y]" : wrong;
}

static const char *residual_shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const char *wrong = hkd_op_conv2d.shape(out, in, p);
    return !wrong && !hkd_same_shape(&in[EXTRA], out) ? "r must have the shape of y" : wrong;
}

const hkd_op hkd_op_group_norm_silu = {
    .name = "group_norm+silu",
    .formula = "y = silu(group_norm(x))",
    .in = {"x", "gamma", "beta"},
    .out = {"y"},
    .param = {{"groups", 'i', 32}, {"eps", 'r', 1e-6}},
    .reads_in = 7, /* the normalised x is made again, not kept */
    .weights = 6,
    .in_place = 1,
    .cheap = true,
    .shape = norm_shape,
};

const hkd_op hkd_op_conv2d_add_channel = {
    .name = "conv2d+add_channel",
    .formula = "y = conv2d(x, w, b) + v, v constant over the pixels of a channel of an image",
    .in = {"x", "w", "?b", "v"},
    .out = {"y"},
    .param = {{"stride", 'i', 1}, {"pad_h", 'i', 0}, {"pad_w", 'i', 0}, {"groups", 'i', 1}},
    .reads_in = 3,
    .weights = 6,
    .shape = channel_shape,
};

const hkd_op hkd_op_conv2d_add_scale = {
    .name = "conv2d+add+scale",
    .formula = "y = s (conv2d(x, w, b) + r)",
    .in = {"x", "w", "?b", "r"},
    .out = {"y"},
    .param = {{"stride", 'i', 1}, {"pad_h", 'i', 0}, {"pad_w", 'i', 0}, {"groups", 'i', 1}, {"s", 'r', 1}},
    .reads_in = 3,
    .weights = 6,
    .shape = residual_shape,
};

static const char *step_shape(hkd_shape *out, const hkd_shape *in, const double *p) {
    const char *wrong = hkd_op_adam.shape(out, in, p);
    out[3] = in[4];
    return !wrong && !hkd_same_shape(&in[0], &in[4]) ? "the average must have the shape of p" : wrong;
}

#define STEP_AND_AVERAGE(step) \
    {.name = #step "+ema", \
     .formula = "p, m, v by " #step "; then e' = decay e + (1 - decay) p'", \
     .in = {"p", "m", "v", "g", "e"}, \
     .out = {"p_new", "m_new", "v_new", "e_new"}, \
     .param = {{"lr", 'r', 1e-3}, {"beta1", 'r', 0.9}, {"beta2", 'r', 0.999}, {"eps", 'r', 1e-8}, {"weight_decay", 'r', 0}, \
               {"decoupled", 'i', 0}, {"t", 'i', 1}, {"decay", 'r', 0.9999}}, \
     .no_grad = 31, \
     .shape = step_shape}

const hkd_op hkd_op_adam_ema = STEP_AND_AVERAGE(adam);
const hkd_op hkd_op_radam_ema = STEP_AND_AVERAGE(radam);

const hkd_fused hkd_fused_table[] = {
    {&hkd_op_group_norm_silu, {"group_norm", "silu"}},
    {&hkd_op_conv2d_add_channel, {"conv2d", "add_channel"}},
    {&hkd_op_conv2d_add_scale, {"conv2d", "add", "scale"}},
    {NULL, {NULL}},
};

/* ---- replacing chains ---- */

/* The only call that reads the inner result v, as its first input; -1: there is none such, or v is asked for. */
static int only_reader(const hkd_program *p, hkd_var v) {
    int reader = -1, reads = 0;
    for (int c = 0; c < p->n_calls; c++)
        for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++)
            if (p->call[c].in[i] == v) reader = c, reads += i ? 2 : 1;
    const hkd_program_var *var = &p->var[v];
    return reads == 1 && !var->keep && !var->seed && !var->want_grad ? reader : -1;
}

/* The chain of `f` that starts with call c: fills `one`, marks the calls it replaces, returns the last; -1: no such chain. */
static int match(hkd_program_call *one, bool *gone, const hkd_program *p, const hkd_fused *f, int c) {
    int at[4] = {c}, count = 1, inputs = hkd_op_inputs(p->call[c].op), params = hkd_op_params(p->call[c].op);
    if (strcmp(p->call[c].op->name, f->chain[0]) != 0) return -1;
    *one = p->call[c];
    one->op = f->row;
    for (; f->chain[count]; count++) {
        const int next = only_reader(p, p->call[at[count - 1]].out[0]);
        if (next < 0 || strcmp(p->call[next].op->name, f->chain[count]) != 0) return -1;
        const hkd_program_call *call = &p->call[next];
        for (int i = 1; i < hkd_op_inputs(call->op); i++) one->in[inputs++] = call->in[i];
        for (int i = 0; i < hkd_op_params(call->op); i++) one->p[params++] = call->p[i];
        one->out[0] = call->out[0];
        at[count] = next;
    }
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
    for (int i = 0; i < inputs; i++) in[i] = one->in[i] == HKD_NO_VAR ? HKD_ABSENT : p->var[one->in[i]].shape;
    if (f->row->shape(out, in, one->p)) return -1;
    for (int i = 0; i < count; i++) gone[at[i]] = true;
    return at[count - 1];
}

hkd_status hkd_fuse(hkd_program *out, const hkd_program *p, const hkd_device *dev, bool backward) {
    *out = *p;
    out->call = calloc((size_t)p->n_calls + 1, sizeof *out->call);
    bool *gone = calloc((size_t)p->n_calls + 1, sizeof *gone);
    out->n_calls = 0;
    if (!out->call || !gone) {
        free(gone);
        return hkd_fail(HKD_RESOURCES, "out of memory while planning");
    }
    /* The fused call takes the place of the chain's last: by then all its inputs are there. */
    for (int c = 0; c < p->n_calls; c++) out->call[c] = p->call[c];
    for (int c = 0; c < p->n_calls; c++)
        for (const hkd_fused *f = hkd_fused_table; f->row && !gone[c]; f++) {
            hkd_program_call one;
            if (!dev || !dev->supports(dev, f->row, false) || (backward && !dev->supports(dev, f->row, true))) continue;
            const int last = match(&one, gone, p, f, c);
            if (last < 0) continue;
            gone[last] = false;
            out->call[last] = one;
            break;
        }
    for (int c = 0; c < p->n_calls; c++)
        if (!gone[c]) out->call[out->n_calls++] = out->call[c];
    free(gone);
    return HKD_OK;
}
