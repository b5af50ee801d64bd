/* init.h - weights to start training from. */
#ifndef HKD_INIT_H
#define HKD_INIT_H

#include "weights.h"

/* EDM's initialisation (hkd.md 1.8): Xavier-uniform times a gain (1e-5 for conv1, proj and the output layer, sqrt(0.2) for
 * qkv), biases 0, norms 1 and 0, Fourier frequencies N(0,1)*16, Koopman operators 0. With plain_gain every gain is 1 and
 * biases and norm scales vary a little: a network whose output is not near 0, for tests of arithmetic and speed. */
hkd_status hkd_init_weights(hkd_weights *w, uint64_t seed, bool plain_gain);

#endif
