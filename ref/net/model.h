/* model.h - a denoiser or an HKD model on a device: EDM's preconditioned U-Net, with or without Koopman operators between
 * its halves.
 *
 *   x, sigma --c_in--> encoder(emb(sigma)) --> latents z --exp(dt A)--> z_eps --> decoder(emb(decoder_sigma)) --> f
 *   d = c_skip(sigma) x + c_out(sigma) f
 *
 * A plain denoiser is the same picture without the operators and with decoder_sigma = sigma; an HKD model with A = 0 and
 * decoder_sigma = sigma equals it bit for bit.
 */
#ifndef HKD_MODEL_H
#define HKD_MODEL_H

#include "plan.h"
#include "unet.h"

/* ---- the programs: what a network computes, for a fixed batch n ---- */

typedef enum {
    HKD_RUN_WHOLE,  /* inputs x, sigma (dt, decoder_sigma) -> outputs f, d */
    HKD_RUN_ENCODE, /* inputs x, sigma -> outputs z.0, z.1, ..., z.bottleneck */
    HKD_RUN_DECODE  /* inputs z.*, dt, x, sigma, decoder_sigma -> outputs f, d */
} hkd_run;

typedef struct {
    hkd_run run;
    int64_t n;
    bool augment;  /* augment_labels are given (networks with augment_dim only) */
    bool training; /* with dropout */
} hkd_model_options;

/* Inputs by name: x [n,C,R,R], sigma [n], class_labels [n,label_dim] (if label_dim), augment_labels [n,augment_dim] (if
 * options.augment), and for HKD models dt [n] and decoder_sigma [n]. HKD_RUN_DECODE also z.* [n,d,h,w]. */
hkd_program *hkd_model_program(const hkd_config *c, const hkd_model_options *options);

/* The same, recorded into an existing program by someone who goes on from there (training adds losses). */
typedef struct {
    hkd_var x, sigma, class_labels, augment_labels, dt, decoder_sigma; /* HKD_NO_VAR where unused */
} hkd_model_inputs;
hkd_model_inputs hkd_model_record_inputs(hkd_net *net, const hkd_model_options *options);
/* Returns d; *f is the raw network output. */
hkd_var hkd_model_record(hkd_net *net, const hkd_model_inputs *in, hkd_var *f);

/* ---- a model with its weights; what can be done with it stands in hkd.h ---- */

struct hkd_model {
    hkd_config config;
    hkd_device *dev;      /* not owned */
    hkd_weights *weights;
    int64_t batch;        /* most images in one pass; larger requests are split. Less once a pass found no memory. */
    char *file;           /* what it was loaded from, NULL: made here */
    bool frozen;          /* weights are prepared for forward passes (hkd_plan_freeze): for who only samples */
    struct hkd_model_plan *plans;
};

/* The config is checked; weights are allocated but undefined until loaded or initialised. */
hkd_status hkd_model_new(hkd_model **out, const hkd_config *c, hkd_device *dev);

/* Prepare the weights now, one after the other: `load` (NULL: they are there) brings the raw values of one, which then keeps
 * but the form that forward passes read. */
hkd_status hkd_model_prepare(hkd_model *m, hkd_status (*load)(void *self, hkd_weight *w), void *self);

/* The gradient of sum(grad_d * d): grad_x [n, C, R, R] (may be NULL) is written, the weights' gradients accumulate:
 * hkd_weights_zero_grad goes before the first of such calls, hkd_weights_collect_grad after the last. */
hkd_status hkd_model_gradient(hkd_model *m, double *d, double *f, double *grad_x, const double *grad_d,
                              const hkd_model_input *in);

/* How many images to take at a time where there is no room for n; 0: there is no less. Without gradients no image depends on
 * it; with them the pass is a multiple of 4 that divides n, so that the groups whose gradients are added in order stay
 * whole. */
int64_t hkd_smaller_pass(int64_t n, bool gradient);
/* grad_z[i] [n, d, h, w] = the gradient of sum(grad_d * d) by latent i, where hkd_model_decode makes d from z. The weights'
 * gradients are overwritten by what is of no use to anyone: not during training. */
hkd_status hkd_model_decode_gradient(hkd_model *m, double *const *grad_z, const double *grad_d, const double *const *z,
                                     const hkd_model_input *in);

/* Denoise in->n images in one pass in which every variable keeps its memory, and let someone look at it; call by call, or
 * (as_run) as the device runs it, chains fused. Variables are those of `p`; weights are the model's. */
typedef hkd_status hkd_model_look(void *self, const hkd_program *p, const hkd_plan *plan);
hkd_status hkd_model_run_traced(hkd_model *m, const hkd_model_input *in, bool as_run, hkd_model_look *look, void *self);

/* "z.0", ..., "z.bottleneck": latent i of a network with so many skips, and "evolved.0", ... with that prefix. */
const char *hkd_latent_name(char *out, size_t size, const char *prefix, int i, int skips);
/* The operator that moves latent i (in the order of hkd_model_encode): its weight's name, or NULL when it stays as it is. */
const char *hkd_model_operator(const hkd_config *c, int latent, char *name, size_t size);

/* A model as the denoiser of a sampler (hkd_denoise of sampler.h): all images of `in` at one noise level. */
typedef struct {
    hkd_model *m;
    hkd_model_input in; /* but for x and sigma */
    double *sigma;      /* [n], the caller's room */
} hkd_model_denoiser;
hkd_status hkd_denoise_model(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size);

#endif
