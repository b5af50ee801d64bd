/* test_vector.h - a test vector: one call of one operator with inputs, expected results and what each result may be off.
 *
 *   hkd_vector_make   a row of tools/cases -> inputs, and from the reference: results and bounds
 *   hkd_vector_run    the same call on a device -> what it gives
 * Files of vectors are read and written by vector_file.c, results are judged by verdict.c.
 */
#ifndef HKD_TEST_VECTOR_H
#define HKD_TEST_VECTOR_H

#include "device.h"

/* How the inputs are chosen, and so how a sum of n terms may err (DESIGN section 3). */
typedef enum {
    HKD_EXACT,      /* small integers, powers of two: every order of summation gives the same bits; bound 0 */
    HKD_STRUCTURED, /* small integers where the operator itself rounds; kappa = n */
    HKD_RANDOM,     /* kappa = 4 sqrt(n) */
    HKD_ADVERSARIAL /* made to be difficult; kappa = n */
} hkd_vector_class;
extern const char *const hkd_vector_class_name[]; /* "exact", ...; ends with NULL */

/* One line of a case list. `inputs`: "x 2x3x5x7 normal | w 4x3x3x3 int:2 | ^y normal": name, shape and filling of each input
 * that is given; ^y is the upstream gradient of output y (not given: integers on integer data, else normal). */
typedef struct {
    const char *name;
    hkd_vector_class kind;
    const char *flags;  /* "Padding,Tail": keys of notes.c; what the case is there to catch */
    const char *params; /* "stride=2 pad_h=1"; the others have their defaults */
    const char *inputs;
} hkd_case;

typedef struct {
    const char *op;
    const hkd_case *cases; /* terminated by name NULL */
} hkd_case_list;
extern const hkd_case_list *const hkd_case_lists[]; /* tools/cases/cases.c; terminated by NULL */

typedef struct {
    const char *flag, *bug, *effect;
} hkd_note;
extern const hkd_note hkd_notes[]; /* tools/cases/notes.c; terminated by flag NULL */

/* Arrays are row-major; inputs and upstream gradients hold float32 (or float16) values. NULL: absent, not differentiable,
 * or forward only (then there are no up, grad and grad_bound). */
typedef struct {
    const hkd_op *op;
    char name[64];
    hkd_vector_class kind;
    bool half;          /* inputs are float16 values: for ports that store float16 and accumulate in float32 */
    char flags[160];
    double p[HKD_MAX_PARAM];
    hkd_shape in_shape[HKD_MAX_IN], out_shape[HKD_MAX_OUT]; /* absent inputs: rank -1 */
    double *in[HKD_MAX_IN], *up[HKD_MAX_OUT];
    double *out[HKD_MAX_OUT], *grad[HKD_MAX_IN];
    double *out_bound[HKD_MAX_OUT], *grad_bound[HKD_MAX_IN];
} hkd_vector;

hkd_status hkd_vector_make(hkd_vector *out, const hkd_op *op, const hkd_case *c);
void hkd_vector_free(hkd_vector *v);

/* The reference's call on a vector's arrays; for backward and bound the outputs must be there already. */
hkd_ref_call hkd_vector_ref_call(const hkd_vector *v);
hkd_kappa_rule hkd_vector_kappa(const hkd_vector *v); /* exact: the rule that checks that they are; their bound is 0 */
bool hkd_vector_differentiable(const hkd_vector *v, int input); /* given, and has a gradient */
int64_t hkd_vector_elements(const hkd_vector *v);               /* how many numbers the call reads: n of the floor */

/* The vector as an algorithm is judged whose error is not element-wise: bounds spread as it declares, nothing exact. */
void hkd_vector_spread(hkd_vector *v, const hkd_spread *s);

/* "stride=2 pad_h=1 pad_w=1 groups=1" */
void hkd_vector_params_text(char *out, size_t size, const hkd_vector *v);
hkd_status hkd_vector_params_read(hkd_vector *v, const char *text); /* starts from the defaults */

/* What a device gives: arrays as in the vector, and the gradients once more after a second, accumulating backward. In the
 * files of a port some may be stored as float16. */
typedef struct {
    double *out[HKD_MAX_OUT], *grad[HKD_MAX_IN], *twice[HKD_MAX_IN];
    bool half_out[HKD_MAX_OUT], half_grad[HKD_MAX_IN];
} hkd_vector_result;

/* Buffers are filled with NaN before, so that an element left unwritten shows. */
hkd_status hkd_vector_run(hkd_vector_result *out, hkd_device *dev, const hkd_vector *v);
void hkd_vector_result_free(hkd_vector_result *r);

#endif
