/* spectrum_refit.h - how much of a spectrum is the model's, and how much is arbitrary? hkd spectrum --refit. */
#ifndef HKD_SPECTRUM_REFIT_H
#define HKD_SPECTRUM_REFIT_H

#include "cli.h"
#include "model.h"

/* Distils the teacher of --teacher again, shortly, into a network like `model`: with operators that are trained (from A = 0),
 * frozen at random values of the model's size, and frozen at 0; from the same weights, on the same trajectories in the same
 * order, equally long. Prints the losses on trajectories that no run has seen. */
hkd_status hkd_run_refit(hkd_model *model, const hkd_args *a);

#endif
