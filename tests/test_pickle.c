#include "pickle.h"
#include "pickle_samples.h"
#include "tensor_list.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* A string literal with zeros inside and its length. */
#define BYTES(text) (const unsigned char *)(text), sizeof(text) - 1

static hkd_pickle *read(const unsigned char *bytes, size_t count) {
    hkd_pickle *p;
    CHECK(!hkd_pickle_read(&p, "test", bytes, count), "%s", hkd_last_error());
    return p;
}

static void refuse(const char *says, const unsigned char *bytes, size_t count) {
    hkd_pickle *p;
    const hkd_status status = hkd_pickle_read(&p, "test", bytes, count);
    CHECK(status == HKD_BAD_FILE && !p, "accepted: expected '%s'", says);
    if (status) CHECK(strstr(hkd_last_error(), says), "says '%s', expected '%s'", hkd_last_error(), says);
    hkd_pickle_free(p);
}

/* pickle.dumps(x, 2) and (x, 4) of CPython 3.11 for [None, True, -2, 300, 2**40, -1.5, 'a', {'k': (1, 2, 3, 4)}]: signs, byte
 * orders and lengths of every scalar. */
static void scalars(void) {
    static const struct {
        const char *text;
        size_t count;
    } dumps[] = {
        {"\200\002\135\161\000\050\116\210\112\376\377\377\377\115\054\001\212\006\000\000\000\000\000\001\107\277"
         "\370\000\000\000\000\000\000\130\001\000\000\000\141\161\001\175\161\002\130\001\000\000\000\153\161\003"
         "\050\113\001\113\002\113\003\113\004\164\161\004\163\145\056", 67},
        {"\200\004\225\066\000\000\000\000\000\000\000\135\224\050\116\210\112\376\377\377\377\115\054\001\212\006"
         "\000\000\000\000\000\001\107\277\370\000\000\000\000\000\000\214\001\141\224\175\224\214\001\153\224\050"
         "\113\001\113\002\113\003\113\004\164\224\163\145\056", 65},
    };
    for (int i = 0; i < 2; i++) {
        hkd_pickle *p = read((const unsigned char *)dumps[i].text, dumps[i].count);
        if (!p) continue;
        int64_t whole = 0;
        double real = 0;
        const hkd_py *v = p->root;
        CHECK(v->kind == HKD_PY_LIST && v->count == 8 && hkd_py_at(v, 0)->kind == HKD_PY_NONE, "dump %d: a list of 8", i);
        CHECK(hkd_py_integer(&whole, hkd_py_at(v, 1)) && whole == 1, "dump %d: True", i);
        CHECK(hkd_py_integer(&whole, hkd_py_at(v, 2)) && whole == -2, "dump %d: -2 is %lld", i, (long long)whole);
        CHECK(hkd_py_integer(&whole, hkd_py_at(v, 3)) && whole == 300, "dump %d: 300 is %lld", i, (long long)whole);
        CHECK(hkd_py_integer(&whole, hkd_py_at(v, 4)) && whole == (int64_t)1 << 40, "dump %d: 2^40 is %lld", i,
              (long long)whole);
        CHECK(hkd_py_number(&real, hkd_py_at(v, 5)) && real == -1.5, "dump %d: -1.5 is %g", i, real);
        CHECK(hkd_py_is_text(hkd_py_at(v, 6), "a"), "dump %d: a text", i);
        CHECK(hkd_py_get(hkd_py_at(v, 7), "k") && hkd_py_get(hkd_py_at(v, 7), "k")->count == 4, "dump %d: a dictionary", i);
        CHECK(p->length == dumps[i].count, "dump %d: %d bytes", i, (int)p->length);
        hkd_pickle_free(p);
    }
    hkd_pickle *p = read(BYTES("\x80\x02\x8a\x01\xff."));
    int64_t minus = 0;
    CHECK(p && hkd_py_integer(&minus, p->root) && minus == -1, "LONG1 of one byte loses its sign: %lld", (long long)minus);
    hkd_pickle_free(p);
    p = read(BYTES("\x80\x02\x8a\x00."));
    CHECK(p && hkd_py_integer(&minus, p->root) && minus == 0, "LONG1 of no byte is 0");
    hkd_pickle_free(p);
}

/* A call is a node, whatever it names; the memo shares values; the last of two equal keys holds. */
static void inert(void) {
    hkd_pickle *p = read(BYTES("\x80\x02" "cos\nsystem\nX\x02\x00\x00\x00" "ls\x85R."));
    CHECK(p && hkd_py_calls(p->root, "os", "system") && hkd_py_is_text(hkd_py_argument(p->root, 0), "ls"),
          "a call of os.system");
    hkd_pickle_free(p);
    p = read(BYTES("\x80\x04]\x94h\x00\x86."));
    refuse("takes a value that is not there", BYTES("\x80\x04\x86."));
    CHECK(p && hkd_py_at(p->root, 0) == hkd_py_at(p->root, 1), "the memo copies");
    hkd_pickle_free(p);
    p = read(BYTES("\x80\x02}(U\x01" "aK\x01U\x01" "aK\x02u."));
    int64_t v = 0;
    CHECK(p && hkd_py_integer(&v, hkd_py_get(p->root, "a")) && v == 2, "the first of two keys holds");
    hkd_pickle_free(p);
    p = read(BYTES("\x80\x02]q\x00h\x00" "a.")); /* a list that contains itself */
    CHECK(p && hkd_py_at(p->root, 0) == p->root, "a list in itself");
    hkd_pickle_free(p);
}

/* Each of these once broke some reader of pickles: sizes beyond the file, a memo nobody filled, marks, wrong kinds. */
static void hostile(void) {
    refuse("ends within", BYTES("\x80\x02X\xff\xff\xff\xff" "abc."));
    refuse("ends within", BYTES("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff."));
    refuse("a frame beyond the end", BYTES("\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N."));
    refuse("a memo of more", BYTES("\x80\x02Nr\xff\xff\xff\xff."));
    refuse("not remembered", BYTES("\x80\x02Nr\x10\x00\x00\x00j\x0f\x00\x00\x00."));
    refuse("not remembered", BYTES("\x80\x02h\x00."));
    refuse("not supported", BYTES("\x80\x02I10\n."));
    refuse("not supported", BYTES("\x80\x02(cos\nsystem\nU\x02lso.")); /* OBJ and INST call, too */
    refuse("protocol beyond 5", BYTES("\x80\x06N."));
    refuse("not begin", BYTES("\x80\x02t."));
    refuse("not there", BYTES("\x80\x02N(R."));
    refuse("not there", BYTES("\x80\x02."));
    refuse("more than one", BYTES("\x80\x02NN."));
    refuse("no text", BYTES("\x80\x04K\x01K\x02\x93."));
    refuse("no tuple", BYTES("\x80\x02" "cos\nsystem\nNR."));
    refuse("no list", BYTES("\x80\x02NNa."));
    refuse("no dictionary", BYTES("\x80\x02]NNs."));
    refuse("without a value", BYTES("\x80\x02}(Nu."));
    refuse("no object", BYTES("\x80\x02NNb."));
    unsigned char *deep = malloc(3000000);
    memset(deep, '(', 3000000);
    refuse("nested deeper", deep, 3000000);
    memset(deep, ']', 3000000);
    refuse("more than 1048576 values", deep, 3000000);
    for (size_t i = 0; i < 1000000; i++) deep[i] = i < 2 ? (unsigned char)"\x80\x02"[i] : i < 500000 ? ']' : 'a';
    deep[999997] = '.'; /* 499998 lists, each in the one before it: nesting costs no stack */
    hkd_pickle *p = read(deep, 999998);
    CHECK(p && p->count == 499998, "a deep list");
    hkd_pickle_free(p);
    free(deep);
}

static hkd_status list(hkd_tensor_list *out, const unsigned char *bytes, size_t count) {
    return hkd_tensor_list_read_memory(out, "test", bytes, count);
}

/* A strided window keeps its orientation; a scalar keeps its type: both formats of torch.save, as PyTorch wrote them. */
static void samples(const unsigned char *bytes, size_t count) {
    hkd_tensor_list l;
    double w[4] = {0}, n = 0;
    if (!CHECK(!list(&l, bytes, count), "%s", hkd_last_error())) return;
    const hkd_listed *tw = hkd_tensor_list_find(&l, "w"), *tn = hkd_tensor_list_find(&l, "n");
    if (CHECK(l.count == 2 && tw && tn, "%d tensors", (int)l.count)) {
        CHECK(tw->type == HKD_FLOAT && tw->shape.rank == 2 && tw->shape.dim[0] == 2 && tw->shape.dim[1] == 2,
              "shape or type of w");
        CHECK(tn->type == HKD_I64 && tn->shape.rank == 0, "shape or type of n");
        CHECK(!hkd_listed_values(w, HKD_F64, tw) && !hkd_listed_values(&n, HKD_F64, tn), "%s", hkd_last_error());
        CHECK(w[0] == 5 && w[1] == 9 && w[2] == 6 && w[3] == 10, "w = %g %g %g %g", w[0], w[1], w[2], w[3]);
        CHECK(n == 7, "n = %g", n);
    }
    hkd_tensor_list_free(&l);
}

/* Cut anywhere, the file is refused; changed anywhere, it gives tensors or one line (sanitizers watch the rest). */
static void damaged(const unsigned char *bytes, size_t count) {
    unsigned char *copy = malloc(count);
    hkd_tensor_list l;
    for (size_t n = 0; n < count; n++) {
        unsigned char *exact = malloc(n + !n); /* of this very size, so that reading beyond it is seen */
        memcpy(exact, bytes, n);
        CHECK(list(&l, exact, n) == HKD_BAD_FILE, "cut at %d of %d bytes it is accepted", (int)n, (int)count);
        free(exact);
    }
    for (size_t i = 0; i < 3 * count; i++) {
        memcpy(copy, bytes, count);
        copy[i / 3] ^= (unsigned char)"\x01\x80\xff"[i % 3];
        if (!list(&l, copy, count)) hkd_tensor_list_free(&l);
    }
    free(copy);
}

/* Views that leave their storage, in the sample's pickle: the size tuple (2, 2) of w, strides (1, 4), offset 5, 12 elements. */
static void views(void) {
    unsigned char copy[sizeof sample_stream];
    hkd_tensor_list l;
    size_t at = 0;
    while (at + 8 < sizeof copy && memcmp(sample_stream + at, "K\x05K\x02K\x02\x86", 7)) at++;
    if (!CHECK(at + 8 < sizeof copy, "the sample has changed")) return;
    static const struct {
        int byte;
        unsigned char value;
        bool fits;
    } change[] = {{1, 6, true}, {1, 7, false}, {1, 12, false}, {1, 13, false}, {3, 3, true}, {3, 4, false}, {5, 3, false},
                  {3, 0, true}};
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        memcpy(copy, sample_stream, sizeof copy);
        copy[at + (size_t)change[i].byte] = change[i].value;
        const hkd_status status = list(&l, copy, sizeof copy);
        CHECK(status == (change[i].fits ? HKD_OK : HKD_BAD_FILE), "view %d: %d", (int)i, (int)status);
        if (!status) hkd_tensor_list_free(&l);
    }
}

void test_pickle(void) {
    scalars();
    inert();
    hostile();
    samples(sample_stream, sizeof sample_stream);
    damaged(sample_stream, sizeof sample_stream);
    views();
    hkd_tensor_list l;
    if (!list(&l, sample_zip, sizeof sample_zip)) {
        hkd_tensor_list_free(&l);
        samples(sample_zip, sizeof sample_zip);
        damaged(sample_zip, sizeof sample_zip);
    } else if (strstr(hkd_last_error(), "without libzip")) {
        test_skip("state dicts in zip archives", "built without libzip");
    } else {
        samples(sample_zip, sizeof sample_zip);
    }
}
