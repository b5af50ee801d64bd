/* random_normal on OpenCL: defined as formed in double on the host (no kernel could give the same bits), then uploaded. */
#include "opencl.h"

#include "status.h"

#include <stdlib.h>

extern const hkd_op hkd_op_random_normal;

enum { SEED_LO, SEED_HI, FIRST_INDEX, DRAW, PURPOSE };

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const double *p = call->p;
    const int64_t count = hkd_count(&call->out[0].shape), n = call->out[0].shape.dim[0];
    const hkd_random_dims d = {n, n ? count / n : 0, (uint64_t)p[SEED_HI] << 32 | (uint64_t)p[SEED_LO],
                               (uint32_t)p[FIRST_INDEX], (uint32_t)p[DRAW]};
    double *y = malloc((size_t)(count + 1) * sizeof *y);
    if (!y) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    hkd_ref_random_normal(y, (int)p[PURPOSE], &d);
    const hkd_status status = cl->base.upload(&cl->base, &call->out[0], y, HKD_F64);
    free(y);
    return status;
}

const hkd_cl_op hkd_cl_random_normal = {.op = &hkd_op_random_normal, .forward = forward};
