// contract.h - one contraction for every matrix product and convolution, described by the same struct on host and device:
//
//   C[z][m][n] (+)= bias + sum over r0, r1, r2 of  A[z][m][r0][r1][r2] B[z][r0][r1][r2][n]
//
// Each index moves through each array by a step of its own, which may be 0 or negative; only n is contiguous in B, all of it or
// each run of n0. A 3x3 convolution is r = (channel, tap row, tap column) on a padded picture, a product is r = (0, 0, k).
#ifndef HKD_CONTRACT_H
#define HKD_CONTRACT_H

typedef struct {
    int m, n;                   // outputs of one z
    int z0, z1;                 // z = (z1, z0), the last runs fastest
    int r0, r1, r2;             // number of terms
    int group;                  // 0, or so many r0 are summed at a time, and the sums added in order
    int a, a_m, a_r0, a_r1, a_r2, a_z0, a_z1;
    int b, b_r0, b_r1, b_r2, b_z0, b_z1;
    int b_n1, b_n2;             // 0, or steps of B from row to row and from image to image of n: n0 then holds whole vectors
    int c, c_m, c_z0, c_z1;
    int n0, n1;                 // n = (image, row of n1, column of n0), of which the first n1_used rows and
    int n0_used, n1_used;       // n0_used columns exist in C
    int c_n0, c_n1, c_n2;
    int bias, bias_by_n;        // where it starts; bias[n], else bias[m]
    int accumulate;
    int more, more_image;       // CONTRACT_..., where n0 holds whole vectors or is all of n; step of a shift
    float scale;
    int first_n, last_n;        // of this launch, for long work is cut into several: columns in [first_n, last_n), a multiple
    int first_m, first_z;       // of TILE_N the first; rows and z from these on; r0 in [first_r0, last_r0), which begins and
    int first_r0, last_r0;      // ends between two groups
} hkd_contract;

// What is done to each output before it is written, beside the bias: more[bias + m] of its image is added, or `more` lies as C
// does and C = scale (C + more). Images are those of n, or z1.
enum { CONTRACT_SHIFT = 1, CONTRACT_RESIDUAL };

#endif
