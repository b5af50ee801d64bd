#include "config.h"

#include "exact.h"
#include "status.h"

#include <string.h>

static const char *const arch_names[] = {"ddpmpp", "ncsnpp", NULL};
static const char *const precond_names[] = {"edm", "vp", "ve", "iddpm", "decoder_only", NULL};
static const char *const hierarchy_names[] = {"full", "bottleneck", "shared", "none", NULL};
static const char *const time_names[] = {"karras", "sigma", "log_sigma", NULL};

static int find(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

const char *hkd_arch_name(hkd_arch arch) { return arch_names[arch]; }
const char *hkd_precond_name(hkd_precond precond) { return precond_names[precond]; }
const char *hkd_hierarchy_name(hkd_hierarchy hierarchy) { return hierarchy_names[hierarchy]; }
const char *hkd_time_name(hkd_time_mode time) { return time_names[time]; }
int hkd_arch_of(const char *name) { return find(arch_names, name); }
int hkd_precond_of(const char *name) { return find(precond_names, name); }
int hkd_hierarchy_of(const char *name) { return find(hierarchy_names, name); }
int hkd_time_of(const char *name) { return find(time_names, name); }

hkd_config hkd_config_default(hkd_arch arch) {
    return (hkd_config){
        .arch = arch, .img_resolution = 32, .img_channels = 3, .model_channels = 128, .channel_mult_emb = 4,
        .num_blocks = 4, .levels = 3, .channel_mult = {2, 2, 2}, .attn_count = 1, .attn_resolutions = {16},
        .precond = HKD_PRECOND_EDM, .sigma_data = 0.5, .hierarchy = HKD_HIERARCHY_FULL, .time = HKD_TIME_KARRAS,
        .sigma_min = 0.002, .sigma_max = 80, .rho = 7, .decoder_sigma = 0.002,
    };
}

static bool within(int value, int low, int high) { return value >= low && value <= high; }

hkd_status hkd_config_check(const hkd_config *c) {
    if (!within(c->levels, 1, HKD_MAX_LEVELS))
        return hkd_fail(HKD_USAGE, "channel_mult must have 1 to %d entries", (int)HKD_MAX_LEVELS);
    if (!within(c->img_resolution, 1, 4096) || c->img_resolution % (1 << (c->levels - 1)))
        return hkd_fail(HKD_USAGE, "img_resolution %d cannot be halved %d times", c->img_resolution, c->levels - 1);
    if (!within(c->img_channels, 1, 4096)) return hkd_fail(HKD_USAGE, "img_channels must be 1 to 4096");
    if (!within(c->label_dim, 0, 100000) || !within(c->augment_dim, 0, 4096))
        return hkd_fail(HKD_USAGE, "label_dim or augment_dim is out of range");
    if (!within(c->model_channels, 4, 4096) || c->model_channels % 2)
        return hkd_fail(HKD_USAGE, "model_channels must be even, 4 to 4096");
    if (!within(c->channel_mult_emb, 1, 64)) return hkd_fail(HKD_USAGE, "channel_mult_emb must be 1 to 64");
    if (!within(c->num_blocks, 1, 16)) return hkd_fail(HKD_USAGE, "num_blocks must be 1 to 16");
    for (int i = 0; i < c->levels; i++)
        if (!within(c->channel_mult[i], 1, 64)) return hkd_fail(HKD_USAGE, "channel_mult must lie in 1 to 64");
    if (!within(c->attn_count, 0, HKD_MAX_LEVELS)) return hkd_fail(HKD_USAGE, "attn_resolutions has too many entries");
    if (!(c->dropout >= 0 && c->dropout < 1)) return hkd_fail(HKD_USAGE, "dropout must be in [0, 1)");
    if (!(c->sigma_data > 0 && c->sigma_data < 1e6)) return hkd_fail(HKD_USAGE, "sigma_data must be positive");
    if (!(c->sigma_min > 0 && c->sigma_min < c->sigma_max && c->sigma_max < 1e9 && c->rho >= 1 && c->rho < 100))
        return hkd_fail(HKD_USAGE, "0 < sigma_min < sigma_max and rho >= 1 must hold");
    if (!(c->decoder_sigma > 0 && c->decoder_sigma < 1e9)) return hkd_fail(HKD_USAGE, "decoder_sigma must be positive");
    return HKD_OK;
}

/* sigma^(1/rho) runs linearly from sigma_max^(1/rho) at tau = 1 to sigma_min^(1/rho) at tau = 0 (Karras et al. 2022, Eq. 5). */
static double root(const hkd_config *c, double sigma) { return hkd_pow(sigma, 1 / c->rho); }

double hkd_time_of_sigma(const hkd_config *c, double sigma) {
    if (c->time == HKD_TIME_SIGMA) return sigma;
    if (c->time == HKD_TIME_LOG_SIGMA) return hkd_log(sigma);
    return (root(c, sigma) - root(c, c->sigma_min)) / (root(c, c->sigma_max) - root(c, c->sigma_min));
}

double hkd_sigma_of_time(const hkd_config *c, double t) {
    if (c->time == HKD_TIME_SIGMA) return t;
    if (c->time == HKD_TIME_LOG_SIGMA) return hkd_exp(t);
    return hkd_pow(root(c, c->sigma_min) + t * (root(c, c->sigma_max) - root(c, c->sigma_min)), c->rho);
}

double hkd_dt_to_end(const hkd_config *c, double sigma) {
    return hkd_time_of_sigma(c, c->sigma_min) - hkd_time_of_sigma(c, sigma);
}
