/* Looking at the values of a pickle. */
#include "pickle.h"

#include <string.h>

bool hkd_py_is_text(const hkd_py *v, const char *text) {
    return v && v->kind == HKD_PY_STR && v->count == strlen(text) && !memcmp(v->bytes, text, v->count);
}

bool hkd_py_is_global(const hkd_py *v, const char *module, const char *name) {
    return v && v->kind == HKD_PY_GLOBAL && hkd_py_is_text(v->item[0], module) && hkd_py_is_text(v->item[1], name);
}

bool hkd_py_calls(const hkd_py *v, const char *module, const char *name) {
    return v && v->kind == HKD_PY_CALL && hkd_py_is_global(v->item[0], module, name);
}

const hkd_py *hkd_py_dictionary(const hkd_py *v) {
    if (v && v->kind == HKD_PY_DICT) return v;
    return v && v->kind == HKD_PY_CALL ? v->pairs : NULL;
}

hkd_py *hkd_py_get(const hkd_py *v, const char *key) {
    const hkd_py *dict = hkd_py_dictionary(v);
    for (size_t i = dict ? dict->count : 0; i-- > 0;) /* the last assignment holds */
        if (hkd_py_is_text(dict->item[2 * i], key)) return dict->item[2 * i + 1];
    return NULL;
}

hkd_py *hkd_py_at(const hkd_py *v, size_t i) {
    return v && (v->kind == HKD_PY_TUPLE || v->kind == HKD_PY_LIST) && i < v->count ? v->item[i] : NULL;
}

hkd_py *hkd_py_argument(const hkd_py *v, size_t i) { return v && v->kind == HKD_PY_CALL ? hkd_py_at(v->item[1], i) : NULL; }

bool hkd_py_integer(int64_t *out, const hkd_py *v) {
    const bool is = v && (v->kind == HKD_PY_INT || v->kind == HKD_PY_BOOL);
    if (is) *out = v->integer;
    return is;
}

bool hkd_py_number(double *out, const hkd_py *v) {
    int64_t whole;
    if (v && v->kind == HKD_PY_REAL) *out = v->real;
    else if (hkd_py_integer(&whole, v)) *out = (double)whole;
    else return false;
    return true;
}
