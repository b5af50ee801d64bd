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

/* Zeros where numbers below 2^-126 are due, and nothing else. */
static bool flushed(const picture *p) {
    for (int64_t i = 0; i < p->count; i++) {
        const double y = fabs(p->j->expected[i] * p->j->repeats);
        if (p->bad[i] && !(p->j->got[i] == 0 && y > 0 && y < 0x1p-126)) return false;
    }
    return true;
}

/* Wrong only in the first or last rows or columns of a picture. */
static bool only_borders(const picture *p) {
    const hkd_shape *s = p->j->shape;
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

/* Is the error the same number at all places that share a channel (axis 1, or the last one of a matrix)? */
static bool constant_per_channel(const picture *p) {
    const hkd_shape *s = p->j->shape;
    if (s->rank < 2) return false;
    double *error = calloc((size_t)s->dim[1] + 1, sizeof *error), size = 0;
    bool *seen = calloc((size_t)s->dim[1] + 1, sizeof *seen), fits = error && seen && p->count > s->dim[1];
    for (int64_t i = 0; fits && i < p->count; i++) size = fmax(size, fabs(error_at(p, i)));
    for (int64_t i = 0; fits && i < p->count; i++) {
        const int64_t c = along(p, 1, i);
        if (!seen[c]) error[c] = error_at(p, i);
        seen[c] = true;
        fits = fabs(error[c] - error_at(p, i)) <= 1e-3 * size;
    }
    free(error);
    free(seen);
    return fits && size > 0;
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

/* Largest relative error over all elements. */
static double relative(const picture *p) {
    double worst = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double y = fabs(p->j->expected[i] * p->j->repeats);
        if (y > 1e-30) worst = fmax(worst, fabs(error_at(p, i)) / y);
    }
    return worst;
}

static bool all_half(const picture *p) {
    for (int64_t i = 0; i < p->count; i++)
        if (p->j->got[i] != hkd_round_half(p->j->got[i])) return false;
    return true;
}

static void from_ratio(char *out, size_t size, double r) {
    const double n = r > 1 ? r / (r - 1) : 1 / (1 - r);
    if (fabs(r + 1) < 1e-4) snprintf(out, size, "the sign is turned");
    else if (fabs(r - 2) < 1e-4) snprintf(out, size, "twice the right value: something is added twice, or not reset before");
    else if (r > 0.5 && r < 2 && n > 1.5 && n < 5000 && fabs(n - round(n)) < 1e-2 * n)
        snprintf(out, size, "all off by %.6g = %s with n = %.0f: a mean or variance over n - 1", r,
                 r > 1 ? "n/(n-1)" : "(n-1)/n", round(n));
    else snprintf(out, size, "all off by the factor %.6g: a scale is missing or wrong", r);
}

static void look(char *out, size_t size, const picture *p) {
    int tile = 0;
    const double ratio = common_ratio(p), worst = relative(p);
    const int axis = only_tail(p, &tile);
    if (all_got(p, is_nan)) snprintf(out, size, "NaN: these elements are never written, or 0/0");
    else if (flushed(p))
        snprintf(out, size, "subnormal numbers became zero: a port declares that with --flush");
    else if (p->wrong > 1 && all_got(p, is_zero)) snprintf(out, size, "zeros: these elements are skipped");
    else if (ratio != 0 && fabs(ratio - 1) > 3e-4) from_ratio(out, size, ratio);
    else if (worst > 1e-3 && permuted(p)) snprintf(out, size,
                                                   "the right numbers in wrong places: a transposed or interleaved layout");
    else if (only_borders(p) && p->wrong < p->count) snprintf(out, size, "only borders are wrong: padding");
    else if (axis >= 0)
        snprintf(out, size, "only the last incomplete tile of %d along axis %d is wrong: its tail", tile, axis);
    else if (constant_per_channel(p)) snprintf(out, size, "the error is constant per channel: a bias");
    else if (all_half(p) && worst < 0x1p-9)
        snprintf(out, size, "all results are float16 numbers: stored or summed in half precision");
    else if (worst > 0x1p-13 && worst < 0x1p-9) snprintf(out, size, "relative error up to 2^-11: float16 or TF32 somewhere");
    else if (worst >= 0x1p-9 && worst < 0x1p-6) snprintf(out, size, "relative error up to 2^-8: bfloat16 somewhere");
    else if (worst < 0x1p-13 && 2 * p->wrong > p->count)
        snprintf(out, size, "a small error everywhere: a fast or approximate function, or an unstable order");
}

void hkd_guess(char *out, size_t size, const hkd_judged *j, const hkd_profile *profile) {
    picture p = {.j = j, .count = hkd_count(j->shape)};
    *out = 0;
    p.bad = calloc((size_t)p.count + 1, sizeof *p.bad);
    for (int64_t i = 0; p.bad && i < p.count; i++) {
        const hkd_shape one = {0, {0, 0, 0, 0}};
        const hkd_judged element = {j->expected + i, j->bound + i, j->got + i, &one, j->n, j->exact, j->repeats};
        p.bad[i] = hkd_judge(&element, profile).wrong;
        p.wrong += p.bad[i];
    }
    if (p.bad && p.wrong) look(out, size, &p);
    free(p.bad);
}
