#include "model_bands.h"

#include "image_spectrum.h"
#include "rng.h"
#include "status.h"

#include <math.h>
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

void hkd_mask_shuffle(unsigned char *const *mask, const hkd_model_levels *l, uint64_t seed) {
    for (int64_t k = 0; k < l->count; k++) { /* Fisher and Yates */
        const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_METRIC, .draw = (uint32_t)k};
        for (int64_t m = hkd_mode_count(&l->level[k]) - 1; m > 0; m--) {
            const int64_t other = (int64_t)hkd_random_below(&stream, (uint64_t)m, (uint64_t)m + 1);
            const unsigned char keep = mask[k][m];
            mask[k][m] = mask[k][other];
            mask[k][other] = keep;
        }
    }
}

hkd_status hkd_model_bands_decode(hkd_model *m, double *d, const double *const *z, const hkd_model_input *in,
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

/* ---- what a band does to pictures ---- */

typedef struct {
    int64_t n, channels, side, size, shells;
    double *whole, *without, *energy;
    int64_t *count;
} room;

static double centroid_of(const room *r, const double *picture, hkd_status *status) {
    if (!*status) *status = hkd_image_spectrum(r->energy, r->count, picture, r->channels, r->side, r->side);
    return *status ? 0 : hkd_spectrum_centroid(r->energy, r->shells);
}

/* What the removal of one third changes: adds to its means; centroid [n] of each picture without it. */
static hkd_status add_third(hkd_polarity *p, int third, double *centroid, const room *r) {
    hkd_status status = HKD_OK;
    double square = 0;
    for (int64_t i = 0; i < r->n && !status; i++) {
        double *picture = r->without + i * r->size, share[3];
        const double *whole = r->whole + i * r->size;
        centroid[i] = centroid_of(r, picture, &status);
        for (int64_t k = 0; k < r->size; k++) picture[k] = whole[k] - picture[k], square += picture[k] * picture[k];
        centroid_of(r, picture, &status);
        hkd_spectrum_bands(share, r->energy, r->shells);
        p->without[third] += centroid[i] / (double)r->n;
        for (int k = 0; k < 3; k++) p->share[third][k] += share[k] / (double)r->n;
    }
    p->change[third] = sqrt(square / (double)(r->n * r->size));
    return status;
}

static hkd_status measure(hkd_polarity *p, const room *r, double *centroid, hkd_model *m, const double *const *z,
                          const hkd_model_input *in, const hkd_model_levels *l, hkd_model_bands *b) {
    hkd_status status = hkd_model_decode(m, r->whole, NULL, z, in);
    for (int64_t i = 0; i < r->n && !status; i++) p->whole += centroid_of(r, r->whole + i * r->size, &status) / (double)r->n;
    for (int third = 0; third < 3 && !status; third++) {
        status = hkd_model_bands_choose(b, l, third / 3.0, third == 2 ? 1 : (third + 1) / 3.0);
        hkd_model_bands_invert(b, l);
        if (!status) status = hkd_model_bands_decode(m, r->without, z, in, l, b);
        hkd_model_bands_invert(b, l);
        if (!status) status = add_third(p, third, centroid + third * r->n, r);
    }
    p->ascending = p->without[2] <= p->without[0];
    for (int64_t i = 0; i < r->n; i++) p->agree += (centroid[2 * r->n + i] <= centroid[i]) == p->ascending;
    return status;
}

hkd_status hkd_model_polarity(hkd_polarity *p, hkd_model *m, const double *const *z, const hkd_model_input *in,
                              const hkd_model_levels *l, hkd_model_bands *b) {
    const int64_t side = m->config.img_resolution, channels = m->config.img_channels;
    room r = {in->n, channels, side, channels * side * side, hkd_spectrum_shells(side, side), NULL, NULL, NULL, NULL};
    *p = (hkd_polarity){.n = in->n};
    r.whole = malloc((size_t)(in->n * r.size) * sizeof(double) + 1);
    r.without = malloc((size_t)(in->n * r.size) * sizeof(double) + 1);
    r.energy = malloc((size_t)(r.shells + 3 * in->n) * sizeof(double) + 1);
    r.count = malloc((size_t)r.shells * sizeof *r.count + 1);
    const bool good = r.whole && r.without && r.energy && r.count;
    const hkd_status status = good ? measure(p, &r, r.energy + r.shells, m, z, in, l, b)
                                   : hkd_fail(HKD_RESOURCES, "bands: out of memory for %lld images", (long long)in->n);
    free(r.whole);
    free(r.without);
    free(r.energy);
    free(r.count);
    return status;
}

void hkd_band_interval(double *from, double *to, hkd_band_name name, bool ascending) {
    const int third = ascending ? (int)name : 2 - (int)name;
    *from = third / 3.0;
    *to = third == 2 ? 1 : (third + 1) / 3.0;
}
