/* hkd.h - the public interface of hkd: everything but the plain operators, which are in hkd_ref.h.
 *
 *     hkd_device *cpu;
 *     hkd_model *model;
 *     if (hkd_device_open(&cpu, "cpu", NULL) || hkd_model_load(&model, "model.safetensors", cpu)) puts(hkd_last_error());
 *     hkd_sample(model, images, seeds, 4, 1);
 *     hkd_model_free(model);
 *     hkd_device_close(cpu);
 *
 * Handles are opaque and belong to the caller, who frees them with the function named here; arrays belong to the caller and are
 * not kept. Functions that can fail return an hkd_status; the reason of the last failure in this thread is hkd_last_error(),
 * and outputs are then undefined, handles NULL. The library never prints, exits or aborts. Objects are not shared between
 * threads without a lock. Images are [n, channels, height, width], row-major doubles, -1 black and 1 white.
 */
#ifndef HKD_H
#define HKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what libhkd.so exports */
#endif

/* ---- version and status ------------------------------------------------------------------------------------------------- */

#define HKD_VERSION "0.1.0"
#define HKD_ABI 2
const char *hkd_version(void); /* HKD_VERSION of the library, which may be another than the header's */
int hkd_abi_version(void);     /* HKD_ABI of the library: grows when a program must be compiled anew */

/* The values are the exit codes of the program. */
typedef enum {
    HKD_OK = 0,
    HKD_CHECK_FAILED = 1, /* a comparison or verification came out negative */
    HKD_USAGE = 2,        /* an argument is out of range or contradicts another */
    HKD_BAD_FILE = 3,     /* a file is missing, malformed or not what its place asks for */
    HKD_DEVICE = 4,       /* no such device, or it failed or computes wrongly */
    HKD_RESOURCES = 5     /* interrupted, out of memory or disk */
} hkd_status;
const char *hkd_last_error(void); /* one line, valid until the next failure in this thread */

/* ---- devices ------------------------------------------------------------------------------------------------------------ */

typedef struct hkd_device hkd_device;

/* All zero is the default. */
typedef struct {
    int threads;      /* 0: all cores */
    bool direct;      /* cpu: no Winograd */
    const char *isa;  /* NULL = best; cpu: "plain", "avx2", "avx512"; opencl: profile "cpu" or "gpu" */
    bool force;       /* opencl: use a device even though its self-check fails, or without one */
    bool no_tune;     /* opencl: do not use what hkd tune found out */
    bool clblast;     /* opencl: CLBlast for every matrix product, on any device; not given: where hkd tune found it faster */
    bool half;        /* opencl: activations stored as float16; no gradients */
} hkd_device_options;

/* `name`: "ref" (float64, the ground truth), "cpu", "opencl", "opencl:1" or "opencl:PART OF ITS NAME"; options may be NULL. */
hkd_status hkd_device_open(hkd_device **out, const char *name, const hkd_device_options *options);
/* After everything that lives on it. NULL is fine. */
void hkd_device_close(hkd_device *dev);

/* ---- models ------------------------------------------------------------------------------------------------------------- */

/* A denoiser or a one-step HKD model with its weights on a device. */
typedef struct hkd_model hkd_model;

/* From a safetensors file, which holds the configuration too. The device must stay open as long as the model lives. */
hkd_status hkd_model_load(hkd_model **out, const char *path, hkd_device *dev);
void hkd_model_free(hkd_model *m); /* NULL is fine */

typedef struct {
    bool one_step;                  /* an HKD model; false: a plain denoiser */
    int channels, resolution;       /* images are [channels, resolution, resolution] */
    int classes;                    /* 0: unconditional */
    double sigma_min, sigma_max;    /* noise levels of data and of pure noise */
} hkd_model_info;
void hkd_model_describe(hkd_model_info *out, const hkd_model *m);

/* x [n, C, R, R]: images from seeds; image k depends on seeds[k] alone, whatever n and the device's threads. An HKD model takes
 * `steps` passes, 1 for one-step generation; a denoiser goes down `steps` noise levels by EDM's Heun, 2 steps - 1 passes.
 * Classes are drawn from each seed. */
hkd_status hkd_sample(hkd_model *m, double *x, const uint64_t *seeds, int64_t n, int64_t steps);
/* The same with the names of `hkd sample --help`. `sampler` NULL: onestep or heun, as above; `steps` 0: as many as are usual
 * for it; `rng` NULL: "hkd"; `class_label` -1: drawn from each seed. *nfe (NULL: not wanted): evaluations of the network, added
 * up over the images. HKD_USAGE for a sampler that the model cannot follow, or a seed that the generator refuses. */
hkd_status hkd_sample_with(hkd_model *m, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n, const char *sampler,
                           int64_t steps, const char *rng, int class_label);

/* What a pass reads. NULL: class_labels = zeros, augment_labels = none, dt = to the end, decoder_sigma = the configuration's.
 * dt and decoder_sigma are ignored by plain denoisers. */
typedef struct {
    int64_t n;
    const double *x;              /* [n, C, R, R]: an image plus sigma times unit noise */
    const double *sigma;          /* [n] */
    const double *class_labels;   /* [n, classes], one-hot */
    const double *augment_labels; /* [n, augment_dim] */
    const double *dt;             /* [n]: how far the latents move, z -> exp(dt A) z */
    const double *decoder_sigma;  /* [n]: the noise level that the decoder is told */
} hkd_model_input;

/* d [n, C, R, R] = the denoised (HKD: one-step) images, f = the raw network output; either may be NULL. */
hkd_status hkd_model_denoise(hkd_model *m, double *d, double *f, const hkd_model_input *in);

/* ---- latents: the states that the Koopman operators move ----------------------------------------------------------------- */

/* A dense array's extents, outermost first. Rank 0 is a scalar; an extent may be 0. */
enum { HKD_MAX_RANK = 4 };
typedef struct {
    int rank;
    int64_t dim[HKD_MAX_RANK];
} hkd_shape;

int hkd_model_latent_count(const hkd_model *m);                   /* skips, in order, then the bottleneck */
hkd_shape hkd_model_latent_shape(const hkd_model *m, int latent); /* [d, h, w] */
/* z[i] [n, d, h, w]: what the encoder makes of in->x; nothing is evolved yet. */
hkd_status hkd_model_encode(hkd_model *m, double *const *z, const hkd_model_input *in);
/* Evolve the latents by in->dt, then decode; in->x and in->sigma enter the output combination. */
hkd_status hkd_model_decode(hkd_model *m, double *d, double *f, const double *const *z, const hkd_model_input *in);
/* z[i] [n, d, h, w] becomes exp(dt A) z[i], dt [n], in place; latents that no operator moves stay as they are. */
hkd_status hkd_model_move(hkd_model *m, double *const *z, const double *dt, int64_t n);
/* Does an operator move this latent? */
bool hkd_model_moves(const hkd_model *m, int latent);
/* alpha, beta [d/2, h, w] (paper, Eq. 10): pair k, channels 2k and 2k + 1, turns and grows with the eigenvalues alpha +- i beta
 * per unit of dt. HKD_USAGE for a latent that no operator moves. */
hkd_status hkd_model_eigenvalues(const hkd_model *m, int latent, double *alpha, double *beta);

/* ---- every tensor of a run ---------------------------------------------------------------------------------------------- */

/* Shown each tensor in turn, under its name in `hkd trace`; name, dims [rank] and values are valid during the call. The run
 * ends with the status that it returns, unless that is HKD_OK. */
typedef hkd_status hkd_trace_visit(void *self, const char *name, int rank, const int64_t *dims, const double *values);
/* Denoise as hkd_model_denoise does, in one pass and call by call, and show every input, weight and result. */
hkd_status hkd_model_trace(hkd_model *m, const hkd_model_input *in, hkd_trace_visit *visit, void *self);

/* ---- operators by name -------------------------------------------------------------------------------------------------- */

/* The table of operators (`hkd ops`): the name of row `index`; the names of its inputs ("?b": may be left out), outputs and
 * parameters, these with their defaults. NULL behind the last one, and for an operator that does not exist. */
const char *hkd_operator_name(int index);
const char *hkd_operator_input(const char *op, int i);
const char *hkd_operator_output(const char *op, int i);
const char *hkd_operator_parameter(const char *op, int i, double *standard);
bool hkd_operator_has_gradient(const char *op, int input); /* can hkd_operator_backward give grad[input]? */

/* Arrays go in the order of the row: in_shape [inputs] (rank -1: not given), out_shape [outputs], params [parameters] or NULL
 * for the defaults. HKD_USAGE tells what the operator expects. */
hkd_status hkd_operator_shapes(hkd_shape *out_shape, const char *op, const double *params, const hkd_shape *in_shape);
/* out[i], shaped as above, = the outputs (NULL: not wanted); in[i]: dense arrays, NULL where not given. HKD_DEVICE: the device
 * lacks the operator. */
hkd_status hkd_operator_forward(hkd_device *dev, const char *op, const double *params, const hkd_shape *in_shape,
                                const double *const *in, double *const *out);
/* grad[i], shaped as in[i], = the gradient of the sum of up[o] * out[o] over all outputs o (NULL: not wanted), written, not
 * added to. Every up[o] is needed, shaped as the output. */
hkd_status hkd_operator_backward(hkd_device *dev, const char *op, const double *params, const hkd_shape *in_shape,
                                 const double *const *in, const double *const *up, double *const *grad);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
