#include "remake.h"

#include "status.h"

#include <stdlib.h>

/* The values that backward steps read. */
static void find_read(bool *read, const hkd_program *p, const bool *needed) {
    for (int c = 0; c < p->n_calls; c++) {
        const hkd_program_call *call = &p->call[c];
        if (!needed[call->out[0]]) continue;
        for (int i = 0; i < hkd_op_inputs(call->op); i++)
            if (call->in[i] != HKD_NO_VAR && call->op->reads_in >> i & 1) read[call->in[i]] = true;
        if (call->op->reads_out & 1) read[call->out[0]] = true;
    }
}

/* Elements that are kept only if the result of this call is to be made again; `keep`: from now on they are. */
static int64_t kept_for(bool *kept, const bool *again, const hkd_program *p, const hkd_program_call *call, bool keep) {
    int64_t total = 0;
    for (int i = 0; i < hkd_op_inputs(call->op); i++) {
        const hkd_var v = call->in[i];
        if (v == HKD_NO_VAR || p->var[v].kind != HKD_VAR_RESULT || kept[v] || again[v]) continue;
        total += hkd_count(&p->var[v].shape);
        if (keep) kept[v] = true;
    }
    return total;
}

hkd_status hkd_choose_remade(bool *again, const hkd_program *p, const bool *needed) {
    bool *read = calloc(2 * (size_t)p->n_vars + 1, sizeof *read), *kept = read + p->n_vars;
    if (!read) return hkd_fail(HKD_RESOURCES, "out of memory while planning");
    find_read(read, p, needed);
    for (int v = 0; v < p->n_vars; v++) kept[v] = read[v] || p->var[v].keep;
    for (int c = 0; c < p->n_calls; c++) {
        const hkd_program_call *call = &p->call[c];
        const hkd_var v = call->out[0];
        const int64_t price = kept_for(kept, again, p, call, false);
        again[v] = call->op->cheap && !p->var[v].keep && price < (read[v] ? hkd_count(&p->var[v].shape) : 1);
        if (again[v]) kept_for(kept, again, p, call, true);
    }
    free(read);
    return HKD_OK;
}
