/* resample2d on the cpu: a pixel of the result is a weighted sum of at most 16 pixels, channels side by side. */
#include "cpu.h"
#include "pixels.h"

extern const hkd_op hkd_op_resample2d;

enum { MODE, TAPS, PAD };

typedef struct {
    int64_t n, c, taps, pad;
    int64_t h, w, h_out, w_out; /* of the picture that is read, and of the one that is written */
    bool spread;                /* the written picture is the fine one */
    float gain;                 /* per axis */
} walk;

/* The pixels on one axis that result `o` reads. Fine pixel 2i - pad + p and coarse pixel i belong together. */
static int axis(hkd_tap *list, const walk *k, int64_t o, int64_t in) {
    static const float filter[2][4] = {{0.5f, 0.5f}, {0.125f, 0.375f, 0.375f, 0.125f}};
    int count = 0;
    for (int64_t p = 0; p < k->taps; p++) {
        const int64_t fine = o + k->pad - p;
        if (k->spread && (fine < 0 || fine % 2)) continue;
        const int64_t at = k->spread ? fine / 2 : 2 * o - k->pad + p;
        if (at >= 0 && at < in) list[count++] = (hkd_tap){at, k->gain * filter[k->taps == 4][p]};
    }
    return count;
}

static void run(const hkd_cpu *cpu, float *y, const float *x, const walk *k, bool add) {
    (void)cpu;
    #pragma omp parallel for collapse(2) num_threads(cpu->threads) if (k->n * k->h_out * k->w_out * k->c > HKD_SMALL)
    for (int64_t n = 0; n < k->n; n++)
        for (int64_t i = 0; i < k->h_out; i++) {
            hkd_tap rows[4], cols[4], taps[16];
            const int row_count = axis(rows, k, i, k->h);
            for (int64_t j = 0; j < k->w_out; j++) {
                const int col_count = axis(cols, k, j, k->w);
                int count = 0;
                for (int r = 0; r < row_count; r++)
                    for (int s = 0; s < col_count; s++)
                        taps[count++] = (hkd_tap){rows[r].at * k->w + cols[s].at, rows[r].w * cols[s].w};
                float *to = y + ((n * k->h_out + i) * k->w_out + j) * k->c;
                hkd_mix_pixels(to, x + n * k->h * k->w * k->c, taps, count, k->c, add);
            }
        }
}

static walk walk_of(const hkd_call *call, const hkd_shape *read, const hkd_shape *written, bool backward) {
    const int64_t *x = read->dim, *y = written->dim, taps = (int64_t)call->p[TAPS];
    const bool up = call->p[MODE] == 1;
    return (walk){x[0], x[1], taps, call->p[PAD] < 0 ? taps / 2 - 1 : (int64_t)call->p[PAD], x[2], x[3], y[2], y[3],
                  .spread = up != backward, .gain = up ? 2.0f : 1.0f};
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const walk k = walk_of(call, &call->in[0].shape, &call->out[0].shape, false);
    run(cpu, hkd_cpu_data(&call->out[0]), hkd_cpu_data(&call->in[0]), &k, false);
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    const walk k = walk_of(call, &call->up[0].shape, &call->in[0].shape, true);
    if (call->grad[0].buffer) run(cpu, hkd_cpu_data(&call->grad[0]), hkd_cpu_data(&call->up[0]), &k, call->accumulate[0]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(resample2d) = {.op = &hkd_op_resample2d, .forward = forward, .backward = backward};
