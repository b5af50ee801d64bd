/* One training step as a vector: a trajectory's state at T and at two later times, each to be carried to its end. Recorded are
 * the batch, every tensor of the network, the loss of each sample, all gradients, and what Adam and the average make of them.
 * The state before the step is that of a run under way, not zeros: after a first step the update is lr times a sign. */
#include "networks.h"
#include "optimizer.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

enum { N = 3 };

static const double lr = 0.0625, ema_decay = 0.75;
static const int64_t steps_before = 9;
static const double levels[N] = {80, 4, 0.5}, weights_of_losses[N] = {1, 0.5, 0.5};

static hkd_program *record(const hkd_config *c) {
    hkd_net net = {.p = hkd_program_new(), .config = c, .training = true};
    if (!net.p) return NULL;
    const hkd_model_inputs in = hkd_model_record_inputs(&net, &(hkd_model_options){.run = HKD_RUN_WHOLE, .n = N});
    const hkd_var target = hkd_input(net.p, "target", *hkd_var_shape(net.p, in.x));
    hkd_var f;
    const hkd_var d = hkd_model_record(&net, &in, &f);
    const hkd_var loss = hkd_apply(net.p, "mse_loss", NULL, 2, d, target);
    hkd_output(net.p, loss, "loss");
    hkd_seed(net.p, loss);
    return net.p;
}

static hkd_status fill_inputs(const hkd_program *p, hkd_plan *plan, const hkd_config *c, const char *name, hkd_device *dev) {
    double dt[N], sigma[N];
    for (int i = 0; i < N; i++) dt[i] = (double)(float)hkd_dt_to_end(c, levels[i]), sigma[i] = c->decoder_sigma;
    const hkd_tensor *x = hkd_plan_named(plan, "x");
    hkd_status status = hkd_network_fill(dev, x, "normal:4", name, "x");
    if (!status) status = hkd_network_fill(dev, hkd_plan_named(plan, "target"), "uniform:-1:1", name, "target");
    if (!status) status = dev->upload(dev, hkd_plan_named(plan, "sigma"), levels, HKD_F64);
    if (!status) status = dev->upload(dev, hkd_plan_named(plan, "dt"), dt, HKD_F64);
    if (!status) status = dev->upload(dev, hkd_plan_named(plan, "decoder_sigma"), sigma, HKD_F64);
    if (!status) status = dev->upload(dev, hkd_plan_grad(plan, hkd_find_var(p, "loss")), weights_of_losses, HKD_F64);
    return status;
}

/* Every weight's state under PREFIX: m., v. and ema., and with `after` also the weight itself. */
static hkd_status record_state(hkd_recording *out, const hkd_optimizer *o, const char *prefix, bool after) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < o->weights->count; i++) {
        const struct {
            const char *what;
            const hkd_tensor *tensor;
        } state[] = {{"m", &o->m[i]}, {"v", &o->v[i]}, {"ema", &o->ema[i]}, {"p", &o->weights->item[i].value}};
        for (int k = 0; !status && k < (after ? 4 : 3); k++) {
            char name[96];
            snprintf(name, sizeof name, "%s%s.%.80s", prefix, state[k].what, o->weights->item[i].name);
            status = hkd_record_tensor(out, name, !after, o->weights->dev, state[k].tensor);
        }
    }
    return status;
}

static hkd_status fill_state(hkd_optimizer *o, const char *composite) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < o->weights->count; i++) {
        char name[96];
        snprintf(name, sizeof name, "m.%.80s", o->weights->item[i].name);
        status = hkd_network_fill(o->weights->dev, &o->m[i], "normal:0.1", composite, name);
        *name = 'v';
        if (!status) status = hkd_network_fill(o->weights->dev, &o->v[i], "uniform:0.01:0.1", composite, name);
    }
    o->steps = steps_before;
    return status;
}

static hkd_status record_gradients(hkd_recording *out, const hkd_weights *w) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < w->count; i++) {
        char name[96];
        snprintf(name, sizeof name, "grad.%.80s", w->item[i].name);
        status = hkd_record_tensor(out, name, false, w->dev, &w->item[i].grad);
    }
    return status;
}

static hkd_status step(hkd_recording *out, const hkd_program *p, hkd_plan *plan, hkd_optimizer *o) {
    hkd_weights *w = o->weights;
    hkd_status status = hkd_plan_forward(plan);
    if (!status) status = hkd_record_program(out, p, plan, w->dev);
    if (!status)
        status = hkd_record_tensor(out, "grad_loss", true, w->dev, hkd_plan_grad(plan, hkd_find_var(p, "loss")));
    if (!status) status = record_state(out, o, "", false);
    if (!status) status = hkd_weights_zero_grad(w);
    if (!status) status = hkd_plan_backward(plan);
    if (!status) status = hkd_weights_collect_grad(w);
    if (!status) status = record_gradients(out, w);
    if (!status) status = hkd_optimizer_step(o, lr, ema_decay, 0);
    return status ? status : record_state(out, o, "new.", true);
}

/* Adam's and the average's settings, as tensors, so that the file says everything. */
static hkd_status record_settings(hkd_recording *out, const hkd_optimizer_settings *s) {
    const hkd_shape one = {0, {0, 0, 0, 0}};
    const struct {
        const char *name;
        double value;
    } settings[] = {{"adam.lr", lr}, {"adam.beta1", s->beta1}, {"adam.beta2", s->beta2}, {"adam.eps", s->eps},
                    {"adam.t", (double)(steps_before + 1)}, {"ema.decay", ema_decay}};
    hkd_status status = HKD_OK;
    for (size_t i = 0; !status && i < sizeof settings / sizeof *settings; i++)
        status = hkd_record_values(out, settings[i].name, true, &one, &settings[i].value);
    return status;
}

hkd_status hkd_network_step(hkd_recording *out, const hkd_config *c, const char *name, hkd_device *dev) {
    hkd_program *p = record(c);
    hkd_weights *w = NULL;
    hkd_plan *plan = NULL;
    hkd_optimizer *o = NULL;
    hkd_status status = p ? hkd_program_status(p) : hkd_fail(HKD_RESOURCES, "out of memory for a network");
    if (!status) status = hkd_weights_new(&w, p, dev);
    if (!status) status = hkd_network_weights(w, name);
    if (!status) status = hkd_optimizer_new(&o, w, &HKD_OPTIMIZER_DEFAULT);
    if (!status) status = fill_state(o, name);
    if (!status) status = hkd_plan_new(&plan, p, w, &(hkd_plan_options){.trace = true, .backward = true});
    if (!status) status = fill_inputs(p, plan, c, name, dev);
    if (!status) status = record_settings(out, &o->settings);
    if (!status) status = step(out, p, plan, o);
    hkd_plan_free(plan);
    hkd_optimizer_free(o);
    hkd_weights_free(w);
    hkd_program_free(p);
    return status;
}
