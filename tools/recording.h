/* recording.h - the tensors of one run of a network, by name: what a composite vector holds and how two runs compare.
 *
 * Made without any file or JSON, so that it is made the same way wherever a C99 compiler is. Saved as a trace (trace.h): all
 * tensors in float64, and where there was a program its calls. */
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
    hkd_program_call *call; /* of the program, in order; samples have none */
    int calls;
    char (*name)[HKD_VAR_NAME]; /* of the program's variables, which the calls speak of */
} hkd_recording;

/* Room for one more tensor, zeros so far; NULL: out of memory. */
hkd_recorded *hkd_recording_append(hkd_recording *r, const char *name, bool given, const hkd_shape *shape);

hkd_status hkd_record_values(hkd_recording *r, const char *name, bool given, const hkd_shape *shape, const double *values);
hkd_status hkd_record_tensor(hkd_recording *r, const char *name, bool given, hkd_device *dev, const hkd_tensor *t);
/* Every variable of a traced program, and its calls. */
hkd_status hkd_record_program(hkd_recording *r, const hkd_program *p, const hkd_plan *plan, hkd_device *dev);

const hkd_recorded *hkd_recording_find(const hkd_recording *r, const char *name); /* NULL: none */
double hkd_relative_error(const double *a, const double *b, int64_t n); /* max|a - b| / max|b|; NaN counts as infinite */
void hkd_recording_free(hkd_recording *r);

/* ---- on disk (recording_file.c) ---- */

hkd_status hkd_recording_save(const char *path, const hkd_recording *r);
hkd_status hkd_recording_load(hkd_recording *out, const char *path); /* without calls; nothing is `given` */

#endif
