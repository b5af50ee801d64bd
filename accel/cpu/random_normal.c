/* random_normal on the cpu: the host's own doubles, rounded, so that every device draws the same noise. */
#include "cpu.h"

#include "rng.h"

extern const hkd_op hkd_op_random_normal;

enum { SEED_LO, SEED_HI, FIRST_INDEX, DRAW, PURPOSE };

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const hkd_shape *shape = &call->out[0].shape;
    const int64_t n = shape->dim[0], size = n ? hkd_count(shape) / n : 0;
    const bool image = shape->rank == 4 && call->out[0].buffer->role == HKD_ACTIVATION;
    const int64_t channels = image ? shape->dim[1] : 1, area = size / (channels ? channels : 1);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t k = 0; k < n; k++) {
        const hkd_stream s = {(uint64_t)call->p[SEED_HI] << 32 | (uint64_t)call->p[SEED_LO], (hkd_purpose)call->p[PURPOSE],
                              (uint32_t)call->p[FIRST_INDEX] + (uint32_t)k, (uint32_t)call->p[DRAW]};
        for (int64_t start = 0; start < size; start += 4) {
            double z[4];
            hkd_random_normals(z, start, 4, &s);
            for (int64_t i = start; i < size && i < start + 4; i++)
                y[k * size + i % area * channels + i / area] = (float)z[i - start];
        }
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(random_normal) = {.op = &hkd_op_random_normal, .forward = forward};
