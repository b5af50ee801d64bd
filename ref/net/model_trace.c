/* Every tensor of a run, shown to whoever asks (hkd.h). */
#include "model.h"
#include "status.h"

#include <stdlib.h>

typedef struct {
    hkd_model *m;
    hkd_trace_visit *visit;
    void *self;
} visitor;

static hkd_status show(const visitor *to, const hkd_program *p, hkd_var v, const hkd_tensor *t) {
    char name[HKD_VAR_NAME];
    double *values = malloc((size_t)hkd_count(&t->shape) * sizeof *values + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory for the trace");
    hkd_var_name(name, sizeof name, p, v);
    hkd_status status = to->m->dev->download(to->m->dev, values, HKD_F64, t);
    if (!status) status = to->visit(to->self, name, t->shape.rank, t->shape.dim, values);
    free(values);
    return status;
}

static hkd_status show_all(void *self, const hkd_program *p, const hkd_plan *plan) {
    const visitor *to = self;
    hkd_status status = HKD_OK;
    for (hkd_var v = 0; !status && v < p->n_vars; v++) {
        const hkd_tensor *t = hkd_plan_tensor(plan, v);
        if (t) status = show(to, p, v, t);
    }
    return status;
}

hkd_status hkd_model_trace(hkd_model *m, const hkd_model_input *in, hkd_trace_visit *visit, void *self) {
    visitor to = {m, visit, self};
    return hkd_model_run_traced(m, in, false, show_all, &to);
}
