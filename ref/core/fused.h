/* fused.h - chains of calls that a device may run as one.
 *
 * A fused row stands for its chain: what it computes is defined by expanding it, so it has no reference function and no vectors
 * of its own; tests compare it with its chain. A device that lists the row in its table gets the chains of a program replaced
 * (plan.h); on every other device the chain itself runs.
 */
#ifndef HKD_FUSED_H
#define HKD_FUSED_H

#include "device.h"
#include "program.h"

/* Inputs: those of the first call, then of each later one its second input, where it has one. Parameters: likewise. */
typedef struct {
    const hkd_op *row;
    const char *chain[4]; /* names of operators; NULL-terminated. Each takes the result of the one before as its first input */
} hkd_fused;

extern const hkd_fused hkd_fused_table[]; /* ends with row NULL */

/* Of the optimiser, not of programs: adam or radam, then ema on the new weights. */
extern const hkd_op hkd_op_adam_ema, hkd_op_radam_ema;

/* out = p with every chain replaced whose row the device supports, and whose inner results nobody else asks for. Variables
 * keep their numbers and stay p's; out->call is the caller's to free. dev NULL: nothing is replaced. */
hkd_status hkd_fuse(hkd_program *out, const hkd_program *p, const hkd_device *dev, bool backward);

#endif
