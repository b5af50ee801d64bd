/* pickle.h - Python pickles as trees of inert values: nothing that a file names is ever imported, called or run.
 *
 * A pickle is a program for a small stack machine. This one has every instruction that data need and no other; where Python
 * would call something, it makes a node that remembers what was to be called with what. Lengths, stack, marks, memo and the
 * number of values are checked; the machine does not recurse, so nesting costs no stack.
 * Source: the comments of CPython's pickletools.py (protocols 2 to 5).
 */
#ifndef HKD_PICKLE_H
#define HKD_PICKLE_H

#include "status.h"

#include <stdbool.h>

typedef enum {
    HKD_PY_NONE,
    HKD_PY_BOOL,      /* integer */
    HKD_PY_INT,       /* integer */
    HKD_PY_BIGINT,    /* bytes: two's complement, little-endian, more than 8 */
    HKD_PY_REAL,      /* real */
    HKD_PY_STR,       /* bytes: UTF-8, not checked */
    HKD_PY_BYTES,     /* bytes */
    HKD_PY_TUPLE,     /* item [count] */
    HKD_PY_LIST,      /* item [count] */
    HKD_PY_SET,       /* item [count] */
    HKD_PY_DICT,      /* item [2 count]: key, value, key, value, ... in the order of the file */
    HKD_PY_GLOBAL,    /* item [2]: module and name, both STR */
    HKD_PY_CALL,      /* item [2]: what was to be called, and its arguments; then state, pairs, list */
    HKD_PY_PERSISTENT /* item [1]: the identifier of something outside the pickle */
} hkd_py_kind;

/* Values may be shared and may contain themselves. */
typedef struct hkd_py hkd_py;
struct hkd_py {
    hkd_py_kind kind;
    int64_t integer;
    double real;
    const unsigned char *bytes; /* in the memory that was read */
    size_t count, room;         /* bytes, items or pairs */
    hkd_py **item;
    hkd_py *state;              /* CALL: what BUILD was to set, or NULL */
    hkd_py *pairs, *list;       /* CALL: a DICT of what was to be assigned, a LIST of what was to be appended, or NULL */
};

typedef struct {
    hkd_py *root;
    size_t length;              /* bytes of the pickle: what follows it in the file begins there */
    size_t count;               /* values */
    struct hkd_py_block **block;
} hkd_pickle;

/* Reads the pickle at the beginning of `bytes`, which must outlive it. `name` appears in messages. */
hkd_status hkd_pickle_read(hkd_pickle **out, const char *name, const unsigned char *bytes, size_t count);
void hkd_pickle_free(hkd_pickle *p); /* NULL is fine */
/* Every value that the pickle made, in order: i from 0 to count - 1. */
hkd_py *hkd_pickle_value(const hkd_pickle *p, size_t i);

/* ---- looking at values; NULL is a value that is not there and fits nothing -------------------------------------------- */

bool hkd_py_is_text(const hkd_py *v, const char *text);
bool hkd_py_is_global(const hkd_py *v, const char *module, const char *name);
bool hkd_py_calls(const hkd_py *v, const char *module, const char *name); /* a CALL of this GLOBAL */
/* The value of a key in a DICT, or among the pairs of a CALL (OrderedDict and other kinds of dict). NULL: none. */
hkd_py *hkd_py_get(const hkd_py *v, const char *key);
hkd_py *hkd_py_at(const hkd_py *v, size_t i);          /* item of a TUPLE or LIST */
hkd_py *hkd_py_argument(const hkd_py *v, size_t i);    /* of a CALL */
/* The pairs of a DICT, or of a CALL of collections.OrderedDict or the like; NULL: no dictionary. */
const hkd_py *hkd_py_dictionary(const hkd_py *v);
bool hkd_py_integer(int64_t *out, const hkd_py *v);    /* INT or BOOL */
bool hkd_py_number(double *out, const hkd_py *v);      /* REAL or INT */

#endif
