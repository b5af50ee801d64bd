/* blocks.h - hkd spectrum --matrix: Proposition C.1, corrected, on any real matrix. */
#ifndef HKD_BLOCKS_H
#define HKD_BLOCKS_H

#include "cli.h"

/* K from an .npy file, or the only tensor (or the one named "K") of a safetensors file; prints its 2 x 2 blocks and how well
 * they give K back; --out F.safetensors gets p, q, alpha, beta. HKD_CHECK_FAILED for a matrix with a Jordan block. */
hkd_status hkd_run_blocks(const hkd_args *a);

#endif
