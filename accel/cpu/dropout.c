/* dropout on the cpu. A block of four random words serves four consecutive pixels of one channel; the channels of a pixel lie
 * side by side, so one Philox runs per channel across the lanes of a vector and each word meets its own pixel. */
#include "cpu.h"

#include "rng.h"

extern const hkd_op hkd_op_dropout;

enum { P, SEED_LO, SEED_HI, FIRST_INDEX, DRAW };
enum { CHANNELS = 16, QUADS = 2, LANES = CHANNELS * QUADS }; /* a round's products take long: many blocks side by side */

typedef struct {
    hkd_stream stream;
    double threshold; /* keep words from here on */
    float scale;
    int64_t channels, area;
} mask;

static mask mask_of(const hkd_call *call, const hkd_tensor *x, int64_t n) {
    const double *p = call->p;
    const int64_t size = hkd_count(&x->shape) / x->shape.dim[0];
    const bool image = x->shape.rank == 4 && x->buffer->role == HKD_ACTIVATION;
    const int64_t channels = image ? x->shape.dim[1] : 1;
    return (mask){{(uint64_t)p[SEED_HI] << 32 | (uint64_t)p[SEED_LO], HKD_FOR_DROPOUT, (uint32_t)p[FIRST_INDEX] + (uint32_t)n,
                   (uint32_t)p[DRAW]},
                  p[P] * 4294967296.0, (float)(1 / (1 - p[P])), channels, channels ? size / channels : 0};
}

static float put(float old, float value, bool accumulate) { return accumulate ? old + value : value; }

/* Any shape: one Philox per element. */
static void plain(float *y, const float *x, const mask *m, bool accumulate) {
    for (int64_t c = 0; c < m->channels; c++)
        for (int64_t i = 0; i < m->area; i++) {
            const bool kept = hkd_random_word(&m->stream, (uint64_t)(c * m->area + i)) >= m->threshold;
            const int64_t at = i * m->channels + c;
            y[at] = put(y[at], kept ? m->scale * x[at] : 0, accumulate);
        }
}

/* Philox of LANES blocks side by side: word[0] holds their numbers before, all four hold their words after. */
static void philox(uint32_t word[4][LANES], const hkd_stream *s) {
    for (int i = 0; i < LANES; i++) {
        word[1][i] = s->draw;
        word[2][i] = s->index;
        word[3][i] = (uint32_t)s->purpose;
    }
    for (uint32_t round = 0; round < 10; round++) {
        const uint32_t k0 = (uint32_t)s->seed + round * 0x9E3779B9u, k1 = (uint32_t)(s->seed >> 32) + round * 0xBB67AE85u;
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            const uint64_t left = (uint64_t)0xD2511F53u * word[0][i], right = (uint64_t)0xCD9E8D57u * word[2][i];
            word[0][i] = (uint32_t)(right >> 32) ^ word[1][i] ^ k0;
            word[2][i] = (uint32_t)(left >> 32) ^ word[3][i] ^ k1;
            word[1][i] = (uint32_t)right;
            word[3][i] = (uint32_t)left;
        }
    }
}

/* Channels in groups of CHANNELS, pixels in quads, of which QUADS at a time: quads begin .. end - 1. */
static void grouped(float *y, const float *x, const mask *m, bool accumulate, int64_t begin, int64_t end) {
    const int64_t blocks = m->area / 4; /* per channel */
    const float scale = m->scale;
    const uint32_t threshold = (uint32_t)m->threshold + ((double)(uint32_t)m->threshold < m->threshold);
    for (int64_t quad = begin; quad < end; quad += QUADS)
        for (int64_t c = 0; c < m->channels; c += CHANNELS) {
            uint32_t word[4][LANES];
            for (int i = 0; i < LANES; i++) word[0][i] = (uint32_t)((c + i % CHANNELS) * blocks + quad + i / CHANNELS);
            philox(word, &m->stream);
            for (int64_t pixel = 0; pixel < 4 * QUADS && pixel < 4 * (end - quad); pixel++) {
                const int64_t at = (4 * quad + pixel) * m->channels + c;
                const uint32_t *random = word[pixel % 4] + pixel / 4 * CHANNELS;
                #pragma omp simd
                for (int i = 0; i < CHANNELS; i++) {
                    const float scaled = scale * x[at + i];
                    y[at + i] = put(y[at + i], random[i] >= threshold ? scaled : 0, accumulate);
                }
            }
        }
}

static void run(hkd_cpu *cpu, const hkd_call *call, const hkd_tensor *to, const hkd_tensor *from, bool accumulate) {
    enum { PARTS = 8 }; /* of an image, so that few images occupy all threads */
    const int64_t n = from->shape.dim[0];
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (hkd_count(&from->shape) > HKD_SMALL)
    for (int64_t item = 0; item < n * PARTS; item++) {
        const int64_t k = item / PARTS, part = item % PARTS;
        const mask m = mask_of(call, from, k);
        const int64_t start = k * m.channels * m.area;
        float *y = hkd_cpu_data(to) + start;
        const float *x = hkd_cpu_data(from) + start;
        const int64_t quads = m.area / 4;
        const bool even = m.area % 4 == 0 && m.channels % CHANNELS == 0;
        if (even) grouped(y, x, &m, accumulate, quads * part / PARTS, quads * (part + 1) / PARTS);
        else if (part == 0) plain(y, x, &m, accumulate);
    }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    run(cpu, call, &call->out[0], &call->in[0], false);
    return HKD_OK;
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    if (call->grad[0].buffer) run(cpu, call, &call->grad[0], &call->up[0], call->accumulate[0]);
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(dropout) = {.op = &hkd_op_dropout, .forward = forward, .backward = backward};
