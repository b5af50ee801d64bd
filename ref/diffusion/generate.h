/* generate.h - images from seeds with a model: the choice of a sampler and its settings, and the runs. */
#ifndef HKD_GENERATE_H
#define HKD_GENERATE_H

#include "model.h"
#include "sampler.h"

typedef enum { HKD_ONESTEP, HKD_HEUN, HKD_EULER } hkd_sampler_kind; /* "onestep|heun|euler" */

typedef struct {
    hkd_model *model;       /* not owned */
    hkd_sampler_kind kind;
    int64_t steps;
    double *sigma;          /* [steps + 1]: the levels, then 0; owned */
    hkd_edm_options edm;    /* heun and euler */
    int class_label;        /* -1: drawn from each image's seed */
    hkd_watch *watch;       /* NULL, or told of every step (sampler.h) */
    void *watcher;
} hkd_generator;

/* A one-step model makes its first step from sigma_max; further steps start from `times` [steps - 1] (1 noise, 0 data), or,
 * with NULL, from even times between 1 and 0. Heun and Euler follow EDM's grid. The caller frees g->sigma. */
hkd_status hkd_generator_new(hkd_generator *g, hkd_model *m, hkd_sampler_kind kind, int64_t steps, const double *times);

/* x [n, C, R, R] from the unit normals of each seed, or from `latents` [n, C, R, R]; labels from `class_labels` [n, label_dim],
 * or (NULL) the generator's. Image k depends on seed k only. *nfe: evaluations of the network for each image. */
hkd_status hkd_generate(const hkd_generator *g, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n,
                        const double *latents, const double *class_labels);
/* labels [n, label_dim]: one-hot, as hkd_generate makes them. */
void hkd_draw_labels(double *labels, const hkd_generator *g, const uint64_t *seeds, int64_t n);

/* One picture for each time: x [count, n, C, R, R]. An HKD model encodes the noise once, moves the latents from time 1 to each
 * time, and decodes them. */
hkd_status hkd_generate_path(const hkd_generator *g, double *x, const double *times, size_t count, const uint64_t *seeds,
                             int64_t n, const double *latents, const double *class_labels);

#endif
