/* plan.h - a program made runnable on a device: backward calls, memory and order.
 *
 *     program  --fuse-->  calls  --record backward-->  steps  --lifetimes-->  places in memory  --run-->  device
 *
 * Chains of calls that the device offers as one row become one call (fused.h), but for traces. A step is one call. Backward
 * steps follow in reverse order; a variable used by several calls collects its gradient: the first to deliver writes, the
 * others accumulate. What is cheap to compute is not kept for the way back, but made again there (remake.h). A variable lives
 * from the step that makes it to the last step that reads it; variables whose lives do not overlap share memory (layout.h).
 * The weights and their gradients are not the plan's: they live in an hkd_weights that many plans share. Weight gradients
 * accumulate from run to run (hkd_weights_zero_grad starts a step).
 */
#ifndef HKD_PLAN_H
#define HKD_PLAN_H

#include "program.h"
#include "weights.h"

typedef struct hkd_plan hkd_plan;

typedef struct {
    bool backward;   /* append the gradients of everything that wants one */
    bool trace;      /* every variable keeps its own memory and can be looked at after the run */
    bool as_run;     /* with trace: fused all the same; results inside of fused calls are not there */
    bool unfused;    /* call by call, as the program says */
    bool dry;        /* lay out, but allocate nothing: to ask for the memory; cannot be run */
} hkd_plan_options;

/* The program and the weights must outlive the plan. */
hkd_status hkd_plan_new(hkd_plan **out, const hkd_program *p, hkd_weights *weights, const hkd_plan_options *options);
void hkd_plan_free(hkd_plan *plan); /* NULL is fine */

/* The device tensor of a variable (inputs to upload, weights, outputs to download) and of its gradient (seeds to upload, wanted
 * gradients to download). NULL when it has none that outlives the run. */
const hkd_tensor *hkd_plan_tensor(const hkd_plan *plan, hkd_var v);
const hkd_tensor *hkd_plan_grad(const hkd_plan *plan, hkd_var v);
const hkd_tensor *hkd_plan_named(const hkd_plan *plan, const char *name); /* tensor of the variable of this name */

/* The calls as they run; variables are the program's. */
const hkd_program *hkd_plan_program(const hkd_plan *plan);

/* Set a parameter of every call of `op`, e.g. ("dropout", "first_index", 512). */
hkd_status hkd_plan_set(hkd_plan *plan, const char *op, const char *param, double value);

hkd_status hkd_plan_forward(hkd_plan *plan);
hkd_status hkd_plan_backward(hkd_plan *plan);

/* Prepare the weights for many forward runs of this plan, e.g. sampling (see hkd_device.freeze): faster, most of all with small
 * batches. The weights' raw values are gone until they are written again, so backward, saving and other plans that read them in
 * another way fail. A dry plan will do. */
hkd_status hkd_plan_freeze(hkd_plan *plan, const hkd_weight *only); /* NULL: all of them */

/* Run forward (and backward) again, looking at every result: names the first call that makes a value that is not finite.
 * *op stays NULL when all are finite. */
hkd_status hkd_plan_find_nonfinite(hkd_plan *plan, const char **op, const char **name);

size_t hkd_plan_bytes(const hkd_plan *plan);     /* memory of all variables */
size_t hkd_plan_largest(const hkd_plan *plan);   /* of it in one piece, or of the scratch */
size_t hkd_plan_workspace(const hkd_plan *plan); /* scratch that all steps share */

#endif
