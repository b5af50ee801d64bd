#include "model_edit.h"

#include "edit.h"
#include "hkd_ref.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

/* Everything an edit allocates. */
typedef struct {
    double *z[HKD_MAX_LATENTS], *z_ref[HKD_MAX_LATENTS]; /* [n, d, h, w] each */
    double *x, *region, *dt, *memory;
} room;

static hkd_status room_new(room *r, const hkd_model *m, int64_t n) {
    const int64_t side = m->config.img_resolution, image = n * m->config.img_channels * side * side;
    const int latents = hkd_model_latent_count(m);
    int64_t total = 0, largest = side * side;
    for (int i = 0; i < latents; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        total += n * hkd_count(&s);
        if (s.dim[1] * s.dim[2] > largest) largest = s.dim[1] * s.dim[2];
    }
    double *at = r->memory = malloc((size_t)(2 * total + image + largest + n) * sizeof *at);
    if (!at) return hkd_fail(HKD_RESOURCES, "edit of %lld images: out of memory", (long long)n);
    for (int i = 0; i < latents; i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        r->z[i] = at;
        r->z_ref[i] = at += n * hkd_count(&s);
        at += n * hkd_count(&s);
    }
    r->x = at;
    r->region = r->x + image;
    r->dt = r->region + largest;
    return HKD_OK;
}

/* dt [n] from the reference's time to the image's; says whether any is not 0. */
static bool time_between(double *dt, const hkd_config *c, const hkd_model_input *image, const hkd_model_input *reference) {
    bool apart = false;
    for (int64_t i = 0; i < image->n; i++) {
        dt[i] = hkd_time_of_sigma(c, image->sigma[i]) - hkd_time_of_sigma(c, reference->sigma[i]);
        apart |= image->sigma[i] != reference->sigma[i];
    }
    return apart;
}

/* The level of a latent, or NULL when no operator moves it. */
static const hkd_level *level_of(int64_t *k, const hkd_model_levels *levels, int latent) {
    for (*k = 0; *k < levels->count; ++*k)
        if (levels->latent[*k] == latent) return &levels->level[*k];
    return NULL;
}

/* Mix arrays of a level's shape (or any [d, h, w] without operator) on the rule's region, averaged onto that grid. */
static hkd_status mix(double *z, const double *z_ref, int64_t n, const hkd_level *grid, const unsigned char *band, room *r,
                      const hkd_edit_rule *rule, int64_t side) {
    if (rule->region) {
        const hkd_status status = hkd_region_resample(r->region, grid->h, grid->w, rule->region, side, side);
        if (status != HKD_OK) return status;
    }
    return hkd_mix(z, z, z_ref, n, grid, rule->ratio, band, rule->region ? r->region : NULL);
}

static hkd_status mix_latent(hkd_model *m, int i, room *r, bool apart, int64_t n, const hkd_model_levels *levels,
                             const hkd_edit_rule *rule) {
    int64_t k;
    const hkd_level *level = level_of(&k, levels, i);
    const hkd_shape s = hkd_model_latent_shape(m, i);
    if (!level && rule->band) return HKD_OK;
    const hkd_level grid = level ? *level : (hkd_level){NULL, s.dim[0], s.dim[1], s.dim[2], 1, 1};
    if (level && apart) {
        const hkd_koopman_dims dims = {n, level->d, level->h, level->w, level->ah, level->aw};
        hkd_ref_koopman_evolve(r->z_ref[i], r->z_ref[i], level->a, r->dt, &dims);
    }
    return mix(r->z[i], r->z_ref[i], n, &grid, rule->band ? rule->band[k] : NULL, r, rule, m->config.img_resolution);
}

hkd_status hkd_model_edit(hkd_model *m, double *d, const hkd_model_input *image, const hkd_model_input *reference,
                          const hkd_model_levels *levels, const hkd_edit_rule *rule) {
    const int64_t side = m->config.img_resolution, channels = m->config.img_channels, n = image->n;
    if (reference->n != n)
        return hkd_fail(HKD_USAGE, "edit: %lld images and %lld references", (long long)n, (long long)reference->n);
    room r = {.memory = NULL};
    hkd_status status = room_new(&r, m, n);
    if (status == HKD_OK) status = hkd_model_encode(m, r.z, image);
    if (status == HKD_OK) status = hkd_model_encode(m, r.z_ref, reference);
    const bool apart = status == HKD_OK && time_between(r.dt, &m->config, image, reference);
    for (int i = 0; status == HKD_OK && i < hkd_model_latent_count(m); i++)
        status = mix_latent(m, i, &r, apart, n, levels, rule);
    hkd_model_input in = *image;
    if (status == HKD_OK && !rule->band && !apart) {
        const hkd_level grid = {NULL, n * channels, side, side, 1, 1}; /* images as channels: x [1, n C, R, R] */
        memcpy(r.x, image->x, (size_t)(n * channels * side * side) * sizeof *r.x);
        status = mix(r.x, reference->x, 1, &grid, NULL, &r, rule, side);
        in.x = r.x;
    }
    if (status == HKD_OK) status = hkd_model_decode(m, d, NULL, (const double *const *)r.z, &in);
    free(r.memory);
    return status;
}
