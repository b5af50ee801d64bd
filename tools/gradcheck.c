#include "gradcheck.h"

#include "fill.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A copy of the vector's inputs that may be moved, and room for outputs on both sides. */
typedef struct {
    const hkd_vector *v;
    hkd_ref_call call;
    double *in[HKD_MAX_IN], *dir[HKD_MAX_IN];      /* moved inputs; direction of movement */
    double *plus[HKD_MAX_OUT], *minus[HKD_MAX_OUT];
} probe;

static double *copy_of(const double *x, int64_t n) {
    double *y = calloc((size_t)n + 1, sizeof *y);
    if (y && x) memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

static bool open_probe(probe *p, const hkd_vector *v) {
    *p = (probe){.v = v, .call = hkd_vector_ref_call(v)};
    bool good = true;
    for (int i = 0; i < hkd_op_inputs(v->op); i++) {
        if (!v->in[i]) continue;
        const int64_t n = hkd_count(&v->in_shape[i]);
        p->call.in[i] = p->in[i] = copy_of(v->in[i], n);
        p->dir[i] = copy_of(NULL, n);
        good = good && p->in[i] && p->dir[i];
    }
    for (int i = 0; i < hkd_op_outputs(v->op); i++) {
        p->plus[i] = copy_of(NULL, hkd_count(&v->out_shape[i]));
        p->minus[i] = copy_of(NULL, hkd_count(&v->out_shape[i]));
        good = good && p->plus[i] && p->minus[i];
    }
    return good;
}

static void close_probe(probe *p) {
    for (int i = 0; i < HKD_MAX_IN; i++) free(p->in[i]), free(p->dir[i]);
    for (int i = 0; i < HKD_MAX_OUT; i++) free(p->plus[i]), free(p->minus[i]);
}

static void forward_at(probe *p, double **out, double h) {
    for (int i = 0; i < hkd_op_inputs(p->v->op); i++)
        for (int64_t k = 0; p->in[i] && k < hkd_count(&p->v->in_shape[i]); k++) p->in[i][k] = p->v->in[i][k] + h * p->dir[i][k];
    for (int i = 0; i < hkd_op_outputs(p->v->op); i++) p->call.out[i] = out[i];
    p->v->op->forward(&p->call);
}

/* <up, f(x + h dir) - f(x - h dir)> */
static double pulled(probe *p, double h) {
    double sum = 0;
    forward_at(p, p->plus, h);
    forward_at(p, p->minus, -h);
    for (int i = 0; i < hkd_op_outputs(p->v->op); i++)
        for (int64_t k = 0; k < hkd_count(&p->v->out_shape[i]); k++) sum += p->v->up[i][k] * (p->plus[i][k] - p->minus[i][k]);
    return sum;
}

/* How far d/dh <up, f(x + h dir)> at h = 0, to fourth order, is from `gradient`. A large step truncates, a small one rounds:
 * the better of two counts. */
static double slope_error(probe *p, double gradient) {
    double error[2];
    for (int i = 0; i < 2; i++) {
        const double h = i ? 0x1p-15 : 0x1p-11;
        error[i] = fabs((8 * pulled(p, h) - pulled(p, 2 * h)) / (12 * h) - gradient);
    }
    return error[0] < error[1] ? error[0] : error[1];
}

/* False when a gradient is not finite; *largest is the largest in size. */
static bool survey(double *largest, const double *g, int64_t n) {
    *largest = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(g[k])) return false;
        *largest = fmax(*largest, fabs(g[k]));
    }
    return true;
}

/* Is there any output at all? An empty batch has weights whose gradient is rightly zero. */
static bool upstream(const hkd_vector *v) {
    int64_t n = 0;
    for (int i = 0; i < hkd_op_outputs(v->op); i++) n += hkd_count(&v->out_shape[i]);
    return n > 0;
}

static void differences(hkd_gradcheck_result *out, probe *p, int input, int64_t most) {
    const double *g = p->v->grad[input];
    const int64_t n = hkd_count(&p->v->in_shape[input]), step = n > most ? n / most : 1;
    double largest;
    if (!survey(&largest, g, n)) out->wrong = "nan";
    else if (n && largest == 0 && upstream(p->v)) out->wrong = "zero";
    if (!upstream(p->v) && largest != 0) out->wrong = "non-zero without any output";
    if (largest == 0) return;
    for (int64_t k = 0; k < n && !out->wrong; k += step) {
        p->dir[input][k] = 1;
        out->difference = fmax(out->difference, slope_error(p, g[k]) / largest);
        p->dir[input][k] = 0;
        out->compared++;
    }
}

static void adjoint(hkd_gradcheck_result *out, probe *p) {
    double right = 0, size = 0;
    for (int i = 0; i < hkd_op_inputs(p->v->op); i++) {
        if (!p->v->grad[i]) continue;
        const int64_t n = hkd_count(&p->v->in_shape[i]);
        hkd_fill(p->dir[i], n, "normal", p->v->op->in[i]);
        for (int64_t k = 0; k < n; k++) {
            right += p->dir[i][k] * p->v->grad[i][k];
            size += fabs(p->dir[i][k] * p->v->grad[i][k]);
        }
    }
    if (size > 0) out->adjoint = slope_error(p, right) / size;
}

hkd_status hkd_gradcheck(hkd_gradcheck_result *out, const hkd_vector *v, int64_t most) {
    *out = (hkd_gradcheck_result){0, 0, 0, NULL};
    probe p;
    const bool good = open_probe(&p, v);
    for (int i = 0; good && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i]) differences(out, &p, i, most);
    if (good) adjoint(out, &p);
    close_probe(&p);
    return good ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}
