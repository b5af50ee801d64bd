/* add_channel on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_add_channel;

enum { X, B };

typedef struct {
    int64_t n, c, area, b_rows;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *x = call->in[X].shape.dim;
    return (dims){x[0], x[1], x[2] * x[3], call->in[B].shape.rank == 1 ? 1 : call->in[B].shape.dim[0]};
}

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    (void)cl;
    if (backward && call->grad[B].buffer && d.b_rows != d.n) bytes[0] = (size_t)(d.n * d.c) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    return hkd_cl_runs(cl, "add_channel", d.n * d.c, d.area, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[X]),
                        hkd_cl_tensor(&call->in[B]), hkd_cl_int(d.n * d.c), hkd_cl_int(d.area), hkd_cl_int(d.c),
                        hkd_cl_int(d.b_rows));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_buffer *db = call->grad[B].buffer;
    hkd_status status = HKD_OK;
    if (call->grad[X].buffer) status = hkd_cl_scaled(cl, &call->grad[X], &call->up[0], 1, call->accumulate[X]);
    if (status || !db) return status;
    if (d.b_rows == d.n) return hkd_cl_sum_rows(cl, db, call->up[0].buffer, d.n * d.c, d.area, call->accumulate[B]);
    status = hkd_cl_sum_rows(cl, cl->scratch[0], call->up[0].buffer, d.n * d.c, d.area, false);
    return status ? status : hkd_cl_fold(cl, db, cl->scratch[0], d.n, d.c, HKD_CL_GROUP, call->accumulate[B]);
}

const hkd_cl_op hkd_cl_add_channel = {.op = &hkd_op_add_channel, .scratch = scratch, .forward = forward, .backward = backward};
