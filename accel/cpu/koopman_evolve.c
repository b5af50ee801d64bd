/* koopman_evolve on the cpu. A pixel's channel pairs lie side by side; one row of factors turns them all.
 *
 * The factors exp(alpha dt) cos(beta dt) and exp(alpha dt) sin(beta dt) depend on position and dt alone, so a thread that
 * walks the images at one position forms them anew only when dt changes: once per position when all images share dt. A is
 * brought into the same order, channels innermost, once per call, or once when it is frozen. */
#include "cpu.h"
#include "vmath.h"

#ifdef _OPENMP
#include <omp.h>
#endif

extern const hkd_op hkd_op_koopman_evolve;

enum { Z, A, DT };
enum { LINE = 16 }; /* floats of a cache line */
enum { GC, GS, DA_ALPHA, DA_BETA, THREAD_ROWS }; /* rows of `half` floats that every thread has for itself */

typedef struct {
    int64_t n, half, area, a_area, groups; /* half: pairs of channels; groups of HKD_GROUP images */
    const float *alpha, *beta;             /* [a_area, half] each */
    float *ddt;                            /* [n, area] */
    float *shared;                         /* [groups, 2, half]: dA of a group of images when one vector serves all positions */
    float *thread;                         /* [threads, THREAD_ROWS, half] */
} work;

static work work_of(const hkd_call *call) {
    const int64_t *z = call->in[Z].shape.dim, *a = call->in[A].shape.dim;
    return (work){.n = z[0], .half = z[1] / 2, .area = z[2] * z[3], .a_area = a[1] * a[2],
                  .groups = (z[0] + HKD_GROUP - 1) / HKD_GROUP};
}

/* Floats of alpha and beta, channels innermost. */
static int64_t a_floats(const work *w) { return 2 * w->a_area * w->half; }

static size_t workspace(const hkd_cpu *cpu, const hkd_call *call, bool backward) {
    const work w = work_of(call);
    const int64_t ordered = hkd_cpu_frozen(&call->in[A]) ? 0 : a_floats(&w), threads = cpu->threads * THREAD_ROWS * w.half;
    return (size_t)(ordered + threads + (backward ? w.n * w.area + 2 * w.groups * w.half : 0)) * sizeof(float);
}

/* to = alpha, then beta: [a_area, half] each. */
static void order(const hkd_cpu *cpu, float *to, const float *a, const work *w) {
    float *alpha = to, *beta = to + w->a_area * w->half;
    (void)cpu;
    #pragma omp parallel for num_threads(cpu->threads) if (w->a_area * w->half > HKD_SMALL)
    for (int64_t first = 0; first < w->a_area; first += LINE) {
        const int64_t end = first + LINE < w->a_area ? first + LINE : w->a_area;
        for (int64_t k = 0; k < w->half; k++)
            for (int64_t s = first; s < end; s++) {
                alpha[s * w->half + k] = a[k * w->a_area + s];
                beta[s * w->half + k] = a[(w->half + k) * w->a_area + s];
            }
    }
}

static hkd_status begin(hkd_cpu *cpu, const hkd_call *call, work *w, bool backward) {
    float *scratch;
    const hkd_status status = hkd_cpu_scratch(cpu, &scratch, workspace(cpu, call, backward));
    if (status) return status;
    w->alpha = hkd_cpu_frozen(&call->in[A]);
    if (!w->alpha) {
        order(cpu, scratch, hkd_cpu_data(&call->in[A]), w);
        w->alpha = scratch;
        scratch += a_floats(w);
    }
    w->beta = w->alpha + w->a_area * w->half;
    w->thread = scratch;
    w->ddt = w->thread + cpu->threads * THREAD_ROWS * w->half;
    w->shared = w->ddt + w->n * w->area;
    return HKD_OK;
}

static hkd_status freeze(hkd_cpu *cpu, const hkd_call *call) {
    const work w = work_of(call);
    hkd_cpu_form form;
    if (hkd_cpu_frozen(&call->in[A])) return HKD_OK;
    const hkd_status status = hkd_cpu_form_new(&form, (size_t)a_floats(&w));
    if (status) return status;
    order(cpu, form.data, hkd_cpu_data(&call->in[A]), &w);
    hkd_cpu_freeze(call->in[A].buffer, form, 0);
    return HKD_OK;
}

static float *thread_rows(const work *w) {
#ifdef _OPENMP
    return w->thread + omp_get_thread_num() * THREAD_ROWS * w->half;
#else
    return w->thread;
#endif
}

static void factors(float *row, const work *w, int64_t s, float dt) {
    const float *alpha = w->alpha + (w->a_area == 1 ? 0 : s) * w->half, *beta = w->beta + (w->a_area == 1 ? 0 : s) * w->half;
    for (int64_t k = 0; k < w->half; k++) {
        float cosine, sine;
        hkd_v_cos_sin(&cosine, &sine, beta[k] * dt);
        const float g = hkd_v_exp(alpha[k] * dt);
        row[GC * w->half + k] = g * cosine;
        row[GS * w->half + k] = g * sine;
    }
}

static hkd_status forward(hkd_cpu *cpu, const hkd_call *call) {
    const float *z = hkd_cpu_data(&call->in[Z]), *dt = hkd_cpu_data(&call->in[DT]);
    float *y = hkd_cpu_data(&call->out[0]);
    work w = work_of(call);
    const hkd_status status = begin(cpu, call, &w, false);
    if (status) return status;
    #pragma omp parallel for num_threads(cpu->threads) if (w.n * w.half * w.area > HKD_SMALL)
    for (int64_t s = 0; s < w.area; s++) {
        float *row = thread_rows(&w);
        const float *gc = row + GC * w.half, *gs = row + GS * w.half;
        for (int64_t n = 0; n < w.n; n++) {
            const int64_t at = (n * w.area + s) * 2 * w.half;
            if (n == 0 || dt[n] != dt[n - 1]) factors(row, &w, s, dt[n]);
            for (int64_t k = 0; k < w.half; k++) {
                const float z0 = z[at + 2 * k], z1 = z[at + 2 * k + 1];
                y[at + 2 * k] = gc[k] * z0 + gs[k] * z1;
                y[at + 2 * k + 1] = gc[k] * z1 - gs[k] * z0;
            }
        }
    }
    return HKD_OK;
}

/* The arrays of one backward call. */
typedef struct {
    const float *z, *dt, *dy;
    float *dz, *da, *ddt;
    bool add_z;
} gradients;

/* Position s of image n: dz, the rows of dA increased, and the position's part of ddt. */
static void position_gradient(const gradients *g, const work *w, float *row, int64_t n, int64_t s) {
    const int64_t half = w->half, at = (n * w->area + s) * 2 * half, a_at = (w->a_area == 1 ? 0 : s) * half;
    const float *gc = row + GC * half, *gs = row + GS * half, *alpha = w->alpha + a_at, *beta = w->beta + a_at;
    float *to_alpha = row + DA_ALPHA * half, *to_beta = row + DA_BETA * half, dt = g->dt[n], sum = 0;
    #pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < half; k++) {
        const float z0 = g->z[at + 2 * k], z1 = g->z[at + 2 * k + 1], dy0 = g->dy[at + 2 * k], dy1 = g->dy[at + 2 * k + 1];
        const float y0 = gc[k] * z0 + gs[k] * z1, y1 = gc[k] * z1 - gs[k] * z0;
        const float along = y0 * dy0 + y1 * dy1, across = y1 * dy0 - y0 * dy1;
        to_alpha[k] += dt * along;
        to_beta[k] += dt * across;
        sum += alpha[k] * along + beta[k] * across;
    }
    w->ddt[n * w->area + s] = sum;
    for (int64_t k = 0; g->dz && k < half; k++) {
        const float dy0 = g->dy[at + 2 * k], dy1 = g->dy[at + 2 * k + 1];
        g->dz[at + 2 * k] = (g->add_z ? g->dz[at + 2 * k] : 0) + (gc[k] * dy0 - gs[k] * dy1);
        g->dz[at + 2 * k + 1] = (g->add_z ? g->dz[at + 2 * k + 1] : 0) + (gs[k] * dy0 + gc[k] * dy1);
    }
}

/* Images [first, first + HKD_GROUP) at positions [from, to): their dA is left in the thread's rows. */
static void group_gradient(const gradients *g, const work *w, float *row, int64_t first, int64_t from, int64_t to) {
    for (int64_t k = 0; k < 2 * w->half; k++) row[DA_ALPHA * w->half + k] = 0;
    for (int64_t s = from; s < to; s++)
        for (int64_t n = first; n < w->n && n < first + HKD_GROUP; n++) {
            if (n == first || g->dt[n] != g->dt[n - 1]) factors(row, w, s, g->dt[n]);
            position_gradient(g, w, row, n, s);
        }
}

/* dA [d, h, w]: every position belongs to one thread. */
static void gradient_by_position(const gradients *g, const work *w, int threads) {
    (void)threads;
    #pragma omp parallel for num_threads(threads) if (w->n * w->half * w->area > HKD_SMALL)
    for (int64_t s = 0; s < w->area; s++) {
        float *row = thread_rows(w);
        for (int64_t group = 0; group < w->groups; group++) {
            group_gradient(g, w, row, group * HKD_GROUP, s, s + 1);
            for (int64_t k = 0; g->da && k < 2 * w->half; k++) g->da[k * w->area + s] += row[DA_ALPHA * w->half + k];
        }
    }
}

/* dA [d, 1, 1]: threads share out the groups of images, whose sums are added in order. */
static void gradient_by_group(const gradients *g, const work *w, int threads) {
    (void)threads;
    #pragma omp parallel for num_threads(threads) if (w->n * w->half * w->area > HKD_SMALL)
    for (int64_t group = 0; group < w->groups; group++) {
        float *row = thread_rows(w);
        group_gradient(g, w, row, group * HKD_GROUP, 0, w->area);
        for (int64_t k = 0; k < 2 * w->half; k++) w->shared[group * 2 * w->half + k] = row[DA_ALPHA * w->half + k];
    }
    for (int64_t i = 0; g->da && i < w->groups * 2 * w->half; i++) g->da[i % (2 * w->half)] += w->shared[i];
}

static hkd_status backward(hkd_cpu *cpu, const hkd_call *call) {
    work w = work_of(call);
    const hkd_status status = begin(cpu, call, &w, true);
    if (status) return status;
    const gradients g = {
        hkd_cpu_data(&call->in[Z]), hkd_cpu_data(&call->in[DT]), hkd_cpu_data(&call->up[0]), hkd_cpu_data(&call->grad[Z]),
        hkd_cpu_data(&call->grad[A]), hkd_cpu_data(&call->grad[DT]), call->accumulate[Z]};
    for (int64_t i = 0; g.da && !call->accumulate[A] && i < 2 * w.half * w.a_area; i++) g.da[i] = 0;
    (w.a_area == 1 ? gradient_by_group : gradient_by_position)(&g, &w, cpu->threads);
    for (int64_t n = 0; g.ddt && n < w.n; n++) {
        float sum = 0;
        for (int64_t s = 0; s < w.area; s++) sum += w.ddt[n * w.area + s];
        g.ddt[n] = (call->accumulate[DT] ? g.ddt[n] : 0) + sum;
    }
    return HKD_OK;
}

const hkd_cpu_op HKD_CPU(koopman_evolve) = {
    .op = &hkd_op_koopman_evolve, .workspace = workspace, .forward = forward, .backward = backward,
    .freeze = freeze};
