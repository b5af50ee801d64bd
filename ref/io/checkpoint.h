/* checkpoint.h - a training run in one safetensors file: the model (as model files hold it), the optimiser's moments
 * adam.m.NAME and adam.v.NAME, the average ema.NAME, and metadata hkd.steps, hkd.images, hkd.device and hkd.train (the
 * settings as text). Written atomically, so a run that is killed at any moment continues from the last one. */
#ifndef HKD_CHECKPOINT_H
#define HKD_CHECKPOINT_H

#include "model_file.h"
#include "trainer.h"

/* `settings`: lines of text that fix the run, such as "lr=0.001". */
hkd_status hkd_checkpoint_save(const hkd_trainer *t, const char *path, const char *settings);
/* Refuses a checkpoint of other settings, another network or another kind of device (its bits would differ); says the first
 * line that differs. */
hkd_status hkd_checkpoint_load(hkd_trainer *t, const char *path, const char *settings);

#endif
