#include "paths.h"

#include "rng.h"
#include "schedule.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

static int64_t size_of(const hkd_config *c) { return (int64_t)c->img_channels * c->img_resolution * c->img_resolution; }

static hkd_schedule schedule_of(const hkd_config *c) {
    return (hkd_schedule){HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
}

/* ---- computing ---- */

typedef struct {
    const hkd_path_teacher *teacher;
    double *class_labels; /* one-hot, or NULL */
    double *states;
    int64_t steps;
} guide;

static hkd_status denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    const guide *g = self;
    if (!g->teacher->model) return g->teacher->denoise(g->teacher->self, d, x, sigma, n, size);
    double *sigmas = malloc((size_t)n * sizeof *sigmas + 1);
    if (!sigmas) return hkd_fail(HKD_RESOURCES, "out of memory while sampling");
    for (int64_t i = 0; i < n; i++) sigmas[i] = sigma;
    const hkd_model_input in = {.n = n, .x = x, .sigma = sigmas, .class_labels = g->class_labels};
    const hkd_status status = hkd_model_denoise(g->teacher->model, d, NULL, &in);
    free(sigmas);
    return status;
}

static hkd_status keep_state(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    const guide *g = self;
    (void)sigma;
    for (int64_t k = 0; k < n; k++)
        memcpy(g->states + (k * (g->steps + 1) + i) * size, x + k * size, (size_t)size * sizeof *x);
    return HKD_OK;
}

static hkd_status draw_labels(guide *g, double *labels, const uint64_t *seeds, int64_t n) {
    const int64_t classes = g->teacher->model ? g->teacher->config->label_dim : 0;
    if (classes) g->class_labels = calloc((size_t)(n * classes), sizeof *g->class_labels);
    if (classes && !g->class_labels) return hkd_fail(HKD_RESOURCES, "out of memory while sampling");
    for (int64_t k = 0; k < n; k++) {
        const int64_t label = classes ? hkd_random_label(seeds[k], classes) : -1;
        labels[k] = (double)label;
        if (classes) g->class_labels[k * classes + label] = 1;
    }
    return HKD_OK;
}

hkd_status hkd_paths_compute(double *states, double *labels, const hkd_path_teacher *teacher, const uint64_t *seeds, int64_t n,
                             int64_t steps) {
    const int64_t size = size_of(teacher->config);
    const hkd_schedule schedule = schedule_of(teacher->config);
    guide g = {.teacher = teacher, .states = states, .steps = steps};
    hkd_sampling s = {.denoise = denoise, .denoiser = &g, .n = n, .size = size, .seeds = seeds, .watch = keep_state,
                      .watcher = &g};
    double *sigma = malloc((size_t)(steps + 1) * sizeof *sigma), *x = malloc((size_t)(n * size) * sizeof *x + 1);
    hkd_status status = sigma && x ? draw_labels(&g, labels, seeds, n)
                        : hkd_fail(HKD_RESOURCES, "out of memory while sampling");
    if (!status) status = hkd_schedule_grid(sigma, steps, &schedule);
    if (!status) {
        status = hkd_draw_latents(x, &s, sigma[0]);
        if (!status) status = hkd_sample_edm(&s, x, sigma, steps, &hkd_edm_heun);
    }
    free(g.class_labels);
    free(sigma);
    free(x);
    return status;
}

/* ---- on the fly ---- */

/* The trajectories of one step. */
typedef struct {
    hkd_path_teacher teacher;
    uint64_t first_seed;
    int64_t steps, size, held;
    int64_t *index;   /* [held] */
    double *states;   /* [held, steps + 1, size] */
    double *labels;   /* [held] */
    double *sigma;    /* [steps + 1] */
} supply;

static void forget(supply *s) {
    free(s->index);
    free(s->states);
    free(s->labels);
    s->index = NULL, s->states = s->labels = NULL;
    s->held = 0;
}

static hkd_status prepare(const hkd_trajectories *t, const int64_t *index, int64_t n) {
    supply *s = t->context;
    forget(s);
    uint64_t *seeds = malloc((size_t)n * sizeof *seeds + 1);
    s->index = malloc((size_t)n * sizeof *s->index + 1);
    s->states = malloc((size_t)(n * (s->steps + 1) * s->size) * sizeof *s->states + 1);
    s->labels = malloc((size_t)n * sizeof *s->labels + 1);
    hkd_status status = seeds && s->index && s->states && s->labels ? HKD_OK
                        : hkd_fail(HKD_RESOURCES, "out of memory for trajectories");
    for (int64_t k = 0; k < n && !status; k++) seeds[k] = s->first_seed + (uint64_t)(s->index[k] = index[k]);
    if (!status) status = hkd_paths_compute(s->states, s->labels, &s->teacher, seeds, n, s->steps);
    if (!status) s->held = n;
    free(seeds);
    return status;
}

static int64_t find(const supply *s, int64_t index) {
    int64_t k = 0;
    while (k < s->held && s->index[k] != index) k++;
    return k;
}

static hkd_status get(const hkd_trajectories *t, int64_t index, int state, double *x) {
    const supply *s = t->context;
    const int64_t k = find(s, index);
    if (k == s->held) return hkd_fail(HKD_USAGE, "trajectory %lld was not prepared", (long long)index);
    memcpy(x, s->states + (k * (s->steps + 1) + state) * s->size, (size_t)s->size * sizeof *x);
    return HKD_OK;
}

static hkd_status label_of(const hkd_trajectories *t, int64_t index, int *label) {
    const supply *s = t->context;
    const int64_t k = find(s, index);
    if (k == s->held) return hkd_fail(HKD_USAGE, "trajectory %lld was not prepared", (long long)index);
    *label = (int)s->labels[k];
    return HKD_OK;
}

hkd_status hkd_paths_live(hkd_trajectories *out, const hkd_path_teacher *teacher, uint64_t first_seed, int64_t count,
                          int64_t steps) {
    const hkd_schedule schedule = schedule_of(teacher->config);
    supply *s = calloc(1, sizeof *s);
    double *sigma = malloc((size_t)(steps + 1) * sizeof *sigma);
    hkd_status status = s && sigma ? hkd_schedule_grid(sigma, steps, &schedule) : hkd_fail(HKD_RESOURCES, "out of memory");
    if (status) {
        free(s);
        free(sigma);
        return status;
    }
    *s = (supply){.teacher = *teacher, .first_seed = first_seed, .steps = steps, .size = size_of(teacher->config),
                   .sigma = sigma};
    *out = (hkd_trajectories){.count = count, .states = (int)steps + 1, .sigma = sigma, .prepare = prepare, .get = get,
                              .label = label_of, .context = s};
    return HKD_OK;
}

void hkd_paths_live_free(hkd_trajectories *t) {
    supply *s = t->context;
    if (s) {
        forget(s);
        free(s->sigma);
    }
    free(s);
    *t = (hkd_trajectories){0};
}
