/* Rows that allow an output over its input, on ref and cpu: the same bits as with room of its own. Catches a result that is
 * read again as if it were still the input, which only shows in planned networks. */
#include "cpu.h"
#include "op_case.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* Forward with output i over input i where the row allows it and `shared` is set; every output is downloaded to out[i]. */
static void forward(hkd_device *dev, const op_run *r, bool shared, double *const *out) {
    hkd_call call = {.op = r->op};
    memcpy(call.p, r->p, sizeof call.p);
    for (int i = 0; i < hkd_op_inputs(r->op); i++) {
        if (!r->in[i]) continue;
        CHECK(!hkd_tensor_new(dev, &call.in[i], &r->in_shape[i], r->role[i]), "%s", hkd_last_error());
        dev->upload(dev, &call.in[i], r->in[i], HKD_F64);
    }
    for (int i = 0; i < hkd_op_outputs(r->op); i++)
        if (shared && r->op->in_place >> i & 1 && call.in[i].buffer) call.out[i] = call.in[i];
        else hkd_tensor_new(dev, &call.out[i], &r->out_shape[i], HKD_ACTIVATION);
    CHECK(!hkd_device_forward(dev, &call), "%s", hkd_last_error());
    for (int i = 0; i < hkd_op_outputs(r->op); i++) {
        dev->download(dev, out[i], HKD_F64, &call.out[i]);
        if (call.out[i].buffer != call.in[i].buffer) hkd_tensor_free(dev, &call.out[i]);
    }
    for (int i = 0; i < hkd_op_inputs(r->op); i++)
        if (call.in[i].buffer) hkd_tensor_free(dev, &call.in[i]);
}

static void compare(hkd_device *dev, const op_run *r) {
    double *out[2][HKD_MAX_OUT] = {{NULL}};
    for (int shared = 0; shared < 2; shared++) {
        for (int i = 0; i < hkd_op_outputs(r->op); i++)
            out[shared][i] = calloc((size_t)hkd_count(&r->out_shape[i]) + 1, sizeof(double));
        forward(dev, r, shared, out[shared]);
    }
    for (int i = 0; i < hkd_op_outputs(r->op); i++) {
        const size_t bytes = (size_t)hkd_count(&r->out_shape[i]) * sizeof(double);
        CHECK(!memcmp(out[0][i], out[1][i], bytes), "%s \"%s\" on %s: output %s differs when written over its input",
              r->op->name, r->source->in, dev->kind, r->op->out[i]);
        free(out[0][i]);
        free(out[1][i]);
    }
}

void check_in_place(const op_case *c) {
    op_run r;
    const hkd_op *op = hkd_find_op(c->op);
    if (!op || !op->in_place || !op_run_open(&r, c, false)) return;
    for (int k = 0; k < 2; k++) {
        hkd_device *dev = NULL;
        const hkd_device_options options = {.threads = 2};
        const hkd_status opened = (k ? hkd_device_open_cpu : hkd_device_open_ref)(&dev, &options);
        if (CHECK(!opened, "%s", hkd_last_error()) && dev->supports(dev, op, false)) compare(dev, &r);
        hkd_device_close(dev);
    }
    op_run_close(&r);
}
