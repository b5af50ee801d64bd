#include "dataset.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000000 }; /* classes */

#define BAD(...) hkd_fail(HKD_BAD_FILE, __VA_ARGS__)

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct hkd_label *)a)->name, ((const struct hkd_label *)b)->name);
}

/* The class that a vector of 0 and a single 1 means; -1: none does. */
static int one_hot(const json_t *vector) {
    int found = -1;
    if (json_array_size(vector) > MOST) return -1;
    for (size_t i = 0; i < json_array_size(vector); i++) {
        const json_t *item = json_array_get(vector, i);
        const double v = json_number_value(item);
        if (!json_is_number(item) || (v != 0 && v != 1) || (v == 1 && found >= 0)) return -1;
        if (v == 1) found = (int)i;
    }
    return found;
}

/* A whole number, or a vector; all labels are of the first one's kind. */
static hkd_status parse_label(struct hkd_label *to, const char *file, size_t i, const json_t *label, const json_t *first) {
    const bool vector = json_is_array(label);
    const json_int_t v = vector ? one_hot(label) : json_is_integer(label) ? json_integer_value(label) : -1;
    if (vector != json_is_array(first) || json_array_size(label) != json_array_size(first))
        return BAD("%s: labels[%llu]: expected a label as the first one's: numbers, or vectors of one length", file,
                   (unsigned long long)i);
    if (v < 0 || v >= MOST)
        return vector ? BAD("%s: labels[%llu]: expected a vector of zeros and a single 1: other vectors are no classes", file,
                            (unsigned long long)i)
                      : BAD("%s: labels[%llu]: expected a whole number from 0 to 999999", file, (unsigned long long)i);
    to->label = (int)v;
    return HKD_OK;
}

static hkd_status parse_list(hkd_labels *out, const char *file, const json_t *list) {
    const size_t n = json_array_size(list);
    const json_t *first = NULL;
    if (!(out->item = calloc(n + 1, sizeof *out->item))) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(list, i), *name = json_array_get(pair, 0), *label = json_array_get(pair, 1);
        if (!json_is_string(name) || json_array_size(pair) != 2)
            return BAD("%s: labels[%llu]: expected [name, label]", file, (unsigned long long)i);
        struct hkd_label *to = &out->item[out->count++];
        to->name = json_string_value(name);
        if (!i) first = label;
        const hkd_status status = parse_label(to, file, i, label, first);
        if (status) return status;
        const int classes = json_is_array(label) ? (int)json_array_size(label) : to->label + 1;
        if (classes > out->classes) out->classes = classes;
    }
    if (n) qsort(out->item, n, sizeof *out->item, by_name);
    for (size_t i = 1; i < n; i++)
        if (!by_name(&out->item[i - 1], &out->item[i])) return BAD("%s: '%.64s' has two labels", file, out->item[i].name);
    return HKD_OK;
}

hkd_status hkd_labels_parse(hkd_labels *out, const char *file, const char *text, size_t length) {
    *out = (hkd_labels){0};
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!root) return BAD("%s: byte %d: %s", file, error.position, error.text);
    out->owned = root;
    const json_t *list = json_object_get(root, "labels");
    hkd_status status = HKD_OK;
    if (json_is_array(list)) status = parse_list(out, file, list);
    else if (!json_is_object(root) || (list && !json_is_null(list))) status = BAD("%s: labels: expected a list or null", file);
    if (status) hkd_labels_free(out);
    return status;
}

void hkd_labels_free(hkd_labels *labels) {
    json_decref(labels->owned);
    free(labels->item);
    *labels = (hkd_labels){0};
}

hkd_status hkd_labels_find(int *label, const hkd_labels *labels, const char *file, const char *name) {
    const struct hkd_label key = {name, 0}, *found = NULL;
    *label = -1;
    if (!labels->count) return HKD_OK;
    found = bsearch(&key, labels->item, labels->count, sizeof key, by_name);
    if (!found) return BAD("%s: no label for image '%.64s'", file, name);
    *label = found->label;
    return HKD_OK;
}
