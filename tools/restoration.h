/* restoration.h - what hkd inpaint and hkd colorize share: read a picture, restore it for each seed, show and save. */
#ifndef HKD_RESTORATION_H
#define HKD_RESTORATION_H

#include "cli.h"
#include "restore.h"

/* The operand is the picture; --mask belongs to HKD_KEEP_PIXELS, --superres to HKD_KEEP_MEANS. */
hkd_status hkd_run_restoration(const hkd_args *a, hkd_keep keep);

#endif
