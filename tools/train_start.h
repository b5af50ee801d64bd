/* train_start.h - what a run of `hkd train` starts from: data or a teacher and its trajectories, and the network. */
#ifndef HKD_TRAIN_START_H
#define HKD_TRAIN_START_H

#include "cli.h"
#include "exact_teacher.h"
#include "perceptual.h"
#include "trajectory_file.h"

/* Everything that a run owns. */
typedef struct {
    const hkd_args *args;
    hkd_device *dev;
    hkd_model *model, *network; /* network: the teacher, if it is one */
    hkd_exact_teacher exact;    /* or a closed form, fitted to the data */
    hkd_path_teacher teacher;
    bool live;                  /* trajectories are made as they are needed */
    training_images data;
    hkd_trajectories trajectories;
    hkd_edm_objective edm;
    hkd_hkd_objective hkd;
    perceptual_term perceptual;
    hkd_train_settings settings;
    hkd_trainer *trainer;
    char data_hash[65];
    char learns_from[256];      /* data and teacher by content: file names can be used again, hashes cannot */
    char *text;                 /* all that fixes the run, as lines: what a checkpoint must agree with */
} train_job;

/* Load or make what the options name; the model is ready to be trained and settings.edm or settings.hkd is set. */
hkd_status train_start_edm(train_job *j);
hkd_status train_start_hkd(train_job *j);
void train_job_free(train_job *j);

#endif
