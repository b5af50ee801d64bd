/* One build of the hot files as a whole: its name, its table, and what the machine can do at best in it (hkd bench). */
#include "cpu.h"
#include "vector.h"

enum { CHAINS = HKD_VECTOR_BYTES == 64 ? 16 : 12 }; /* independent sums: enough to hide the latency of a multiply-add */

static float chains(int64_t rounds) {
    hkd_vec sum[CHAINS], total = {0};
    HKD_UNROLL
    for (int i = 0; i < CHAINS; i++) sum[i] = (hkd_vec){0} + (float)(i + 1);
    const hkd_vec shrink = (hkd_vec){0} + 0.999f, add = (hkd_vec){0} + 0.001f;
    for (int64_t k = 0; k < rounds; k++) {
        HKD_UNROLL
        for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * shrink + add;
    }
    for (int i = 0; i < CHAINS; i++) total += sum[i];
    float out[HKD_V];
    hkd_store(out, total);
    return out[0];
}

static double multiply_adds(int threads, int64_t rounds) {
    float kept = 0; /* so that the work is not removed */
    #pragma omp parallel for num_threads(threads) reduction(+ : kept)
    for (int i = 0; i < threads; i++) kept += chains(rounds);
    return (kept > 0 ? 2.0 : 0.0) * CHAINS * HKD_V * (double)rounds * threads;
}

static double triad(int threads, float *a, const float *b, const float *c, int64_t count) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++) a[i] = b[i] + 3 * c[i];
    (void)threads;
    return 12.0 * (double)count;
}

#define NAME2(x) #x
#define NAME(x) NAME2(x)

extern const hkd_cpu_op *const HKD_CPU(table)[];
extern const hkd_cpu_isa HKD_CPU(isa);
const hkd_cpu_isa HKD_CPU(isa) = {NAME(HKD_ISA), HKD_CPU(table), multiply_adds, triad};
