/* dropout on OpenCL: words are drawn where they are needed, in both directions. */
#include "opencl.h"
#include "rng.h"

#include <math.h>

extern const hkd_op hkd_op_dropout;

enum { P, SEED_LO, SEED_HI, FIRST_INDEX, DRAW };

static hkd_status run(hkd_cl *cl, const hkd_tensor *y, const hkd_tensor *x, const double *p, bool accumulate) {
    const int64_t n = x->shape.dim[0], size = n ? hkd_count(&x->shape) / n : 0;
    if (p[P] == 0) return hkd_cl_scaled(cl, y, x, 1, accumulate);
    const double last = ceil(p[P] * 4294967296.0) - 1; /* the largest word that drops */
    const int64_t each = 4 * cl->width; /* elements of a work-item */
    return hkd_cl_items(cl, "dropout", n * ((size + each - 1) / each), hkd_cl_tensor(y), hkd_cl_tensor(x), hkd_cl_int(n),
                        hkd_cl_int(size), hkd_cl_real(1 / (1 - p[P])), hkd_cl_word((uint32_t)last),
                        hkd_cl_word((uint32_t)p[SEED_LO]), hkd_cl_word((uint32_t)p[SEED_HI]),
                        hkd_cl_word((uint32_t)p[FIRST_INDEX]), hkd_cl_word((uint32_t)p[DRAW]), hkd_cl_word(HKD_FOR_DROPOUT),
                        hkd_cl_int(accumulate));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) { return run(cl, &call->out[0], &call->in[0], call->p, false); }

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    return call->grad[0].buffer ? run(cl, &call->grad[0], &call->up[0], call->p, call->accumulate[0]) : HKD_OK;
}

const hkd_cl_op hkd_cl_dropout = {.op = &hkd_op_dropout, .forward = forward, .backward = backward};
