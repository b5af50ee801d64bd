/* Makes every test vector and every composite in memory and prints one hash per operator and composite over all their numbers
 * (of composites also the bounds), so that compilers, C libraries and processors can be compared: the same lines must come out
 * everywhere. Needs the reference, the case lists and the composites alone. */
#include "networks.h"
#include "status.h"
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

static hkd_status operators(void) {
    for (int k = 0; hkd_case_lists[k]; k++) {
        uint64_t h = 0xCBF29CE484222325u;
        int cases = 0;
        for (const hkd_case *c = hkd_case_lists[k]->cases; c->name; c++, cases++) {
            hkd_vector v;
            if (hkd_vector_make(&v, hkd_find_op(hkd_case_lists[k]->op), c)) return HKD_USAGE;
            add_vector(&h, &v);
            hkd_vector_free(&v);
        }
        printf("%-22s %3d cases %016llx\n", hkd_case_lists[k]->op, cases, (unsigned long long)h);
    }
    return HKD_OK;
}

static hkd_status composites(void) {
    hkd_device *ref = NULL;
    hkd_status status = hkd_device_open_ref(&ref, &(hkd_device_options){.threads = 1});
    for (int k = 0; !status && hkd_network_name(k); k++) {
        uint64_t h = 0xCBF29CE484222325u;
        hkd_recording r;
        status = hkd_network_run(&r, k, ref);
        if (!status) status = hkd_network_allowance(&r, k, false);
        for (int i = 0; !status && i < r.count; i++) {
            add(&h, r.item[i].value, hkd_count(&r.item[i].shape));
            add(&h, &r.item[i].bound, 1);
        }
        if (!status) printf("%-22s %3d tensors %016llx\n", hkd_network_name(k), r.count, (unsigned long long)h);
        hkd_recording_free(&r);
    }
    hkd_device_close(ref);
    return status;
}

int main(void) {
    if (!operators() && !composites()) return 0;
    printf("%s\n", hkd_last_error());
    return 1;
}
