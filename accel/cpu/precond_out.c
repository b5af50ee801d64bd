/* precond_out on the cpu: two factors per image, formed in double. The channels of f beyond those of x (iddpm) end each
 * pixel in the device's layout [N, H, W, C], and each sample in row-major order. */
#include "cpu.h"

#include <math.h>

extern const hkd_op hkd_op_precond_out;

enum { X, F, SIGMA };
enum { KIND, SIGMA_DATA };

typedef struct {
    float skip, out;
} coefficients;

static coefficients coefficients_of(const hkd_call *call, int64_t n) {
    const double s = hkd_cpu_data(&call->in[SIGMA])[n], d = call->p[SIGMA_DATA], sum = s * s + d * d;
    switch ((hkd_precond)call->p[KIND]) {
    case HKD_PRECOND_VP:
    case HKD_PRECOND_IDDPM: return (coefficients){1, (float)-s};
    case HKD_PRECOND_VE: return (coefficients){1, (float)s};
    case HKD_PRECOND_DECODER_ONLY: return (coefficients){0, (float)d};
    case HKD_PRECOND_EDM: break;
    }
    return (coefficients){(float)(d * d / sum), (float)(s * d / sqrt(sum))};
}

/* Runs of x and f that lie side by side: a pixel's channels, or a whole sample. */
typedef struct {
    int64_t n, runs, x, f;
} layout;

static layout layout_of(const hkd_call *call) {
    const hkd_tensor *x = &call->in[X], *f = &call->in[F];
    const int64_t n = x->shape.dim[0];
    if (!n) return (layout){0, 0, 0, 0};
    if (x->shape.rank == 4 && x->buffer->role == HKD_ACTIVATION)
        return (layout){n, x->shape.dim[2] * x->shape.dim[3], x->shape.dim[1], f->shape.dim[1]};
    return (layout){n, 1, hkd_count(&x->shape) / n, hkd_count(&f->shape) / n};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const layout at = layout_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *f = hkd_cpu_data(&call->in[F]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t run = 0; run < at.n * at.runs; run++) {
        const coefficients c = coefficients_of(call, run / at.runs);
        for (int64_t i = 0; i < at.x; i++) y[run * at.x + i] = c.skip * x[run * at.x + i] + c.out * f[run * at.f + i];
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const layout at = layout_of(call);
    const float *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[X]), *df = hkd_cpu_data(&call->grad[F]);
    const bool add_x = call->accumulate[X], add_f = call->accumulate[F];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t run = 0; run < at.n * at.runs; run++) {
        const coefficients c = coefficients_of(call, run / at.runs);
        for (int64_t i = 0; dx && i < at.x; i++)
            dx[run * at.x + i] = (add_x ? dx[run * at.x + i] : 0) + c.skip * dy[run * at.x + i];
        for (int64_t i = 0; df && i < at.f; i++)
            df[run * at.f + i] = (add_f ? df[run * at.f + i] : 0) + (i < at.x ? c.out * dy[run * at.x + i] : 0);
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(precond_out) = {.op = &hkd_op_precond_out, .forward = forward, .backward = backward};
