/* trace.h - every intermediate tensor of a network run, and the calls that made it.
 *
 * A trace is a safetensors file: one tensor per variable of the program (inputs, weights, results; an unnamed result is called
 * after its operator and number, "silu.12", a layer that runs again "map_layer0@2"), and as metadata hkd.trace = "1" and
 * hkd.calls, a JSON list of {"op", "params": [numbers in the order of the row], "in": [names or null], "out": [names]} in the
 * order of execution; fused ones (hkd trace --as-run) are read as their chains. A port that writes tensors alone, under the
 * same names, is compared with the calls of another trace. */
#ifndef HKD_TRACE_H
#define HKD_TRACE_H

#include "plan.h"

typedef struct {
    char *name;
    hkd_shape shape;
    double *value; /* NULL: not in the file */
} hkd_traced;

typedef struct {
    const hkd_op *op;
    double p[HKD_MAX_PARAM];
    int in[HKD_MAX_IN], out[HKD_MAX_OUT]; /* variables; -1: none */
} hkd_traced_call;

typedef struct {
    hkd_traced *var;
    hkd_traced_call *call;
    int vars, calls;
} hkd_trace;

hkd_status hkd_trace_save(const char *path, const hkd_program *p, const hkd_plan *plan, hkd_device *dev);
hkd_status hkd_trace_load(hkd_trace *out, const char *path);
/* Replace the values by those of another file with the same names. Inputs and weights that it lacks stay, results that it
 * lacks become NULL. */
hkd_status hkd_trace_values(hkd_trace *t, const char *path);
/* The text of hkd.calls; `name`: of every variable (hkd_var_name). NULL: out of memory. */
char *hkd_trace_calls(const hkd_program_call *call, int calls, char (*name)[HKD_VAR_NAME]);
void hkd_trace_free(hkd_trace *t);

#endif
