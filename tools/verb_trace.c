/* hkd trace - run a network and keep every intermediate tensor, with the calls that made it. */
#include "cli.h"
#include "files.h"
#include "model_file.h"
#include "status.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an input holds when IN does not: no class, no augmentation, the time to the end, the decoder's own noise level. */
static void standard_input(double *to, const hkd_program_var *var, const hkd_config *c, const double *sigma) {
    for (int64_t i = 0; i < hkd_count(&var->shape); i++) {
        to[i] = 0;
        if (!strcmp(var->name, "dt")) to[i] = hkd_dt_to_end(c, sigma[i]);
        if (!strcmp(var->name, "decoder_sigma")) to[i] = c->decoder_sigma;
    }
}

static hkd_status put_input(hkd_plan *plan, const hkd_model *m, const hkd_program *p, hkd_var v, const hkd_safetensors *st,
                            const double *sigma) {
    const hkd_program_var *var = &p->var[v];
    const bool needed = !strcmp(var->name, "x") || !strcmp(var->name, "sigma");
    hkd_shape shape = var->shape;
    double *values = NULL;
    hkd_status status = hkd_read_tensor(&values, &shape, st, var->name, !needed);
    if (!status && !values) {
        values = calloc((size_t)hkd_count(&var->shape) + 1, sizeof *values);
        if (!values) return hkd_fail(HKD_RESOURCES, "out of memory");
        standard_input(values, var, &m->config, sigma);
    }
    const hkd_tensor *t = hkd_plan_tensor(plan, v);
    if (!status && t) status = m->dev->upload(m->dev, t, values, HKD_F64);
    free(values);
    return status;
}

static int tensors(const hkd_program *p, const hkd_plan *plan) {
    int count = 0;
    for (hkd_var v = 0; v < p->n_vars; v++) count += hkd_plan_tensor(plan, v) != NULL;
    return count;
}

static hkd_status run_network(hkd_model *m, const hkd_safetensors *st, const char *out, bool as_run) {
    hkd_shape x = hkd_shape_of(4, (int64_t)HKD_ANY, (int64_t)m->config.img_channels, (int64_t)m->config.img_resolution,
                               (int64_t)m->config.img_resolution);
    double *values = NULL, *sigma = NULL;
    hkd_status status = hkd_read_tensor(&values, &x, st, "x", false);
    hkd_shape each = hkd_shape_of(1, x.dim[0]);
    if (!status) status = hkd_read_tensor(&sigma, &each, st, "sigma", false);
    free(values);
    if (status) return status;
    const bool augment = m->config.augment_dim > 0 && hkd_safetensors_find(st, "augment_labels");
    hkd_program *p = hkd_model_program(&m->config, &(hkd_model_options){.run = HKD_RUN_WHOLE, .n = x.dim[0],
                                                                        .augment = augment});
    hkd_plan *plan = NULL;
    status = p ? hkd_program_status(p) : hkd_fail(HKD_RESOURCES, "out of memory for the network");
    if (!status) status = hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.trace = true, .as_run = as_run});
    for (int v = 0; !status && v < p->n_vars; v++)
        if (p->var[v].kind == HKD_VAR_INPUT) status = put_input(plan, m, p, v, st, sigma);
    if (!status) status = hkd_plan_forward(plan);
    if (!status) status = hkd_trace_save(out, hkd_plan_program(plan), plan, m->weights, m->dev);
    if (!status) printf("%d calls, %d tensors in %s\n", hkd_plan_program(plan)->n_calls, tensors(p, plan), out);
    hkd_plan_free(plan);
    hkd_program_free(p);
    free(sigma);
    return status;
}

static hkd_status run(const hkd_args *a) {
    const char *model = hkd_arg(a, "model"), *in = hkd_arg(a, "in"), *out = hkd_arg(a, "out");
    if (!model || !in || !out) return hkd_fail(HKD_USAGE, "--model, --in and --out are needed");
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    hkd_safetensors *st = NULL;
    hkd_status status = hkd_check_writable(out);
    if (!status) status = hkd_open_device(&dev, a);
    if (!status) status = hkd_model_load(&m, model, dev);
    if (!status) status = hkd_safetensors_open(&st, in);
    if (!status) status = run_network(m, st, out, hkd_given(a, "as-run"));
    hkd_safetensors_close(st);
    hkd_model_free(m);
    hkd_device_close(dev);
    return status;
}

const hkd_verb hkd_verb_trace = {
    .name = "trace",
    .summary = "run a network and keep every intermediate tensor",
    .option = {{"model", "FILE", NULL, "the network"},
               {"in", "FILE", NULL, "tensors x [N,C,H,W], sigma [N], optional class_labels, augment_labels, dt, decoder_sigma"},
               {"out", "FILE", NULL, "the trace, for hkd compare"},
               {"as-run", NULL, NULL, "as the device runs it: chains that it fuses stay one call"}},
    .example = {"trace --device cpu --model M.safetensors --in IN.safetensors --out cpu.safetensors"},
    .run = run,
};
