#include "lists.h"

#include "status.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 24 }; /* entries in one list */

/* Make room for `more` entries behind `count` in *out (NULL at first). */
static hkd_status grow(void **out, size_t count, size_t more, size_t size, const char *what) {
    if (more > MOST || count + more > MOST) return hkd_fail(HKD_USAGE, "%s: more than %d entries", what, (int)MOST);
    void *larger = realloc(*out, (count + more) * size);
    if (!larger) return hkd_fail(HKD_RESOURCES, "%s: out of memory", what);
    *out = larger;
    return HKD_OK;
}

/* A seed at *at; moves *at behind it. */
static bool read_seed(uint64_t *out, const char **at) {
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)**at)) return false;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return !errno;
}

static hkd_status append_seeds(uint64_t **out, size_t *count, const char *what, const char *text, const char **at) {
    const char *start = *at;
    uint64_t first = 0, last = 0;
    if (!read_seed(&first, at)) return hkd_fail(HKD_USAGE, "%s %s: expected a seed below 2^64 at '%s'", what, text, start);
    last = first;
    if (**at == '-') {
        ++*at;
        start = *at;
        if (!read_seed(&last, at)) return hkd_fail(HKD_USAGE, "%s %s: expected the end of a range at '%s'", what, text, start);
        if (last < first)
            return hkd_fail(HKD_USAGE, "%s %s: the range %llu-%llu runs backwards", what, text, (unsigned long long)first,
                            (unsigned long long)last);
    }
    if (last - first >= MOST) return hkd_fail(HKD_USAGE, "%s %s: more than %d seeds", what, text, (int)MOST);
    void *list = *out;
    const hkd_status status = grow(&list, *count, (size_t)(last - first) + 1, sizeof **out, what);
    if (status) return status;
    *out = list;
    for (uint64_t k = 0; k <= last - first; k++) (*out)[(*count)++] = first + k;
    return HKD_OK;
}

static hkd_status append_times(double **out, size_t *count, const char *what, const char *text, const char **at) {
    char *end;
    const char *start = *at;
    const double first = strtod(start, &end);
    double last = first;
    long steps = 1;
    bool good = end != start;
    if (good && *end == ':') {
        start = end + 1;
        last = strtod(start, &end);
        good = end != start && *end == ':';
        start = end + 1;
        if (good) steps = strtol(start, &end, 10);
        good = good && end != start && steps >= 2;
    }
    if (!good || !isfinite(first) || !isfinite(last))
        return hkd_fail(HKD_USAGE, "%s %s: expected a time or FROM:TO:COUNT (COUNT >= 2) at '%s'", what, text, *at);
    *at = end;
    void *list = *out;
    const hkd_status status = grow(&list, *count, (size_t)steps, sizeof **out, what);
    if (status) return status;
    *out = list;
    const double step = steps > 1 ? (last - first) / (double)(steps - 1) : 0;
    for (long k = 0; k < steps; k++) (*out)[(*count)++] = k + 1 == steps ? last : first + step * (double)k;
    return HKD_OK;
}

hkd_status hkd_parse_seeds(uint64_t **out, size_t *count, const char *what, const char *text) {
    hkd_status status = HKD_OK;
    const char *at = text;
    *out = NULL;
    *count = 0;
    do {
        status = append_seeds(out, count, what, text, &at);
    } while (!status && *at == ',' && at++);
    if (!status && *at) status = hkd_fail(HKD_USAGE, "%s %s: expected ',' or '-' at '%s'", what, text, at);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

hkd_status hkd_parse_times(double **out, size_t *count, const char *what, const char *text) {
    hkd_status status = HKD_OK;
    const char *at = text;
    *out = NULL;
    *count = 0;
    do {
        status = append_times(out, count, what, text, &at);
    } while (!status && *at == ',' && at++);
    if (!status && *at) status = hkd_fail(HKD_USAGE, "%s %s: expected ',' at '%s'", what, text, at);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* A number or a quotient of two at *at; moves *at behind it. */
static bool read_fraction(double *out, const char **at) {
    char *end;
    *out = strtod(*at, &end);
    bool good = end != *at;
    if (good && *end == '/') {
        *at = end + 1;
        *out /= strtod(*at, &end);
        good = end != *at;
    }
    *at = end;
    return good && isfinite(*out);
}

hkd_status hkd_parse_interval(double out[2], const char *what, const char *text) {
    const char *at = text;
    const bool good = read_fraction(&out[0], &at) && *at++ == ':' && read_fraction(&out[1], &at) && !*at;
    if (!good) return hkd_fail(HKD_USAGE, "%s %s: expected FROM:TO in fractions, such as 0:1/3", what, text);
    if (out[0] > out[1]) return hkd_fail(HKD_USAGE, "%s %s: the interval is reversed", what, text);
    if (!(out[0] >= 0 && out[0] < out[1] && out[1] <= 1))
        return hkd_fail(HKD_USAGE, "%s %s: expected 0 <= FROM < TO <= 1", what, text);
    return HKD_OK;
}
