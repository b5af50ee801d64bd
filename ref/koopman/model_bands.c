#include "model_bands.h"

#include "model_inputs.h"
#include "rng.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

hkd_status hkd_model_bands_new(hkd_model_bands *b, const hkd_model_levels *l, const hkd_band_rule *rule) {
    memset(b, 0, sizeof *b);
    b->rule = *rule;
    for (int64_t k = 0; k < l->count; k++) {
        const size_t modes = (size_t)hkd_mode_count(&l->level[k]);
        b->rank[k] = malloc(modes * sizeof **b->rank + 1);
        b->mask[k] = malloc(modes + 1);
        if (!b->rank[k] || !b->mask[k]) return hkd_fail(HKD_RESOURCES, "bands: out of memory for %zu modes", modes);
        memset(b->mask[k], 1, modes);
    }
    return hkd_mode_ranks(b->rank, l->level, l->count, rule);
}

void hkd_model_bands_free(hkd_model_bands *b) {
    for (int k = 0; k < HKD_MAX_LATENTS; k++) {
        free(b->rank[k]);
        free(b->mask[k]);
    }
    memset(b, 0, sizeof *b);
}

hkd_status hkd_model_bands_choose(hkd_model_bands *b, const hkd_model_levels *l, double from, double to) {
    return hkd_band_mask(b->mask, b->rank, l->level, l->count, &b->rule, from, to);
}

void hkd_model_bands_invert(hkd_model_bands *b, const hkd_model_levels *l) {
    for (int64_t k = 0; k < l->count; k++)
        for (int64_t m = 0; m < hkd_mode_count(&l->level[k]); m++) b->mask[k][m] = !b->mask[k][m];
}

/* Fisher and Yates over the modes of levels first .. end, as one list. */
static void shuffle(unsigned char *const *mask, const hkd_model_levels *l, int64_t first, int64_t end, uint64_t seed) {
    const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_METRIC, .draw = (uint32_t)first};
    for (int64_t k = end - 1; k >= first; k--) {
        int64_t below = 0;
        for (int64_t i = first; i < k; i++) below += hkd_mode_count(&l->level[i]);
        for (int64_t m = hkd_mode_count(&l->level[k]) - 1; m >= 0; m--) {
            const int64_t at = below + m;
            int64_t other = (int64_t)hkd_random_below(&stream, (uint64_t)at, (uint64_t)at + 1), level = first;
            while (other >= hkd_mode_count(&l->level[level])) other -= hkd_mode_count(&l->level[level++]);
            const unsigned char keep = mask[k][m];
            mask[k][m] = mask[level][other];
            mask[level][other] = keep;
        }
    }
}

void hkd_mask_shuffle(unsigned char *const *mask, const hkd_model_levels *l, bool over_all, uint64_t seed) {
    if (over_all) shuffle(mask, l, 0, l->count, seed);
    for (int64_t k = 0; !over_all && k < l->count; k++) shuffle(mask, l, k, k + 1, seed);
}

static hkd_status decode_part(hkd_model *m, double *d, const double *const *z, const hkd_model_input *in,
                              const hkd_model_levels *l, const hkd_model_bands *b) {
    const double *kept[HKD_MAX_LATENTS + 1] = {NULL};
    double *own[HKD_MAX_LATENTS] = {NULL};
    hkd_status status = HKD_OK;
    for (int i = 0; i < hkd_model_latent_count(m); i++) kept[i] = z[i];
    for (int64_t k = 0; k < l->count && !status; k++) {
        const hkd_level *v = &l->level[k];
        own[k] = malloc((size_t)(in->n * v->d * v->h * v->w) * sizeof **own + 1);
        if (!own[k]) status = hkd_fail(HKD_RESOURCES, "bands: out of memory for %lld images", (long long)in->n);
        else hkd_band_keep(own[k], z[l->latent[k]], b->mask[k], v, in->n);
        kept[l->latent[k]] = own[k];
    }
    if (!status) status = hkd_model_decode(m, d, NULL, kept, in);
    for (int64_t k = 0; k < l->count; k++) free(own[k]);
    return status;
}

hkd_status hkd_model_bands_decode(hkd_model *m, double *d, const double *const *z, const hkd_model_input *in,
                                  const hkd_model_levels *l, const hkd_model_bands *b) {
    const int64_t size = (int64_t)m->config.img_channels * m->config.img_resolution * m->config.img_resolution;
    hkd_status status = HKD_OK;
    for (int64_t first = 0; first < in->n && !status; first += m->batch) {
        const hkd_model_input part = hkd_input_part(in, m, first, in->n - first < m->batch ? in->n - first : m->batch);
        const double *at[HKD_MAX_LATENTS + 1];
        for (int i = 0; i < hkd_model_latent_count(m); i++) {
            const hkd_shape shape = hkd_model_latent_shape(m, i);
            at[i] = z[i] + first * hkd_count(&shape);
        }
        status = decode_part(m, d + first * size, at, &part, l, b);
    }
    return status;
}
