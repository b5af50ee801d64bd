/* subject.h - what the verbs that look inside a model start from: the model with its operators, and inputs to it: the noise of
 * seeds, or pictures with noise added. */
#ifndef HKD_SUBJECT_H
#define HKD_SUBJECT_H

#include "cli.h"
#include "model_levels.h"

typedef struct {
    hkd_device *dev;
    hkd_model *model;
    hkd_model_levels levels;
    int64_t side, channels, size;   /* of one picture; size = channels side side */
} hkd_subject;

/* Open --device and --model. HKD_USAGE for a model without operators. Free it also after a failure. */
hkd_status hkd_subject_open(hkd_subject *s, const hkd_args *a);
void hkd_subject_free(hkd_subject *s);

/* Time 1 is noise (sigma_max), time 0 the picture (sigma_min). */
double hkd_level_at(const hkd_config *c, double time);
/* dt that carries latents encoded at sigma_max to `time`; exactly that of one step for time 0, and 0 for time 1. */
double hkd_dt_from_noise(const hkd_config *c, double time);

typedef struct {
    uint64_t *seeds;       /* [n] */
    double *x, *sigma, *labels, *dt;
    hkd_model_input in;    /* points to these */
} hkd_inputs;

/* The noise x_T and the label of each seed, at sigma_max; dt is NULL (to the end). */
hkd_status hkd_inputs_of_seeds(hkd_inputs *out, const hkd_model *m, const uint64_t *seeds, size_t n);
/* --OPTION's class for all of them, if it is given, in place of the drawn ones. */
hkd_status hkd_inputs_set_class(hkd_inputs *i, const hkd_model *m, const hkd_args *a, const char *option);
/* --NAME's list of seeds; their class is --class, that of --reference-seeds is --reference-class. */
hkd_status hkd_inputs_of_option(hkd_inputs *out, const hkd_model *m, const hkd_args *a, const char *name);
/* pictures [n, C, R, R] at `time`: each with the noise of its seed, sigma(time) times as large. */
hkd_status hkd_inputs_of_pictures(hkd_inputs *out, const hkd_model *m, const double *pictures, const uint64_t *seeds, size_t n,
                                  double time);
void hkd_inputs_set_dt(hkd_inputs *i, double dt);
void hkd_inputs_free(hkd_inputs *i);

/* One [n, d, h, w] per latent of the model, owned by z[0]. */
hkd_status hkd_latents_new(double *z[HKD_MAX_LATENTS + 1], const hkd_model *m, int64_t n);

#endif
