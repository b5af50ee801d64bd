/* singular_values.h - the singular values that a Frechet distance needs, by LAPACK where the program was built with it. */
#ifndef HKD_SINGULAR_VALUES_H
#define HKD_SINGULAR_VALUES_H

#include "frechet.h"

/* LAPACK's, or hkd_singular_values of the reference. */
hkd_singular_values_of hkd_fast_singular_values;

#endif
