/* config.h - everything that defines a model besides its weights. Model files carry it as hkd.config (ref/io/model_file.h). */
#ifndef HKD_CONFIG_H
#define HKD_CONFIG_H

#include "hkd.h"
#include "hkd_ref.h"

#include <stdbool.h>
#include <stdint.h>

enum { HKD_MAX_LEVELS = 8, HKD_MAX_LATENTS = 160 };

typedef enum { HKD_ARCH_DDPMPP, HKD_ARCH_NCSNPP } hkd_arch;

/* Which latents have an operator of their own (paper Table 3; the last row can be read as FULL against BOTTLENECK or
 * SHARED). */
typedef enum {
    HKD_HIERARCHY_FULL,       /* every skip and the bottleneck, one operator per level and position */
    HKD_HIERARCHY_BOTTLENECK, /* the bottleneck alone; skips pass as they are */
    HKD_HIERARCHY_SHARED,     /* one vector over channels for all positions and levels of equal width */
    HKD_HIERARCHY_NONE        /* no operator: A = 0 */
} hkd_hierarchy;

/* The time in the exponent (hkd.md C1). */
typedef enum {
    HKD_TIME_KARRAS,   /* tau = 1 - u, u = progress of Karras' schedule from sigma_max to sigma_min */
    HKD_TIME_SIGMA,    /* t = sigma */
    HKD_TIME_LOG_SIGMA /* t = ln sigma */
} hkd_time_mode;

typedef struct {
    /* the U-Net, EDM's SongUNet */
    hkd_arch arch;
    int img_resolution, img_channels, label_dim, augment_dim;
    int model_channels, channel_mult_emb, num_blocks;
    int levels, channel_mult[HKD_MAX_LEVELS];
    int attn_count, attn_resolutions[HKD_MAX_LEVELS];
    double dropout;
    /* the denoiser around it */
    hkd_precond precond;
    double sigma_data;
    /* Hierarchical Koopman Diffusion; unused by a plain denoiser */
    bool is_hkd;
    hkd_hierarchy hierarchy;
    bool tie_bottleneck;      /* the bottleneck shares the last skip's operator instead of having its own */
    hkd_time_mode time;
    double sigma_min, sigma_max, rho; /* a denoiser's sampler begins with these, too */
    double decoder_sigma;     /* the noise level that the decoder is told */
} hkd_config;

/* EDM's CIFAR-10 network, a plain denoiser; change fields from there. */
hkd_config hkd_config_default(hkd_arch arch);

/* HKD_USAGE with the offending field when the fields contradict each other or cannot be built. */
hkd_status hkd_config_check(const hkd_config *c);

/* Koopman time of a noise level, and back. KARRAS: tau(sigma_max) = 1, tau(sigma_min) = 0. */
double hkd_time_of_sigma(const hkd_config *c, double sigma);
double hkd_sigma_of_time(const hkd_config *c, double t);

/* The dt that carries a latent encoded at noise level sigma to the end: time(sigma_min) - time(sigma). */
double hkd_dt_to_end(const hkd_config *c, double sigma);

const char *hkd_arch_name(hkd_arch arch);
const char *hkd_precond_name(hkd_precond precond);
const char *hkd_hierarchy_name(hkd_hierarchy hierarchy);
const char *hkd_time_name(hkd_time_mode time);
/* The value of a name, or -1. */
int hkd_arch_of(const char *name);
int hkd_precond_of(const char *name);
int hkd_hierarchy_of(const char *name);
int hkd_time_of(const char *name);

#endif
