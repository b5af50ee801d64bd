#include "generate.h"

#include "rng.h"
#include "schedule.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

static double level(const hkd_config *c, double time) { return hkd_karras_sigma(1 - time, c->sigma_min, c->sigma_max, c->rho); }

static hkd_status onestep_levels(double *sigma, const hkd_config *c, int64_t steps, const double *times) {
    for (int64_t i = 0; i < steps; i++) {
        const double time = i && times ? times[i - 1] : 1 - (double)i / (double)steps;
        const double before = i < 2 || !times ? 1 : times[i - 2];
        if (i && times && !(time > 0 && time < before))
            return hkd_fail(HKD_USAGE, "times must lie between 0 and 1 and decrease; %g does not", time);
        sigma[i] = level(c, time);
    }
    sigma[steps] = 0;
    return HKD_OK;
}

hkd_status hkd_generator_new(hkd_generator *g, hkd_model *m, hkd_sampler_kind kind, int64_t steps, const double *times) {
    const hkd_config *c = &m->config;
    *g = (hkd_generator){.model = m, .kind = kind, .steps = steps, .class_label = -1,
                         .edm = kind == HKD_HEUN ? hkd_edm_heun : hkd_edm_euler};
    if (kind != HKD_ONESTEP && c->is_hkd)
        return hkd_fail(HKD_USAGE, "heun and euler follow a denoiser; an HKD model goes to the end in one step: use onestep");
    g->sigma = calloc((size_t)steps + 1, sizeof *g->sigma);
    if (!g->sigma) return hkd_fail(HKD_RESOURCES, "out of memory for the sampler");
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    return kind == HKD_ONESTEP ? onestep_levels(g->sigma, c, steps, times) : hkd_schedule_grid(g->sigma, steps, &schedule);
}

void hkd_draw_labels(double *labels, const hkd_generator *g, const uint64_t *seeds, int64_t n) {
    const int64_t classes = g->model->config.label_dim;
    for (int64_t k = 0; k < n && classes; k++) {
        const hkd_stream stream = {.seed = seeds[k], .purpose = HKD_FOR_LABEL};
        const int64_t label = g->class_label >= 0 ? g->class_label : (int64_t)hkd_random_below(&stream, 0, (uint64_t)classes);
        for (int64_t i = 0; i < classes; i++) labels[k * classes + i] = i == label;
    }
}

/* What one call works on. `sigmas` [n] is scratch: the network wants a noise level for each image. */
typedef struct {
    hkd_model *model;
    int64_t n, size;
    double *labels, *sigmas;
    const double *class_labels;
} request;

static hkd_status begin(request *r, const hkd_generator *g, const uint64_t *seeds, int64_t n, const double *class_labels) {
    const hkd_config *c = &g->model->config;
    *r = (request){.model = g->model, .n = n, .size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution};
    r->labels = calloc((size_t)(n * c->label_dim) + 1, sizeof *r->labels);
    r->sigmas = calloc((size_t)n + 1, sizeof *r->sigmas);
    if (!r->labels || !r->sigmas) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)n);
    if (!class_labels) hkd_draw_labels(r->labels, g, seeds, n);
    r->class_labels = class_labels ? class_labels : r->labels;
    return HKD_OK;
}

static void end(request *r) {
    free(r->labels);
    free(r->sigmas);
}

static hkd_status denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    request *r = self;
    (void)size;
    for (int64_t i = 0; i < n; i++) r->sigmas[i] = sigma;
    return hkd_model_denoise(r->model, d, NULL,
                             &(hkd_model_input){.n = n, .x = x, .sigma = r->sigmas, .class_labels = r->class_labels});
}

static void start(double *x, const hkd_sampling *s, const double *latents, double sigma) {
    if (!latents) hkd_draw_latents(x, s, sigma);
    else for (int64_t i = 0; i < s->n * s->size; i++) x[i] = sigma * latents[i];
}

hkd_status hkd_generate(const hkd_generator *g, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n,
                        const double *latents, const double *class_labels) {
    request r;
    hkd_status status = begin(&r, g, seeds, n, class_labels);
    if (!status) {
        hkd_sampling s = {.denoise = denoise, .denoiser = &r, .n = n, .size = r.size, .seeds = seeds, .watch = g->watch,
                          .watcher = g->watcher};
        start(x, &s, latents, g->sigma[0]);
        status = g->kind == HKD_ONESTEP ? hkd_sample_multistep(&s, x, g->sigma, g->steps, g->model->config.sigma_min)
                                        : hkd_sample_edm(&s, x, g->sigma, g->steps, &g->edm);
        *nfe = s.nfe;
    }
    end(&r);
    return status;
}

hkd_status hkd_sample(hkd_model *m, double *x, const uint64_t *seeds, int64_t n, int64_t steps) {
    hkd_generator g = {0};
    int64_t nfe;
    hkd_status status = steps < 1 ? hkd_fail(HKD_USAGE, "%lld steps: expected one or more", (long long)steps)
                                  : hkd_generator_new(&g, m, m->config.is_hkd ? HKD_ONESTEP : HKD_HEUN, steps, NULL);
    if (!status) status = hkd_generate(&g, x, &nfe, seeds, n, NULL, NULL);
    free(g.sigma);
    return status;
}

/* ---- pictures along the way --------------------------------------------------------------------------------------------- */

static hkd_status allocate_latents(double **z, const hkd_model *m, int64_t n) {
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(n * hkd_count(&s)) * sizeof *z[i] + 1);
        if (!z[i]) return hkd_fail(HKD_RESOURCES, "out of memory for the latents of %lld images", (long long)n);
    }
    return HKD_OK;
}

/* dt carries latents from time 1 to `time`; for time 0 it is exactly that of one step. */
static double dt_to(const hkd_config *c, double time) {
    return hkd_dt_to_end(c, c->sigma_max) - hkd_dt_to_end(c, level(c, time));
}

hkd_status hkd_generate_path(const hkd_generator *g, double *x, const double *times, size_t count, const uint64_t *seeds,
                             int64_t n, const double *latents, const double *class_labels) {
    const hkd_config *c = &g->model->config;
    if (!c->is_hkd) return hkd_fail(HKD_USAGE, "only HKD models have states along the way");
    double *z[HKD_MAX_LATENTS + 1] = {NULL}, *noise = NULL, *dt = NULL;
    request r;
    hkd_status status = begin(&r, g, seeds, n, class_labels);
    if (!status) status = allocate_latents(z, g->model, n);
    if (!status) {
        noise = malloc((size_t)(n * r.size) * sizeof *noise + 1);
        dt = malloc((size_t)n * sizeof *dt + 1);
        if (!noise || !dt) status = hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)n);
    }
    if (!status) {
        const hkd_sampling s = {.n = n, .size = r.size, .seeds = seeds};
        const hkd_model_input in = {.n = n, .x = noise, .sigma = r.sigmas, .class_labels = r.class_labels, .dt = dt};
        start(noise, &s, latents, c->sigma_max);
        for (int64_t i = 0; i < n; i++) r.sigmas[i] = c->sigma_max;
        for (int64_t i = 0; i < n; i++) dt[i] = 0;
        status = hkd_model_encode(g->model, z, &in);
        for (size_t t = 0; t < count && !status; t++) {
            for (int64_t i = 0; i < n; i++) dt[i] = dt_to(c, times[t]);
            status = hkd_model_decode(g->model, x + (int64_t)t * n * r.size, NULL, (const double *const *)z, &in);
        }
    }
    for (int i = 0; i <= HKD_MAX_LATENTS; i++) free(z[i]);
    free(noise);
    free(dt);
    end(&r);
    return status;
}
