#include "order.h"

static bool reads(const hkd_program_call *call, hkd_var v) {
    for (int i = 0; i < hkd_op_inputs(call->op); i++)
        if (call->in[i] == v) return true;
    return false;
}

/* The one call besides `second` that reads v, if it comes before and may write over v; -1: there is none such. */
static int first_reader(const hkd_program *p, hkd_var v, int second) {
    int found = -1;
    for (int c = 0; c < p->n_calls; c++) {
        if (c == second || !reads(&p->call[c], v)) continue;
        if (found >= 0 || c > second || p->call[c].in[0] != v || !(p->call[c].op->in_place & 1)) return -1;
        found = c;
    }
    return found;
}

/* Nothing that the call needs is made by `from` or those after it. */
static bool ready_before(const hkd_program *p, const hkd_program_call *call, int from, int to) {
    for (int c = from; c < to; c++)
        if (reads(call, p->call[c].out[0])) return false;
    return true;
}

void hkd_order_calls(hkd_program *p) {
    for (int c = 0; c < p->n_calls; c++) {
        const hkd_program_call call = p->call[c];
        const hkd_var v = call.in[0];
        if (v == HKD_NO_VAR || p->var[v].kind != HKD_VAR_RESULT || p->var[v].keep) continue;
        if (hkd_count(&p->var[call.out[0]].shape) >= hkd_count(&p->var[v].shape)) continue;
        const int first = first_reader(p, v, c);
        if (first < 0 || !ready_before(p, &call, first, c)) continue;
        for (int k = c; k > first; k--) p->call[k] = p->call[k - 1];
        p->call[first] = call;
    }
}
