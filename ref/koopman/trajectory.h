/* trajectory.h - the shape of a sampling path: how flat it is, how far it turns, how near it is to a rotation.
 *
 * A trajectory is x [times, dim], row 0 the noise x_T, the last row the image x_0. If most of the noise lies off the data's
 * manifold, x_t = a_t x_0 + s_t x_T nearly: a turn in the plane of x_0 and x_T (Wang & Vastola, "Painters", section A.3 of
 * the spec). A perfect quarter turn in equal angles has a first explained variance of (1/2 - 1/pi) / (1 - 8/pi^2) = 0.959138.
 */
#ifndef HKD_TRAJECTORY_H
#define HKD_TRAJECTORY_H

#include "hkd.h"

/* explained [times]: the fraction of variance around the mean that the first 1, 2, ... components hold, cumulative, ending
 * in 1 (all 0 for a path that does not move). scores [times, components]: where the path lies along the first components
 * (NULL: not wanted); the sign of a component is such that its last score is not negative. */
hkd_status hkd_trajectory_pca(double *explained, double *scores, int64_t components, const double *x, int64_t times,
                              int64_t dim);

/* Between two vectors, in radians, [0, pi]; 0 beside a zero vector. */
double hkd_angle(const double *a, const double *b, int64_t n);

/* residual [times] = |x_t - a_t x_0 - s_t x_T|^2 / |x_t|^2 and norm [times] = |x_t|^2 (NULL: not wanted). With a, s NULL the
 * best a_t, s_t are taken: the part of x_t outside the plane of x_0 and x_T. */
void hkd_rotation_residual(double *residual, double *norm, const double *a, const double *s, const double *x, int64_t times,
                           int64_t dim);

#endif
