/* model_inputs.h - what goes into a model: the noise of seeds, or pictures with noise added, and room for its latents. */
#ifndef HKD_MODEL_INPUTS_H
#define HKD_MODEL_INPUTS_H

#include "model.h"

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
/* pictures [n, C, R, R] at `time`: each with the noise of its seed, sigma(time) times as large. */
hkd_status hkd_inputs_of_pictures(hkd_inputs *out, const hkd_model *m, const double *pictures, const uint64_t *seeds, size_t n,
                                  double time);
/* Another class for all of them, 0 .. label_dim - 1. */
hkd_status hkd_inputs_set_class(hkd_inputs *i, const hkd_model *m, int64_t label);
void hkd_inputs_set_dt(hkd_inputs *i, double dt);
void hkd_inputs_free(hkd_inputs *i);

/* Images first .. first + n of `in`: its arrays, further on. Work on many images goes through in such parts, so that memory
 * does not grow with their number. */
hkd_model_input hkd_input_part(const hkd_model_input *in, const hkd_model *m, int64_t first, int64_t n);

/* One [n, d, h, w] per latent of the model, owned by z[0]. */
hkd_status hkd_latents_new(double *z[HKD_MAX_LATENTS + 1], const hkd_model *m, int64_t n);

/* Long work says how far it is, and stops with the status that it is answered unless that is HKD_OK. tick NULL: nobody asks. */
typedef struct {
    hkd_status (*tick)(void *self, int64_t done, int64_t total);
    void *self;
} hkd_ticker;
hkd_status hkd_tick(const hkd_ticker *t, int64_t done, int64_t total);

#endif
