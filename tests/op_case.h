/* op_case.h - one operator call written on one line, filled with deterministic data and run on the reference.
 *
 * A case names the row, the shape of every input and the parameters that differ from their defaults:
 *     {"conv2d", "2x3x5x4 w6x3x3x3 w6", "pad_h=1 pad_w=1"}
 * Marks before a shape: w = a weight, + = values in (0.5, 1.5) instead of (-1, 1), # = whole numbers 0..3; "-" = not given.
 * Values are multiples of 2^-23, so they are the same in float and double. */
#ifndef HKD_OP_CASE_H
#define HKD_OP_CASE_H

#include "device.h"

typedef struct {
    const char *op, *in, *p;
    bool inexact; /* its parameters make the result of whole numbers inexact, though the operator is exact in general */
} op_case;

/* The table of tests/op_cases.c: at least one case per row of hkd_op_table; ends with a NULL name. */
extern const op_case op_cases[];

/* A case made concrete: arrays of the reference, all allocated, in the order of the row. */
typedef struct {
    const op_case *source;
    const hkd_op *op;
    double p[HKD_MAX_PARAM];
    hkd_shape in_shape[HKD_MAX_IN], out_shape[HKD_MAX_OUT];
    hkd_role role[HKD_MAX_IN];
    double *in[HKD_MAX_IN], *out[HKD_MAX_OUT], *up[HKD_MAX_OUT], *grad[HKD_MAX_IN];
    double *out_bound[HKD_MAX_OUT], *grad_bound[HKD_MAX_IN];
} op_run;

/* Parse, allocate, fill, and run forward, backward and bound on the reference. `whole`: integers -4..4 and kappa = 0,
 * else random data and kappa = 4 sqrt(n). False (after a failed check) when the case is wrong. */
bool op_run_open(op_run *r, const op_case *c, bool whole);
void op_run_close(op_run *r);
bool op_run_wants(const op_run *r, int input); /* was it given, and does it have a gradient? */

void check_gradient(const op_case *c);  /* grad.c: against central differences and the adjoint identity */
void check_agreement(const op_case *c); /* ops_agree.c: every cpu build against the reference, within the bound */
void check_in_place(const op_case *c);  /* in_place.c: outputs written over their inputs, on ref and cpu */

#endif
