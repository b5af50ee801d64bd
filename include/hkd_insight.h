/* hkd_insight.h - see inside an HKD model and change it: spectrum, bands, cumulative effect, path, edits, restoration.
 *
 *     hkd_insight *in;
 *     if (hkd_insight_open(&in, model) || hkd_insight_choose(in, 0, 1.0 / 3)) puts(hkd_last_error());
 *     hkd_insight_band_images(in, images, seeds, 4, 0);    decoded from the third of modes with the lowest alpha alone
 *     hkd_insight_free(in);
 *
 * Handles, status and arrays as in hkd.h. Times run from 1 (noise) to 0 (picture). Images of seeds start from the noise of each
 * seed, as those of hkd_sample do, with the class that is drawn from it. What the words mean, and why, stands in ref/koopman/.
 */
#ifndef HKD_INSIGHT_H
#define HKD_INSIGHT_H

#include "hkd.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what libhkd.so exports */
#endif

/* ---- the operators of a model ------------------------------------------------------------------------------------------- */

/* A model's operators, its modes ranked, and a band chosen (at first all modes, ranked by alpha on each level). */
typedef struct hkd_insight hkd_insight;
hkd_status hkd_insight_open(hkd_insight **out, hkd_model *m); /* m must live as long; HKD_USAGE for one without operators */
void hkd_insight_free(hkd_insight *in);                       /* NULL is fine */

typedef struct {
    const char *name;             /* "koopman.3"; belongs to the hkd_insight */
    int latent;                   /* in the order of hkd_model_encode */
    int64_t pairs, rows, columns; /* of modes: (k, i, j) has the number (k rows + i) columns + j. 1 x 1: one for all places */
} hkd_insight_level;
int hkd_insight_levels(const hkd_insight *in);
hkd_insight_level hkd_insight_level_at(const hkd_insight *in, int level);

/* ---- spectrum ------------------------------------------------------------------------------------------------------------ */

/* alpha, beta [pairs rows columns]: the continuous eigenvalues alpha +- i beta of a level, per unit of model time. */
void hkd_insight_spectrum(double *alpha, double *beta, const hkd_insight *in, int level);
/* The discrete ones of one step dt (one step from noise to picture: -1): e^(alpha dt) (cos(beta dt) +- i sin(beta dt)). */
void hkd_insight_discrete(double *re, double *im, double alpha, double beta, double dt);

/* ---- bands --------------------------------------------------------------------------------------------------------------- */

typedef enum {
    HKD_SORT_ALPHA,     /* with its sign, ascending */
    HKD_SORT_ABS_ALPHA,
    HKD_SORT_GROWTH,    /* e^(alpha dt) of the one step: alpha reversed */
    HKD_SORT_DETAIL     /* how fine what a mode paints is, by the decoder's gradients: measured, takes a while */
} hkd_sort;
/* joint: one ranking over all levels instead of one for each. Afterwards all modes are chosen. */
hkd_status hkd_insight_rank(hkd_insight *in, hkd_sort key, bool joint);
/* The band becomes ranks [from, to), 0 <= from <= to <= 1. Intervals that partition [0, 1] partition the modes. */
hkd_status hkd_insight_choose(hkd_insight *in, double from, double to);
/* mask [pairs rows columns] = 1 for the modes of the band. */
void hkd_insight_mask(unsigned char *mask, const hkd_insight *in, int level);
/* d [n, C, R, R]: the pictures of the band alone at `time`; the other modes are 0. */
hkd_status hkd_insight_band_images(hkd_insight *in, double *d, const uint64_t *seeds, int64_t n, double time);

typedef struct {
    double difference, half; /* of centroids of radial spectra, without the lowest - without the highest third; 95 %: +- half */
    bool decided;            /* the interval does not hold 0 */
    bool ascending;          /* high ranks are fine detail: by the measurement or, undecided, by convention */
} hkd_insight_polarity;
/* Which end of the ranks is fine detail, on 64 fixed pictures of the model. */
hkd_status hkd_insight_measure_polarity(hkd_insight_polarity *out, hkd_insight *in);

typedef struct {
    double centroid, without;         /* mean centroid of the pictures, whole and without the band, in cycles per picture */
    double change;                    /* root mean square of what its removal changes */
    double low, middle, high;         /* how the energy of that change is spread over spatial frequencies; the mean left out */
    int64_t shells;                   /* R / 2 + 2: rings of 0 (the mean), 1, ... R / 2 cycles per picture, and the corners */
} hkd_insight_mark;
/* What the band does to the pictures of these seeds. power [3, R / 2 + 2] (NULL: not wanted): radial power spectra, per
 * frequency, of the whole pictures, of those without the band, of the change. */
hkd_status hkd_insight_band_mark(hkd_insight_mark *out, double *power, hkd_insight *in, const uint64_t *seeds, int64_t n);

/* effect [count] at decreasing times: the band's share in the energy of all latents that the paths of these seeds have passed
 * through by then. At time 0 the effects of bands that partition the modes add up to 1. */
hkd_status hkd_insight_effect(hkd_insight *in, double *effect, const uint64_t *seeds, int64_t n, const double *times,
                              int64_t count);

/* ---- path ---------------------------------------------------------------------------------------------------------------- */

/* x [count, n, C, R, R]: one pass of the encoder on noise, z(t) = e^(dt A) z, decoded at each time. That of time 0 is
 * hkd_sample's, bit for bit. */
hkd_status hkd_insight_path(hkd_insight *in, double *x, const uint64_t *seeds, int64_t n, const double *times, int64_t count);
/* The same times on a denoiser's own path (decreasing; 0 is its picture), by Heun with `steps` steps and these levels. */
hkd_status hkd_insight_teacher_path(hkd_insight *in, double *x, hkd_model *teacher, const uint64_t *seeds, int64_t n,
                                    const double *times, int64_t count, int64_t steps);
/* The noise level of a time. hkd_model_denoise at it makes of a teacher's state what Figure 2 of the paper shows. */
double hkd_insight_sigma(const hkd_insight *in, double time);

/* A path is x [times, dim], row 0 the noise x_T, the last row the image x_0. If most of the noise lies off the data's
 * manifold, x_t = a_t x_0 + s_t x_T nearly: a turn in the plane of x_0 and x_T (Wang & Vastola, "Painters", section A.3 of
 * the spec). A perfect quarter turn in equal angles has a first explained variance of (1/2 - 1/pi) / (1 - 8/pi^2) = 0.959138.
 */

/* explained [times]: the fraction of variance around the mean that the first 1, 2, ... components hold, cumulative, ending
 * in 1 (all 0 for a path that does not move). scores [times, components]: where the path lies along the first components
 * (NULL: not wanted); the sign of a component is such that its last score is not negative. */
hkd_status hkd_trajectory_pca(double *explained, double *scores, int64_t components, const double *x, int64_t times,
                              int64_t dim);
/* Between two vectors, in radians, [0, pi]; 0 beside a zero vector. */
double hkd_angle(const double *a, const double *b, int64_t n);
/* residual [times] = |x_t - a_t x_0 - s_t x_T|^2 / |x_t|^2 and norm [times] = |x_t|^2 (NULL: not wanted). With a, s NULL the
 * best a_t, s_t are taken: the part of x_t outside the plane of x_0 and x_T. */
void hkd_rotation_residual(double *residual, double *norm, const double *a, const double *s, const double *x, int64_t times,
                           int64_t dim);

/* What these say about one path: variance held by 1, 2, 3 components; degrees from noise to picture; the largest residual of
 * the plane. */
typedef struct {
    double explained[3], degrees, residual;
} hkd_path_shape;
hkd_status hkd_trajectory_shape(hkd_path_shape *out, const double *x, int64_t times, int64_t dim);

/* ---- edits --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t n;
    const uint64_t *seeds;           /* [n] the images */
    const uint64_t *reference_seeds; /* [n] their references: these seeds' noise, moved by the same operators; or */
    const double *reference;         /* [n, C, R, R] pictures, each with the image's noise of the level of `time` */
    double time;
    double ratio;                    /* 0: the image; 1 with everything, everywhere, from seeds: the reference; bit for bit */
    bool everything;                 /* all modes and what no operator moves; false: the chosen band */
    const double *region;            /* [R, R] in [0, 1], row 0 on top; NULL: everywhere */
} hkd_edit;
/* d [n, C, R, R]: (1 - r) z + r z_ref on the band and region, decoded once. */
hkd_status hkd_insight_edit(hkd_insight *in, double *d, const hkd_edit *edit);

/* Is an edit of the chosen band more than one of as many random modes (ref/koopman/edit_control.h)? */
enum { HKD_CONTROL_SETS = 64 }; /* at most */
typedef struct {
    int64_t n, sets;            /* pictures; in: random sets, 2 .. HKD_CONTROL_SETS */
    bool over_all;              /* in: sets of all levels together; false: as many modes on each level */
    double rmse;                /* of every edit: the mean over pictures of what they were brought to; agrees to 1 % */
    double ratio[2];            /* of the band and of the random sets; means */
    double low[2];              /* energy per value of the change, in low spatial frequencies; means */
    double difference, half;    /* random - band: mean +- half, 95 %; above 0: the band spares the low frequencies */
} hkd_edit_control;
/* The edit and as large ones of random sets, drawn from `seed`, picture by picture. HKD_USAGE for fewer than 2 pictures, and
 * for one of everything. */
hkd_status hkd_insight_edit_control(hkd_edit_control *out, hkd_insight *in, const hkd_edit *edit, uint64_t seed);

/* Regions [h, w], row 0 on top. */
void hkd_region_triangle(double *region, int64_t h, int64_t w); /* 1 where i/h >= j/w: the lower-left half */
/* 1 where the centre ((i + 1/2)/h, (j + 1/2)/w) lies in [top, bottom) x [left, right), fractions of the picture. */
hkd_status hkd_region_rectangle(double *region, int64_t h, int64_t w, double top, double bottom, double left, double right);
/* The area mean of mask [mh, mw] over each cell of the grid [h, w]; values stay in the range of the mask's. */
hkd_status hkd_region_resample(double *region, int64_t h, int64_t w, const double *mask, int64_t mh, int64_t mw);

/* ---- restoration: inpainting, colours, super-resolution ------------------------------------------------------------------ */

typedef enum {
    HKD_KEEP_PIXELS, /* K = mask: inpainting */
    HKD_KEEP_GRAY,   /* K = the projection on luma, g (g . x) per pixel with g ~ (0.2989, 0.587, 0.114): colorisation */
    HKD_KEEP_MEANS   /* K = the mean of each patch x patch square: super-resolution */
} hkd_keep;

typedef struct {
    hkd_keep keep;
    int64_t channels, side;      /* of the pictures [channels, side, side] */
    const unsigned char *known;  /* PIXELS: [side, side], 1 = known */
    int64_t patch;               /* MEANS: divides side */
} hkd_known;

/* x [n, C, R, R]: what is known of y stays, the rest is generated around it in `steps` passes, with the noise of each seed. */
hkd_status hkd_insight_restore(hkd_insight *in, double *x, const double *y, const hkd_known *known, const uint64_t *seeds,
                               int64_t n, int64_t steps);

/* ---- the paper's propositions, corrected; spread over seeds -------------------------------------------------------------- */

/* C.1, block-diagonalisation. */

/* K [m, m] real = P diag(lambda) P^{-1}: p [m, 2 blocks], q [2 blocks, m], alpha, beta [blocks] such that with the blocks
 * [[alpha, beta], [-beta, alpha]] of K~ - I, p e^{-t (K~ - I)} q = e^{-t (K - I)} for every t. Room for blocks = m is needed;
 * complex pairs come first. HKD_CHECK_FAILED when K cannot be diagonalised to working precision (condition of P above 1e6). */
hkd_status hkd_block_diagonalise(double *p, double *q, double *alpha, double *beta, int64_t *blocks, const double *k,
                                 int64_t m);

/* C.2 and C.3, image loss and latent loss (ref/koopman/propositions.h). */
typedef struct {
    double loss;       /* the image side */
    double bound;      /* the latent side; loss >= bound always */
    double rho;        /* the largest |correlation| between what two levels change */
    bool meaningful;   /* rho < 1/(L-1), so that bound > 0 says something */
} hkd_consistency;
/* On 4 trajectories of a denoiser, from first_seed on, of `steps` Heun steps, at 3 times. */
hkd_status hkd_insight_consistency(hkd_consistency *out, hkd_insight *in, hkd_model *teacher, uint64_t first_seed,
                                   int64_t steps);

/* How much of a spectrum is arbitrary (ref/train/refit.h): the teacher distilled anew from one start, with operators that are
 * trained, frozen at random values, frozen at 0. */
enum { HKD_REFIT_TRAINED, HKD_REFIT_RANDOM, HKD_REFIT_ZERO, HKD_REFIT_KINDS, HKD_REFIT_CHECKS = 4, HKD_REFIT_RUNS = 16 };

typedef struct {
    int64_t images;              /* of a run; whole batches of 16 are taken */
    int64_t runs;                /* of each kind, 1 .. HKD_REFIT_RUNS: with the data in another order */
    int64_t trajectories, steps; /* to learn from, by Heun; 64 more are kept for the losses */
    double lr;
    double size;                 /* standard deviation of the random operators; below 0: as large as the model's */
    /* Told how much is done of `what` ("trajectories", then "refit"); any status but HKD_OK ends the refit. NULL: nobody. */
    hkd_status (*progress)(void *self, const char *what, int64_t done, int64_t all);
    void *self;
} hkd_refit_settings;

typedef struct {
    double end, path; /* mean square error: from noise, and the mean over the later states of the trajectories */
} hkd_refit_loss;

typedef struct {
    double size;                                             /* of the random operators */
    hkd_refit_loss before;                                   /* of the start, A = 0 */
    hkd_refit_loss after[HKD_REFIT_KINDS][HKD_REFIT_RUNS][HKD_REFIT_CHECKS]; /* at every quarter of a run */
    double with_model, among_runs; /* correlation of alpha, place by place: model with trained runs; these in pairs (1: 0) */
} hkd_refit;
/* The start are the teacher's weights: a denoiser of the model's pictures and classes. */
hkd_status hkd_insight_refit(hkd_refit *out, hkd_insight *in, hkd_model *teacher, const hkd_refit_settings *s);

/* How the same numbers (the alphas of all modes, the pixels of all seeds) scatter over models that were trained alike. */
typedef struct {
    double over_models; /* root mean square over places of the standard deviation over models */
    double over_places; /* the mean over models of the standard deviation over places */
    double correlation; /* of two models, place by place: the mean over pairs; NAN where a model does not vary */
} hkd_scatter;
/* x[i] [count] of each of 2 models or more. */
hkd_status hkd_scatter_over_models(hkd_scatter *out, const double *const *x, int64_t models, int64_t count);

/* ---- all of it on one page ----------------------------------------------------------------------------------------------- */

typedef struct {
    hkd_model *teacher;    /* the denoiser it learnt from, shown beside it: of its pictures and classes; NULL: none */
    const uint64_t *seeds; /* [n] the images, at least one */
    int64_t n;
    int class_label;       /* of all images; -1: drawn from each seed */
    const char *log;       /* files, NULL: the page says how to make them. The log of hkd train (CSV); what was printed by */
    const char *verify;    /* hkd verify --json, */
    const char *refit;     /* hkd spectrum --refit --json, */
    const char *others;    /* hkd spectrum --others --json, */
    const char *control;   /* hkd edit --control --json */
    const char *command;   /* how the page is made, in the caller's words; NULL: it does not say */
    /* Told how many of the page's parts are done; any status but HKD_OK ends the work. NULL: nobody. */
    hkd_status (*progress)(void *self, int64_t done, int64_t all);
    void *self;
} hkd_report_options;
/* Write an HTML file that needs no other (`hkd report`): samples, path, spectrum, bands, effect, edits, propositions, training,
 * verification, and how all was made, with hashes of the files that the models were loaded from, as they are now. The page
 * appears as a whole or not at all. HKD_USAGE for a model without operators, a teacher of other pictures, a class that it does
 * not have; HKD_BAD_FILE for a file that is not what its place asks for. A library built without libpng refuses. */
hkd_status hkd_report_write(const char *path, hkd_model *m, const hkd_report_options *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
