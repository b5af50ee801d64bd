#include "tune.h"

#include "os.h"
#include "sha256.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const hkd_cl_way hkd_cl_ways[HKD_CL_WAYS + 1] = {
    {"contract_4x1", hkd_cl_tiles, 4, 1, NULL}, {"contract_4x2", hkd_cl_tiles, 4, 2, NULL},
    {"contract_4x4", hkd_cl_tiles, 4, 4, NULL}, {"contract_8x1", hkd_cl_tiles, 8, 1, NULL},
    {"contract_8x2", hkd_cl_tiles, 8, 2, NULL}, {"clblast", hkd_cl_blas, 0, 0, hkd_cl_blas_fits},
    {NULL, NULL, 0, 0, NULL},
};
static const hkd_cl_way *const by_clblast = &hkd_cl_ways[HKD_CL_WAYS - 1];

bool hkd_cl_is_standard(const hkd_cl *cl, const hkd_cl_way *way) {
    return way->m == cl->tile_m && way->v * cl->width == cl->tile_n;
}

static const hkd_cl_way *standard_way(const hkd_cl *cl) {
    const hkd_cl_way *way = hkd_cl_ways;
    while (!hkd_cl_is_standard(cl, way)) way++;
    return way;
}

/* ---- choices ---- */

static void key_of(int key[HKD_CL_KEY], const hkd_contract *k) {
    const int layout = (k->a_m == 1) | (k->c_n0 == 1) << 1 | (k->c_m == 1) << 2 | (k->n0_used < k->n0) << 3 |
                       (k->b_n1 != 0) << 4;
    const int all[HKD_CL_KEY] = {k->m, k->n, k->z0 * k->z1, k->r0, k->r1, k->r2, k->group, layout};
    memcpy(key, all, sizeof all);
}

static hkd_cl_choice *choice_for(const hkd_cl *cl, const int key[HKD_CL_KEY]) {
    for (int i = 0; i < cl->choice_count; i++)
        if (!memcmp(cl->choices[i].key, key, sizeof cl->choices[i].key)) return &cl->choices[i];
    return NULL;
}

static const hkd_cl_way *way_of(const hkd_cl *cl, const hkd_contract *shape) {
    int key[HKD_CL_KEY];
    key_of(key, shape);
    const hkd_cl_choice *choice = choice_for(cl, key);
    const hkd_cl_way *way = cl->clblast ? by_clblast : choice ? choice->way : standard_way(cl);
    return way->fits && !way->fits(cl, shape) ? standard_way(cl) : way;
}

/* Room for one more of `size` bytes each. */
static bool grow(void **items, int count, size_t size) {
    void *longer = realloc(*items, ((size_t)count + 1) * size);
    if (longer) *items = longer;
    return longer != NULL;
}

static hkd_status note(hkd_cl_shapes *seen, const hkd_contract *shape) {
    int key[HKD_CL_KEY], other[HKD_CL_KEY];
    key_of(key, shape);
    for (int i = 0; i < seen->count; i++) {
        key_of(other, &seen->item[i]);
        if (!memcmp(key, other, sizeof key)) return HKD_OK;
    }
    void *items = seen->item;
    if (!grow(&items, seen->count, sizeof *seen->item)) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    seen->item = items;
    seen->item[seen->count] = *shape;
    seen->item[seen->count++].more = 0; /* what follows the sums is the same for all ways */
    return HKD_OK;
}

hkd_status hkd_cl_contract(hkd_cl *cl, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b, const hkd_buffer *bias,
                           const hkd_buffer *more, const hkd_contract *shape) {
    if (cl->seen) return note(cl->seen, shape);
    const hkd_cl_way *way = way_of(cl, shape);
    return way->run(cl, way, c, a, b, bias, more, shape);
}

hkd_status hkd_cl_choose(hkd_cl *cl, const hkd_cl_choice *choice) {
    hkd_cl_choice *old = choice_for(cl, choice->key);
    if (old) {
        *old = *choice;
        return HKD_OK;
    }
    void *items = cl->choices;
    if (!grow(&items, cl->choice_count, sizeof *cl->choices)) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    cl->choices = items;
    cl->choices[cl->choice_count++] = *choice;
    return HKD_OK;
}

/* ---- from one run to the next ---- */

enum { LINE = 200 };

static void header(char *line, size_t size) { snprintf(line, size, "\nhkd tune 1, %s\n", hkd_cl_blas_name()); }

void hkd_cl_store_choices(const hkd_cl *cl) {
    char *text = malloc(LINE * ((size_t)cl->choice_count + 1));
    if (!text) return;
    header(text, LINE);
    size_t at = strlen(text);
    for (int i = 0; i < cl->choice_count; i++) {
        const hkd_cl_choice *c = &cl->choices[i];
        const int *k = c->key;
        at += (size_t)snprintf(text + at, LINE, "%d %d %d %d %d %d %d %d %s %.3g %.3g\n", k[0], k[1], k[2], k[3], k[4], k[5],
                               k[6], k[7], c->way->name, c->seconds, c->standard);
    }
    hkd_cl_remember(cl, "tune", text, at);
    free(text);
}

static bool read_choice(hkd_cl_choice *out, const char *line) {
    char name[32];
    int *k = out->key;
    if (sscanf(line, "%d %d %d %d %d %d %d %d %31s %lg %lg", &k[0], &k[1], &k[2], &k[3], &k[4], &k[5], &k[6], &k[7], name,
               &out->seconds, &out->standard) != HKD_CL_KEY + 3)
        return false;
    out->way = hkd_cl_ways;
    while (out->way->name && strcmp(out->way->name, name) != 0) out->way++;
    return out->way->name != NULL;
}

void hkd_cl_load_choices(hkd_cl *cl) {
    unsigned char *bytes;
    size_t size;
    char first[LINE], hex[65];
    if (!hkd_cl_recall(cl, "tune", &bytes, &size)) return;
    bytes[size] = 0;
    const char *text = (const char *)bytes;
    header(first, sizeof first);
    bool good = !strncmp(text, first, strlen(first));
    for (const char *line = text + strlen(first); good && *line; line = strchr(line, '\n') + 1) {
        hkd_cl_choice choice;
        good = strchr(line, '\n') && read_choice(&choice, line) && !hkd_cl_choose(cl, &choice);
    }
    if (!good) cl->choice_count = 0;
    hkd_sha256 hash;
    hkd_sha256_init(&hash);
    hkd_sha256_add(&hash, bytes, size);
    hkd_sha256_hex(hex, &hash);
    const size_t used = strlen(cl->base.name);
    if (good) snprintf(cl->base.name + used, sizeof cl->base.name - used, ", tuned %.8s", hex);
    free(bytes);
}

/* ---- trying ---- */

/* The operands of a contraction and what its result must be. Places of C that are no output hold the prior value. */
typedef struct {
    const hkd_contract *k;
    float *a, *b, *bias, *c;
    size_t a_count, b_count, bias_count, c_count;
    hkd_buffer *on_a, *on_b, *on_bias, *on_c;
} subject;

static int64_t reach(int64_t count, int64_t step) { return count > 1 && step > 0 ? (count - 1) * step : 0; }

static size_t a_extent(const hkd_contract *k) {
    return (size_t)(k->a + reach(k->m, k->a_m) + reach(k->r0, k->a_r0) + reach(k->r1, k->a_r1) + reach(k->r2, k->a_r2) +
                    reach(k->z0, k->a_z0) + reach(k->z1, k->a_z1) + 1);
}
/* Where column n lies in a row of B. */
static int64_t column_of_b(const hkd_contract *k, int64_t n) {
    return k->b_n1 ? n % k->n0 + n / k->n0 % k->n1 * k->b_n1 + n / ((int64_t)k->n0 * k->n1) * k->b_n2 : n;
}
static size_t b_extent(const hkd_contract *k) {
    return (size_t)(k->b + column_of_b(k, k->n - 1) + 1 + reach(k->r0, k->b_r0) + reach(k->r1, k->b_r1) +
                    reach(k->r2, k->b_r2) + reach(k->z0, k->b_z0) + reach(k->z1, k->b_z1));
}

/* Where output (z, m, n) lies in C; -1: that column does not exist. */
static int64_t place(const hkd_contract *k, int64_t z, int64_t m, int64_t n) {
    const int64_t column = n % k->n0, row = n / k->n0 % k->n1, image = n / ((int64_t)k->n0 * k->n1);
    if (column >= k->n0_used || row >= k->n1_used) return -1;
    return k->c + z % k->z0 * k->c_z0 + z / k->z0 * k->c_z1 + m * k->c_m + column * k->c_n0 + row * k->c_n1 + image * k->c_n2;
}
static size_t c_extent(const hkd_contract *k) {
    return (size_t)(k->c + reach(k->z0, k->c_z0) + reach(k->z1, k->c_z1) + reach(k->m, k->c_m) + reach(k->n0_used, k->c_n0) +
                    reach(k->n1_used, k->c_n1) + reach(k->n / ((int64_t)k->n0 * k->n1) + 1, k->c_n2) + 1);
}

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; } /* Numerical Recipes */

static float *random_numbers(size_t count, uint32_t state) {
    float *x = malloc(count * sizeof *x + 1);
    for (size_t i = 0; x && i < count; i++) x[i] = (float)(next(&state) >> 8) / 8388608 - 1;
    return x;
}

static hkd_status put(hkd_cl *cl, hkd_buffer **out, const float *x, size_t count) {
    hkd_device *dev = &cl->base;
    const hkd_shape shape = {1, {(int64_t)count}};
    hkd_status status = *out ? HKD_OK : dev->alloc(dev, out, count * sizeof *x, HKD_STATE);
    return status ? status : dev->upload(dev, &(hkd_tensor){shape, *out}, x, HKD_F32);
}

static hkd_status subject_new(subject *s, hkd_cl *cl, const hkd_contract *k) {
    *s = (subject){.k = k, .a_count = a_extent(k), .b_count = b_extent(k), .c_count = c_extent(k)};
    s->bias_count = (size_t)(k->bias + (k->bias_by_n ? k->n : k->m));
    s->a = random_numbers(s->a_count, 1), s->b = random_numbers(s->b_count, 2);
    s->bias = random_numbers(s->bias_count, 3), s->c = malloc(s->c_count * sizeof *s->c);
    if (!s->a || !s->b || !s->bias || !s->c) return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
    hkd_status status = put(cl, &s->on_a, s->a, s->a_count);
    if (!status) status = put(cl, &s->on_b, s->b, s->b_count);
    return status ? status : put(cl, &s->on_bias, s->bias, s->bias_count);
}

static void subject_free(subject *s, hkd_cl *cl) {
    hkd_buffer *const all[] = {s->on_a, s->on_b, s->on_bias, s->on_c};
    for (int i = 0; i < 4; i++) cl->base.release(&cl->base, all[i]);
    free(s->a), free(s->b), free(s->bias), free(s->c);
}

/* What C holds before: to be overwritten, or added to. */
static float prior(const subject *s) { return s->k->accumulate ? 1 : NAN; }

static hkd_status run(subject *s, hkd_cl *cl, const hkd_cl_way *way) {
    const hkd_buffer *bias = s->k->accumulate ? NULL : s->on_bias;
    return way->run(cl, way, s->on_c, s->on_a, s->on_b, bias, NULL, s->k);
}

/* The sum of one output in double, and of the sizes of its terms. */
static double sum_of(const subject *s, int64_t z, int64_t m, int64_t n, double *sizes) {
    const hkd_contract *k = s->k;
    const float *a = s->a + k->a + z % k->z0 * k->a_z0 + z / k->z0 * k->a_z1 + m * k->a_m;
    const float *b = s->b + k->b + z % k->z0 * k->b_z0 + z / k->z0 * k->b_z1 + column_of_b(k, n);
    const double start = k->accumulate ? prior(s) : s->bias[k->bias + (k->bias_by_n ? n : m)];
    double sum = start;
    *sizes = fabs(start);
    for (int64_t r0 = 0; r0 < k->r0; r0++)
        for (int64_t r1 = 0; r1 < k->r1; r1++)
            for (int64_t r2 = 0; r2 < k->r2; r2++) {
                const double term = (double)a[r0 * k->a_r0 + r1 * k->a_r1 + r2 * k->a_r2] *
                                    b[r0 * k->b_r0 + r1 * k->b_r1 + r2 * k->b_r2];
                sum += term;
                *sizes += fabs(term);
            }
    return sum;
}

/* Output (z, m, n) within the bound of every contraction: kappa(terms) u sum|terms| + ulp/2. */
static bool right_at(const subject *s, int64_t z, int64_t m, int64_t n, char *wrong, size_t size) {
    const hkd_contract *k = s->k;
    double sizes;
    const int64_t at = place(k, z, m, n);
    if (at < 0) return true;
    const double y = sum_of(s, z, m, n, &sizes), terms = (double)k->r0 * k->r1 * k->r2 + 1;
    const double allowed = (hkd_kappa(HKD_KAPPA_RANDOM, terms) * sizes + fabs(y)) / 16777216;
    if (fabs((double)s->c[at] - y) <= allowed) return true;
    snprintf(wrong, size, "[%lld, %lld, %lld] is %.9g and should be %.9g", (long long)z, (long long)m, (long long)n,
             (double)s->c[at], y);
    return false;
}

/* Every output was written, and nothing else. Marks outputs by making them the prior value. */
static bool written_right(const subject *s, float *c, char *wrong, size_t size) {
    const hkd_contract *k = s->k;
    const int64_t z_count = (int64_t)k->z0 * k->z1;
    for (int64_t z = 0; z < z_count; z++)
        for (int64_t m = 0; m < k->m; m++)
            for (int64_t n = 0; n < k->n; n++) {
                const int64_t at = place(k, z, m, n);
                if (at >= 0 && !isfinite(c[at])) {
                    snprintf(wrong, size, "[%lld, %lld, %lld] is not finite", (long long)z, (long long)m, (long long)n);
                    return false;
                }
                if (at >= 0) c[at] = prior(s);
            }
    for (size_t i = 0; i < s->c_count; i++)
        if (isnan(prior(s)) ? !isnan(c[i]) : c[i] != prior(s)) {
            snprintf(wrong, size, "wrote between its outputs");
            return false;
        }
    return true;
}

/* Outputs in the corners, along the last row and column, and anywhere: as many as a fraction of a second allows. */
static bool sums_right(const subject *s, char *wrong, size_t size) {
    const hkd_contract *k = s->k;
    const int64_t z_count = (int64_t)k->z0 * k->z1;
    const double terms = (double)k->r0 * k->r1 * k->r2 + 1, all = (double)z_count * k->m * k->n, most = (1 << 24) / terms;
    uint32_t state = 5;
    if (all <= most) {
        for (int64_t i = 0; i < z_count * k->m * k->n; i++)
            if (!right_at(s, i / ((int64_t)k->m * k->n), i / k->n % k->m, i % k->n, wrong, size)) return false;
        return true;
    }
    for (int64_t i = 0; i < 64 || (double)i < most; i++) {
        const int64_t z = (next(&state) >> 8) % z_count, m = (next(&state) >> 8) % k->m, n = (next(&state) >> 8) % k->n;
        if (!right_at(s, z, i & 1 ? k->m - 1 : m, i & 2 ? k->n - 1 : n, wrong, size)) return false;
    }
    return true;
}

static hkd_status check(hkd_cl_trial *t, subject *s, hkd_cl *cl) {
    hkd_device *dev = &cl->base;
    const hkd_tensor c = {{1, {(int64_t)s->c_count}}, s->on_c};
    for (size_t i = 0; i < s->c_count; i++) s->c[i] = prior(s);
    hkd_status status = put(cl, &s->on_c, s->c, s->c_count);
    if (status) return status;
    status = run(s, cl, t->way);
    if (!status) status = dev->sync(dev);
    if (status) {
        snprintf(t->wrong, sizeof t->wrong, "%.190s", hkd_last_error());
        return HKD_OK;
    }
    status = dev->download(dev, s->c, HKD_F32, &(hkd_tensor){c.shape, s->on_c});
    if (!status && sums_right(s, t->wrong, sizeof t->wrong)) written_right(s, s->c, t->wrong, sizeof t->wrong);
    return status;
}

/* The best of at least five runs, and of as many as 30 ms hold. */
static hkd_status measure(hkd_cl_trial *t, subject *s, hkd_cl *cl) {
    hkd_status status = HKD_OK;
    const double begin = hkd_seconds();
    t->seconds = HUGE_VAL;
    for (int i = 0; !status && (i < 5 || hkd_seconds() < begin + 0.03); i++) {
        const double start = hkd_seconds();
        status = run(s, cl, t->way);
        if (!status) status = cl->base.sync(&cl->base);
        t->seconds = fmin(t->seconds, hkd_seconds() - start);
    }
    return status;
}

static hkd_status try_way(hkd_cl_trial *t, subject *s, hkd_cl *cl, const hkd_cl_way *way) {
    *t = (hkd_cl_trial){.way = way};
    const hkd_status status = check(t, s, cl);
    return status || *t->wrong ? status : measure(t, s, cl);
}

hkd_status hkd_cl_try(hkd_cl_choice *best, hkd_cl_trial trials[HKD_CL_WAYS + 1], int *count, hkd_cl *cl,
                      const hkd_contract *shape, const hkd_cl_way *ways) {
    subject s;
    *count = 0;
    *best = (hkd_cl_choice){.way = standard_way(cl)};
    key_of(best->key, shape);
    hkd_status status = subject_new(&s, cl, shape);
    if (!status) status = try_way(&trials[(*count)++], &s, cl, best->way);
    if (!status && *trials[0].wrong)
        status = hkd_fail(HKD_DEVICE, "%s (%s) computes wrongly: contraction %s", cl->base.kind, cl->base.name,
                          trials[0].wrong);
    best->seconds = best->standard = trials[0].seconds;
    for (const hkd_cl_way *way = ways; !status && way->name; way++) {
        const bool slow = way->run == hkd_cl_blas && cl->machine.type & CL_DEVICE_TYPE_CPU && !cl->clblast;
        if (hkd_cl_is_standard(cl, way) || slow || (way->fits && !way->fits(cl, shape))) continue;
        hkd_cl_trial *t = &trials[(*count)++];
        status = try_way(t, &s, cl, way);
        if (!status && !*t->wrong && t->seconds < best->seconds && t->seconds < 0.95 * best->standard)
            best->way = way, best->seconds = t->seconds;
    }
    subject_free(&s, cl);
    return status;
}
