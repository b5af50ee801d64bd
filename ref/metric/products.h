/* products.h - the scalar products of all pairs of two sets of vectors, tile by tile: what kernels and distances of large sets
 * are made of. Every product is one sum in the order of the elements, so x.y == y.x to the last bit, and
 * |x|^2 + |x|^2 - 2 x.x is 0.
 */
#ifndef HKD_PRODUCTS_H
#define HKD_PRODUCTS_H

#include "hkd.h"

#include <stdbool.h>

enum { HKD_TILE = 64 };

/* dot[i * HKD_TILE + j] = x_{i0+i} . y_{j0+j} for i < ni, j < nj. */
typedef void hkd_use_products(void *self, int64_t i0, int64_t ni, int64_t j0, int64_t nj, const double *dot);

/* x [n, dim], y [m, dim]. With `upper` (x and y are one set) only tiles with j0 >= i0 come: those on the diagonal hold each
 * pair twice. */
void hkd_products(hkd_use_products *use, void *self, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                  bool upper);
void hkd_squared_lengths(double *out, const double *x, int64_t n, int64_t dim); /* out [n] */

#endif
