/* alike.h - do models that were trained alike, from other seeds, agree? The spread over seeds of the paper's D.1, of spectra
 * and pictures: hkd spectrum --others. (Spread of a distance to the data: hkd eval on each model's samples.) */
#ifndef HKD_ALIKE_H
#define HKD_ALIKE_H

#include "cli.h"
#include "model.h"

/* --model and the files of --others, all of one configuration. Prints, for each operator and for all, how alpha scatters over
 * models at a fixed mode, beside how it scatters over modes, and how well models correlate; and how pictures scatter over
 * models at a fixed seed, beside how they scatter over seeds. */
hkd_status hkd_run_alike(hkd_model *model, const hkd_args *a);

#endif
