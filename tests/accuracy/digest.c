/* Makes every test vector in memory and prints one hash per operator over all their numbers, so that compilers, C libraries
 * and processors can be compared: the same lines must come out everywhere. Needs the reference and the case lists alone. */
#include "test_vector.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a over the bytes of doubles in little-endian order. */
static void add(uint64_t *h, const double *x, int64_t n) {
    for (int64_t i = 0; x && i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int k = 0; k < 64; k += 8) *h = (*h ^ (bits >> k & 255)) * 0x100000001B3u;
    }
}

static void add_vector(uint64_t *h, const hkd_vector *v) {
    for (int i = 0; i < hkd_op_inputs(v->op); i++) {
        const int64_t n = v->in[i] ? hkd_count(&v->in_shape[i]) : 0;
        add(h, v->in[i], n), add(h, v->grad[i], n), add(h, v->grad_bound[i], n);
    }
    for (int i = 0; i < hkd_op_outputs(v->op); i++) {
        const int64_t n = hkd_count(&v->out_shape[i]);
        add(h, v->up[i], n), add(h, v->out[i], n), add(h, v->out_bound[i], n);
    }
}

int main(void) {
    for (int k = 0; hkd_case_lists[k]; k++) {
        uint64_t h = 0xCBF29CE484222325u;
        int cases = 0;
        for (const hkd_case *c = hkd_case_lists[k]->cases; c->name; c++, cases++) {
            hkd_vector v;
            if (hkd_vector_make(&v, hkd_find_op(hkd_case_lists[k]->op), c)) return printf("%s\n", hkd_last_error()), 1;
            add_vector(&h, &v);
            hkd_vector_free(&v);
        }
        printf("%-22s %3d cases %016llx\n", hkd_case_lists[k]->op, cases, (unsigned long long)h);
    }
    return 0;
}
