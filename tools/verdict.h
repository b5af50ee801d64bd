/* verdict.h - is a result right? |got - y| <= u bound + ulp32(y)/2 + floor, element by element; bit for bit on exact vectors.
 *
 * The bound travels with the expected value. Verdicts are in % of the allowance used: comparable across operators, devices
 * and years; 100 and less is right. On exact vectors a result is equal (0 %) or wrong.
 */
#ifndef HKD_VERDICT_H
#define HKD_VERDICT_H

#include "test_vector.h"

#include <math.h>

#define HKD_U 0x1p-24

/* How a device computes: measured by a probe (probe.c) or, for the files of a port, declared; printed with every verdict. */
typedef struct {
    bool fma;                   /* a x + b is rounded once */
    bool wide;                  /* float64 inside and in the results */
    bool flushes;               /* subnormal float32 numbers become 0: a floor of n 2^-126 */
    bool half_store;            /* the results are stored as float16: a whole ulp of that */
    double divide, square_root; /* largest error seen, in ulps of float32; below 0: not measured */
} hkd_profile;

typedef struct {
    const double *expected, *bound, *got; /* bound in units of 2^-24 */
    const hkd_shape *shape;
    double n;                             /* of the floor: how many numbers the call read */
    bool exact;
    int repeats;                          /* 1; or 2: expected is 2 y after two accumulated results, 3 allowances */
    const hkd_op *op;                     /* for guesses; NULL: of a composite */
} hkd_judged;

typedef struct {
    double used;                /* worst share of the allowance: 0.5 is 50 %; infinite when nothing would excuse it */
    int64_t wrong, count;       /* elements */
    int64_t first, worst;       /* indices; first = -1: none wrong */
} hkd_verdict;

double hkd_allowance(double y, double bound, double n, const hkd_profile *profile);
double hkd_ulp32(double y); /* the distance of float32 numbers at y */
hkd_verdict hkd_judge(const hkd_judged *j, const hkd_profile *profile);

/* A guess at the cause of a failure, one line; "" when nothing fits. */
void hkd_guess(char *out, size_t size, const hkd_judged *j, const hkd_profile *profile);

/* Run the device's own operators on telling numbers (probe.c). */
hkd_status hkd_probe(hkd_profile *out, hkd_device *dev);
void hkd_profile_text(char *out, size_t size, const hkd_profile *profile);

/* "(1, 0, 3)" */
void hkd_coordinates(char *out, size_t size, const hkd_shape *shape, int64_t index);

#endif
