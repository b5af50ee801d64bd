/* Greedy: what is large, and among equals what lives long, is placed first, at the lowest place that is free while it lives;
 * what is small fills the gaps. */
#include "layout.h"

#include <stdbool.h>
#include <stdlib.h>

typedef struct {
    size_t bytes;
    int length, index;
} entry;

static int larger_first(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->length != y->length ? y->length - x->length : x->index - y->index;
}

/* The order in which to place; NULL: out of memory. */
static entry *order_of(const hkd_life *life, int count) {
    entry *order = malloc(((size_t)count + 1) * sizeof *order);
    for (int i = 0; i < count && order; i++) order[i] = (entry){life[i].bytes, life[i].last - life[i].first, i};
    if (order) qsort(order, (size_t)count, sizeof *order, larger_first);
    return order;
}

static bool together(const hkd_life *a, const hkd_life *b) { return a->first <= b->last && b->first <= a->last; }

/* The lowest offset at which `one` overlaps none of the `placed` that live with it: each that is in the way pushes it up. */
static size_t lowest(const hkd_life *life, const entry *order, int placed, const hkd_life *one) {
    size_t at = 0;
    for (int k = 0; k < placed; k++) {
        const hkd_life *other = &life[order[k].index];
        if (!together(other, one) || other->at >= at + one->bytes || at >= other->at + other->bytes) continue;
        at = other->at + other->bytes;
        k = -1;
    }
    return at;
}

size_t hkd_layout_offsets(hkd_life *life, int count) {
    entry *order = order_of(life, count);
    size_t total = 0;
    for (int k = 0; k < count; k++) {
        hkd_life *one = &life[order ? order[k].index : k];
        one->at = order ? lowest(life, order, k, one) : total; /* without memory for an order: side by side */
        if (one->at + one->bytes > total) total = one->at + one->bytes;
    }
    free(order);
    return total;
}

static bool taken(const hkd_life *life, const entry *order, int placed, const hkd_life *one, size_t piece) {
    for (int k = 0; k < placed; k++)
        if (life[order[k].index].at == piece && together(&life[order[k].index], one)) return true;
    return false;
}

int hkd_layout_pieces(hkd_life *life, int count, size_t *piece) {
    entry *order = order_of(life, count);
    int pieces = 0;
    for (int k = 0; k < count; k++) {
        hkd_life *one = &life[order ? order[k].index : k];
        one->at = order ? 0 : (size_t)pieces;
        while (order && (int)one->at < pieces && taken(life, order, k, one, one->at)) one->at++;
        if ((int)one->at == pieces) piece[pieces++] = one->bytes;
    }
    free(order);
    return pieces;
}
