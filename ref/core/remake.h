/* remake.h - results that the way back needs and that are made again there, instead of being kept from the way there.
 *
 * A convolution's weight gradient reads the convolution's input, which is a normalisation, an activation or a joining of what
 * is kept anyway: a pass over memory against a convolution's work, and half of what a training pass would keep.
 */
#ifndef HKD_REMAKE_H
#define HKD_REMAKE_H

#include "program.h"

/* again[v] for every variable: the backward step that first reads it makes it again, by the call that made it, and before that
 * those inputs of the call that are made again, too. needed[v]: something that wants a gradient lies at or before v. What is
 * made again and what is kept for it is less than what would have been kept. */
hkd_status hkd_choose_remade(bool *again, const hkd_program *p, const bool *needed);

#endif
