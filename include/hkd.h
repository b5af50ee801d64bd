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

/* ---- version and status ------------------------------------------------------------------------------------------------- */

#define HKD_VERSION "0.1.0"
#define HKD_ABI 1
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

#ifdef __cplusplus
}
#endif
#endif
