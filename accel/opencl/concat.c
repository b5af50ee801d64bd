/* concat on OpenCL: both parts are copied to, or each gradient from, their share of every image. */
#include "opencl.h"

extern const hkd_op hkd_op_concat;

typedef struct {
    int64_t n, length[2], whole; /* elements per image of a and b, and of both */
} dims;

static dims dims_of(const hkd_call *call) {
    dims d = {.n = call->in[0].shape.dim[0]};
    for (int i = 0; i < 2; i++) {
        d.length[i] = 1;
        for (int k = 1; k < call->in[i].shape.rank; k++) d.length[i] *= call->in[i].shape.dim[k];
    }
    d.whole = d.length[0] + d.length[1];
    return d;
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    const int64_t longest = d.length[0] > d.length[1] ? d.length[0] : d.length[1];
    return hkd_cl_runs(cl, "concat", 2 * d.n, longest, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                       hkd_cl_tensor(&call->in[1]), hkd_cl_int(2 * d.n), hkd_cl_int(longest), hkd_cl_int(d.length[0]),
                       hkd_cl_int(d.length[1]));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < 2; i++)
        if (call->grad[i].buffer)
            status = hkd_cl_runs(cl, "concat_grad", d.n, d.length[i], hkd_cl_tensor(&call->grad[i]),
                                 hkd_cl_tensor(&call->up[0]), hkd_cl_int(d.n), hkd_cl_int(d.length[i]), hkd_cl_int(d.whole),
                                 hkd_cl_int(i ? d.length[0] : 0), hkd_cl_int(call->accumulate[i]));
    return status;
}

const hkd_cl_op hkd_cl_concat = {.op = &hkd_op_concat, .forward = forward, .backward = backward};
