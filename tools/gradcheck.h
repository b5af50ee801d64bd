/* gradcheck.h - is an operator's backward the derivative of its forward? In float64, with a non-uniform upstream gradient. */
#ifndef HKD_GRADCHECK_H
#define HKD_GRADCHECK_H

#include "test_vector.h"

typedef struct {
    double difference; /* worst |central difference - gradient|, relative to the largest gradient of its array */
    double adjoint;    /* |<Jv, w> - <v, J'w>| relative to the sum of |terms| */
    int64_t compared;  /* gradient elements compared with central differences */
    const char *wrong; /* NULL, or what a gradient is that must not be: "nan", "zero" (everywhere) */
} hkd_gradcheck_result;

/* Fourth-order central differences for up to `most` elements of every gradient, and the adjoint test along one direction. */
hkd_status hkd_gradcheck(hkd_gradcheck_result *out, const hkd_vector *v, int64_t most);

enum { HKD_GRADCHECK_ELEMENTS = 48 };
#define HKD_GRADCHECK_DIFFERENCE 1e-7
#define HKD_GRADCHECK_ADJOINT 1e-9

#endif
