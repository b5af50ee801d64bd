/* layout.h - where values stand in memory that do not all live at the same time. */
#ifndef HKD_LAYOUT_H
#define HKD_LAYOUT_H

#include <stddef.h>

typedef struct {
    size_t bytes;
    int first, last; /* when it lives, inclusive */
    size_t at;       /* the answer */
} hkd_life;

/* at: offsets into one piece of memory, such that no two that live at the same time overlap. Returns the size of the piece. */
size_t hkd_layout_offsets(hkd_life *life, int count);
/* at: numbers of pieces that are shared one after the other, for devices whose memory comes in pieces. Fills the size of each
 * piece, `count` at most, and returns how many there are. */
int hkd_layout_pieces(hkd_life *life, int count, size_t *piece);

#endif
