#include "cost.h"

#include "status.h"

#include <string.h>

static double count_of(const hkd_program *p, hkd_var v) { return (double)hkd_count(hkd_var_shape(p, v)); }

static double multiply_adds(const hkd_program *p, const hkd_program_call *call) {
    const char *op = call->op->name;
    const double outputs = count_of(p, call->out[0]);
    if (!strcmp(op, "conv2d") || !strcmp(op, "linear")) { /* each output is a product with one row of the weights */
        const hkd_shape *w = hkd_var_shape(p, call->in[1]);
        return w->dim[0] ? outputs * (double)hkd_count(w) / (double)w->dim[0] : 0;
    }
    const int64_t *out = hkd_var_shape(p, call->out[0])->dim;
    if (!strcmp(op, "attention")) return 2 * outputs * (double)(out[2] * out[3]);
    return !strcmp(op, "koopman_evolve") ? 2 * outputs : 0;
}

double hkd_multiply_adds(const hkd_program *p) {
    double total = 0;
    for (int i = 0; i < p->n_calls; i++) total += multiply_adds(p, &p->call[i]);
    return total;
}

static void add_weights(hkd_memory *out, const hkd_model *m, bool training) {
    const hkd_device *dev = m->dev;
    for (int i = 0; i < m->weights->count; i++) {
        const hkd_weight *w = &m->weights->item[i];
        const size_t state = dev->bytes(dev, &w->value.shape, HKD_STATE);
        out->weights += dev->bytes(dev, &w->value.shape, HKD_WEIGHT);
        if (training && w->trained) out->training += (4 + (size_t)w->more_count) * state;
    }
}

hkd_status hkd_predict_memory(hkd_memory *out, hkd_model *m, int64_t n, bool training) {
    *out = (hkd_memory){0};
    hkd_program *p = hkd_model_program(&m->config, &(hkd_model_options){.n = n, .training = training});
    if (!p) return hkd_fail(HKD_RESOURCES, "out of memory for the network");
    if (training) hkd_seed(p, hkd_find_var(p, "d"));
    hkd_plan *plan = NULL;
    const hkd_status status = hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.backward = training, .dry = true});
    if (!status) {
        add_weights(out, m, training);
        out->plan = hkd_plan_bytes(plan);
        out->workspace = hkd_plan_workspace(plan);
    }
    hkd_plan_free(plan);
    hkd_program_free(p);
    return status;
}
