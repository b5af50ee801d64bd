/* Composite vectors: every tensor of small networks on the reference, with weights and inputs made of integers. Each is a
 * trace (trace.h) in DIR/networks/NAME.safetensors; gradients are called grad.NAME. */
#include "networks.h"

#include "fill.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESOLUTION = 8, WIDTH = 4, N = 2 };

typedef enum { WHOLE, BLOCK, STEP, SAMPLES } composite_kind;

typedef struct {
    const char *name;
    composite_kind kind;
    hkd_arch arch;
    bool is_hkd, labels, backward;
    int64_t n;
    const char *sigma, *dt; /* fillings; dt NULL: to the end */
    hkd_resample mode;      /* of a block */
    bool attention, widens;
} composite;

static const composite composites[] = {
    {"ddpmpp", WHOLE, HKD_ARCH_DDPMPP, .n = 2, .sigma = "list:0.5,20", .backward = true},
    {"ddpmpp_labels", WHOLE, HKD_ARCH_DDPMPP, .labels = true, .n = 2, .sigma = "list:0.1,3"},
    {"ncsnpp", WHOLE, HKD_ARCH_NCSNPP, .n = 2, .sigma = "list:0.5,20", .backward = true},
    {"hkd_one_step", WHOLE, HKD_ARCH_DDPMPP, .is_hkd = true, .n = 2, .sigma = "const:80"},
    {"hkd_trajectory", WHOLE, HKD_ARCH_DDPMPP, .is_hkd = true, .n = 3, .sigma = "const:80", .dt = "list:0,-0.5,-1"},
    {"block_plain", BLOCK, HKD_ARCH_DDPMPP, .mode = HKD_KEEP},
    {"block_wider", BLOCK, HKD_ARCH_DDPMPP, .mode = HKD_KEEP, .widens = true},
    {"block_down", BLOCK, HKD_ARCH_DDPMPP, .mode = HKD_DOWN},
    {"block_up", BLOCK, HKD_ARCH_DDPMPP, .mode = HKD_UP},
    {"block_attention", BLOCK, HKD_ARCH_DDPMPP, .mode = HKD_KEEP, .attention = true},
    {"block_ncsnpp_down", BLOCK, HKD_ARCH_NCSNPP, .mode = HKD_DOWN},
    {"block_ncsnpp_up", BLOCK, HKD_ARCH_NCSNPP, .mode = HKD_UP},
    {"hkd_training_step", STEP, HKD_ARCH_DDPMPP, .is_hkd = true},
    {"ddpmpp_heun", SAMPLES, HKD_ARCH_DDPMPP, .is_hkd = false},
};

const char *hkd_network_name(int index) {
    return index >= 0 && index < (int)(sizeof composites / sizeof *composites) ? composites[index].name : NULL;
}

bool hkd_network_trains(int index) { return composites[index].kind == STEP; }

/* Two levels with one block each. A step records every weight nine times: it and others with little to say stay narrow. */
static hkd_config config_of(const composite *k) {
    hkd_config c = hkd_config_default(k->arch);
    c.img_resolution = RESOLUTION;
    c.model_channels = WIDTH;
    c.levels = 2;
    c.channel_mult[0] = 1;
    c.channel_mult[1] = k->kind == WHOLE && !k->labels ? 2 : 1;
    c.num_blocks = 1;
    c.attn_count = 1;
    c.attn_resolutions[0] = RESOLUTION / 2;
    c.augment_dim = 0;
    c.label_dim = k->labels ? 3 : 0;
    c.is_hkd = k->is_hkd;
    return c;
}

/* ---- values ---- */

hkd_status hkd_network_fill(hkd_device *dev, const hkd_tensor *t, const char *how, const char *name, const char *tensor) {
    char stream[256];
    double *x = calloc((size_t)hkd_count(&t->shape) + 1, sizeof *x);
    snprintf(stream, sizeof stream, "networks/%s/%s", name, tensor);
    hkd_status status = x ? hkd_fill(x, hkd_count(&t->shape), how, stream) : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) status = dev->upload(dev, t, x, HKD_F64);
    free(x);
    return status;
}

/* Scales that keep activations near 1: 1/sqrt(fan in) for weights, near 1 for norms, some growth and rotation for operators. */
static void filling_of(char *out, size_t size, const char *name, const hkd_shape *s) {
    const bool norm = strstr(name, "norm") && strstr(name, "weight");
    int64_t fan = 1;
    for (int d = 1; d < s->rank; d++) fan *= s->dim[d];
    if (!strncmp(name, "koopman", 7)) snprintf(out, size, "normal:0.5");
    else if (norm) snprintf(out, size, "normal:0.1:1");
    else if (s->rank > 1) snprintf(out, size, "normal:%.9g", 1 / sqrt((double)fan));
    else snprintf(out, size, "normal:0.1");
}

hkd_status hkd_network_weights(hkd_weights *w, const char *name) {
    hkd_status status = HKD_OK;
    if (hkd_weights_total(w, false) > 15000)
        return hkd_fail(HKD_USAGE, "%s has %lld parameters, 15000 are the most", name, (long long)hkd_weights_total(w, false));
    for (int i = 0; !status && i < w->count; i++) {
        char how[64];
        filling_of(how, sizeof how, w->item[i].name, &w->item[i].value.shape);
        status = hkd_network_fill(w->dev, &w->item[i].value, how, name, w->item[i].name);
    }
    return status;
}

static hkd_status fill_input(hkd_device *dev, const hkd_tensor *t, const hkd_config *c, const composite *k, const char *name) {
    char how[64] = "normal";
    if (!strcmp(name, "sigma")) snprintf(how, sizeof how, "%s", k->sigma);
    if (!strcmp(name, "decoder_sigma")) snprintf(how, sizeof how, "const:%.9g", c->decoder_sigma);
    if (!strcmp(name, "dt")) snprintf(how, sizeof how, "%s", k->dt ? k->dt : "const:-1");
    if (!strcmp(name, "class_labels")) snprintf(how, sizeof how, "onehot:%d", c->label_dim);
    return hkd_network_fill(dev, t, how, k->name, name);
}

/* ---- programs ---- */

static hkd_program *record_block(const hkd_config *c, const composite *k) {
    hkd_net net = {.p = hkd_program_new(), .config = c};
    if (!net.p) return NULL;
    const int64_t side = k->mode == HKD_DOWN ? RESOLUTION : RESOLUTION / 2, channels = k->widens ? 2 * WIDTH : WIDTH;
    const hkd_var x = hkd_input(net.p, "x", hkd_shape_of(4, (int64_t)N, (int64_t)WIDTH, side, side));
    const hkd_var emb = hkd_input(net.p, "emb", hkd_shape_of(2, (int64_t)N, (int64_t)4 * WIDTH));
    hkd_want_grad(net.p, emb);
    hkd_output(net.p, hkd_layer_block(&net, x, emb, "block", channels, k->mode, k->attention), "y");
    return net.p;
}

/* The program's output and, in `seed`, the variable whose upstream gradient starts the backward pass. */
static hkd_program *record(const hkd_config *c, const composite *k, hkd_var *seed) {
    hkd_program *p = k->kind == BLOCK ? record_block(c, k)
                                      : hkd_model_program(c, &(hkd_model_options){.run = HKD_RUN_WHOLE, .n = k->n});
    if (!p || (k->kind == WHOLE && !k->backward)) return p;
    *seed = hkd_find_var(p, k->kind == BLOCK ? "y" : "d");
    hkd_want_grad(p, hkd_find_var(p, "x"));
    hkd_seed(p, *seed);
    return p;
}

static hkd_status record_gradients(hkd_recording *out, const hkd_program *p, const hkd_plan *plan, const hkd_weights *w) {
    char name[96];
    hkd_status status = HKD_OK;
    for (int v = 0; !status && v < p->n_vars; v++) {
        if (p->var[v].kind != HKD_VAR_INPUT || !hkd_plan_grad(plan, v)) continue;
        snprintf(name, sizeof name, "grad.%s", p->var[v].name);
        status = hkd_record_tensor(out, name, false, w->dev, hkd_plan_grad(plan, v));
    }
    for (int i = 0; !status && i < w->count; i++) {
        if (!w->item[i].trained) continue;
        snprintf(name, sizeof name, "grad.%.80s", w->item[i].name);
        status = hkd_record_tensor(out, name, false, w->dev, &w->item[i].grad);
    }
    return status;
}

static hkd_status run_backward(hkd_recording *out, const composite *k, const hkd_program *p, hkd_plan *plan, hkd_weights *w,
                               hkd_var seed) {
    char name[96];
    const hkd_tensor *up = hkd_plan_grad(plan, seed);
    snprintf(name, sizeof name, "grad_%s", p->var[seed].name);
    hkd_status status = hkd_network_fill(w->dev, up, "normal", k->name, name);
    if (!status) status = hkd_record_tensor(out, name, true, w->dev, up);
    if (!status) status = hkd_weights_zero_grad(w);
    if (!status) status = hkd_plan_backward(plan);
    if (!status) status = hkd_weights_collect_grad(w);
    return status ? status : record_gradients(out, p, plan, w);
}

static hkd_status run_program(hkd_recording *out, const hkd_config *c, const composite *k, hkd_device *dev) {
    hkd_var seed = HKD_NO_VAR;
    hkd_program *p = record(c, k, &seed);
    hkd_weights *w = NULL;
    hkd_plan *plan = NULL;
    hkd_status status = p ? hkd_program_status(p) : hkd_fail(HKD_RESOURCES, "out of memory for a network");
    if (!status && !dev->supports(dev, p->call[p->n_calls - 1].op, true)) seed = HKD_NO_VAR;
    if (!status) status = hkd_weights_new(&w, p, dev);
    if (!status) status = hkd_network_weights(w, k->name);
    if (!status && seed != HKD_NO_VAR) status = hkd_weights_need_grad(w);
    if (!status) status = hkd_plan_new(&plan, p, w, &(hkd_plan_options){.trace = true, .backward = seed != HKD_NO_VAR});
    for (int v = 0; !status && v < p->n_vars; v++) {
        const hkd_tensor *t = p->var[v].kind == HKD_VAR_INPUT ? hkd_plan_tensor(plan, v) : NULL;
        if (t) status = fill_input(dev, t, c, k, p->var[v].name);
    }
    if (!status) status = hkd_plan_forward(plan);
    if (!status) status = hkd_record_program(out, p, plan, w->dev);
    if (!status && seed != HKD_NO_VAR) status = run_backward(out, k, p, plan, w, seed);
    hkd_plan_free(plan);
    hkd_weights_free(w);
    hkd_program_free(p);
    return status;
}

/* ---- all ---- */

hkd_status hkd_network_draw(hkd_recording *out, int index, int draw, hkd_device *dev) {
    composite k = composites[index];
    const hkd_config c = config_of(&k);
    char name[64]; /* of the streams of numbers */
    if (draw) snprintf(name, sizeof name, "%s draw %d", composites[index].name, draw), k.name = name;
    *out = (hkd_recording){.count = 0};
    hkd_status status = hkd_config_check(&c);
    if (!status) status = k.kind == STEP      ? hkd_network_step(out, &c, k.name, dev)
                          : k.kind == SAMPLES ? hkd_network_samples(out, &c, k.name, dev)
                                              : run_program(out, &c, &k, dev);
    if (status) hkd_recording_free(out);
    return status;
}

hkd_status hkd_network_run(hkd_recording *out, int index, hkd_device *dev) { return hkd_network_draw(out, index, 0, dev); }
