/* objective.h - what a training step asks of the network: noisy pictures, the answers, and how much each counts. */
#ifndef HKD_OBJECTIVE_H
#define HKD_OBJECTIVE_H

#include "config.h"
#include "device.h"

/* Pictures with values in [-1, 1], by number. */
typedef struct hkd_images {
    int64_t count;
    hkd_status (*get)(const struct hkd_images *self, int64_t index, double *image, int *label); /* label -1: none */
    void *context;
} hkd_images;

/* Solutions of the teacher's probability-flow ODE, by number: state i of a trajectory lies at noise level sigma[i], from pure
 * noise (0) to the picture (states - 1, where sigma = 0). */
typedef struct hkd_trajectories {
    int64_t count;
    int states;
    const double *sigma; /* [states] */
    /* NULL, or called before a step with the trajectories that it will ask for. */
    hkd_status (*prepare)(const struct hkd_trajectories *self, const int64_t *index, int64_t n);
    hkd_status (*get)(const struct hkd_trajectories *self, int64_t index, int state, double *x);
    hkd_status (*label)(const struct hkd_trajectories *self, int64_t index, int *label); /* -1: none */
    void *context;
} hkd_trajectories;

/* `n` samples of one step. The step's loss is sum over i of weight[i] * l_i. */
typedef struct {
    int64_t n, size;      /* size = numbers per picture */
    double *x;            /* [n, size] what the network sees */
    double *sigma;        /* [n] */
    double *dt;           /* [n] how far latents move; unused by denoisers */
    double *target;       /* [n, size] */
    double *weight;       /* [n] */
    double *class_labels; /* [n, label_dim] one-hot, or NULL */
    double *augment_labels; /* [n, augment_dim] what was done to the pictures, or NULL */
} hkd_train_batch;

hkd_status hkd_train_batch_new(hkd_train_batch **out, const hkd_config *c, int64_t n);
void hkd_train_batch_free(hkd_train_batch *b); /* NULL is fine */

/* EDM's denoising objective (Karras et al. 2022): ln sigma ~ N(p_mean, p_std^2), x = y + sigma n, target y; picture k of the
 * run is drawn by (seed, k) alone. Fills one sample per picture; weights 1/n. */
typedef struct {
    const hkd_images *images;
    double p_mean, p_std; /* -1.2, 1.2 */
    bool xflip;           /* mirror every other picture */
    double augment;       /* probability of each of EDM's augmentations (augment.h), told to the network; 0: none */
    uint64_t seed;
} hkd_edm_objective;
/* Noise is drawn on the threads of `dev`; NULL: one after the other. */
hkd_status hkd_edm_fill(const hkd_edm_objective *o, const hkd_config *c, hkd_train_batch *b, int64_t first,
                        const hkd_device *dev);

/* A second distance beside the squared error, usually a network's. The training loop knows no other network than the model. */
typedef struct hkd_perceptual {
    /* l [n] between x and y [n, size], values about [-1, 1]; dx [n, size] = d (sum over i of weight[i] l[i]) / dx. */
    hkd_status (*distance)(const struct hkd_perceptual *self, double *l, double *dx, const double *x, const double *y,
                           const double *weight, int64_t n);
    void *context;
} hkd_perceptual;

/* The weight of the squared error beside it, over p = epoch / epochs of the run. The paper's exponent is printed so that it can
 * be read in two ways (hkd.md C11). */
typedef enum {
    HKD_LAMBDA_POWER, /* 10^(-3 p): from 1 to 1/1000 */
    HKD_LAMBDA_TOWER, /* 10^(-(3^p)): from 1/10 to 1/1000 */
    HKD_LAMBDA_ONE
} hkd_lambda;

/* The distance d between what the network makes and the picture (hkd.md C13). */
typedef enum {
    HKD_DISTANCE_MSE, /* mean of squares: what the paper's text says */
    HKD_DISTANCE_L2   /* the unsquared norm: what its Algorithm 1 prints */
} hkd_distance;

/* HKD's distillation (paper Eq. 6, Algorithm 1): for every trajectory the state at T and `times` states drawn uniformly from
 * the others, each to be carried to the picture at the trajectory's end. loss = d_T + mean of the others, or their sum (hkd.md
 * C10). Fills 1 + times samples per trajectory, the one at T first. */
typedef struct {
    const hkd_trajectories *trajectories;
    int times;            /* 4; 0: no trajectory-consistency loss */
    bool sum_times;       /* the other times are summed (paper B.1), not averaged (D.4) */
    hkd_distance distance;
    uint64_t seed;
    const hkd_perceptual *perceptual; /* NULL: d is the mean squared error; else d = lambda_1 MSE + lambda_2 perceptual */
    hkd_lambda lambda1;
    double lambda2;       /* 1 */
} hkd_hkd_objective;
hkd_status hkd_hkd_fill(const hkd_hkd_objective *o, const hkd_config *c, hkd_train_batch *b, int64_t first);

/* The element that comes at position k of an endless walk through `count` elements: each pass is a fresh shuffle. */
int64_t hkd_shuffled(int64_t count, int64_t k, uint64_t seed);

#endif
