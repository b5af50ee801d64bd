/* sum_squares on OpenCL, in two stages. */
#include "opencl.h"

extern const hkd_op hkd_op_sum_squares;

enum { LENGTH = 4096 };

static int64_t parts_of(const hkd_call *call) { return (hkd_count(&call->in[0].shape) + LENGTH - 1) / LENGTH; }

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    (void)cl;
    if (!backward) bytes[0] = (size_t)(parts_of(call) + 1) * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t parts = parts_of(call);
    const hkd_buffer *to = parts == 1 ? call->out[0].buffer : cl->scratch[0];
    const hkd_status status = hkd_cl_rows(cl, "sum_squares", parts, LENGTH, hkd_cl_memory(to),
                                          hkd_cl_tensor(&call->in[0]), hkd_cl_int(hkd_count(&call->in[0].shape)),
                                          hkd_cl_int(LENGTH));
    return status || parts == 1 ? status : hkd_cl_sum_rows(cl, call->out[0].buffer, cl->scratch[0], 1, parts, false);
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t count = hkd_count(&call->in[0].shape);
    if (!call->grad[0].buffer) return HKD_OK;
    return hkd_cl_runs(cl, "sum_squares_grad", 1, count, hkd_cl_tensor(&call->grad[0]), hkd_cl_tensor(&call->up[0]),
                        hkd_cl_tensor(&call->in[0]), hkd_cl_int(1), hkd_cl_int(count), hkd_cl_int(call->accumulate[0]));
}

const hkd_cl_op hkd_cl_sum_squares = {.op = &hkd_op_sum_squares, .scratch = scratch, .forward = forward, .backward = backward};
