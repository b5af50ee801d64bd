/* seed_set.h - which seeds have been counted: sorted ranges without overlap, so that no sample enters statistics twice. */
#ifndef HKD_SEED_SET_H
#define HKD_SEED_SET_H

#include "hkd.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t first, last; /* both belong to it */
} hkd_seed_range;

typedef struct {
    hkd_seed_range *range; /* ascending; ranges that touch are one */
    size_t count, room;
} hkd_seed_set; /* {0} is empty */

/* HKD_CHECK_FAILED when one of them is there already; then the set is as before. */
hkd_status hkd_seed_set_add(hkd_seed_set *set, uint64_t first, uint64_t last);
void hkd_seed_set_free(hkd_seed_set *set);

#endif
