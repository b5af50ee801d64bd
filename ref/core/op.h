/* op.h - the operator contract: one row per operator, one table for the whole house.
 *
 * Each ref/op/NAME.c ends with its row, `const hkd_op hkd_op_NAME`, and the adapters that unpack a generic call into the
 * plain functions of hkd_ref.h. Program, devices, recorder, verifier, gradient check and listings read the rows; none of
 * them knows an operator by name.
 */
#ifndef HKD_OP_H
#define HKD_OP_H

#include "hkd.h"
#include "hkd_ref.h"

#include <stdbool.h>

enum { HKD_MAX_IN = 8, HKD_MAX_OUT = 4, HKD_MAX_PARAM = 12 };

hkd_shape hkd_shape_of(int rank, ...); /* hkd_shape_of(4, n, c, h, w) with int64_t extents */
int64_t hkd_count(const hkd_shape *s); /* number of elements */
bool hkd_same_shape(const hkd_shape *a, const hkd_shape *b);
/* Check a shape from outside: extents >= 0 and count * 8 bytes fits size_t; the one place where overflow is checked. */
bool hkd_shape_valid(const hkd_shape *s);

/* A scalar parameter. All are doubles; 'i' marks those that hold whole numbers. */
typedef struct {
    const char *name;
    char type; /* 'i' or 'r' */
    double value; /* default */
} hkd_param;

/* A call on double arrays, as the adapters of ref/op see it. Arrays that are NULL were not given or are not wanted. */
typedef struct {
    const double *p;                          /* parameters in the order of the row */
    const hkd_shape *in_shape, *out_shape;
    const double *in[HKD_MAX_IN];
    double *out[HKD_MAX_OUT];                 /* forward writes */
    const double *up[HKD_MAX_OUT];            /* upstream gradients; never NULL in backward */
    double *grad[HKD_MAX_IN];                 /* backward accumulates */
    double *out_bound[HKD_MAX_OUT];           /* bound writes these two */
    double *grad_bound[HKD_MAX_IN];
    hkd_kappa_rule kappa;
} hkd_ref_call;

typedef struct hkd_op {
    const char *name;                         /* "conv2d" */
    const char *formula;                      /* one line */
    const char *source;                       /* paper and equation, or the definition's home */
    const char *in[HKD_MAX_IN + 1];           /* names, NULL-terminated; "?b" = optional */
    const char *out[HKD_MAX_OUT + 1];
    hkd_param param[HKD_MAX_PARAM + 1];       /* terminated by name NULL */
    unsigned no_grad;                         /* bit i: input i has no gradient (labels, noise levels, constants) */
    unsigned reads_in, reads_out;             /* what backward reads, by bit; everything else is cheaper to recompute */
    unsigned weights;                         /* bit i: input i is a weight of the network (role HKD_WEIGHT) */
    unsigned in_place;                        /* bit i: output i may be written over input i of the same shape */
    unsigned rows;                            /* bit i: each row of input i makes one channel of output 0, and no other */
    bool cheap;                               /* a pass over memory: to make its result again costs less than to keep it */
    const char *not_exact;                    /* NULL, or why integers cannot make the result exact */
    /* Fill out[] from in[] and p; return NULL, or one line that says what the operator expects. */
    const char *(*shape)(hkd_shape *out, const hkd_shape *in, const double *p);
    void (*forward)(const hkd_ref_call *c);
    void (*backward)(const hkd_ref_call *c);  /* NULL: not differentiable (optimisers, EMA, random numbers) */
    void (*bound)(const hkd_ref_call *c);
} hkd_op;

int hkd_op_inputs(const hkd_op *op);
int hkd_op_outputs(const hkd_op *op);
int hkd_op_params(const hkd_op *op);
bool hkd_op_optional(const hkd_op *op, int input);       /* is its name marked with '?' */
const char *hkd_op_input_name(const hkd_op *op, int input); /* without the mark */
int hkd_op_param_index(const hkd_op *op, const char *name); /* -1: none */

/* An input that is not given has this shape (rank -1). */
#define HKD_ABSENT ((hkd_shape){-1, {0, 0, 0, 0}})

/* The shapes of all outputs of a call; checks arity, absent inputs and the row's own rule. */
hkd_status hkd_op_shapes(const hkd_op *op, hkd_shape *out, const hkd_shape *in, const double *p);

/* op_table.c: all rows, NULL-terminated, in the order of the listings. */
extern const hkd_op *const hkd_op_table[];
const hkd_op *hkd_find_op(const char *name); /* NULL: none */

#endif
