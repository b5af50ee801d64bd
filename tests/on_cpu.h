/* on_cpu.h - run one row forward on the cpu device with arrays of the caller's own choosing. */
#ifndef HKD_ON_CPU_H
#define HKD_ON_CPU_H

#include "device.h"

/* out[i] of the caller receives output i. All tensors have the role given; with `in_place`, every output that the row lets
 * stand over its input does. A failure is a failed check. */
void on_cpu(double *const *out, const char *op, const double *p, const hkd_shape *in_shape, const double *const *in,
            hkd_role role, bool in_place);

/* The device's builds by name, and whether this processor runs one; if not, `suite` is counted as skipped. */
enum { CPU_BUILDS = 3 };
extern const char *const cpu_builds[CPU_BUILDS];
bool cpu_runs(const char *build, const char *suite);

/* |got - y| / (u bound + ulp32(y) / 2): above 1 is wrong. */
double share_of_allowance(double got, double y, double bound);

#endif
