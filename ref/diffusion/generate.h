/* generate.h - images from seeds with a model: the samplers by name, the settings of one, and the runs. */
#ifndef HKD_GENERATE_H
#define HKD_GENERATE_H

#include "model.h"
#include "sampler_papers.h"

/* The one table of samplers: name, steps N when not given, evaluations of the network (second: 1 for methods of second order,
 * correctors: Langevin steps), the same for people, what it is. RK45 chooses its own steps. */
#define HKD_SAMPLERS(X) \
    X(ONESTEP, onestep, 1, N, "N", "straight to the end; with more steps noise is added between them (--times)") \
    X(HEUN, heun, 18, 2 * N - 1, "2N-1", "EDM, second order (--churn)") \
    X(EULER, euler, 18, N, "N", "EDM, first order (--churn)") \
    X(ABLATION, ablation, 18, N + second * (N - 1), "2N-1", "EDM's general one (--disc --schedule --scaling --solver)") \
    X(DDIM, ddim, 50, N, "N", "DDIM (--eta)") \
    X(DDPM, ddpm, 1000, N, "N", "ancestral (--variance)") \
    X(SDE, sde, 1000, N, "N", "Score-SDE, Euler-Maruyama (--sde)") \
    X(PC, pc, 1000, N * (1 + correctors), "N(1+C)", "Score-SDE, with a Langevin corrector (--sde --correctors --snr)") \
    X(RK45, rk45, 1, 0 * N, "6k+2", "Runge-Kutta 4(5) with k steps that suit the tolerance (--tolerance)") \
    X(CONSISTENCY, consistency, 2, N, "N", "consistency models: onestep, clipped (--times --boundary --floor --clip)")

#define HKD_SAMPLER_ENUM(id, name, steps, evaluations, count, what) HKD_##id,
typedef enum { HKD_SAMPLERS(HKD_SAMPLER_ENUM) HKD_SAMPLER_KINDS } hkd_sampler_kind;
extern const char *const hkd_sampler_name[HKD_SAMPLER_KINDS];
extern const char *const hkd_sampler_choices; /* "onestep|heun|..." */

typedef struct {
    hkd_sampler_kind kind;
    int64_t steps;
    hkd_schedule_kind disc;            /* the grid of heun, euler, ablation, ddim, ddpm */
    double sigma_min, sigma_max, rho;  /* its ends (0: those usual for it), and those of rk45, sde, pc */
    hkd_edm_options edm;               /* heun, euler: the order follows from the kind; ablation: churn */
    hkd_clock clock;                   /* ablation */
    bool vp_scaling;
    double alpha;
    double eta;                        /* ddim */
    bool large_variance;               /* ddpm */
    hkd_sde_kind sde;                  /* sde, pc */
    int64_t correctors;
    double snr;
    double tolerance;                  /* rk45 */
    double boundary;                   /* onestep, consistency: c_skip and c_out are exact at this level; 0: EDM's */
    double floor;                      /* the level of what the model predicts; < 0: sigma_min */
    bool levels;                       /* the starts of its further steps are noise levels, not times */
    bool clip;
} hkd_sampler_options;

/* As the papers have it; `c` decides which discretisation and SDE are the network's own. */
hkd_sampler_options hkd_sampler_default(hkd_sampler_kind kind, const hkd_config *c);
/* Evaluations of the network for each image; 0: they depend on the image (rk45). */
int64_t hkd_sampler_evaluations(const hkd_sampler_options *o);

typedef struct {
    hkd_model *model;       /* not owned */
    hkd_sampler_options o;  /* ends resolved, and narrowed to what the network was made for */
    double *sigma;          /* [steps + 1]: the levels, then 0; owned */
    hkd_sde_options sde;
    int class_label;        /* -1: drawn from each image's seed */
    hkd_rng_kind rng;
    int64_t draws;          /* 0: `latents` of a run start it; else they are [n, draws, C, R, R], all its noise */
    hkd_watch *watch;       /* NULL, or told of every step (sampler.h) */
    void *watcher;
} hkd_generator;

/* A one-step model makes its first step from sigma_max; further steps start from `times` [steps - 1] (1 noise, 0 data;
 * with o->levels noise levels), or, with NULL, from even times between 1 and 0. The caller frees g->sigma. */
hkd_status hkd_generator_new(hkd_generator *g, hkd_model *m, const hkd_sampler_options *o, const double *times);

/* x [n, C, R, R] from the unit normals of each seed, or from `latents` [n, C, R, R]; labels from `class_labels` [n, label_dim],
 * or (NULL) the generator's. Image k depends on seed k only. *nfe: evaluations of the network, added up over the images. */
hkd_status hkd_generate(const hkd_generator *g, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n,
                        const double *latents, const double *class_labels);
/* labels [n, label_dim]: one-hot, as hkd_generate makes them with this project's own stream. */
void hkd_draw_labels(double *labels, const hkd_generator *g, const uint64_t *seeds, int64_t n);

/* One picture for each time: x [count, n, C, R, R]. An HKD model encodes the noise once, moves the latents from time 1 to each
 * time, and decodes them. */
hkd_status hkd_generate_path(const hkd_generator *g, double *x, const double *times, size_t count, const uint64_t *seeds,
                             int64_t n, const double *latents, const double *class_labels);

#endif
