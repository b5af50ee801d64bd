/* avg_pool2d on the cpu. Both directions gather: a mean reads the pixels of its window, and a pixel's gradient reads the
 * windows that it lies in. m is the product of one count per axis. */
#include "cpu.h"

extern const hkd_op hkd_op_avg_pool2d;

enum { KERNEL, STRIDE, PAD, CEIL, COUNT_PAD };
enum { BLOCK = 64 };

/* One axis of the call: `in` places, `out` windows of k places. */
typedef struct {
    int64_t in, out, k, stride, pad;
    bool count_pad;
} axis;

typedef struct {
    int64_t lo, hi;
} range;

static axis axis_of(const hkd_call *call, const hkd_shape *out, int dim) {
    const int64_t in = call->in[0].shape.dim[dim], k = (int64_t)call->p[KERNEL];
    return (axis){in, out->dim[dim], k ? k : in, (int64_t)call->p[STRIDE], (int64_t)call->p[PAD], call->p[COUNT_PAD] != 0};
}

/* The places of window i inside the picture. */
static range places(const axis *a, int64_t i) {
    const int64_t lo = i * a->stride - a->pad, hi = lo + a->k;
    return (range){lo < 0 ? 0 : lo, hi > a->in ? a->in : hi};
}

/* How many places window i counts. */
static int64_t counted(const axis *a, int64_t i) {
    const int64_t lo = i * a->stride - a->pad, hi = lo + a->k, end = a->in + a->pad;
    const range inside = places(a, i);
    return a->count_pad ? (hi > end ? end : hi) - lo : inside.hi - inside.lo;
}

/* The windows that hold place s. */
static range windows(const axis *a, int64_t s) {
    const int64_t over = s + a->pad - a->k, lo = over < 0 ? 0 : over / a->stride + 1, hi = (s + a->pad) / a->stride + 1;
    return (range){lo, hi > a->out ? a->out : hi};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const axis v = axis_of(call, &call->out[0].shape, 2), h = axis_of(call, &call->out[0].shape, 3);
    const int64_t n = call->in[0].shape.dim[0], channels = call->in[0].shape.dim[1];
    const float *x = hkd_cpu_data(&call->in[0]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t pixel = 0; pixel < n * v.out * h.out; pixel++) {
        const int64_t i = pixel / h.out % v.out, j = pixel % h.out, image = pixel / (v.out * h.out) * v.in * h.in;
        const range rows = places(&v, i), cols = places(&h, j);
        const float m = (float)(counted(&v, i) * counted(&h, j));
        for (int64_t c = 0; c < channels; c += BLOCK) {
            const int64_t width = channels - c < BLOCK ? channels - c : BLOCK;
            float sum[BLOCK] = {0};
            for (int64_t row = rows.lo; row < rows.hi; row++)
                for (int64_t col = cols.lo; col < cols.hi; col++)
                    for (int64_t k = 0; k < width; k++) sum[k] += x[(image + row * h.in + col) * channels + c + k];
            for (int64_t k = 0; k < width; k++) y[pixel * channels + c + k] = sum[k] / m;
        }
    }
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const axis v = axis_of(call, &call->up[0].shape, 2), h = axis_of(call, &call->up[0].shape, 3);
    const int64_t n = call->in[0].shape.dim[0], channels = call->in[0].shape.dim[1];
    const float *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[0]);
    const bool add = call->accumulate[0];
    (void)cpu;
    if (!dx) return HKD_OK;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&call->in[0].shape) > HKD_SMALL)
    for (int64_t pixel = 0; pixel < n * v.in * h.in; pixel++) {
        const int64_t image = pixel / (v.in * h.in) * v.out * h.out;
        const range rows = windows(&v, pixel / h.in % v.in), cols = windows(&h, pixel % h.in);
        for (int64_t c = 0; c < channels; c += BLOCK) {
            const int64_t width = channels - c < BLOCK ? channels - c : BLOCK;
            float *g = dx + pixel * channels + c, sum[BLOCK] = {0};
            for (int64_t i = rows.lo; i < rows.hi; i++)
                for (int64_t j = cols.lo; j < cols.hi; j++) {
                    const float share = 1 / (float)(counted(&v, i) * counted(&h, j));
                    for (int64_t k = 0; k < width; k++) sum[k] += share * dy[(image + i * h.out + j) * channels + c + k];
                }
            for (int64_t k = 0; k < width; k++) g[k] = (add ? g[k] : 0) + sum[k];
        }
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(avg_pool2d) = {.op = &hkd_op_avg_pool2d, .forward = forward, .backward = backward};
