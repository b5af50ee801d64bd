/* progress.h - one line on stderr that says how far long work is: rate, time left, and whatever the work adds.
 * On a terminal the line is redrawn (in colour unless NO_COLOR is set); elsewhere a plain line comes every 30 seconds. */
#ifndef HKD_PROGRESS_H
#define HKD_PROGRESS_H

#include "model_inputs.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *what, *unit;  /* "train", "img" */
    int64_t first, done, total; /* first: done before the clock started (resumed work); total 0: unknown */
    double start, shown;      /* seconds */
    bool quiet, terminal, colour, drawn;
} hkd_progress;

void hkd_progress_begin(hkd_progress *p, const char *what, const char *unit, int64_t total, bool quiet);
void hkd_progress_resume(hkd_progress *p, int64_t first); /* after begin: so much was done before */
/* `extra` ("loss 0.123") may be NULL. Cheap enough to be called for every item. */
void hkd_progress_at(hkd_progress *p, int64_t done, const char *extra);
void hkd_progress_end(hkd_progress *p);
/* For work inside the library: moves the line on, and ends the work after Ctrl-C. */
hkd_ticker hkd_progress_ticker(hkd_progress *p);

#endif
