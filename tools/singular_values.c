#include "singular_values.h"

#ifdef HKD_LAPACKE

#include "status.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Row-major a [m, n] is column-major a^T [n, m], which has the same singular values. */
hkd_status hkd_fast_singular_values(double *values, const double *a, int64_t m, int64_t n) {
    if (m < 1 || n < 1) return HKD_OK;
    double *copy = malloc((size_t)(m * n) * sizeof *copy), none;
    if (!copy) return hkd_fail(HKD_RESOURCES, "singular values: out of memory");
    memcpy(copy, a, (size_t)(m * n) * sizeof *copy);
    const lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)n, (lapack_int)m, copy, (lapack_int)n, values,
                                           &none, 1, &none, 1);
    free(copy);
    return info ? hkd_fail(HKD_CHECK_FAILED, "singular values: LAPACK's dgesdd gave %d", (int)info) : HKD_OK;
}

#else

#include "eigen.h"

hkd_status hkd_fast_singular_values(double *values, const double *a, int64_t m, int64_t n) {
    return hkd_singular_values(values, a, m, n);
}

#endif
