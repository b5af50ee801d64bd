/* fill.h - the data of test vectors: made of integers, so that every platform gives the same bits. */
#ifndef HKD_FILL_H
#define HKD_FILL_H

#include "hkd.h"

/* Fill `count` doubles with float32 values. `how` is one of
 *   int[:K]            whole numbers from -K to K (3)            sign             -1 or 1
 *   pow2[:K]           +-2^-K ... +-2^K (2)                      labels:K         whole numbers 0 ... K-1
 *   normal[:S[:M]]     M + S x, x about normal (1, 0)            uniform:A:B      between A and B
 *   const:V            V everywhere                              ramp[:S[:M]]     M, M + S, M + 2 S, ... (1, 0)
 *   cancel[:S]         S, -S, S, ... each off by 2^-12 or less   list:A,B,...     these, again and again; inf, nan allowed
 *   mix[:K]            +-[1,2) 2^k, k from -K to K (20)          tiny             +-k 2^-149, k < 2^22: subnormal
 *   onehot:K           one 1 among K zeros, at a random place
 * `stream` names the stream of random integers ("conv2d/random_3x3/in.x"). */
hkd_status hkd_fill(double *x, int64_t count, const char *how, const char *stream);

/* Round to the nearest float16 value, ties to even. */
double hkd_round_half(double x);

#endif
