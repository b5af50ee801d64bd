/* recording.h - the tensors of one run of a network, by name: what a composite vector holds and how two runs compare.
 *
 * Saved as a trace (trace.h): all tensors in float64, and where there was a program its calls. */
#ifndef HKD_RECORDING_H
#define HKD_RECORDING_H

#include "plan.h"

typedef struct {
    char name[96];
    bool given; /* an input, a weight or an upstream gradient: not a result */
    hkd_shape shape;
    double *value;
    bool half;    /* loaded from float16 */
    double bound; /* of every element, in units of 2^-24, for the files of ports; while composites are recorded */
} hkd_recorded;

typedef struct {
    hkd_recorded *item;
    int count;
    char *calls; /* as trace.h's hkd.calls; NULL: none */
} hkd_recording;

hkd_status hkd_record_values(hkd_recording *r, const char *name, bool given, const hkd_shape *shape, const double *values);
hkd_status hkd_record_tensor(hkd_recording *r, const char *name, bool given, hkd_device *dev, const hkd_tensor *t);
/* Every variable of a traced program, and its calls. */
hkd_status hkd_record_program(hkd_recording *r, const hkd_program *p, const hkd_plan *plan, const hkd_weights *w);

const hkd_recorded *hkd_recording_find(const hkd_recording *r, const char *name); /* NULL: none */
hkd_status hkd_recording_save(const char *path, const hkd_recording *r);
hkd_status hkd_recording_load(hkd_recording *out, const char *path); /* without calls; nothing is `given` */
void hkd_recording_free(hkd_recording *r);

#endif
