/* order.h - an order of a program's calls that needs less memory; what they compute stays the same. */
#ifndef HKD_ORDER_H
#define HKD_ORDER_H

#include "program.h"

/* For plans without gradients, whose sums depend on the order of the calls.
 * A value with two readers is in the way until the second has run. Where the first could write over it, and the second makes
 * something smaller of it, the second goes first: a block's 1x1 convolution beside its way through norm and 3x3. */
void hkd_order_calls(hkd_program *p);

#endif
