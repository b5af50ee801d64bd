#include "detail.h"

#include "exact.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

enum { PICTURES = 64, WAVES = 4 }; /* waves of each kind, for every picture */

typedef struct {
    double *z[HKD_MAX_LATENTS + 1], *grad[HKD_MAX_LATENTS + 1]; /* [n, d, h, w] */
    double *wave;                                               /* [n, size] */
    double *energy[2][HKD_MAX_LATENTS];                         /* [modes]: low, beyond; weighted by how many waves there are */
} room;

/* wave [channels, side, side]: cos(2 pi (u i + v j) / side + phase) with a random weight for each channel; (u, v) uniform among
 * the low frequencies 0 < |(u, v)| < side/6 + 1/2, or among all others. Returns the number of frequencies it is drawn from. */
static int64_t draw_wave(double *wave, int64_t channels, int64_t side, bool beyond, const hkd_stream *stream) {
    const double turn = 6.283185307179586, edge = (double)(side / 2) / 3 + 0.5;
    int64_t u = 0, v = 0, low = 0, element = 0;
    for (int64_t i = 0; i < side * side; i++) {
        const double a = (double)(i / side - side / 2), b = (double)(i % side - side / 2), radius = sqrt(a * a + b * b);
        low += radius > 0 && radius < edge;
    }
    for (bool found = false; !found; element++) {
        const int64_t at = (int64_t)hkd_random_below(stream, (uint64_t)element, (uint64_t)(side * side));
        u = at / side - side / 2, v = at % side - side / 2;
        const double radius = sqrt((double)(u * u + v * v));
        found = radius > 0 && (radius >= edge) == beyond;
    }
    const hkd_stream shape = {stream->seed, stream->purpose, stream->index + 1, stream->draw};
    const double phase = turn * hkd_random_uniform(&shape, 0);
    for (int64_t c = 0; c < channels; c++) {
        const double weight = hkd_random_normal(&shape, (uint64_t)(4 + c));
        for (int64_t i = 0; i < side * side; i++) {
            const int64_t along = (u * (i / side) + v * (i % side)) % side;
            wave[c * side * side + i] = weight * hkd_cos(turn * (double)along / (double)side + phase);
        }
    }
    return beyond ? side * side - 1 - low : low;
}

/* energy [modes] += weight (J^T w . z)^2 of every mode. */
static void add_energy(double *energy, const double *z, const double *grad, int64_t n, const hkd_level *level, double weight) {
    const int64_t area = level->h * level->w;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < level->d / 2; k++)
            for (int64_t s = 0; s < area; s++) {
                const int64_t at = (i * level->d + 2 * k) * area + s;
                const double product = grad[at] * z[at] + grad[at + area] * z[at + area];
                energy[hkd_mode_of(level, k, s)] += weight * product * product;
            }
}

static hkd_status measure(room *r, hkd_model *m, const hkd_model_levels *l, const hkd_inputs *noise, const hkd_ticker *ticker) {
    const int64_t side = m->config.img_resolution, channels = m->config.img_channels, size = channels * side * side;
    hkd_status status = HKD_OK;
    for (int64_t first = 0; first < PICTURES && !status; first += m->batch) {
        const int64_t n = PICTURES - first < m->batch ? PICTURES - first : m->batch;
        const hkd_model_input part = hkd_input_part(&noise->in, m, first, n);
        status = hkd_model_encode(m, r->z, &part);
        for (int w = 0; w < 2 * WAVES && !status; w++) {
            const bool beyond = w % 2;
            int64_t frequencies = 0;
            for (int64_t i = 0; i < n; i++) {
                const hkd_stream stream = {noise->seeds[first + i], HKD_FOR_METRIC, 0, (uint32_t)w};
                frequencies = draw_wave(r->wave + i * size, channels, side, beyond, &stream);
            }
            status = hkd_model_decode_gradient(m, r->grad, r->wave, (const double *const *)r->z, &part);
            for (int64_t k = 0; k < l->count && !status; k++)
                add_energy(r->energy[beyond][k], r->z[l->latent[k]], r->grad[l->latent[k]], n, &l->level[k],
                           (double)frequencies);
            if (!status) status = hkd_tick(ticker, first + n * (w + 1) / (2 * WAVES), PICTURES);
        }
    }
    return status;
}

hkd_status hkd_model_detail(double *const *detail, hkd_model *m, const hkd_model_levels *l, const hkd_ticker *ticker) {
    const int64_t side = m->config.img_resolution;
    uint64_t seeds[PICTURES];
    room r = {.wave = malloc((size_t)(m->batch * m->config.img_channels * side * side) * sizeof(double) + 1)};
    hkd_inputs noise = {.seeds = NULL};
    bool good = r.wave != NULL;
    for (int i = 0; i < PICTURES; i++) seeds[i] = (UINT64_C(1) << 41) + (uint64_t)i;
    for (int64_t k = 0; k < 2 * l->count; k++) {
        const size_t modes = (size_t)hkd_mode_count(&l->level[k / 2]);
        r.energy[k % 2][k / 2] = calloc(modes + 1, sizeof(double));
        good &= r.energy[k % 2][k / 2] != NULL;
    }
    hkd_status status = good ? hkd_latents_new(r.z, m, m->batch) : hkd_fail(HKD_RESOURCES, "detail: out of memory");
    if (!status) status = hkd_latents_new(r.grad, m, m->batch);
    if (!status) status = hkd_inputs_of_seeds(&noise, m, seeds, PICTURES);
    if (!status) status = measure(&r, m, l, &noise, ticker);
    for (int64_t k = 0; k < l->count; k++) {
        for (int64_t i = 0; i < hkd_mode_count(&l->level[k]) && !status; i++) {
            const double low = r.energy[0][k][i], beyond = r.energy[1][k][i];
            detail[k][i] = low + beyond > 0 ? beyond / (low + beyond) : 0;
        }
        free(r.energy[0][k]);
        free(r.energy[1][k]);
    }
    hkd_inputs_free(&noise);
    free(r.z[0]);
    free(r.grad[0]);
    free(r.wave);
    return status;
}
