/* lists.h - lists on the command line: seeds, times, intervals. */
#ifndef HKD_LISTS_H
#define HKD_LISTS_H

#include "hkd.h"

/* "0-63,100" -> 65 seeds. `what` names the option in messages ("--seeds"). The caller frees *out. */
hkd_status hkd_parse_seeds(uint64_t **out, size_t *count, const char *what, const char *text);
/* "0,0.25,1", or "0:1:5" for 5 evenly spaced values from 0 to 1, or both mixed. The caller frees *out. */
hkd_status hkd_parse_times(double **out, size_t *count, const char *what, const char *text);
/* "0:1/3" -> {0, 0.333...}: fractions with 0 <= from < to <= 1. */
hkd_status hkd_parse_interval(double out[2], const char *what, const char *text);

#endif
