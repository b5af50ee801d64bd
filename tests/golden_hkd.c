/* The golden HKD file to the last digits. Its network ran in float64, but its noise levels were float32 and so was all that is
 * formed from them alone: c_in, c_skip, c_out, dt, and the embedding up to what each block's `affine` adds to its channels. The
 * sums of those layers were float32 in an order that nobody recorded, so float64 differs from the file by up to 2^-20. Proof:
 * what `affine` adds is found here from two of the file's tensors by least squares; with changes below 2^-22 every other
 * number of the file follows to 1e-10, outputs, trajectory and all gradients that do not pass through the embedding. */
#include "golden.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3, MAX_AFFINES = 16 };

typedef struct {
    double c_in, c_skip, c_out;
} factors;

/* EDM's preconditioning, sigma_data = 0.5, in float32 and in float64. */
static factors narrow(double sigma) {
    const float level = (float)sigma, sum = level * level + 0.25F, root = sqrtf(sum);
    return (factors){(double)(1 / root), (double)(0.25F / sum), (double)(level * 0.5F / root)};
}

static factors wide(double sigma) {
    const double sum = sigma * sigma + 0.25, root = sqrt(sum);
    return (factors){1 / root, 0.25 / sum, sigma * 0.5 / root};
}

typedef struct {
    const char *file;
    const hkd_safetensors *st;
    hkd_model *m;
    int64_t size, latent;              /* numbers of a picture and of the bottleneck */
    double *x, *sigma, *x_in;          /* x_in: c_in(float64) x_in = c_in(float32) x */
    double *z[HKD_MAX_LATENTS + 1], *f; /* latents and raw output of all samples */
    double dt[N];
} subject;

static void check(hkd_status status) { CHECK(!status, "%s", hkd_last_error()); }

/* ---- what dt was ---- */

/* Read off the growth of one pair of each sample; then the evolution itself, which checks pairing, signs and layout of alpha
 * and beta. */
static void find_dt(subject *g) {
    double *z = golden_values(g->st, "out.z_bottleneck", NULL), *want = golden_values(g->st, "out.evolved_bottleneck", NULL);
    double *a = golden_values(g->st, "weight.koopman.bottleneck", NULL);
    const hkd_koopman_dims d = {N, 32, 4, 4, 4, 4};
    enum { COUNT = N * 32 * 16, AREA = 16 };
    double got[COUNT];
    for (int n = 0; n < N; n++) {
        const double *before = z + n * 32 * AREA, *after = want + n * 32 * AREA;
        int best = 0; /* the pair and position that grow fastest tell dt most exactly */
        for (int k = 0; k < 16 * AREA; k++)
            if (fabs(a[k]) > fabs(a[best])) best = k;
        const int at = best / AREA * 2 * AREA + best % AREA;
        g->dt[n] = log(hypot(after[at], after[at + AREA]) / hypot(before[at], before[at + AREA])) / a[best];
    }
    hkd_ref_koopman_evolve(got, z, a, g->dt, &d);
    golden_compare(g->file, "evolved_bottleneck", got, want, COUNT, 1e-13);
    free(z);
    free(want);
    free(a);
}

/* ---- what the affine layers of one half of the network add ---- */

typedef struct {
    hkd_weight *bias[MAX_AFFINES];
    int count;
    int64_t total; /* numbers in all of them */
    double *raw;   /* [total] as the file has them */
} affines;

static void affines_of(affines *a, const subject *g, const char *half) {
    const hkd_weights *w = g->m->weights;
    *a = (affines){.raw = malloc(4096 * sizeof *a->raw)};
    for (int i = 0; i < w->count && a->count < MAX_AFFINES; i++) {
        if (!strstr(w->item[i].name, half) || !strstr(w->item[i].name, ".affine.bias")) continue;
        a->bias[a->count++] = &w->item[i];
        check(w->dev->download(w->dev, a->raw + a->total, HKD_F64, &w->item[i].value));
        a->total += hkd_count(&w->item[i].value.shape);
    }
}

static void add_to_affines(const affines *a, const subject *g, const double *change) {
    hkd_device *dev = g->m->dev;
    double *sum = malloc((size_t)a->total * sizeof *sum), *at = sum;
    for (int64_t i = 0; i < a->total; i++) sum[i] = a->raw[i] + change[i];
    for (int i = 0; i < a->count; at += hkd_count(&a->bias[i++]->value.shape))
        check(dev->upload(dev, &a->bias[i]->value, at, HKD_F64));
    free(sum);
}

/* ---- the two halves ---- */

static hkd_model_input input_of(const subject *g, int first, int64_t n) {
    return (hkd_model_input){.n = n, .x = g->x_in + first * g->size, .sigma = g->sigma + first, .dt = g->dt + first};
}

static void encode(subject *g, int first, int64_t n) {
    double *z[HKD_MAX_LATENTS + 1];
    const hkd_model_input in = input_of(g, first, n);
    for (int i = 0; i < hkd_model_latent_count(g->m); i++) {
        const hkd_shape shape = hkd_model_latent_shape(g->m, i);
        z[i] = g->z[i] + first * hkd_count(&shape);
    }
    check(hkd_model_encode(g->m, z, &in));
}

static const double *encoded(subject *g) {
    encode(g, 0, N);
    return g->z[hkd_model_latent_count(g->m) - 1];
}

static const double *decoded(subject *g) {
    const hkd_model_input in = input_of(g, 0, N);
    check(hkd_model_decode(g->m, NULL, g->f, (const double *const *)g->z, &in));
    return g->f;
}

/* ---- least squares ---- */

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* The shortest x of those with the smallest |sum x_j column_j - r|, by conjugate gradients; r becomes what is left over.
 * Column j of the matrix starts at a + j * stride. */
static void least_squares(double *x, const double *a, int64_t stride, double *r, int64_t rows, int64_t columns) {
    double *p = calloc((size_t)(2 * columns + rows), sizeof *p), *s = p + columns, *q = s + columns, before = 0, first = 0;
    memset(x, 0, (size_t)columns * sizeof *x);
    for (int64_t k = 0; k < 4 * columns; k++) {
        for (int64_t j = 0; j < columns; j++) s[j] = dot(a + j * stride, r, rows);
        const double now = dot(s, s, columns);
        if (!k) first = now;
        if (now <= 1e-28 * first) break;
        for (int64_t j = 0; j < columns; j++) p[j] = s[j] + (k ? now / before * p[j] : 0);
        memset(q, 0, (size_t)rows * sizeof *q);
        for (int64_t j = 0; j < columns; j++)
            for (int64_t i = 0; i < rows; i++) q[i] += p[j] * a[j * stride + i];
        const double step = now / dot(q, q, rows);
        for (int64_t j = 0; j < columns; j++) x[j] += step * p[j];
        for (int64_t i = 0; i < rows; i++) r[i] -= step * q[i];
        before = now;
    }
    free(p);
}

/* change [sets, total]: what brings `view` [rows] to the file's values, the samples in `sets` of equal changes. */
static void fit(double *change, const affines *a, subject *g, const char *name, const double *view(subject *), int sets) {
    const double step = 1e-6;
    int64_t rows = 0;
    double *left = golden_values(g->st, name, &rows), *base = malloc((size_t)rows * sizeof *base);
    double *jacobian = calloc((size_t)(a->total * rows + 1), sizeof *jacobian), most = 0;
    memcpy(base, view(g), (size_t)rows * sizeof *base);
    for (int64_t i = 0; i < rows; i++) left[i] -= base[i];
    for (int64_t j = 0; j < a->total; j++) {
        memset(change, 0, (size_t)a->total * sizeof *change);
        change[j] = step;
        add_to_affines(a, g, change);
        const double *moved = view(g);
        for (int64_t i = 0; i < rows; i++) jacobian[j * rows + i] = (moved[i] - base[i]) / step;
    }
    for (int s = 0; s < sets; s++) {
        const int64_t part = rows / sets;
        least_squares(change + s * a->total, jacobian + s * part, rows, left + s * part, part, a->total);
    }
    for (int64_t i = 0; i < sets * a->total; i++) most = fmax(most, fabs(change[i]));
    CHECK(most <= 0x1p-22, "%s: %s needs affine layers %.3g off", g->file, name, most);
    free(left);
    free(base);
    free(jacobian);
}

/* ---- the rest of the file follows ---- */

static void check_output(subject *g, const char *name, int64_t n) {
    double *want = golden_values(g->st, name, NULL), *d = malloc((size_t)(n * g->size) * sizeof *d);
    for (int64_t i = 0; i < n * g->size; i++) {
        const factors c = narrow(g->sigma[i / g->size]);
        d[i] = c.c_skip * g->x[i] + c.c_out * g->f[i];
    }
    golden_compare(g->file, name, d, want, n * g->size, 1e-10);
    free(want);
    free(d);
}

static void check_outputs(subject *g) {
    const int last = hkd_model_latent_count(g->m) - 1;
    double *want_f = golden_values(g->st, "out.f", NULL), *want_z = golden_values(g->st, "out.z_bottleneck", NULL);
    golden_compare(g->file, "z_bottleneck", g->z[last], want_z, N * g->latent, 1e-10);
    golden_compare(g->file, "f", decoded(g), want_f, N * g->size, 1e-10);
    check_output(g, "out.d", N);
    for (int k = 1; k <= 3; k++) {
        char name[32];
        const double dt = k / 4.0 + g->dt[0]; /* from the tau that 80 has in float32 */
        hkd_model_input in = input_of(g, 0, 1);
        in.dt = &dt;
        snprintf(name, sizeof name, "out.traj_%g", k / 4.0);
        check(hkd_model_decode(g->m, NULL, g->f, (const double *const *)g->z, &in));
        check_output(g, name, 1);
    }
    check(hkd_model_move(g->m, g->z, g->dt, N));
    int64_t count = 0;
    double *want_0 = golden_values(g->st, "out.evolved_0", &count);
    golden_compare(g->file, "evolved_0", g->z[0], want_0, count, 1e-13);
    free(want_f);
    free(want_z);
    free(want_0);
}

/* The network gets c_out(float32) grad_d / c_out(float64), and its gradient by x_in is made one by x. */
static void run_gradients(subject *g, const affines *a, const double *change, double *grad_x) {
    double *grad_d = golden_values(g->st, "in.grad_d", NULL), *up = malloc((size_t)g->size * sizeof *up);
    check(hkd_weights_need_grad(g->m->weights));
    check(hkd_weights_zero_grad(g->m->weights));
    for (int n = 0; n < N; n++) {
        const factors to = narrow(g->sigma[n]), from = wide(g->sigma[n]);
        const hkd_model_input in = input_of(g, n, 1);
        double *grad = grad_x + n * g->size;
        for (int64_t i = 0; i < g->size; i++) up[i] = grad_d[n * g->size + i] * to.c_out / from.c_out;
        add_to_affines(a, g, change + n * a->total);
        check(hkd_model_gradient(g->m, NULL, NULL, grad, up, &in));
        for (int64_t i = 0; i < g->size; i++)
            grad[i] = to.c_in / from.c_in * (grad[i] - from.c_skip * up[i]) + to.c_skip * grad_d[n * g->size + i];
    }
    check(hkd_weights_collect_grad(g->m->weights));
    free(grad_d);
    free(up);
}

static void check_gradients(subject *g, const affines *a, const double *change) {
    const hkd_weights *w = g->m->weights;
    double *grad = malloc((size_t)(N * g->size) * sizeof *grad), *want = golden_values(g->st, "grad.x", NULL);
    int exact = 0;
    run_gradients(g, a, change, grad);
    golden_compare(g->file, "grad.x", grad, want, N * g->size, 1e-10);
    free(grad);
    free(want);
    for (int i = 0; i < w->count; i++) {
        char name[256];
        int64_t n = 0;
        snprintf(name, sizeof name, "grad.%s", w->item[i].name);
        if (!w->item[i].trained || strstr(name, ".affine.") || strstr(name, ".map_")) continue;
        want = golden_values(g->st, name, &n);
        grad = malloc((size_t)hkd_count(&w->item[i].grad.shape) * sizeof *grad);
        check(w->dev->download(w->dev, grad, HKD_F64, &w->item[i].grad));
        if (CHECK(want, "%s: no %s", g->file, name)) golden_compare(g->file, name, grad, want, n, 1e-10);
        free(grad);
        free(want);
        exact++;
    }
    CHECK(exact > 80, "%s: only %d gradients were compared", g->file, exact);
}

void golden_hkd(const char *file, const hkd_safetensors *st, hkd_model *m) {
    subject g = {.file = file, .st = st, .m = m};
    affines encoder, decoder;
    int64_t total = 0;
    const int count = hkd_model_latent_count(m);
    g.x = golden_values(st, "in.x", &total);
    g.sigma = golden_values(st, "in.sigma", NULL);
    g.size = total / N;
    g.x_in = malloc((size_t)total * 2 * sizeof *g.x_in);
    g.f = g.x_in + total;
    for (int i = 0; i < count; i++) {
        const hkd_shape shape = hkd_model_latent_shape(m, i);
        g.latent = hkd_count(&shape);
        g.z[i] = malloc((size_t)(N * g.latent) * sizeof *g.z[i]);
    }
    for (int64_t i = 0; i < total; i++)
        g.x_in[i] = narrow(g.sigma[i / g.size]).c_in / wide(g.sigma[i / g.size]).c_in * g.x[i];
    find_dt(&g);
    affines_of(&encoder, &g, ".enc.");
    affines_of(&decoder, &g, ".dec.");
    double *change = calloc((size_t)(N * encoder.total + decoder.total), sizeof *change), *shared = change + N * encoder.total;
    fit(change, &encoder, &g, "out.z_bottleneck", encoded, N);
    for (int n = 0; n < N; n++) {
        add_to_affines(&encoder, &g, change + n * encoder.total);
        encode(&g, n, 1);
    }
    fit(shared, &decoder, &g, "out.f", decoded, 1);
    add_to_affines(&decoder, &g, shared);
    check_outputs(&g);
    check_gradients(&g, &encoder, change);
    for (int i = 0; i < count; i++) free(g.z[i]);
    double *arrays[] = {g.x, g.sigma, g.x_in, change, encoder.raw, decoder.raw};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}
