/* program.h - a network as data: the recorded calls of operators on virtual tensors.
 *
 * Network code is written once, in eager style:
 *     h = hkd_apply(p, "silu", NULL, 1, h);
 * and nothing is computed: each call is checked against its row and remembered with the shapes it gives. plan.h appends the
 * backward calls, lays out memory on a device and runs it. Errors stick: after the first one every call is a no-op that
 * returns HKD_NO_VAR, and hkd_program_status tells what it was, so network code needs no error handling of its own.
 */
#ifndef HKD_PROGRAM_H
#define HKD_PROGRAM_H

#include "op.h"

typedef struct hkd_program hkd_program;
typedef int hkd_var; /* a virtual tensor */
enum { HKD_NO_VAR = -1 };

typedef enum {
    HKD_VAR_INPUT,  /* uploaded before a run */
    HKD_VAR_WEIGHT, /* lives in an hkd_weights, found by name */
    HKD_VAR_RESULT  /* made by a call */
} hkd_var_kind;

typedef struct {
    hkd_var_kind kind;
    hkd_shape shape;
    char *name;       /* "": unnamed result */
    bool want_grad;   /* inputs: is its gradient asked for; weights: is it trained */
    bool keep;        /* results: must outlive the run (outputs, seeds of the gradient) */
    bool seed;        /* its upstream gradient is given by the caller */
} hkd_program_var;

typedef struct {
    const hkd_op *op;
    double p[HKD_MAX_PARAM];
    hkd_var in[HKD_MAX_IN], out[HKD_MAX_OUT];
} hkd_program_call;

struct hkd_program {
    hkd_status status;
    int n_vars, n_calls;
    hkd_program_var *var;
    hkd_program_call *call;
};

hkd_program *hkd_program_new(void); /* NULL: out of memory */
void hkd_program_free(hkd_program *p);
hkd_status hkd_program_status(const hkd_program *p); /* HKD_OK, or the first failure (see hkd_last_error at that time) */

hkd_var hkd_input(hkd_program *p, const char *name, hkd_shape shape);
/* The weight of this name; asking again gives the same variable (one weight used twice collects both gradients). */
hkd_var hkd_weight_var(hkd_program *p, const char *name, hkd_shape shape, bool trained);

/* Record a call with one output on `count` inputs (hkd_var arguments; HKD_NO_VAR = optional input not given). `params`:
 * values in the order of the row, or NULL for the defaults. */
hkd_var hkd_apply(hkd_program *p, const char *op, const double *params, int count, ...);

/* Mark a variable: give it a name for traces and look-up, keep it as an output, ask for its gradient, let the caller give
 * its upstream gradient. */
void hkd_name(hkd_program *p, hkd_var v, const char *name);
void hkd_output(hkd_program *p, hkd_var v, const char *name);
void hkd_want_grad(hkd_program *p, hkd_var v);
void hkd_seed(hkd_program *p, hkd_var v);

hkd_var hkd_find_var(const hkd_program *p, const char *name); /* HKD_NO_VAR: none */
const hkd_shape *hkd_var_shape(const hkd_program *p, hkd_var v);
/* What a variable is called in traces: its own name ("map_layer0@2" where a layer runs again), or after the call that makes it
 * and that call's number, "silu.12". */
enum { HKD_VAR_NAME = 96 };
void hkd_var_name(char *out, size_t size, const hkd_program *p, hkd_var v);

#endif
