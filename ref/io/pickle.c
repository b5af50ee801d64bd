#include "pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024, MOST_VALUES = 1 << 20, MOST_MARKS = 1 << 10 };

struct hkd_py_block {
    hkd_py value[BLOCK];
};

/* ---- the machine: after the first failure every step does nothing ----------------------------------------------------- */

typedef struct {
    hkd_pickle *p;
    const char *name;
    const unsigned char *bytes;
    size_t count, at;
    hkd_py **stack;
    size_t depth, room;
    size_t mark[MOST_MARKS], marks; /* depths */
    hkd_py **memo;
    size_t memo_room, memoized;
    hkd_status status;
} machine;

static void bad(machine *m, const char *what) {
    if (!m->status) m->status = hkd_fail(HKD_BAD_FILE, "%s: pickle, byte %llu: %s", m->name, (unsigned long long)m->at, what);
}

static void exhausted(machine *m) {
    if (!m->status) m->status = hkd_fail(HKD_RESOURCES, "%s: out of memory for a pickle", m->name);
}

/* Room for one more pointer in an array of `count`; the failure is recorded. */
static bool grow(machine *m, hkd_py ***array, size_t count, size_t *room) {
    if (count < *room) return true;
    const size_t more = 2 * *room + 8;
    hkd_py **grown = realloc(*array, more * sizeof *grown);
    if (!grown) {
        exhausted(m);
        return false;
    }
    memset(grown + *room, 0, (more - *room) * sizeof *grown);
    *array = grown;
    *room = more;
    return true;
}

static hkd_py *make(machine *m, hkd_py_kind kind) {
    hkd_pickle *p = m->p;
    if (m->status) return NULL;
    if (p->count == MOST_VALUES) {
        bad(m, "more than 1048576 values");
        return NULL;
    }
    if (p->count % BLOCK == 0) {
        struct hkd_py_block *grown = NULL;
        const size_t blocks = p->count / BLOCK;
        struct hkd_py_block **list = realloc(p->block, (blocks + 1) * sizeof *list);
        if (list) p->block = list;
        if (list) grown = list[blocks] = calloc(1, sizeof *grown);
        if (!grown) {
            exhausted(m);
            return NULL;
        }
    }
    hkd_py *v = &p->block[p->count / BLOCK]->value[p->count % BLOCK];
    p->count++;
    v->kind = kind;
    return v;
}

static void append(machine *m, hkd_py *list, hkd_py *v) {
    if (m->status || !grow(m, &list->item, list->count, &list->room)) return;
    list->item[list->count++] = v;
}

static void assign(machine *m, hkd_py *dict, hkd_py *key, hkd_py *v) {
    if (m->status || !grow(m, &dict->item, 2 * dict->count + 1, &dict->room)) return;
    dict->item[2 * dict->count] = key;
    dict->item[2 * dict->count + 1] = v;
    dict->count++;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------ */

static const unsigned char *take(machine *m, uint64_t n) {
    if (m->count - m->at < n) bad(m, "ends within a value");
    if (m->status) return NULL;
    const unsigned char *bytes = m->bytes + m->at;
    m->at += (size_t)n;
    return bytes;
}

static uint64_t number(machine *m, unsigned n) {
    const unsigned char *bytes = take(m, n);
    uint64_t v = 0;
    for (unsigned i = n; bytes && i-- > 0;) v = v << 8 | bytes[i];
    return v;
}

static hkd_py *string(machine *m, hkd_py_kind kind, uint64_t n) {
    const unsigned char *bytes = take(m, n);
    hkd_py *v = make(m, kind);
    if (!v) return NULL;
    v->bytes = bytes;
    v->count = (size_t)n;
    return v;
}

static hkd_py *line(machine *m) {
    size_t n = 0;
    while (n < m->count - m->at && m->bytes[m->at + n] != '\n') n++;
    hkd_py *v = string(m, HKD_PY_STR, n);
    take(m, 1);
    return v;
}

/* ---- the stack -------------------------------------------------------------------------------------------------------- */

static void push(machine *m, hkd_py *v) {
    if (m->status || !grow(m, &m->stack, m->depth, &m->room)) return;
    m->stack[m->depth++] = v;
}

/* Where the last n values begin; none of them lies below the last mark. */
static size_t last(machine *m, size_t n) {
    if (m->depth - (m->marks ? m->mark[m->marks - 1] : 0) < n) bad(m, "takes a value that is not there");
    return m->status ? m->depth : m->depth - n;
}

static hkd_py *top(machine *m) {
    const size_t at = last(m, 1);
    return m->status ? NULL : m->stack[at];
}

static hkd_py *pop(machine *m) {
    hkd_py *v = top(m);
    if (v) m->depth--;
    return v;
}

/* Ends the group since the last mark; returns where it began. */
static size_t unmark(machine *m) {
    if (!m->marks) bad(m, "ends a group that did not begin");
    return m->status ? m->depth : m->mark[--m->marks];
}

/* ---- instructions: each group returns false for a code that is not its own -------------------------------------------- */

static hkd_py *integer(machine *m, hkd_py_kind kind, int64_t value) {
    hkd_py *v = make(m, kind);
    if (v) v->integer = value;
    return v;
}

static hkd_py *long_integer(machine *m) {
    const uint64_t n = number(m, 1);
    if (n > 8) return string(m, HKD_PY_BIGINT, n);
    const unsigned char *bytes = take(m, n);
    uint64_t v = bytes && n && bytes[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (uint64_t i = n; bytes && i-- > 0;) v = v << 8 | bytes[i];
    int64_t value;
    memcpy(&value, &v, sizeof value);
    return integer(m, HKD_PY_INT, value);
}

static hkd_py *real(machine *m) {
    const unsigned char *bytes = take(m, 8);
    hkd_py *v = make(m, HKD_PY_REAL);
    uint64_t bits = 0;
    for (int i = 0; bytes && i < 8; i++) bits = bits << 8 | bytes[i];
    if (v) memcpy(&v->real, &bits, sizeof bits);
    return v;
}

static bool scalar(machine *m, int code) {
    hkd_py *v;
    switch (code) {
    case 'N': v = make(m, HKD_PY_NONE); break;
    case 0x88: v = integer(m, HKD_PY_BOOL, 1); break;
    case 0x89: v = integer(m, HKD_PY_BOOL, 0); break;
    case 'K': v = integer(m, HKD_PY_INT, (int64_t)number(m, 1)); break;
    case 'M': v = integer(m, HKD_PY_INT, (int64_t)number(m, 2)); break;
    case 'J': v = integer(m, HKD_PY_INT, (int64_t)(number(m, 4) ^ 0x80000000) - 0x80000000); break;
    case 0x8a: v = long_integer(m); break;
    case 'G': v = real(m); break;
    case 'U': case 0x8c: v = string(m, HKD_PY_STR, number(m, 1)); break; /* U and T: Python 2's str */
    case 'T': case 'X': v = string(m, HKD_PY_STR, number(m, 4)); break;
    case 0x8d: v = string(m, HKD_PY_STR, number(m, 8)); break;
    case 'C': v = string(m, HKD_PY_BYTES, number(m, 1)); break;
    case 'B': v = string(m, HKD_PY_BYTES, number(m, 4)); break;
    case 0x8e: v = string(m, HKD_PY_BYTES, number(m, 8)); break;
    default: return false;
    }
    push(m, v);
    return true;
}

/* The values above `from` become the items of a new container, which takes their place. */
static void gather(machine *m, hkd_py_kind kind, size_t from) {
    hkd_py *v = make(m, kind);
    for (size_t i = from; !m->status && i < m->depth; i++) append(m, v, m->stack[i]);
    if (m->status) return;
    m->depth = from;
    push(m, v);
}

/* Values above `from` are appended to the one below them: a list, a set, or whatever a call was to make. */
static void append_all(machine *m, size_t from) {
    const size_t end = m->depth;
    if (!m->status) m->depth = from;
    hkd_py *to = top(m);
    if (to && to->kind == HKD_PY_CALL) to = to->list ? to->list : (to->list = make(m, HKD_PY_LIST));
    if (to && to->kind != HKD_PY_LIST && to->kind != HKD_PY_SET) bad(m, "appends to what is no list");
    for (size_t i = from; !m->status && i < end; i++) append(m, to, m->stack[i]);
}

/* The same for keys and values. */
static void assign_all(machine *m, size_t from) {
    const size_t end = m->depth;
    if (!m->status) m->depth = from;
    hkd_py *to = top(m);
    if (to && to->kind == HKD_PY_CALL) to = to->pairs ? to->pairs : (to->pairs = make(m, HKD_PY_DICT));
    if (to && to->kind != HKD_PY_DICT) bad(m, "assigns to what is no dictionary");
    if ((end - from) % 2) bad(m, "a key without a value");
    for (size_t i = from; !m->status && i < end; i += 2) assign(m, to, m->stack[i], m->stack[i + 1]);
}

static void dictionary(machine *m, size_t from) {
    hkd_py *v = make(m, HKD_PY_DICT);
    if ((m->depth - from) % 2) bad(m, "a key without a value");
    for (size_t i = from; !m->status && i < m->depth; i += 2) assign(m, v, m->stack[i], m->stack[i + 1]);
    if (m->status) return;
    m->depth = from;
    push(m, v);
}

static bool container(machine *m, int code) {
    switch (code) {
    case ']': push(m, make(m, HKD_PY_LIST)); break;
    case '}': push(m, make(m, HKD_PY_DICT)); break;
    case ')': push(m, make(m, HKD_PY_TUPLE)); break;
    case 0x8f: push(m, make(m, HKD_PY_SET)); break;
    case 't': gather(m, HKD_PY_TUPLE, unmark(m)); break;
    case 0x91: gather(m, HKD_PY_SET, unmark(m)); break; /* a frozen set */
    case 0x85: case 0x86: case 0x87: gather(m, HKD_PY_TUPLE, last(m, (size_t)(code - 0x84))); break;
    case 'd': dictionary(m, unmark(m)); break;
    case 'a': append_all(m, last(m, 1)); break;
    case 'e': case 0x90: append_all(m, unmark(m)); break;
    case 's': assign_all(m, last(m, 2)); break;
    case 'u': assign_all(m, unmark(m)); break;
    default: return false;
    }
    return true;
}

/* A node of two parts: a name in a module, or a call. */
static void pair(machine *m, hkd_py_kind kind, hkd_py *first, hkd_py *second) {
    hkd_py *v = make(m, kind);
    if (kind == HKD_PY_GLOBAL && !m->status && (first->kind != HKD_PY_STR || second->kind != HKD_PY_STR))
        bad(m, "a name that is no text");
    append(m, v, first);
    append(m, v, second);
    push(m, v);
}

static void call(machine *m) {
    hkd_py *arguments = pop(m), *callee = pop(m);
    if (!m->status && arguments->kind != HKD_PY_TUPLE) bad(m, "arguments that are no tuple");
    pair(m, HKD_PY_CALL, callee, arguments);
}

/* Made with keywords: they become the state's neighbours, the pairs. */
static void call_with_keywords(machine *m) {
    hkd_py *keywords = pop(m);
    if (!m->status && keywords->kind != HKD_PY_DICT) bad(m, "keywords that are no dictionary");
    call(m);
    hkd_py *made = top(m);
    if (made) made->pairs = keywords;
}

static void build(machine *m) {
    hkd_py *state = pop(m), *object = top(m);
    if (!m->status && object->kind != HKD_PY_CALL) bad(m, "sets the state of what is no object");
    if (!m->status) object->state = state;
}

static bool object(machine *m, int code) {
    hkd_py *v, *module;
    switch (code) {
    case 'c': module = line(m), pair(m, HKD_PY_GLOBAL, module, line(m)); break;
    case 0x93: v = pop(m), pair(m, HKD_PY_GLOBAL, pop(m), v); break;
    case 'R': case 0x81: call(m); break;
    case 0x92: call_with_keywords(m); break;
    case 'b': build(m); break;
    case 'Q':
        v = pop(m), module = make(m, HKD_PY_PERSISTENT);
        append(m, module, v);
        push(m, module);
        break;
    default: return false;
    }
    return true;
}

static void remember(machine *m, uint64_t index) {
    hkd_py *v = top(m);
    if (index >= MOST_VALUES) bad(m, "a memo of more than 1048576 values");
    while (!m->status && index >= m->memo_room) grow(m, &m->memo, m->memo_room, &m->memo_room);
    if (m->status) return;
    m->memoized += !m->memo[index];
    m->memo[index] = v;
}

static void recall(machine *m, uint64_t index) {
    if (!m->status && (index >= m->memo_room || !m->memo[index])) bad(m, "recalls what was not remembered");
    if (!m->status) push(m, m->memo[index]);
}

static bool housekeeping(machine *m, int code) {
    switch (code) {
    case 0x80:
        if (number(m, 1) > 5) bad(m, "a protocol beyond 5");
        break;
    case 0x95:
        if (number(m, 8) > m->count - m->at) bad(m, "a frame beyond the end");
        break;
    case '(':
        if (m->marks == MOST_MARKS) bad(m, "groups nested deeper than 1024");
        else m->mark[m->marks++] = m->depth;
        break;
    case '0':
        if (m->marks && m->depth == m->mark[m->marks - 1]) m->marks--; /* as Python does: POP also takes a mark */
        else pop(m);
        break;
    case '1': m->depth = unmark(m); break;
    case 0x94: remember(m, m->memoized); break;
    case 'q': remember(m, number(m, 1)); break;
    case 'r': remember(m, number(m, 4)); break;
    case 'h': recall(m, number(m, 1)); break;
    case 'j': recall(m, number(m, 4)); break;
    default: return false;
    }
    return true;
}

static void run(machine *m) {
    while (!m->status) {
        const unsigned char *code = take(m, 1);
        if (!code || *code == '.') break;
        if (scalar(m, *code) || container(m, *code) || object(m, *code) || housekeeping(m, *code)) continue;
        char what[64];
        snprintf(what, sizeof what, "instruction 0x%02x is not supported", *code);
        bad(m, what);
    }
    m->p->root = pop(m);
    m->p->length = m->at;
    if (m->marks || m->depth) bad(m, "ends with more than one value");
}

/* ---- the pickle ------------------------------------------------------------------------------------------------------- */

hkd_status hkd_pickle_read(hkd_pickle **out, const char *name, const unsigned char *bytes, size_t count) {
    machine *m = calloc(1, sizeof *m);
    *out = calloc(1, sizeof **out);
    hkd_status status = m && *out ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: out of memory", name);
    if (!status) {
        *m = (machine){.p = *out, .name = name, .bytes = bytes, .count = count};
        run(m);
        status = m->status;
        free(m->stack);
        free(m->memo);
    }
    free(m);
    if (status) {
        hkd_pickle_free(*out);
        *out = NULL;
    }
    return status;
}

void hkd_pickle_free(hkd_pickle *p) {
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) free(hkd_pickle_value(p, i)->item);
    for (size_t i = 0; i * BLOCK < p->count; i++) free(p->block[i]);
    free(p->block);
    free(p);
}

hkd_py *hkd_pickle_value(const hkd_pickle *p, size_t i) { return &p->block[i / BLOCK]->value[i % BLOCK]; }
