#include "moments.h"

#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct hkd_moments {
    int64_t dim, next;      /* index of the next sample */
    bool sealed;
    double *rows;           /* [64, dim]: the open block */
    int64_t open;           /* rows in it */
    hkd_moments_part *part; /* sorted, disjoint */
    int64_t parts, room;
    hkd_seed_set seeds;
};

static size_t triangle(int64_t dim) { return (size_t)(dim * (dim + 1) / 2); }

hkd_status hkd_moments_new(hkd_moments **out, int64_t dim, int64_t first) {
    *out = NULL;
    if (dim < 1 || dim > 1 << 20) return hkd_fail(HKD_USAGE, "statistics of %lld features: expected 1 to 2^20", (long long)dim);
    if (first < 0 || first % HKD_MOMENTS_BLOCK)
        return hkd_fail(HKD_USAGE, "statistics: a shard starts at a multiple of %d, not at sample %lld", HKD_MOMENTS_BLOCK,
                        (long long)first);
    hkd_moments *m = calloc(1, sizeof *m);
    if (m) m->rows = malloc((size_t)dim * HKD_MOMENTS_BLOCK * sizeof *m->rows);
    if (!m || !m->rows) {
        free(m);
        return hkd_fail(HKD_RESOURCES, "statistics of %lld features: out of memory", (long long)dim);
    }
    m->dim = dim;
    m->next = first;
    *out = m;
    return HKD_OK;
}

static void part_free(hkd_moments_part *p) {
    free(p->mean);
    free(p->m2);
}

void hkd_moments_free(hkd_moments *m) {
    if (!m) return;
    for (int64_t i = 0; i < m->parts; i++) part_free(&m->part[i]);
    hkd_seed_set_free(&m->seeds);
    free(m->part);
    free(m->rows);
    free(m);
}

static hkd_status part_new(hkd_moments_part *p, int64_t dim, int64_t first, int64_t count) {
    *p = (hkd_moments_part){first, count, calloc((size_t)dim, sizeof *p->mean), calloc(triangle(dim), sizeof *p->m2)};
    if (p->mean && p->m2) return HKD_OK;
    part_free(p);
    return hkd_fail(HKD_RESOURCES, "statistics of %lld features: out of memory", (long long)dim);
}

/* Two passes over the rows of one block. */
static void summarise(hkd_moments_part *p, double *rows, int64_t dim) {
    for (int64_t i = 0; i < p->count; i++)
        for (int64_t j = 0; j < dim; j++) p->mean[j] += rows[i * dim + j];
    for (int64_t j = 0; j < dim; j++) p->mean[j] /= (double)p->count;
    for (int64_t i = 0; i < p->count; i++) {
        double *row = rows + i * dim, *to = p->m2;
        for (int64_t j = 0; j < dim; j++) row[j] -= p->mean[j];
        for (int64_t j = 0; j < dim; j++)
            for (int64_t k = j; k < dim; k++) *to++ += row[j] * row[k];
    }
}

/* a becomes a and its right neighbour b. */
static void join(hkd_moments_part *a, const hkd_moments_part *b, int64_t dim) {
    const double n = (double)(a->count + b->count), share = (double)b->count / n, weight = (double)a->count * share;
    double *to = a->m2;
    const double *from = b->m2;
    for (int64_t j = 0; j < dim; j++)
        for (int64_t k = j; k < dim; k++) *to++ += *from++ + weight * (b->mean[j] - a->mean[j]) * (b->mean[k] - a->mean[k]);
    for (int64_t j = 0; j < dim; j++) a->mean[j] += share * (b->mean[j] - a->mean[j]);
    a->count += b->count;
}

/* A node of the tree: 64 times a power of two samples, starting at a multiple of their number. */
static bool is_node(const hkd_moments_part *p) {
    const int64_t blocks = p->count / HKD_MOMENTS_BLOCK;
    return p->count % HKD_MOMENTS_BLOCK == 0 && blocks > 0 && (blocks & (blocks - 1)) == 0 && p->first % p->count == 0;
}

static bool are_siblings(const hkd_moments_part *a, const hkd_moments_part *b) {
    return a->count == b->count && a->first + a->count == b->first && is_node(a) && a->first % (2 * a->count) == 0;
}

/* Put p (owned from here on) at its place and join siblings as long as there are any. */
static hkd_status insert(hkd_moments *m, hkd_moments_part p) {
    if (m->parts == m->room) {
        const int64_t room = m->room ? 2 * m->room : 16;
        hkd_moments_part *grown = realloc(m->part, (size_t)room * sizeof *grown);
        if (!grown) {
            part_free(&p);
            return hkd_fail(HKD_RESOURCES, "statistics: out of memory");
        }
        m->part = grown;
        m->room = room;
    }
    int64_t at = m->parts;
    for (; at > 0 && m->part[at - 1].first > p.first; at--) m->part[at] = m->part[at - 1];
    m->part[at] = p;
    m->parts++;
    for (;;) {
        if (at > 0 && are_siblings(&m->part[at - 1], &m->part[at])) at--;
        else if (at + 1 >= m->parts || !are_siblings(&m->part[at], &m->part[at + 1])) return HKD_OK;
        join(&m->part[at], &m->part[at + 1], m->dim);
        part_free(&m->part[at + 1]);
        m->parts--;
        for (int64_t i = at + 1; i < m->parts; i++) m->part[i] = m->part[i + 1];
    }
}

static hkd_status close_block(hkd_moments *m) {
    hkd_moments_part p;
    const hkd_status status = part_new(&p, m->dim, m->next - m->open, m->open);
    if (status != HKD_OK) return status;
    summarise(&p, m->rows, m->dim);
    m->open = 0;
    return insert(m, p);
}

hkd_status hkd_moments_add(hkd_moments *m, const double *rows, int64_t n) {
    if (m->sealed) return hkd_fail(HKD_USAGE, "statistics: samples added after the end");
    for (int64_t i = 0; i < n * m->dim; i++)
        if (!isfinite(rows[i]))
            return hkd_fail(HKD_USAGE, "statistics: a feature of sample %lld is not finite", (long long)(m->next + i / m->dim));
    for (int64_t i = 0; i < n; i++) {
        memcpy(m->rows + m->open * m->dim, rows + i * m->dim, (size_t)m->dim * sizeof *rows);
        m->open++;
        m->next++;
        const hkd_status status = m->open == HKD_MOMENTS_BLOCK ? close_block(m) : HKD_OK;
        if (status != HKD_OK) return status;
    }
    return HKD_OK;
}

hkd_status hkd_moments_seal(hkd_moments *m) {
    m->sealed = true;
    return m->open ? close_block(m) : HKD_OK;
}

int64_t hkd_moments_dim(const hkd_moments *m) { return m->dim; }

int64_t hkd_moments_count(const hkd_moments *m) {
    int64_t n = m->open;
    for (int64_t i = 0; i < m->parts; i++) n += m->part[i].count;
    return n;
}

const hkd_moments_part *hkd_moments_part_at(const hkd_moments *m, int64_t i) { return i < m->parts ? &m->part[i] : NULL; }

/* Why a part cannot be taken in, or NULL. */
static const char *objection(const hkd_moments *m, const hkd_moments_part *p) {
    const bool tail = p->count > 0 && p->count < HKD_MOMENTS_BLOCK && p->first % HKD_MOMENTS_BLOCK == 0;
    if (p->first < 0 || !(is_node(p) || tail)) return "are no part of the tree (64 times a power of two, aligned)";
    for (int64_t i = 0; i < m->parts; i++)
        if (p->first < m->part[i].first + m->part[i].count && m->part[i].first < p->first + p->count)
            return "are counted already";
    for (int64_t i = 0; i < m->dim; i++)
        if (!isfinite(p->mean[i])) return "have a mean that is not finite";
    for (size_t i = 0; i < triangle(m->dim); i++)
        if (!isfinite(p->m2[i])) return "have a covariance that is not finite";
    return NULL;
}

hkd_status hkd_moments_add_part(hkd_moments *m, const hkd_moments_part *part) {
    const char *why = objection(m, part);
    if (why)
        return hkd_fail(HKD_CHECK_FAILED, "statistics: samples %lld to %lld %s", (long long)part->first,
                        (long long)(part->first + part->count - 1), why);
    hkd_moments_part p;
    const hkd_status status = part_new(&p, m->dim, part->first, part->count);
    if (status != HKD_OK) return status;
    memcpy(p.mean, part->mean, (size_t)m->dim * sizeof *p.mean);
    memcpy(p.m2, part->m2, triangle(m->dim) * sizeof *p.m2);
    return insert(m, p);
}

const hkd_seed_set *hkd_moments_seeds(const hkd_moments *m) { return &m->seeds; }

hkd_status hkd_moments_add_seeds(hkd_moments *m, uint64_t first, uint64_t last) {
    return hkd_seed_set_add(&m->seeds, first, last);
}

static hkd_status check_complete(const hkd_moments *m) {
    if (m->open) return hkd_fail(HKD_USAGE, "statistics: the last block is still open");
    const int64_t count = hkd_moments_count(m);
    if (count < 2) return hkd_fail(HKD_USAGE, "statistics of %lld samples: a covariance needs at least 2", (long long)count);
    for (int64_t i = 0; i + 1 < m->parts; i++) {
        const int64_t end = m->part[i].first + m->part[i].count, next = m->part[i + 1].first;
        if (end == next) continue;
        return hkd_fail(HKD_CHECK_FAILED, "statistics: samples %lld to %lld missing", (long long)end, (long long)(next - 1));
    }
    return HKD_OK;
}

hkd_status hkd_moments_finish(double *mean, double *covariance, const hkd_moments *m) {
    hkd_moments_part all;
    hkd_status status = check_complete(m);
    if (status == HKD_OK) status = part_new(&all, m->dim, 0, 0);
    if (status != HKD_OK) return status;
    for (int64_t i = 0; i < m->parts; i++) join(&all, &m->part[i], m->dim);
    memcpy(mean, all.mean, (size_t)m->dim * sizeof *mean);
    const double *from = all.m2;
    for (int64_t j = 0; j < m->dim; j++)
        for (int64_t k = j; k < m->dim; k++)
            covariance[j * m->dim + k] = covariance[k * m->dim + j] = *from++ / (double)(all.count - 1);
    part_free(&all);
    return HKD_OK;
}
