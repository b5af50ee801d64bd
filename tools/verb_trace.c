/* hkd trace - run a network and keep every intermediate tensor, with the calls that made it. */
#include "cli.h"
#include "files.h"
#include "model_file.h"
#include "status.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

/* What IN holds; arrays that it lacks are NULL, and the model has its own values for them. */
enum { X, SIGMA, CLASS_LABELS, AUGMENT_LABELS, DT, DECODER_SIGMA, INPUTS };

static hkd_status read_inputs(double *value[INPUTS], hkd_model_input *in, const hkd_config *c, const hkd_safetensors *st) {
    const int64_t res = c->img_resolution;
    hkd_shape x = hkd_shape_of(4, (int64_t)HKD_ANY, (int64_t)c->img_channels, res, res);
    hkd_status status = hkd_read_tensor(&value[X], &x, st, "x", false);
    hkd_shape each = hkd_shape_of(1, x.dim[0]), labels = hkd_shape_of(2, x.dim[0], (int64_t)c->label_dim);
    hkd_shape augment = hkd_shape_of(2, x.dim[0], (int64_t)c->augment_dim);
    if (!status) status = hkd_read_tensor(&value[SIGMA], &each, st, "sigma", false);
    if (!status && c->label_dim) status = hkd_read_tensor(&value[CLASS_LABELS], &labels, st, "class_labels", true);
    if (!status && c->augment_dim) status = hkd_read_tensor(&value[AUGMENT_LABELS], &augment, st, "augment_labels", true);
    if (!status && c->is_hkd) status = hkd_read_tensor(&value[DT], &each, st, "dt", true);
    if (!status && c->is_hkd) status = hkd_read_tensor(&value[DECODER_SIGMA], &each, st, "decoder_sigma", true);
    *in = (hkd_model_input){.n = x.dim[0], .x = value[X], .sigma = value[SIGMA], .class_labels = value[CLASS_LABELS],
                            .augment_labels = value[AUGMENT_LABELS], .dt = value[DT], .decoder_sigma = value[DECODER_SIGMA]};
    return status;
}

typedef struct {
    const hkd_model *m;
    const char *out;
} target;

static hkd_status save(void *self, const hkd_program *p, const hkd_plan *plan) {
    const target *to = self;
    const hkd_status status = hkd_trace_save(to->out, p, plan, to->m->dev);
    int tensors = 0;
    for (hkd_var v = 0; v < p->n_vars; v++) tensors += hkd_plan_tensor(plan, v) != NULL;
    if (!status) printf("%d calls, %d tensors in %s\n", p->n_calls, tensors, to->out);
    return status;
}

static hkd_status run_network(hkd_model *m, const hkd_safetensors *st, const char *out, bool as_run) {
    double *value[INPUTS] = {NULL};
    hkd_model_input in;
    target to = {m, out};
    hkd_status status = read_inputs(value, &in, &m->config, st);
    if (!status) status = hkd_model_run_traced(m, &in, as_run, save, &to);
    for (int i = 0; i < INPUTS; i++) free(value[i]);
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
