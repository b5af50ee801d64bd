/* What a wrong result looks like, and what usually makes it so. */
#include "fill.h"
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which elements are wrong, and where they lie along each axis. */
typedef struct {
    const hkd_judged *j;
    bool *bad;
    int64_t count, wrong;
} picture;

static int64_t along(const picture *p, int axis, int64_t i) {
    const hkd_shape *s = p->j->shape;
    for (int d = s->rank - 1; d > axis; d--) i /= s->dim[d];
    return i % s->dim[axis];
}

/* The element at place `to` along the axis, otherwise where i is. */
static int64_t moved(const picture *p, int axis, int64_t i, int64_t to) {
    int64_t stride = 1;
    for (int d = p->j->shape->rank - 1; d > axis; d--) stride *= p->j->shape->dim[d];
    return i + (to - along(p, axis, i)) * stride;
}

static double error_at(const picture *p, int64_t i) { return p->j->got[i] - p->j->expected[i] * p->j->repeats; }

/* got = ratio * y for all wrong elements, to within 1e-4? 0: no such ratio. */
static double common_ratio(const picture *p) {
    double ratio = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double y = p->j->expected[i] * p->j->repeats;
        if (!p->bad[i] || fabs(y) < 1e-30) continue;
        const double r = p->j->got[i] / y;
        if (ratio == 0) ratio = r;
        if (!(fabs(r - ratio) <= 1e-4 * fabs(ratio))) return 0;
    }
    return p->wrong >= 2 ? ratio : 0;
}

static bool all_got(const picture *p, bool (*is)(double)) {
    for (int64_t i = 0; i < p->count; i++)
        if (p->bad[i] && !is(p->j->got[i])) return false;
    return true;
}

static bool is_nan(double x) { return isnan(x); }
static bool is_zero(double x) { return x == 0; }

/* Zeros where numbers of some size, but below this one, are due, and nothing else. */
static bool zeros_below(const picture *p, double size) {
    for (int64_t i = 0; i < p->count; i++) {
        const double y = fabs(p->j->expected[i] * p->j->repeats);
        if (p->bad[i] && !(p->j->got[i] == 0 && y > 0 && y < size)) return false;
    }
    return true;
}

/* Does the operator reach over the border of a picture? */
static bool pads(const hkd_op *op) {
    bool any = !op;
    for (int i = 0; op && i < hkd_op_params(op); i++)
        any = any || !strncmp(op->param[i].name, "pad", 3) || !strcmp(op->param[i].name, "taps");
    return any;
}

/* Wrong only in the first or last rows or columns of a picture. */
static bool only_borders(const picture *p) {
    const hkd_shape *s = p->j->shape;
    if (!pads(p->j->op)) return false;
    if (s->rank < 3 || s->dim[s->rank - 1] < 4 || s->dim[s->rank - 2] < 4 || p->wrong < 4) return false;
    for (int64_t i = 0; i < p->count; i++) {
        const int64_t row = along(p, s->rank - 2, i), col = along(p, s->rank - 1, i);
        const bool border = !row || !col || row + 1 == s->dim[s->rank - 2] || col + 1 == s->dim[s->rank - 1];
        if (p->bad[i] && !border) return false;
    }
    return true;
}

/* The axis along which only the last incomplete tile of 4, 8, 16 or 32 is wrong; -1: none. */
static int only_tail(const picture *p, int *tile) {
    for (int axis = 0; axis < p->j->shape->rank; axis++)
        for (*tile = 32; *tile >= 4; *tile /= 2) {
            const int64_t n = p->j->shape->dim[axis], start = n / *tile * *tile;
            bool fits = n > *tile && n % *tile;
            for (int64_t i = 0; fits && i < p->count; i++) fits = !p->bad[i] || along(p, axis, i) >= start;
            if (fits) return axis;
        }
    return -1;
}

/* The axis (channels first) such that the error is the same number at all places that share an index of it; -1: none. */
static int depends_on_one_axis(const picture *p) {
    static const int order[] = {1, 0, 2, 3};
    const hkd_shape *s = p->j->shape;
    double size = 0;
    for (int64_t i = 0; i < p->count; i++) size = fmax(size, fabs(error_at(p, i)));
    for (int k = 0; k < HKD_MAX_RANK && size > 0; k++) {
        const int axis = order[k];
        bool fits = axis < s->rank && p->count > s->dim[axis];
        for (int64_t i = 0; fits && i < p->count; i++) {
            int64_t first = along(p, axis, i);
            for (int d = axis + 1; d < s->rank; d++) first *= s->dim[d];
            fits = fabs(error_at(p, first) - error_at(p, i)) <= 1e-3 * size;
        }
        if (fits) return axis;
    }
    return -1;
}

/* Are the right numbers at the place that is `half` an axis further, or in the other place of each pair? */
static bool exchanged(const picture *p, int axis, bool halves) {
    const int64_t n = p->j->shape->dim[axis];
    bool fits = n > 1 && n % 2 == 0 && p->j->repeats == 1;
    for (int64_t i = 0; fits && i < p->count; i++) {
        const int64_t k = along(p, axis, i);
        const double y = p->j->expected[moved(p, axis, i, halves ? (k + n / 2) % n : k ^ 1)];
        fits = fabs(p->j->got[i] - y) <= 1e-5 * (fabs(y) + 1e-30);
    }
    return fits;
}

/* Where along an axis the wrong elements lie, in words; "": everywhere. */
static void which_part(char *out, size_t size, const picture *p) {
    static const char *const part[] = {"the first half", "the second half", "the first of each pair",
                                       "the second of each pair"};
    *out = 0;
    for (int axis = 0; axis < p->j->shape->rank && !*out; axis++)
        for (int k = 0; k < 4 && !*out; k++) {
            const int64_t n = p->j->shape->dim[axis];
            bool fits = n > 1 && n % 2 == 0;
            for (int64_t i = 0; fits && i < p->count; i++) {
                const int64_t at = along(p, axis, i);
                fits = !p->bad[i] || (k < 2 ? 2 * at / n : at % 2) == k % 2;
            }
            if (fits) snprintf(out, size, " in %s along axis %d", part[k], axis);
        }
}

/* Of the evolution, whose channels are pairs (2k, 2k+1): are all pairs of the right length but turned, or the reverse? */
static const char *pairs(const picture *p) {
    const hkd_shape *s = p->j->shape;
    bool turned = p->j->op && !strcmp(p->j->op->name, "koopman_evolve") && s->rank == 4 && s->dim[1] % 2 == 0, scaled = turned;
    for (int64_t i = 0; (turned || scaled) && i < p->count; i++) {
        if (along(p, 1, i) % 2) continue;
        const int64_t k = moved(p, 1, i, along(p, 1, i) + 1);
        const double *y = p->j->expected, *got = p->j->got, m = p->j->repeats;
        const double length = hypot(y[i], y[k]) * m, mine = hypot(got[i], got[k]);
        turned = turned && fabs(mine - length) <= 1e-5 * length;
        scaled = scaled && fabs(y[i] * m * got[k] - y[k] * m * got[i]) <= 1e-5 * length * mine;
    }
    return turned ? "pairs of channels have the right length but another angle: beta, its sign, or dt"
           : scaled ? "pairs of channels have the right angle but another length: alpha, its sign, or dt" : NULL;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The right numbers in wrong places? */
static bool permuted(const picture *p) {
    double *a = malloc(((size_t)p->count * 2 + 1) * sizeof *a), *b = a ? a + p->count : NULL;
    bool fits = a && p->wrong > 1 && p->j->repeats == 1;
    for (int64_t i = 0; fits && i < p->count; i++) {
        a[i] = p->j->got[i];
        b[i] = p->j->expected[i];
        fits = isfinite(a[i]) && isfinite(b[i]);
    }
    if (fits) qsort(a, (size_t)p->count, sizeof *a, by_value), qsort(b, (size_t)p->count, sizeof *b, by_value);
    for (int64_t i = 0; fits && i < p->count; i++) fits = fabs(a[i] - b[i]) <= 1e-5 * (fabs(b[i]) + 1e-30);
    free(a);
    return fits;
}

/* Largest and median relative error over all elements: a few near 0 say nothing about the precision of the others. */
static double relative(const picture *p, double *median) {
    double *error = malloc(((size_t)p->count + 1) * sizeof *error);
    size_t n = 0;
    *median = 0;
    for (int64_t i = 0; error && i < p->count; i++) {
        const double y = fabs(p->j->expected[i] * p->j->repeats), r = fabs(error_at(p, i)) / y;
        if (y > 1e-30 && !isnan(r)) error[n++] = r;
    }
    if (error) qsort(error, n, sizeof *error, by_value);
    if (n) *median = error[n / 2];
    const double worst = n ? error[n - 1] : 0;
    free(error);
    return worst;
}

static bool all_half(const picture *p) {
    for (int64_t i = 0; i < p->count; i++)
        if (p->j->got[i] != hkd_round_half(p->j->got[i])) return false;
    return true;
}

static void from_ratio(char *out, size_t size, const picture *p, double r) {
    const double n = r > 1 ? r / (r - 1) : 1 / (1 - r);
    char part[64];
    which_part(part, sizeof part, p);
    if (fabs(r + 1) < 1e-4) snprintf(out, size, "the sign is turned%s", part);
    else if (fabs(r - 2) < 1e-4) snprintf(out, size, "twice the right value: something is added twice, or not reset before");
    else if (r > 0.5 && r < 2 && n > 1.5 && n < 5000 && fabs(n - round(n)) < 1e-2 * n)
        snprintf(out, size, "all off by %.6g = %s with n = %.0f: a mean or variance over n - 1", r,
                 r > 1 ? "n/(n-1)" : "(n-1)/n", round(n));
    else snprintf(out, size, "all off by the factor %.6g: a scale is missing or wrong", r);
}

/* The right numbers in wrong places, and which. */
static bool from_places(char *out, size_t size, const picture *p) {
    for (int axis = 0; axis < p->j->shape->rank; axis++)
        for (int halves = 1; halves >= 0; halves--)
            if (exchanged(p, axis, halves))
                return snprintf(out, size, "the right numbers in wrong places: %s along axis %d are exchanged",
                                halves ? "the halves" : "the two of each pair", axis), true;
    if (permuted(p)) snprintf(out, size, "the right numbers in wrong places: a transposed or interleaved layout");
    return *out != 0;
}

static void look(char *out, size_t size, const picture *p) {
    int tile = 0;
    double middle;
    const double ratio = common_ratio(p), worst = relative(p, &middle);
    const int axis = only_tail(p, &tile), bias = depends_on_one_axis(p);
    const char *pair = pairs(p);
    if (all_got(p, is_nan)) snprintf(out, size, "NaN: these elements are never written, or 0/0");
    else if (zeros_below(p, 0x1p-126))
        snprintf(out, size, "subnormal numbers became zero: a port declares that with --flush");
    else if (zeros_below(p, 0x1p-60))
        snprintf(out, size, "zeros for small numbers: a step before the result underflows or overflows");
    else if (p->wrong > 1 && all_got(p, is_zero)) snprintf(out, size, "zeros: these elements are skipped");
    else if (ratio != 0 && fabs(ratio - 1) > 3e-4) from_ratio(out, size, p, ratio);
    else if (worst > 1e-3 && from_places(out, size, p)) return;
    else if (worst > 1e-3 && pair) snprintf(out, size, "%s", pair);
    else if (only_borders(p) && p->wrong < p->count) snprintf(out, size, "only borders are wrong: padding");
    else if (axis >= 0)
        snprintf(out, size, "only the last incomplete tile of %d along axis %d is wrong: its tail", tile, axis);
    else if (bias >= 0) snprintf(out, size, "the error depends on axis %d%s alone: a bias", bias,
                                 bias == 1 ? " (channels)" : "");
    else if (all_half(p) && middle < 0x1p-9)
        snprintf(out, size, "all results are float16 numbers: stored or summed in half precision");
    else if (middle > 0x1p-14 && middle < 0x1p-11)
        snprintf(out, size, "a relative error of about 2^-12 everywhere: half precision (float16 or TF32) somewhere");
    else if (middle >= 0x1p-11 && middle < 0x1p-8)
        snprintf(out, size, "a relative error of about 2^-9 everywhere: bfloat16 somewhere");
    else if (middle < 0x1p-14 && worst < 0x1p-9 && 2 * p->wrong > p->count)
        snprintf(out, size, "a small error everywhere: a fast or approximate function, or an unstable order");
}

void hkd_guess(char *out, size_t size, const hkd_judged *j, const hkd_profile *profile) {
    picture p = {.j = j, .count = hkd_count(j->shape)};
    *out = 0;
    p.bad = calloc((size_t)p.count + 1, sizeof *p.bad);
    for (int64_t i = 0; p.bad && i < p.count; i++) {
        const hkd_shape one = {0, {0, 0, 0, 0}};
        const hkd_judged element = {j->expected + i, j->bound + i, j->got + i, &one, j->n, j->exact, j->repeats, j->op};
        p.bad[i] = hkd_judge(&element, profile).wrong;
        p.wrong += p.bad[i];
    }
    if (p.bad && p.wrong) look(out, size, &p);
    free(p.bad);
}
