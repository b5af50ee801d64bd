/* linear on the cpu. Threads share out the outputs, so a row of w is read once for the whole batch and stays in cache.
 *
 * dw and db are summed over canonical groups of HKD_GROUP images, the groups added in order. */
#include "cpu.h"
#include "vector.h"

extern const hkd_op hkd_op_linear;

enum { X, W, B };
enum {
    LANES = 16, PARTS = LANES / HKD_V, /* of a sum; vectors of them */
    OUTS = PARTS == 1 ? 4 : 2, IMAGES = PARTS == 1 ? 4 : PARTS == 2 ? 2 : 1, /* whose sums fit the registers */
    NEAR = 64, /* images that stay in a core's cache while it goes through its rows of w */
    BLOCK = 64
};

typedef struct {
    int64_t n, in, out;
} dims;

static dims dims_of(const hkd_call *call) {
    const int64_t *w = call->in[W].shape.dim;
    return (dims){call->in[X].shape.dim[0], w[1], w[0]};
}

/* y for `outs` outputs from o on and `images` images from n on, both constants where this is inlined: the sums stay in
 * registers, so that a row of w or x is loaded once for several of the other. A sum is the same in any block and build of
 * one rounding: LANES sums of every LANES-th product, joined by halves. */
HKD_INLINE void block(float *y, const float *w, const float *x, const float *b, const dims *d, int64_t o, int64_t n,
                      const int outs, const int images) {
    hkd_vec sum[OUTS][IMAGES][PARTS];
    for (int r = 0; r < outs; r++)
        for (int c = 0; c < images; c++)
            for (int p = 0; p < PARTS; p++) sum[r][c][p] = (hkd_vec){0};
    const float *ws = w + o * d->in, *xs = x + n * d->in;
    int64_t i = 0;
    for (; i + LANES <= d->in; i += LANES) {
        for (int r = 0; images == 1 && r < outs; r++) hkd_prefetch(ws + (outs + r) * d->in + i); /* of the next block */
        HKD_UNROLL
        for (int p = 0; p < PARTS; p++)
            HKD_UNROLL
            for (int r = 0; r < outs; r++)
                HKD_UNROLL
                for (int c = 0; c < images; c++)
                    sum[r][c][p] += hkd_load(ws + r * d->in + i + p * HKD_V) * hkd_load(xs + c * d->in + i + p * HKD_V);
    }
    for (int p = 0; i < d->in; i += HKD_V, p++)
        for (int r = 0; r < outs; r++)
            for (int c = 0; c < images; c++)
                sum[r][c][p] += hkd_load_up_to(ws + r * d->in + i, d->in - i) * hkd_load_up_to(xs + c * d->in + i, d->in - i);
    for (int r = 0; r < outs; r++)
        for (int c = 0; c < images; c++) {
            float lane[LANES];
            for (int p = 0; p < PARTS; p++) hkd_store(lane + p * HKD_V, sum[r][c][p]);
            for (int half = LANES / 2; half; half /= 2)
                for (int k = 0; k < half; k++) lane[k] += lane[k + half];
            y[(n + c) * d->out + o + r] = (b ? b[o + r] : 0) + lane[0];
        }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *w = hkd_cpu_data(&call->in[W]), *b = hkd_cpu_data(&call->in[B]);
    float *y = hkd_cpu_data(&call->out[0]);
    (void)cpu;
    #pragma omp parallel for collapse(2) num_threads(cpu->threads) if (d.n * d.in * d.out > HKD_FEW_PRODUCTS)
    for (int64_t first = 0; first < d.n; first += NEAR)
        for (int64_t o = 0; o < d.out; o += OUTS) {
            const int64_t end = first + NEAR < d.n ? first + NEAR : d.n;
            const bool whole = o + OUTS <= d.out;
            int64_t n = first;
            for (; whole && n + IMAGES <= end; n += IMAGES) block(y, w, x, b, &d, o, n, OUTS, IMAGES);
            for (; whole && n < end; n++) block(y, w, x, b, &d, o, n, OUTS, 1);
            for (int64_t last = o; !whole && last < d.out; last++)
                for (n = first; n < end; n++) block(y, w, x, b, &d, last, n, 1, 1);
        }
    return HKD_OK;
}

/* dx: every thread owns blocks of one image's inputs and walks down the columns of w. */
static void to_input(const hkd_cpu *cpu, float *dx, const float *dy, const float *w, const dims *d, bool add) {
    const int64_t blocks = (d->in + BLOCK - 1) / BLOCK;
    (void)cpu;
    #pragma omp parallel for collapse(2) num_threads(cpu->threads) if (d->n * d->in * d->out > HKD_FEW_PRODUCTS)
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t n = 0; n < d->n; n++) {
            const int64_t i = block * BLOCK, width = d->in - i < BLOCK ? d->in - i : BLOCK;
            float sum[BLOCK] = {0}, *g = dx + n * d->in + i;
            for (int64_t o = 0; o < d->out; o++)
                for (int64_t k = 0; k < width; k++) sum[k] += dy[n * d->out + o] * w[o * d->in + i + k];
            for (int64_t k = 0; k < width; k++) g[k] = (add ? g[k] : 0) + sum[k];
        }
}

static void to_weight(const hkd_cpu *cpu, float *dw, const float *dy, const float *x, const dims *d, bool add) {
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (d->n * d->in * d->out > HKD_FEW_PRODUCTS)
    for (int64_t o = 0; o < d->out; o++)
        for (int64_t i = 0; i < d->in; i += BLOCK) {
            const int64_t width = d->in - i < BLOCK ? d->in - i : BLOCK;
            float *g = dw + o * d->in + i;
            for (int64_t k = 0; k < width && !add; k++) g[k] = 0;
            for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
                float sum[BLOCK] = {0};
                for (int64_t n = first; n < first + HKD_GROUP && n < d->n; n++)
                    for (int64_t k = 0; k < width; k++) sum[k] += dy[n * d->out + o] * x[n * d->in + i + k];
                for (int64_t k = 0; k < width; k++) g[k] += sum[k];
            }
        }
}

static void to_bias(float *db, const float *dy, const dims *d, bool add) {
    for (int64_t o = 0; o < d->out; o++) {
        if (!add) db[o] = 0;
        for (int64_t first = 0; first < d->n; first += HKD_GROUP) {
            float sum = 0;
            for (int64_t n = first; n < first + HKD_GROUP && n < d->n; n++) sum += dy[n * d->out + o];
            db[o] += sum;
        }
    }
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const dims d = dims_of(call);
    const float *x = hkd_cpu_data(&call->in[X]), *w = hkd_cpu_data(&call->in[W]), *dy = hkd_cpu_data(&call->up[0]);
    float *dx = hkd_cpu_data(&call->grad[X]), *dw = hkd_cpu_data(&call->grad[W]), *db = hkd_cpu_data(&call->grad[B]);
    if (dx) to_input(cpu, dx, dy, w, &d, call->accumulate[X]);
    if (dw) to_weight(cpu, dw, dy, x, &d, call->accumulate[W]);
    if (db) to_bias(db, dy, &d, call->accumulate[B]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(linear) = {.op = &hkd_op_linear, .forward = forward, .backward = backward};
