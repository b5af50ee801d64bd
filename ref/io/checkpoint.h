/* checkpoint.h - a training run in one safetensors file: the model (as model files hold it), the optimiser's moments
 * adam.m.NAME and adam.v.NAME, the average ema.NAME, and metadata hkd.steps, hkd.images, hkd.device and hkd.train (the
 * settings as text). Written atomically, so a run that is killed at any moment continues from the last one. */
#ifndef HKD_CHECKPOINT_H
#define HKD_CHECKPOINT_H

#include "model_file.h"
#include "trainer.h"

/* `settings`: a text that fixes the run; `more`: anything else to be kept with it. */
hkd_status hkd_checkpoint_save(const hkd_trainer *t, const char *path, const char *settings);
/* Refuses a checkpoint of other settings or another kind of device (its bits would differ). */
hkd_status hkd_checkpoint_load(hkd_trainer *t, const char *path, const char *settings);

#endif
