/* optimizer.h - Adam or RAdam and an exponential moving average over all trained weights, in place on their device. */
#ifndef HKD_OPTIMIZER_H
#define HKD_OPTIMIZER_H

#include "weights.h"

typedef struct {
    bool radam;                              /* RAdam instead of Adam */
    double beta1, beta2, eps, weight_decay;
    double clip;                             /* largest norm of the whole gradient; 0: no clipping */
    bool no_average;                         /* the average is the weights themselves, and takes no memory */
} hkd_optimizer_settings;

#define HKD_OPTIMIZER_DEFAULT ((hkd_optimizer_settings){false, 0.9, 0.999, 1e-8, 0, 0, false})

typedef struct {
    hkd_weights *weights;                    /* not owned */
    hkd_optimizer_settings settings;
    hkd_tensor *m, *v, *ema;                 /* one per weight; buffers NULL for weights that are not trained */
    hkd_tensor square, joined[2];            /* [1, 1] and [1, weights], for the gradient's norm */
    int64_t steps;                           /* taken so far */
} hkd_optimizer;

/* Moments start at 0, the average at the weights' present values. */
hkd_status hkd_optimizer_new(hkd_optimizer **out, hkd_weights *weights, const hkd_optimizer_settings *settings);
void hkd_optimizer_free(hkd_optimizer *o); /* NULL is fine */

/* The Euclidean norm of all gradients together: not finite when any of them is not. */
hkd_status hkd_optimizer_gradient_norm(hkd_optimizer *o, double *norm);
/* One step along the gradients in the weights, which are scaled first when `norm` exceeds the clip; then the average moves:
 * ema = ema_decay ema + (1 - ema_decay) p. */
hkd_status hkd_optimizer_step(hkd_optimizer *o, double lr, double ema_decay, double norm);

/* EDM's decay for a batch after `images` images: 0.5^(batch / min(half_life, ramp images)); half_life 0: no average, ema = p;
 * ramp 0: half_life from the first image on. */
typedef struct {
    double half_life, ramp;
} hkd_average;

#define HKD_AVERAGE_DEFAULT ((hkd_average){500000, 0.05})

double hkd_ema_decay(const hkd_average *average, double batch, double images);

#endif
