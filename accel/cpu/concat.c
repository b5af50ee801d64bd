/* concat on the cpu: channels are innermost, so every pixel is two short copies. */
#include "cpu.h"

#include <string.h>

extern const hkd_op hkd_op_concat;

typedef struct {
    int64_t pixels, c[2];
} dims;

static dims dims_of(const hkd_call *call) {
    const hkd_shape *a = &call->in[0].shape;
    return (dims){a->dim[0] * (a->rank == 4 ? a->dim[2] * a->dim[3] : 1), {a->dim[1], call->in[1].shape.dim[1]}};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *a = hkd_cpu_data(&call->in[0]), *b = hkd_cpu_data(&call->in[1]);
    float *y = hkd_cpu_data(&call->out[0]);
    const int64_t c = d.c[0] + d.c[1];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (d.pixels * c > HKD_SMALL)
    for (int64_t i = 0; i < d.pixels; i++) {
        memcpy(y + i * c, a + i * d.c[0], (size_t)d.c[0] * sizeof *y);
        memcpy(y + i * c + d.c[0], b + i * d.c[1], (size_t)d.c[1] * sizeof *y);
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const int64_t c = d.c[0] + d.c[1];
    (void)cpu;
    for (int k = 0; k < 2; k++) {
        const float *dy = hkd_cpu_data(&call->up[0]) + (k ? d.c[0] : 0);
        float *g = hkd_cpu_data(&call->grad[k]);
        const bool add = call->accumulate[k];
        if (!g) continue;
        #pragma omp parallel for num_threads(cpu->threads) if (d.pixels * c > HKD_SMALL)
        for (int64_t i = 0; i < d.pixels; i++)
            for (int64_t j = 0; j < d.c[k]; j++) g[i * d.c[k] + j] = (add ? g[i * d.c[k] + j] : 0) + dy[i * c + j];
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(concat) = {.op = &hkd_op_concat, .forward = forward, .backward = backward};
