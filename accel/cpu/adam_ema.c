/* The optimiser's step and the average's in one pass over memory: stretch by stretch, while the stretch is in the cache. The
 * same loops as those of the rows one by one, so the same bits. */
#include "adam.h"
#include "ema.h"

extern const hkd_op hkd_op_adam_ema, hkd_op_radam_ema;

enum { E = 4, P_NEW = 0, E_NEW = 3, DECAY = 7 };

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_adam_settings settings = hkd_cpu_adam_settings(call->p);
    const hkd_adam_scalars s = (call->op == &hkd_op_adam_ema ? hkd_ref_adam_scalars : hkd_ref_radam_scalars)(&settings);
    const float *e = hkd_cpu_data(&call->in[E]), *p = hkd_cpu_data(&call->out[P_NEW]);
    float *e_new = hkd_cpu_data(&call->out[E_NEW]);
    const int64_t count = hkd_count(&call->in[0].shape);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (count > HKD_SMALL)
    for (int64_t k = 0; k < hkd_stretches(count); k++) {
        const int64_t at = k * HKD_STRETCH;
        hkd_cpu_adam_stretch(call, k, &s);
        hkd_cpu_ema_stretch(e_new + at, e + at, p + at, hkd_stretch(count, k), call->p[DECAY]);
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(adam_ema) = {.op = &hkd_op_adam_ema, .forward = forward};
const hkd_cpu_op HKD_CPU(radam_ema) = {.op = &hkd_op_radam_ema, .forward = forward};
