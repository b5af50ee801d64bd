/* positional_embedding on OpenCL. The frequencies are formed on the host, once: an angle multiplies their errors. */
#include "exact.h"
#include "opencl.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

extern const hkd_op hkd_op_positional_embedding;

enum { DIM, MAX_POSITIONS, ENDPOINT, SWAP };

static void scratch(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]) {
    (void)cl;
    if (backward) bytes[0] = (size_t)(call->in[0].shape.dim[0] * (int64_t)call->p[DIM] / 2) * sizeof(float);
}

/* The same numbers as the reference: base, exponent and result are float32. */
static double frequency(const double *p, int64_t k) {
    const float base = (float)(1 / p[MAX_POSITIONS]), exponent = (float)k / (float)((int64_t)p[DIM] / 2 - (p[ENDPOINT] != 0));
    return k ? hkd_pow((double)base, (double)exponent) : 1;
}

/* cl->frequencies for these parameters; uploaded when they are other ones than last time. */
static hkd_status frequencies(hkd_cl *cl, const double *p) {
    const int64_t h = (int64_t)p[DIM] / 2;
    if (cl->frequencies.buffer && !memcmp(cl->frequencies_of, p, sizeof cl->frequencies_of)) return HKD_OK;
    hkd_tensor_free(&cl->base, &cl->frequencies);
    double *f = malloc((size_t)h * sizeof *f);
    if (!f) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    for (int64_t k = 0; k < h; k++) f[k] = frequency(p, k);
    const hkd_shape shape = hkd_shape_of(1, h);
    hkd_status status = hkd_tensor_new(&cl->base, &cl->frequencies, &shape, HKD_STATE);
    if (!status) status = cl->base.upload(&cl->base, &cl->frequencies, f, HKD_F64);
    free(f);
    memcpy(cl->frequencies_of, p, sizeof cl->frequencies_of);
    if (status) hkd_tensor_free(&cl->base, &cl->frequencies);
    return status;
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) {
    const int64_t h = (int64_t)call->p[DIM] / 2, count = call->in[0].shape.dim[0] * h;
    const hkd_status status = frequencies(cl, call->p);
    if (status) return status;
    return hkd_cl_items(cl, "positional_embedding", count, hkd_cl_tensor(&call->out[0]), hkd_cl_tensor(&call->in[0]),
                        hkd_cl_tensor(&cl->frequencies), hkd_cl_int(count), hkd_cl_int(h), hkd_cl_int(call->p[SWAP] != 0));
}

static hkd_status backward(hkd_cl *cl, const hkd_call *call) {
    const int64_t n = call->in[0].shape.dim[0], h = (int64_t)call->p[DIM] / 2;
    if (!call->grad[0].buffer) return HKD_OK;
    hkd_status status = frequencies(cl, call->p);
    if (!status)
        status = hkd_cl_items(cl, "positional_embedding_grad", n * h, hkd_cl_memory(cl->scratch[0]),
                              hkd_cl_tensor(&call->up[0]), hkd_cl_tensor(&call->in[0]), hkd_cl_tensor(&cl->frequencies),
                              hkd_cl_int(n * h), hkd_cl_int(h), hkd_cl_int(call->p[SWAP] != 0));
    return status ? status : hkd_cl_sum_rows(cl, call->grad[0].buffer, cl->scratch[0], n, h, call->accumulate[0]);
}

const hkd_cl_op hkd_cl_positional_embedding = {
    .op = &hkd_op_positional_embedding, .scratch = scratch, .forward = forward, .backward = backward};
