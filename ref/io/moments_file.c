#include "moments_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t triangle(int64_t dim) { return dim * (dim + 1) / 2; }

/* ---- saving ------------------------------------------------------------------------------------------------------------- */

/* The ranges as bytes, first and last one after the other; NULL: out of memory. */
static unsigned char *seed_bytes(const hkd_seed_set *set) {
    unsigned char *bytes = malloc(16 * set->count + 1);
    for (size_t i = 0; i < set->count && bytes; i++) {
        hkd_stored_encode_u64(bytes + 8 * i, &set->range[i].first, 1);
        hkd_stored_encode_u64(bytes + 8 * (set->count + i), &set->range[i].last, 1);
    }
    return bytes;
}

hkd_status hkd_moments_save(const hkd_moments *m, const char *path, const char *of) {
    const int64_t dim = hkd_moments_dim(m);
    int64_t parts = 0;
    while (hkd_moments_part_at(m, parts)) parts++;
    const size_t room = (size_t)(parts * (2 + dim + triangle(dim)) + 1);
    double *first = malloc(room * sizeof *first), *count = first + parts, *mean = count + parts, *m2 = mean + parts * dim;
    const hkd_seed_set *seeds = hkd_moments_seeds(m);
    unsigned char *ranges = seed_bytes(seeds);
    if (!first || !ranges) {
        free(first);
        free(ranges);
        return hkd_fail(HKD_RESOURCES, "%s: out of memory for the statistics", path);
    }
    for (int64_t i = 0; i < parts; i++) {
        const hkd_moments_part *p = hkd_moments_part_at(m, i);
        first[i] = (double)p->first;
        count[i] = (double)p->count;
        memcpy(mean + i * dim, p->mean, (size_t)dim * sizeof *mean);
        memcpy(m2 + i * triangle(dim), p->m2, (size_t)triangle(dim) * sizeof *m2);
    }
    const hkd_shape each = hkd_shape_of(1, parts), means = hkd_shape_of(2, parts, dim),
                    sums = hkd_shape_of(2, parts, triangle(dim)), known = hkd_shape_of(1, (int64_t)seeds->count);
    const hkd_saved t[] = {{.name = "part.first", .type = HKD_I64, .shape = each, .as = HKD_F64, .data = first},
                           {.name = "part.count", .type = HKD_I64, .shape = each, .as = HKD_F64, .data = count},
                           {.name = "part.mean", .type = HKD_DOUBLE, .shape = means, .as = HKD_F64, .data = mean},
                           {.name = "part.m2", .type = HKD_DOUBLE, .shape = sums, .as = HKD_F64, .data = m2},
                           {.name = "seed.first", .type = HKD_U64, .shape = known, .bytes = ranges},
                           {.name = "seed.last", .type = HKD_U64, .shape = known, .bytes = ranges + 8 * seeds->count}};
    const hkd_metadata about[] = {{"hkd.statistics", "1"}, {"hkd.of", of}};
    const hkd_status status = hkd_safetensors_save(path, t, seeds->count ? 6 : 4, about, 2);
    free(first);
    free(ranges);
    return status;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------ */

static double *all(const hkd_safetensors *st, const hkd_safetensor *t) {
    double *values = malloc((size_t)t->count * sizeof *values + 1);
    if (values && !hkd_safetensors_read(st, t, values, HKD_F64)) return values;
    free(values);
    return NULL;
}

static hkd_status add_parts(hkd_moments *m, const hkd_safetensors *st, const hkd_safetensor *const *t) {
    const int64_t parts = t[0]->dim[0], dim = hkd_moments_dim(m);
    double *first = all(st, t[0]), *count = all(st, t[1]), *mean = all(st, t[2]), *m2 = all(st, t[3]);
    hkd_status status = first && count && mean && m2 ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the statistics");
    for (int64_t i = 0; i < parts && !status; i++) {
        const bool sane = first[i] >= 0 && first[i] < 0x1p53 && count[i] >= 1 && count[i] < 0x1p53;
        const hkd_moments_part p = {sane ? (int64_t)first[i] : -1, sane ? (int64_t)count[i] : 0, mean + i * dim,
                                    m2 + i * triangle(dim)};
        status = hkd_moments_add_part(m, &p);
    }
    free(first);
    free(count);
    free(mean);
    free(m2);
    return status;
}

static hkd_status add_seeds(hkd_moments *m, const hkd_safetensors *st) {
    const hkd_safetensor *first = hkd_safetensors_find(st, "seed.first"), *last = hkd_safetensors_find(st, "seed.last");
    if (!first && !last) return HKD_OK;
    if (!first || !last || first->rank != 1 || last->rank != 1 || first->count != last->count)
        return hkd_fail(HKD_BAD_FILE, "%s: seed.first and seed.last contradict each other", hkd_file_name(st->file));
    const size_t count = (size_t)first->count;
    uint64_t *seed = malloc(2 * count * sizeof *seed + 1);
    if (!seed) return hkd_fail(HKD_RESOURCES, "out of memory for the statistics");
    hkd_status status = hkd_safetensors_read_u64(st, first, seed);
    if (!status) status = hkd_safetensors_read_u64(st, last, seed + count);
    for (size_t i = 0; i < count && !status; i++)
        status = seed[i] > seed[count + i] ? hkd_fail(HKD_CHECK_FAILED, "a range of seeds ends before it begins")
                                           : hkd_moments_add_seeds(m, seed[i], seed[count + i]);
    free(seed);
    return status;
}

static hkd_status load(hkd_moments **m, const hkd_safetensors *st, const char *of) {
    static const char *const name[] = {"part.first", "part.count", "part.mean", "part.m2"};
    const char *file = hkd_file_name(st->file), *theirs = hkd_safetensors_metadata(st, "hkd.of");
    const hkd_safetensor *t[4];
    if (!hkd_safetensors_metadata(st, "hkd.statistics") || !theirs) return hkd_fail(HKD_BAD_FILE, "%s: no statistics", file);
    if (of && strcmp(of, theirs)) return hkd_fail(HKD_BAD_FILE, "%s: statistics of '%s', expected '%s'", file, theirs, of);
    for (int i = 0; i < 4; i++) {
        t[i] = hkd_safetensors_find(st, name[i]);
        if (!t[i] || t[i]->rank != (i < 2 ? 1 : 2) || t[i]->type != (i < 2 ? HKD_I64 : HKD_DOUBLE) ||
            t[i]->dim[0] != t[0]->dim[0])
            return hkd_fail(HKD_BAD_FILE, "%s: statistics need a tensor '%s' for every part", file, name[i]);
    }
    const int64_t dim = t[2]->dim[1];
    if (dim < 1 || dim > 1 << 20 || t[3]->dim[1] != triangle(dim))
        return hkd_fail(HKD_BAD_FILE, "%s: part.mean and part.m2 contradict each other", file);
    if (!*m) {
        const hkd_status status = hkd_moments_new(m, dim, 0);
        if (status) return status;
    }
    if (hkd_moments_dim(*m) != dim)
        return hkd_fail(HKD_BAD_FILE, "%s: statistics of %lld features, expected %lld", file, (long long)dim,
                        (long long)hkd_moments_dim(*m));
    hkd_status status = add_seeds(*m, st);
    if (!status) status = add_parts(*m, st, t);
    if (status != HKD_CHECK_FAILED) return status;
    char reason[512];
    snprintf(reason, sizeof reason, "%s", hkd_last_error());
    return hkd_fail(HKD_BAD_FILE, "%s: %s", file, reason);
}

hkd_status hkd_moments_load(hkd_moments **m, const char *path, const char *of) {
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = load(m, st, of);
    hkd_safetensors_close(st);
    return status;
}

bool hkd_is_moments_file(const char *path) {
    const size_t n = strlen(path);
    hkd_safetensors *st;
    if (n < 12 || strcmp(path + n - 12, ".safetensors") || hkd_safetensors_open(&st, path)) return false;
    const bool is = hkd_safetensors_metadata(st, "hkd.statistics");
    hkd_safetensors_close(st);
    return is;
}
