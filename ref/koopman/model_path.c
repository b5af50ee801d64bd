#include "model_path.h"

#include "hkd_ref.h"
#include "schedule.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_teacher_check(const hkd_model *teacher, const hkd_model *m) {
    const hkd_config *t = &teacher->config, *c = &m->config;
    if (!t->is_hkd && t->img_resolution == c->img_resolution && t->img_channels == c->img_channels &&
        t->label_dim == c->label_dim)
        return HKD_OK;
    return hkd_fail(HKD_USAGE, "%s: expected a denoiser of the model's pictures and classes",
                    teacher->file ? teacher->file : "teacher");
}

hkd_status hkd_model_evolve(double *const *y, const double *const *z, int64_t n, double dt, const hkd_model *m,
                            const hkd_model_levels *l) {
    double *each = malloc((size_t)n * sizeof *each + 1);
    if (!each) return hkd_fail(HKD_RESOURCES, "evolution of %lld images: out of memory", (long long)n);
    for (int64_t i = 0; i < n; i++) each[i] = dt;
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        if (y[i] != z[i]) memcpy(y[i], z[i], (size_t)(n * hkd_count(&s)) * sizeof **y);
    }
    for (int64_t k = 0; k < l->count; k++) {
        const hkd_level *v = &l->level[k];
        double *latent = y[l->latent[k]];
        hkd_ref_koopman_evolve(latent, latent, v->a, each, &(hkd_koopman_dims){n, v->d, v->h, v->w, v->ah, v->aw});
    }
    free(each);
    return HKD_OK;
}

void hkd_model_latent_gap(double *gap, const double *const *y, const double *const *z, int64_t n, const hkd_model_levels *l) {
    for (int64_t i = 0; i < n; i++) {
        double apart = 0, length = 0;
        for (int64_t k = 0; k < l->count; k++) {
            const hkd_level *v = &l->level[k];
            const int64_t size = v->d * v->h * v->w;
            const double *a = y[l->latent[k]] + i * size, *b = z[l->latent[k]] + i * size;
            for (int64_t e = 0; e < size; e++) apart += (a[e] - b[e]) * (a[e] - b[e]), length += b[e] * b[e];
        }
        gap[i] = length > 0 ? apart / length : 0;
    }
}

/* ---- states at given levels ---- */

typedef struct {
    double *state;
    const double *level;
    int64_t count;
    hkd_watch *watch; /* the caller's */
    void *watcher;
} recorder;

/* Levels that differ by rounding alone are one level. */
static bool same_level(double a, double b) { return fabs(a - b) <= 1e-9 * b; }

static hkd_status record(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    recorder *r = self;
    for (int64_t k = 0; k < r->count; k++)
        if (same_level(sigma, r->level[k])) memcpy(r->state + k * n * size, x, (size_t)(n * size) * sizeof *x);
    return r->watch ? r->watch(r->watcher, i, sigma, x, n, size) : HKD_OK;
}

static int downwards(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Both lists in one, decreasing, each value once, 0 at the end; returns the number of steps. */
static int64_t join(double *all, const double *level, int64_t count, const double *grid, int64_t steps) {
    int64_t n = 0, kept = 0;
    for (int64_t i = 0; i < count; i++) all[n++] = level[i];
    for (int64_t i = 0; i <= steps; i++) all[n++] = grid[i];
    qsort(all, (size_t)n, sizeof *all, downwards);
    for (int64_t i = 0; i < n; i++)
        if (!kept || !same_level(all[i], all[kept - 1])) all[kept++] = all[i];
    return kept - 1;
}

hkd_status hkd_sample_through(double *state, const double *level, int64_t count, hkd_sampling *s, double *x, const double *grid,
                              int64_t steps) {
    for (int64_t k = 0; k < count; k++)
        if (!(level[k] >= 0 && level[k] <= grid[0]))
            return hkd_fail(HKD_USAGE, "trajectory: level %g lies outside 0 to %g", level[k], grid[0]);
    double *all = malloc((size_t)(count + steps + 1) * sizeof *all);
    if (!all) return hkd_fail(HKD_RESOURCES, "trajectory of %lld levels: out of memory", (long long)count);
    recorder r = {state, level, count, s->watch, s->watcher};
    const int64_t all_steps = join(all, level, count, grid, steps);
    s->watch = record;
    s->watcher = &r;
    const hkd_status status = hkd_sample_edm(s, x, all, all_steps, &hkd_edm_heun);
    s->watch = r.watch;
    s->watcher = r.watcher;
    free(all);
    return status;
}

/* ---- a denoiser as teacher ---- */

typedef struct {
    hkd_model_denoiser by;
    const hkd_ticker *ticker;
    int64_t done, total;
} teacher;

static hkd_status teach(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    teacher *t = self;
    const hkd_status status = hkd_tick(t->ticker, t->done++, t->total);
    return status ? status : hkd_denoise_model(&t->by, d, x, sigma, n, size);
}

hkd_status hkd_teacher_states(double *state, hkd_model *m, const hkd_model *student, const hkd_model_input *noise,
                              const double *times, int64_t count, int64_t steps, const hkd_ticker *ticker) {
    const hkd_config *c = &student->config;
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    const int64_t n = noise->n, size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    double *grid = malloc((size_t)(steps + 1 + count + n + n * size) * sizeof *grid + 1), *level = grid + steps + 1;
    teacher t = {.by = {.m = m, .in = *noise, .sigma = level + count}, .ticker = ticker, .total = 2 * steps - 1};
    double *x = level + count + n;
    hkd_status status = grid ? hkd_schedule_grid(grid, steps, &schedule)
                             : hkd_fail(HKD_RESOURCES, "the teacher's path of %lld images: out of memory", (long long)n);
    if (!status) {
        hkd_sampling s = {.denoise = teach, .denoiser = &t, .n = n, .size = size};
        grid[0] = c->sigma_max;
        t.by.in.dt = NULL;
        for (int64_t k = 0; k < count; k++) level[k] = times[k] > 0 ? fmin(hkd_level_at(c, times[k]), c->sigma_max) : 0;
        memcpy(x, noise->x, (size_t)(n * size) * sizeof *x);
        status = hkd_sample_through(state, level, count, &s, x, grid, steps);
    }
    free(grid);
    return status;
}
