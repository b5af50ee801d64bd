#include "sides.h"

#include "model_inputs.h"
#include "model_levels.h"
#include "model_path.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Latents: of x_T; of x_t; the latter moved to the end; and what is decoded, which goes from the one end to the other. */
enum { OF_T, OF_STATE, AT_END, MIXED, KINDS };

typedef struct {
    hkd_model *m;
    hkd_model_levels levels;
    int64_t n, size;
    double *x_T, *x_t, *picture[2], *delta[HKD_MAX_LATENTS]; /* [n, size] each; delta by level */
    double *labels, *sigma, *zero;                           /* [n, label_dim], [n], [n] */
    double *z[KINDS][HKD_MAX_LATENTS + 1];
} job;

static hkd_status room(job *j, int64_t n) {
    const hkd_config *c = &j->m->config;
    j->n = n;
    j->size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    const int64_t all = n * j->size;
    double *at = j->x_T = calloc((size_t)(all * (4 + j->levels.count) + n * (2 + c->label_dim)) + 1, sizeof *at);
    if (!at) return hkd_fail(HKD_RESOURCES, "out of memory for the sides of the consistency bound");
    j->x_t = at += all;
    for (int k = 0; k < 2; k++) j->picture[k] = at += all;
    for (int64_t k = 0; k < j->levels.count; k++) j->delta[k] = at += all;
    j->sigma = at += all;
    j->zero = at += n;
    j->labels = at + n;
    hkd_status status = HKD_OK;
    for (int k = 0; k < KINDS && !status; k++) status = hkd_latents_new(j->z[k], j->m, n);
    return status;
}

/* State `state` of the first n paths, with their labels. */
static hkd_status read_states(job *j, double *x, const hkd_trajectories *paths, int state) {
    const int64_t classes = j->m->config.label_dim;
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < j->n && !status; i++) {
        int label = -1;
        status = paths->get(paths, i, state, x + i * j->size);
        if (!status && classes) status = paths->label(paths, i, &label);
        for (int64_t k = 0; k < classes; k++) j->labels[i * classes + k] = k == label;
    }
    return status;
}

static hkd_model_input input(job *j, const double *x, double sigma) {
    for (int64_t i = 0; i < j->n; i++) j->sigma[i] = sigma;
    return (hkd_model_input){.n = j->n, .x = x, .sigma = j->sigma, .class_labels = j->m->config.label_dim ? j->labels : NULL,
                             .dt = j->zero};
}

static const double *const *view(double *const *z) { return (const double *const *)z; }

/* H of the mixed latents. */
static hkd_status decode(job *j, double *picture) {
    const hkd_model_input in = input(j, j->x_T, j->m->config.sigma_max);
    return hkd_model_decode(j->m, picture, NULL, view(j->z[MIXED]), &in);
}

/* delta of every level; latents that no operator moves stay those of x_T. */
static hkd_status exchange(job *j, double t) {
    const hkd_model_levels *l = &j->levels;
    hkd_status status = hkd_model_evolve(j->z[MIXED], view(j->z[OF_T]), j->n, l->eps - l->T, j->m, l);
    if (!status) status = hkd_model_evolve(j->z[AT_END], view(j->z[OF_STATE]), j->n, l->eps - t, j->m, l);
    if (!status) status = decode(j, j->picture[0]);
    for (int64_t k = 0; k < l->count && !status; k++) {
        const hkd_level *v = &l->level[k];
        const int i = l->latent[k];
        double *before = j->picture[k % 2], *after = j->picture[(k + 1) % 2];
        memcpy(j->z[MIXED][i], j->z[AT_END][i], (size_t)(j->n * v->d * v->h * v->w) * sizeof(double));
        status = decode(j, after);
        for (int64_t e = 0; e < j->n * j->size; e++) j->delta[k][e] = after[e] - before[e];
    }
    return status;
}

static hkd_status at_state(hkd_consistency *out, job *j, const hkd_trajectories *paths, int state) {
    const hkd_model_levels *l = &j->levels;
    const double sigma = paths->sigma[state];
    const double t = fmin(fmax(hkd_time_of_sigma(&j->m->config, sigma), l->eps), l->T);
    const double *z[HKD_MAX_LATENTS], *w[HKD_MAX_LATENTS], *const *delta = (const double *const *)j->delta;
    hkd_status status = read_states(j, j->x_t, paths, state);
    if (!status) {
        const hkd_model_input in = input(j, j->x_t, sigma);
        status = hkd_model_encode(j->m, j->z[OF_STATE], &in);
    }
    if (!status) status = exchange(j, t);
    for (int64_t k = 0; k < l->count; k++) z[k] = j->z[OF_STATE][l->latent[k]], w[k] = j->z[OF_T][l->latent[k]];
    if (status) return status;
    return hkd_consistency_sides(out, delta, j->size, z, w, j->n, l->level, l->count, l->eps, l->T, t);
}

static hkd_status measure(hkd_consistency *out, job *j, const hkd_trajectories *paths) {
    hkd_status status = read_states(j, j->x_T, paths, 0);
    if (!status) {
        const hkd_model_input in = input(j, j->x_T, paths->sigma[0]);
        status = hkd_model_encode(j->m, j->z[OF_T], &in);
    }
    *out = (hkd_consistency){.meaningful = true};
    for (int k = 1; k <= HKD_SIDES_TIMES && !status; k++) {
        const int middle = k * (paths->states - 1) / (HKD_SIDES_TIMES + 1);
        hkd_consistency at;
        status = at_state(&at, j, paths, middle < 1 ? 1 : middle);
        if (status) return status;
        out->loss += at.loss / HKD_SIDES_TIMES;
        out->bound += at.bound / HKD_SIDES_TIMES;
        out->rho = fmax(out->rho, at.rho);
        out->meaningful = out->meaningful && at.meaningful;
    }
    return status;
}

hkd_status hkd_train_sides(hkd_consistency *out, hkd_model *m, const hkd_trajectories *paths) {
    static const int64_t first[HKD_SIDES_PATHS] = {0, 1, 2, 3};
    const int64_t n = paths->count < HKD_SIDES_PATHS ? paths->count : HKD_SIDES_PATHS;
    job *j = calloc(1, sizeof *j);
    if (!j) return hkd_fail(HKD_RESOURCES, "out of memory for the sides of the consistency bound");
    j->m = m;
    hkd_status status = hkd_model_levels_read(&j->levels, m);
    if (!status) status = room(j, n);
    if (!status && paths->prepare) status = paths->prepare(paths, first, n);
    if (!status) status = measure(out, j, paths);
    hkd_model_levels_free(&j->levels);
    for (int k = 0; k < KINDS; k++) free(j->z[k][0]);
    free(j->x_T);
    free(j);
    return status;
}
