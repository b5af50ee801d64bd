#include "model_edit.h"

#include "edit.h"
#include "hkd_ref.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

static int64_t picture_size(const hkd_model *m) {
    return (int64_t)m->config.img_channels * m->config.img_resolution * m->config.img_resolution;
}

/* Room for the input and for the finest grid that a region is averaged onto. */
static hkd_status room_new(hkd_edit_pair *p, int64_t n) {
    const int64_t side = p->m->config.img_resolution;
    hkd_status status = hkd_latents_new(p->z, p->m, n);
    if (!status) status = hkd_latents_new(p->z_ref, p->m, n);
    if (!status) status = hkd_latents_new(p->mixed, p->m, n);
    p->x = malloc((size_t)(n * picture_size(p->m)) * sizeof(double) + 1);
    p->region = malloc((size_t)(side * side) * sizeof(double) + 1);
    return status || (p->x && p->region) ? status : hkd_fail(HKD_RESOURCES, "edit of %lld images: out of memory", (long long)n);
}

/* The reference's latents move from its time to the image's, by the model's own operators. */
static hkd_status bring_together(hkd_edit_pair *p) {
    const int64_t n = p->image->n;
    double *dt = malloc((size_t)n * sizeof *dt + 1);
    if (!dt) return hkd_fail(HKD_RESOURCES, "edit of %lld images: out of memory", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        const double to = hkd_time_of_sigma(&p->m->config, p->image->sigma[i]);
        dt[i] = to - hkd_time_of_sigma(&p->m->config, p->reference->sigma[i]);
        p->apart |= p->image->sigma[i] != p->reference->sigma[i];
    }
    for (int64_t k = 0; p->apart && k < p->levels->count; k++) {
        const hkd_level *v = &p->levels->level[k];
        double *z = p->z_ref[p->levels->latent[k]];
        hkd_ref_koopman_evolve(z, z, v->a, dt, &(hkd_koopman_dims){n, v->d, v->h, v->w, v->ah, v->aw});
    }
    free(dt);
    return HKD_OK;
}

hkd_status hkd_edit_pair_new(hkd_edit_pair *p, hkd_model *m, const hkd_model_input *image, const hkd_model_input *reference,
                             const hkd_model_levels *levels) {
    *p = (hkd_edit_pair){.m = m, .image = image, .reference = reference, .levels = levels};
    if (reference->n != image->n)
        return hkd_fail(HKD_USAGE, "edit: %lld images and %lld references", (long long)image->n, (long long)reference->n);
    hkd_status status = room_new(p, image->n);
    if (!status) status = hkd_model_encode(m, p->z, image);
    if (!status) status = hkd_model_encode(m, p->z_ref, reference);
    return status ? status : bring_together(p);
}

void hkd_edit_pair_free(hkd_edit_pair *p) {
    free(p->z[0]);
    free(p->z_ref[0]);
    free(p->mixed[0]);
    free(p->x);
    free(p->region);
    *p = (hkd_edit_pair){.m = NULL};
}

/* y = z mixed with z_ref, picture by picture, on the rule's region averaged onto this grid. */
static hkd_status mix(hkd_edit_pair *p, double *y, const double *z, const double *z_ref, const hkd_level *grid,
                      const unsigned char *band, const hkd_edit_rule *rule, const double *ratio) {
    const int64_t side = p->m->config.img_resolution, size = grid->d * grid->h * grid->w;
    hkd_status status = rule->region ? hkd_region_resample(p->region, grid->h, grid->w, rule->region, side, side) : HKD_OK;
    for (int64_t i = 0; i < p->image->n && !status; i++)
        status = hkd_mix(y + i * size, z + i * size, z_ref + i * size, 1, grid, ratio ? ratio[i] : rule->ratio, band,
                         rule->region ? p->region : NULL);
    return status;
}

/* The number of a latent's level, or -1 when no operator moves it. */
static int64_t level_of(const hkd_model_levels *levels, int latent) {
    for (int64_t k = 0; k < levels->count; k++)
        if (levels->latent[k] == latent) return k;
    return -1;
}

static hkd_status mix_latent(hkd_edit_pair *p, int i, const hkd_edit_rule *rule, const double *ratio) {
    const int64_t k = level_of(p->levels, i);
    const hkd_shape s = hkd_model_latent_shape(p->m, i);
    if (k < 0 && rule->band) {
        memcpy(p->mixed[i], p->z[i], (size_t)(p->image->n * hkd_count(&s)) * sizeof **p->z);
        return HKD_OK;
    }
    const hkd_level grid = k >= 0 ? p->levels->level[k] : (hkd_level){NULL, s.dim[0], s.dim[1], s.dim[2], 1, 1};
    return mix(p, p->mixed[i], p->z[i], p->z_ref[i], &grid, rule->band ? rule->band[k] : NULL, rule, ratio);
}

hkd_status hkd_edit_pair_decode(hkd_edit_pair *p, double *d, const hkd_edit_rule *rule, const double *ratio) {
    const int64_t side = p->m->config.img_resolution, channels = p->m->config.img_channels;
    hkd_model_input in = *p->image;
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_model_latent_count(p->m); i++) status = mix_latent(p, i, rule, ratio);
    if (!status && !rule->band && !p->apart) {
        const hkd_level grid = {NULL, channels, side, side, 1, 1};
        status = mix(p, p->x, p->image->x, p->reference->x, &grid, NULL, rule, ratio);
        in.x = p->x;
    }
    return status ? status : hkd_model_decode(p->m, d, NULL, (const double *const *)p->mixed, &in);
}

hkd_status hkd_model_edit(hkd_model *m, double *d, const hkd_model_input *image, const hkd_model_input *reference,
                          const hkd_model_levels *levels, const hkd_edit_rule *rule) {
    hkd_status status = HKD_OK;
    if (reference->n != image->n)
        return hkd_fail(HKD_USAGE, "edit: %lld images and %lld references", (long long)image->n, (long long)reference->n);
    for (int64_t first = 0; first < image->n && !status; first += m->batch) {
        const int64_t n = image->n - first < m->batch ? image->n - first : m->batch;
        const hkd_model_input a = hkd_input_part(image, m, first, n), b = hkd_input_part(reference, m, first, n);
        hkd_edit_pair pair;
        status = hkd_edit_pair_new(&pair, m, &a, &b, levels);
        if (!status) status = hkd_edit_pair_decode(&pair, d + first * picture_size(m), rule, NULL);
        hkd_edit_pair_free(&pair);
    }
    return status;
}
