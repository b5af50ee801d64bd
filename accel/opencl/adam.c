/* adam on OpenCL. */
#include "adam.h"

extern const hkd_op hkd_op_adam;

enum { P, M, V, G };
enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, DECOUPLED, T };

hkd_status hkd_cl_adam_pass(hkd_cl *cl, const hkd_call *call, hkd_adam_scalars (*scalars)(const hkd_adam_settings *)) {
    const double *p = call->p;
    const hkd_adam_settings settings = {p[LR], p[BETA1], p[BETA2], p[EPS], p[WEIGHT_DECAY], p[DECOUPLED] != 0, (int64_t)p[T]};
    const hkd_adam_scalars s = scalars(&settings);
    const int64_t count = hkd_count(&call->in[P].shape);
    return hkd_cl_runs(cl, "adam", 1, count, hkd_cl_tensor(&call->out[P]), hkd_cl_tensor(&call->out[M]),
                        hkd_cl_tensor(&call->out[V]), hkd_cl_tensor(&call->in[P]), hkd_cl_tensor(&call->in[M]),
                        hkd_cl_tensor(&call->in[V]), hkd_cl_tensor(&call->in[G]), hkd_cl_int(1), hkd_cl_int(count),
                        hkd_cl_real(s.keep_m), hkd_cl_real(s.take_m), hkd_cl_real(s.keep_v), hkd_cl_real(s.take_v),
                        hkd_cl_real(s.step), hkd_cl_real(s.root), hkd_cl_real(s.eps), hkd_cl_real(s.l2), hkd_cl_real(s.shrink));
}

static hkd_status forward(hkd_cl *cl, const hkd_call *call) { return hkd_cl_adam_pass(cl, call, hkd_ref_adam_scalars); }

const hkd_cl_op hkd_cl_adam = {.op = &hkd_op_adam, .forward = forward};
