#include "refit.h"

#include "model_levels.h"
#include "rng.h"
#include "schedule.h"
#include "status.h"
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, HELD = 64 };

typedef struct {
    const hkd_refit_settings *s;
    hkd_model *model;
    const hkd_model *start;
    const hkd_path_teacher *teacher;
    int64_t images, size, done;
    double *states, *labels, *sigma;       /* [trajectories + HELD, steps + 1, size], [..], [steps + 1] */
    double *learnt[HKD_REFIT_RUNS + 1];    /* all alphas: of the model, then of each run with trained operators */
    int64_t modes;
    hkd_refit *out;
} job;

static hkd_status tell(const job *j, const char *what, int64_t done, int64_t all) {
    return j->s->progress ? j->s->progress(j->s->self, what, done, all) : HKD_OK;
}

/* ---- operators that are not trained ---- */

hkd_status hkd_draw_operators(hkd_model *m, double size, uint64_t seed) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < m->weights->count && !status; i++) {
        hkd_weight *w = &m->weights->item[i];
        if (strncmp(w->name, "koopman.", 8)) continue;
        const int64_t count = hkd_count(&w->value.shape);
        const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_WEIGHTS, .draw = (uint32_t)i};
        double *a = malloc((size_t)count * sizeof *a + 1);
        if (!a) return hkd_fail(HKD_RESOURCES, "out of memory for %s", w->name);
        hkd_random_normals(a, 0, count, &stream);
        for (int64_t k = 0; k < count; k++) a[k] = (float)(size * a[k]);
        status = m->dev->upload(m->dev, &w->value, a, HKD_F64);
        free(a);
    }
    return status;
}

void hkd_freeze_operators(hkd_model *m) {
    for (int i = 0; i < m->weights->count; i++)
        if (!strncmp(m->weights->item[i].name, "koopman.", 8)) m->weights->item[i].trained = false;
}

/* The weights of `start` by name; operators are drawn. */
static hkd_status start_from(hkd_model *m, const hkd_model *start) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < m->weights->count && !status; i++) {
        const hkd_weight *to = &m->weights->item[i], *from = hkd_weights_find(start->weights, to->name);
        if (!strncmp(to->name, "koopman.", 8)) continue;
        if (!from || !hkd_same_shape(&from->value.shape, &to->value.shape))
            return hkd_fail(HKD_USAGE, "refit: the start has no %s of the model's shape", to->name);
        double *x = malloc((size_t)hkd_count(&to->value.shape) * sizeof *x + 1);
        if (!x) return hkd_fail(HKD_RESOURCES, "out of memory for %s", to->name);
        status = start->dev->download(start->dev, x, HKD_F64, &from->value);
        if (!status) status = m->dev->upload(m->dev, &to->value, x, HKD_F64);
        free(x);
    }
    return status;
}

/* ---- the teacher's trajectories ---- */

static hkd_status make_paths(job *j) {
    const int64_t all = j->s->trajectories + HELD, each = (j->s->steps + 1) * j->size;
    const hkd_config *c = j->teacher->config;
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    j->states = malloc((size_t)(all * each) * sizeof(double) + 1);
    j->labels = malloc((size_t)(all + j->s->steps + 1) * sizeof(double));
    if (!j->states || !j->labels) return hkd_fail(HKD_RESOURCES, "out of memory for %lld trajectories", (long long)all);
    j->sigma = j->labels + all;
    hkd_status status = hkd_schedule_grid(j->sigma, j->s->steps, &schedule);
    for (int64_t first = 0; first < all && !status; first += BATCH) {
        const int64_t n = all - first < BATCH ? all - first : BATCH;
        uint64_t seeds[BATCH];
        for (int64_t i = 0; i < n; i++) seeds[i] = (UINT64_C(1) << 42) + (uint64_t)(first + i);
        status = hkd_paths_compute(j->states + first * each, j->labels + first, j->teacher, seeds, n, j->s->steps);
        if (!status) status = tell(j, "trajectories", first + n, all);
    }
    return status;
}

static hkd_status get_state(const hkd_trajectories *t, int64_t index, int state, double *x) {
    const job *j = t->context;
    memcpy(x, j->states + (index * (j->s->steps + 1) + state) * j->size, (size_t)j->size * sizeof *x);
    return HKD_OK;
}

static hkd_status get_label(const hkd_trajectories *t, int64_t index, int *label) {
    const job *j = t->context;
    *label = (int)j->labels[index];
    return HKD_OK;
}

/* ---- a run ---- */

/* The losses of a network on the trajectories kept from training, at T and at every later state but the last. */
static hkd_status evaluate(hkd_refit_loss *out, job *j, hkd_model *m) {
    const hkd_config *c = &m->config;
    const int64_t n = HELD;
    double *x = malloc((size_t)(2 * n * j->size + n * (2 + c->label_dim)) * sizeof *x + 1), *d = x + n * j->size;
    double *sigma = d + n * j->size, *labels = sigma + n;
    hkd_status status = x ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld trajectories", (long long)n);
    *out = (hkd_refit_loss){0, 0};
    for (int64_t i = 0; i < n * c->label_dim && !status; i++)
        labels[i] = j->labels[j->s->trajectories + i / c->label_dim] == (double)(i % c->label_dim);
    for (int64_t t = 0; t < j->s->steps && !status; t++) {
        const hkd_model_input in = {.n = n, .x = x, .sigma = sigma, .class_labels = c->label_dim ? labels : NULL};
        double square = 0;
        for (int64_t i = 0; i < n; i++) {
            const double *path = j->states + (j->s->trajectories + i) * (j->s->steps + 1) * j->size;
            memcpy(x + i * j->size, path + t * j->size, (size_t)j->size * sizeof *x);
            sigma[i] = j->sigma[t];
        }
        status = hkd_model_denoise(m, d, NULL, &in);
        for (int64_t i = 0; i < n * j->size && !status; i++) {
            const int64_t k = i / j->size, e = i % j->size;
            const double off = d[i] - j->states[((j->s->trajectories + k) * (j->s->steps + 1) + j->s->steps) * j->size + e];
            square += off * off / (double)(n * j->size);
        }
        *(t ? &out->path : &out->end) += t ? square / (double)(j->s->steps - 1) : square;
    }
    free(x);
    return status;
}

/* The alphas of a model, and (or NULL) the root mean square of all its values. */
static hkd_status alphas(double **out, int64_t *count, double *size, const hkd_model *m) {
    hkd_model_levels l;
    const hkd_status status = hkd_model_levels_read(&l, m);
    double square = 0;
    if (status) return status;
    *count = hkd_model_alphas(NULL, &l, NULL);
    *out = malloc((size_t)*count * sizeof **out + 1);
    if (*out) hkd_model_alphas(*out, &l, l.values);
    for (int64_t i = 0; i < 2 * *count; i++) square += l.values[i] * l.values[i] / (double)(2 * *count);
    if (size) *size = sqrt(square);
    hkd_model_levels_free(&l);
    return *out ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the spectrum");
}

static hkd_status train(job *j, hkd_model *m, int kind, int64_t run) {
    hkd_trajectories paths = {.count = j->s->trajectories, .states = (int)j->s->steps + 1, .sigma = j->sigma, .get = get_state,
                              .label = get_label, .context = j};
    const hkd_hkd_objective objective = {.trajectories = &paths, .times = 2, .seed = (uint64_t)run};
    hkd_train_settings s = {.batch = BATCH, .micro_batch = 16, .images = j->images, .epoch_images = j->s->trajectories,
                            .lr = j->s->lr, .lr_gamma = 1, .optimizer = HKD_OPTIMIZER_DEFAULT, .hkd = &objective};
    hkd_trainer *t = NULL;
    int64_t checks = 0;
    hkd_status status = hkd_trainer_new(&t, m, &s);
    if (!status && kind != HKD_REFIT_TRAINED) hkd_freeze_operators(m);
    while (!status && t->images < j->images) {
        hkd_train_row row;
        status = hkd_trainer_step(t, &row);
        if (!status) status = tell(j, "refit", j->done += BATCH, HKD_REFIT_KINDS * j->s->runs * j->images);
        while (!status && checks < HKD_REFIT_CHECKS && t->images * HKD_REFIT_CHECKS >= (checks + 1) * j->images)
            status = evaluate(&j->out->after[kind][run][checks++], j, m);
    }
    hkd_trainer_free(t);
    return status;
}

static hkd_status run_kind(job *j, int kind, int64_t run) {
    hkd_model *m = NULL;
    hkd_status status = hkd_model_new(&m, &j->model->config, j->model->dev);
    if (!status) status = start_from(m, j->start);
    if (!status) status = hkd_draw_operators(m, kind == HKD_REFIT_RANDOM ? j->out->size : 0, (uint64_t)run);
    if (!status && kind == HKD_REFIT_ZERO && !run) status = evaluate(&j->out->before, j, m);
    if (!status) status = train(j, m, kind, run);
    if (!status && kind == HKD_REFIT_TRAINED) status = alphas(&j->learnt[run + 1], &j->modes, NULL, m);
    hkd_model_free(m);
    return status;
}

/* Adds a share of the correlation of two spectra; nothing where one does not vary. */
static hkd_status correlate(double *sum, const double *a, const double *b, int64_t count, double share) {
    const double *const pair[2] = {a, b};
    hkd_scatter s;
    const hkd_status status = hkd_scatter_over_models(&s, pair, 2, count);
    if (!status && isfinite(s.correlation)) *sum += share * s.correlation;
    return status;
}

/* Means over pairs: of the model with each run, and of the runs among each other (0 for a single one). */
static hkd_status agree(const job *j) {
    const double n = (double)j->s->runs, pairs = n * (n - 1) / 2;
    hkd_status status = HKD_OK;
    for (int64_t k = 1; k <= j->s->runs; k++) {
        if (!status) status = correlate(&j->out->with_model, j->learnt[0], j->learnt[k], j->modes, 1 / n);
        for (int64_t i = 1; i < k && !status; i++)
            status = correlate(&j->out->among_runs, j->learnt[i], j->learnt[k], j->modes, 1 / pairs);
    }
    return status;
}

static hkd_status check(const hkd_refit_settings *s) {
    const bool fits = s->images >= 1 && s->runs >= 1 && s->runs <= HKD_REFIT_RUNS && s->trajectories >= BATCH && s->steps >= 2;
    return fits && s->lr >= 0 ? HKD_OK
                              : hkd_fail(HKD_USAGE, "refit: expected images, 1 to %d runs, %d trajectories of 2 steps or more",
                                         HKD_REFIT_RUNS, BATCH);
}

hkd_status hkd_refit_run(hkd_refit *out, hkd_model *model, const hkd_model *start, const hkd_path_teacher *teacher,
                         const hkd_refit_settings *s) {
    const hkd_config *c = &model->config;
    job j = {.s = s, .model = model, .start = start, .teacher = teacher, .out = out,
             .images = (s->images + BATCH - 1) / BATCH * BATCH,
             .size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution};
    memset(out, 0, sizeof *out);
    hkd_status status = check(s);
    if (!status) status = alphas(&j.learnt[0], &j.modes, &out->size, model);
    if (s->size >= 0) out->size = s->size;
    if (!status) status = make_paths(&j);
    for (int64_t run = 0; run < s->runs; run++)
        for (int kind = 0; kind < HKD_REFIT_KINDS && !status; kind++) status = run_kind(&j, kind, run);
    if (!status) status = agree(&j);
    for (int k = 0; k <= HKD_REFIT_RUNS; k++) free(j.learnt[k]);
    free(j.states);
    free(j.labels);
    return status;
}
