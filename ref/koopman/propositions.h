/* propositions.h - the paper's propositions C.1 to C.3, corrected, as diagnostics that can be computed.
 *
 * C.1, block-diagonalisation. K [m, m] real and diagonalisable, K = P diag(lambda) P^{-1}. With one block
 * [[alpha, beta], [-beta, alpha]] per complex pair (alpha = Re lambda - 1, beta = Im lambda > 0) and per real eigenvalue
 * (beta = 0: its coordinate is doubled, which is why K~ is 2 blocks wide and not m),
 *   P~ = sqrt2 [Re p, Im p | p/2, p/2],    Q~ = sqrt2 [Re p+; -Im p+ | p+/2; p+/2],    p+ = rows of P^{-1}
 * give P~ e^{-t (K~ - I)} Q~ = e^{-t (K - I)} for every t. The paper prints P~ without sqrt2: 1/sqrt2 of the truth. A matrix
 * with a Jordan block, such as [[1, 1], [0, 1]], has no such form.
 *
 * C.2 and C.3, image loss and latent loss. With H the decoder (and its features), w_0 = e^{(eps-T) A} w_T, and Delta_l = what
 * the decoder's output changes when level l goes from w_0 to e^{(eps-t) A} E(x_t), levels exchanged one after the other:
 *   E|sum_l Delta_l|^2  >=  (1 - rho (L-1)) sum_l eta_l e^{-2 alpha_l (t - eps)} E|E_l(x_t) - e^{(t-T) A_l} w_T|^2
 * since cross terms are at most rho sqrt(E|Delta_l|^2 E|Delta_k|^2), |Delta_l|^2 >= eta_l |change of latents|^2, and A is
 * normal with largest real part alpha_l. The printed factor (1 - rho^2 L / 4) is false: two opposite differences have
 * loss 0. The bound says something only while rho < 1/(L-1).
 */
#ifndef HKD_PROPOSITIONS_H
#define HKD_PROPOSITIONS_H

#include "hkd_insight.h" /* hkd_block_diagonalise, hkd_consistency */
#include "spectrum.h"

/* delta[l] [n, outputs]; z[l] = E_l(x_t) and w[l] = w_T [n, d, h, w] of every level; eps <= t <= T. The expectation is the
 * mean over the n samples, eta_l the smallest |Delta_l|^2 / |latent change|^2 among them. */
hkd_status hkd_consistency_sides(hkd_consistency *out, const double *const *delta, int64_t outputs, const double *const *z,
                                 const double *const *w, int64_t n, const hkd_level *levels, int64_t count, double eps,
                                 double T, double t);

#endif
