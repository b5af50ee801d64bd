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
        out->weights += dev->held ? dev->held(dev, &w->value) : dev->bytes(dev, &w->value.shape, HKD_WEIGHT);
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
        out->largest = hkd_plan_largest(plan);
    }
    hkd_plan_free(plan);
    hkd_program_free(p);
    return status;
}

/* What is not there yet: the weights are. */
static size_t still_needed(const hkd_memory *b) { return b->training + b->plan + b->workspace; }

hkd_status hkd_fit_batch(const hkd_args *a, hkd_model *m, int64_t n, int64_t *batch, bool training) {
    const double MB = 1e-6;
    const char *what = training ? "samples" : "images";
    size_t left = SIZE_MAX, largest = SIZE_MAX;
    int64_t pass = *batch < n ? *batch : n;
    hkd_memory b;
    hkd_status status = hkd_predict_memory(&b, m, pass, training);
    if (m->dev->memory) m->dev->memory(m->dev, &left, &largest);
    if (!status)
        hkd_say(a, "memory: passes of %lld %s need %.1f MB on %s besides %.1f MB of weights", (long long)pass, what,
                MB * (double)still_needed(&b), m->dev->name, MB * (double)b.weights);
    while (!status && (still_needed(&b) > left || b.largest > largest) && hkd_smaller_pass(pass, training)) {
        *batch = pass = hkd_smaller_pass(pass, training);
        status = hkd_predict_memory(&b, m, pass, training);
        if (!status)
            hkd_say(a, "memory: it has %.1f MB, %.1f MB in one piece: passes of %lld %s, which need %.1f MB", MB * (double)left,
                    MB * (double)largest, (long long)pass, what, MB * (double)still_needed(&b));
    }
    return status;
}
