/* trainer.h - the training loop: fill a batch, run the network forward and backward in micro-batches, step, report.
 *
 * A run is a pure function of (model, settings, data): random numbers depend on the seed and the picture's number in the run
 * alone, gradients are summed over groups of 4 samples in a fixed order. So a run that was stopped and resumed from a
 * checkpoint gives, bit for bit, what it would have given without the stop.
 */
#ifndef HKD_TRAINER_H
#define HKD_TRAINER_H

#include "model.h"
#include "objective.h"
#include "optimizer.h"

typedef struct {
    int64_t batch;             /* pictures (or trajectories) per step */
    int64_t micro_batch;       /* samples in one pass, a multiple of 4; less where there is no room for it */
    int64_t images;            /* pictures of the whole run */
    int64_t epoch_images;      /* pictures of an epoch, for lr_gamma */
    double lr;
    double lr_warmup_images;   /* lr grows linearly from 0 over so many pictures */
    double lr_gamma;           /* factor per epoch (hkd.md C12: 0.95 for HKD; 1: none) */
    bool lr_cosine;            /* and falls to 0 along half a cosine over the run */
    hkd_optimizer_settings optimizer;
    hkd_average average;
    const hkd_edm_objective *edm; /* exactly one of the two */
    const hkd_hkd_objective *hkd;
} hkd_train_settings;

/* One line of the log. */
typedef struct {
    int64_t step, images, epoch;
    double loss;               /* of the step */
    double loss_end;           /* HKD: mean d at T (L_recon); EDM: the same as loss */
    double loss_path;          /* HKD: mean d over the other times (L_t-consist) */
    double lr, gradient_norm, ema_decay;
} hkd_train_row;

typedef struct {
    hkd_model *model;          /* not owned */
    hkd_train_settings settings;
    hkd_optimizer *optimizer;
    hkd_train_batch *batch;
    hkd_program *program;
    hkd_plan *plan;
    int64_t images;            /* seen so far */
} hkd_trainer;

hkd_status hkd_trainer_new(hkd_trainer **out, hkd_model *model, const hkd_train_settings *settings);
void hkd_trainer_free(hkd_trainer *t); /* NULL is fine */

/* One step. HKD_CHECK_FAILED when a loss or gradient is not finite: the message names the operator that produced it, and the
 * weights are as before the step. */
hkd_status hkd_trainer_step(hkd_trainer *t, hkd_train_row *row);

/* Learning rate, and the weight of the squared error beside a perceptual term (1 without), after `images` pictures. */
double hkd_train_lr(const hkd_train_settings *s, int64_t images);
double hkd_train_lambda1(const hkd_train_settings *s, int64_t images);

#endif
