#include "seed_set.h"

#include "status.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The first range that ends at `seed` or behind it; count: none does. */
static size_t find(const hkd_seed_set *set, uint64_t seed) {
    size_t low = 0, high = set->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (set->range[middle].last < seed) low = middle + 1;
        else high = middle;
    }
    return low;
}

static hkd_status insert(hkd_seed_set *set, size_t at, hkd_seed_range range) {
    if (set->count == set->room) {
        hkd_seed_range *grown = realloc(set->range, (2 * set->room + 16) * sizeof *grown);
        if (!grown) return hkd_fail(HKD_RESOURCES, "statistics: out of memory for seeds");
        set->range = grown;
        set->room = 2 * set->room + 16;
    }
    memmove(set->range + at + 1, set->range + at, (set->count - at) * sizeof *set->range);
    set->range[at] = range;
    set->count++;
    return HKD_OK;
}

hkd_status hkd_seed_set_add(hkd_seed_set *set, uint64_t first, uint64_t last) {
    const size_t at = find(set, first);
    hkd_seed_range *right = at < set->count ? &set->range[at] : NULL, *left = at ? &set->range[at - 1] : NULL;
    if (right && right->first <= last) {
        const uint64_t from = right->first > first ? right->first : first, to = right->last < last ? right->last : last;
        return hkd_fail(HKD_CHECK_FAILED, "statistics: seeds %llu to %llu are counted already", (unsigned long long)from,
                        (unsigned long long)to);
    }
    const bool touches_left = left && left->last + 1 == first, touches_right = right && last + 1 == right->first;
    if (touches_left && touches_right) {
        left->last = right->last;
        memmove(right, right + 1, (set->count - at - 1) * sizeof *right);
        set->count--;
    } else if (touches_left) {
        left->last = last;
    } else if (touches_right) {
        right->first = first;
    } else {
        return insert(set, at, (hkd_seed_range){first, last});
    }
    return HKD_OK;
}

void hkd_seed_set_free(hkd_seed_set *set) {
    free(set->range);
    *set = (hkd_seed_set){0};
}
