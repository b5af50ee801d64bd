#include "model_inputs.h"

#include "rng.h"
#include "sampler.h"
#include "schedule.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

double hkd_level_at(const hkd_config *c, double time) {
    return hkd_karras_sigma(1 - time, c->sigma_min, c->sigma_max, c->rho);
}

double hkd_dt_from_noise(const hkd_config *c, double time) {
    return hkd_dt_to_end(c, c->sigma_max) - hkd_dt_to_end(c, hkd_level_at(c, time));
}

/* Noise, labels and everything else, at one noise level. */
static hkd_status inputs_new(hkd_inputs *out, const hkd_model *m, const uint64_t *seeds, size_t n, double sigma) {
    const hkd_config *c = &m->config;
    const size_t size = (size_t)c->img_channels * (size_t)c->img_resolution * (size_t)c->img_resolution;
    *out = (hkd_inputs){.seeds = malloc(n * sizeof *out->seeds + 1), .x = malloc(n * size * sizeof(double) + 1),
                        .sigma = malloc(n * sizeof(double) + 1), .dt = malloc(n * sizeof(double) + 1),
                        .labels = calloc(n * (size_t)c->label_dim + 1, sizeof(double))};
    if (!out->seeds || !out->x || !out->sigma || !out->dt || !out->labels)
        return hkd_fail(HKD_RESOURCES, "out of memory for %zu images", n);
    memcpy(out->seeds, seeds, n * sizeof *seeds);
    for (size_t i = 0; i < n; i++) out->sigma[i] = sigma;
    for (size_t i = 0; i < n && c->label_dim; i++)
        out->labels[(int64_t)i * c->label_dim + hkd_random_label(seeds[i], c->label_dim)] = 1;
    out->in = (hkd_model_input){.n = (int64_t)n, .x = out->x, .sigma = out->sigma,
                                .class_labels = c->label_dim ? out->labels : NULL};
    const hkd_sampling s = {.n = (int64_t)n, .size = (int64_t)size, .seeds = seeds};
    return hkd_draw_latents(out->x, &s, sigma);
}

hkd_status hkd_inputs_of_seeds(hkd_inputs *out, const hkd_model *m, const uint64_t *seeds, size_t n) {
    return inputs_new(out, m, seeds, n, m->config.sigma_max);
}

hkd_status hkd_inputs_of_pictures(hkd_inputs *out, const hkd_model *m, const double *pictures, const uint64_t *seeds, size_t n,
                                  double time) {
    const hkd_config *c = &m->config;
    const size_t size = n * (size_t)c->img_channels * (size_t)c->img_resolution * (size_t)c->img_resolution;
    const hkd_status status = inputs_new(out, m, seeds, n, hkd_level_at(c, time));
    for (size_t i = 0; !status && i < size; i++) out->x[i] += pictures[i];
    return status;
}

hkd_status hkd_inputs_set_class(hkd_inputs *i, const hkd_model *m, int64_t label) {
    const int64_t classes = m->config.label_dim;
    if (label < 0 || label >= classes)
        return hkd_fail(HKD_USAGE, "class %lld: the model has %lld classes", (long long)label, (long long)classes);
    for (int64_t k = 0; k < i->in.n * classes; k++) i->labels[k] = k % classes == label;
    return HKD_OK;
}

void hkd_inputs_set_dt(hkd_inputs *i, double dt) {
    for (int64_t k = 0; k < i->in.n; k++) i->dt[k] = dt;
    i->in.dt = i->dt;
}

void hkd_inputs_free(hkd_inputs *i) {
    free(i->seeds);
    free(i->x);
    free(i->sigma);
    free(i->labels);
    free(i->dt);
    *i = (hkd_inputs){.seeds = NULL};
}

hkd_status hkd_latents_new(double *z[HKD_MAX_LATENTS + 1], const hkd_model *m, int64_t n) {
    int64_t total = 0;
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        total += n * hkd_count(&s);
    }
    double *at = z[0] = malloc((size_t)total * sizeof *at + 1);
    if (!at) return hkd_fail(HKD_RESOURCES, "out of memory for the latents of %lld images", (long long)n);
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = at;
        at += n * hkd_count(&s);
    }
    return HKD_OK;
}

hkd_model_input hkd_input_part(const hkd_model_input *in, const hkd_model *m, int64_t first, int64_t n) {
    const hkd_config *c = &m->config;
    const int64_t size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    hkd_model_input part = *in;
    part.n = n;
    part.x += first * size;
    part.sigma += first;
    if (in->class_labels) part.class_labels += first * c->label_dim;
    if (in->augment_labels) part.augment_labels += first * c->augment_dim;
    if (in->dt) part.dt += first;
    if (in->decoder_sigma) part.decoder_sigma += first;
    return part;
}

hkd_status hkd_tick(const hkd_ticker *t, int64_t done, int64_t total) {
    return t && t->tick ? t->tick(t->self, done, total) : HKD_OK;
}
