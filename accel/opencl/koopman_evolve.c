/* koopman_evolve on OpenCL. */
#include "opencl.h"

extern const hkd_op hkd_op_koopman_evolve;

enum { Z, A, DT };
enum { TO_A, TO_DT, SUMS }; /* scratch */

typedef struct {
    int64_t n, pairs, area, a_area, count;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *z = call->in[Z].shape.dim, *a = call->in[A].shape.dim;
    return (dims){z[0], z[1] / 2, z[2] * z[3], a[1] * a[2], z[0] * (z[1] / 2) * z[2] * z[3]};
}

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    const dims d = dims_of(call);
    (void)cl;
    if (!backward) return;
    if (call->grad[A].buffer) bytes[TO_A] = (size_t)(2 * d.count) * sizeof(float);
    if (call->grad[A].buffer && d.a_area != d.area) bytes[SUMS] = (size_t)(2 * d.n * d.pairs) * sizeof(float);
    if (call->grad[DT].buffer) bytes[TO_DT] = (size_t)d.count * sizeof(float);
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    return hkd_cl_runs(cl, "koopman_evolve", d.n * d.pairs, d.area, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[Z]),
                        hkd_cl_tensor(&call->in[A]), hkd_cl_tensor(&call->in[DT]), hkd_cl_int(d.n * d.pairs),
                        hkd_cl_int(d.area),
                       hkd_cl_int(d.pairs), hkd_cl_int(d.a_area));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const dims d = dims_of(call);
    hkd_buffer *da = call->grad[A].buffer, *ddt = call->grad[DT].buffer;
    hkd_buffer *to_a = da ? cl->scratch[TO_A] : NULL, *to_dt = ddt ? cl->scratch[TO_DT] : NULL;
    hkd_status status = hkd_cl_runs(cl, "koopman_evolve_grad", d.n * d.pairs, d.area, hkd_cl_tensor(&call->grad[Z]),
                                     hkd_cl_memory(to_a), hkd_cl_memory(to_dt), hkd_cl_tensor(&call->up[0]),
                                     hkd_cl_tensor(&call->in[Z]), hkd_cl_tensor(&call->in[A]), hkd_cl_tensor(&call->in[DT]),
                                     hkd_cl_int(d.n * d.pairs),
                                    hkd_cl_int(d.area), hkd_cl_int(d.pairs), hkd_cl_int(d.a_area),
                                     hkd_cl_int(call->accumulate[Z]));
    if (!status && da && d.a_area != d.area) { /* one vector for all positions */
        status = hkd_cl_sum_rows(cl, cl->scratch[SUMS], to_a, 2 * d.n * d.pairs, d.area, false);
        to_a = cl->scratch[SUMS];
    }
    if (!status && da) status = hkd_cl_fold(cl, da, to_a, d.n, 2 * d.pairs * d.a_area, HKD_CL_GROUP, call->accumulate[A]);
    if (!status && ddt) status = hkd_cl_sum_rows(cl, ddt, to_dt, d.n, d.pairs * d.area, call->accumulate[DT]);
    return status;
}

const hkd_cl_op hkd_cl_koopman_evolve = {
    .op = &hkd_op_koopman_evolve, .scratch = scratch, .forward = forward, .backward = backward};
