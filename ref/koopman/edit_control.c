#include "edit_control.h"

#include "image_spectrum.h"
#include "model_bands.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BISECTIONS = 12 };

typedef struct {
    hkd_model *m;
    const hkd_model_input *image, *reference;
    const hkd_model_levels *levels;
    hkd_edit_rule rule;
    int64_t n, size;
    double *plain, *edited, *low[2];   /* [n, size], [n, size], [n] */
} room;

static hkd_status change(double *rmse, room *r, double ratio) {
    double square = 0;
    r->rule.ratio = ratio;
    const hkd_status status = hkd_model_edit(r->m, r->edited, r->image, r->reference, r->levels, &r->rule);
    for (int64_t i = 0; i < r->n * r->size && !status; i++) {
        r->edited[i] -= r->plain[i];
        square += r->edited[i] * r->edited[i];
    }
    *rmse = sqrt(square / (double)(r->n * r->size));
    return status;
}

/* The ratio in [0, most] whose change is `target`, to 1 %; the change grows with the ratio. */
static hkd_status match(double *ratio, double *rmse, room *r, double most, double target) {
    double low = 0, high = most;
    hkd_status status = HKD_OK;
    *ratio = most;
    for (int k = 0; k < BISECTIONS && !status && fabs(*rmse - target) > 0.01 * target; k++) {
        *ratio = (low + high) / 2;
        status = change(rmse, r, *ratio);
        *(*rmse < target ? &low : &high) = *ratio;
    }
    return status;
}

/* low [n]: energy per value of each picture's change below a third of the largest frequency. */
static hkd_status low_energy(double *low, const room *r) {
    const int64_t side = r->m->config.img_resolution, shells = hkd_spectrum_shells(side, side);
    double *energy = malloc((size_t)shells * sizeof *energy + 1), share[3];
    int64_t *sizes = malloc((size_t)shells * sizeof *sizes + 1);
    hkd_status status = energy && sizes ? HKD_OK : hkd_fail(HKD_RESOURCES, "edit: out of memory");
    for (int64_t i = 0; i < r->n && !status; i++) {
        double all = 0;
        status = hkd_image_spectrum(energy, sizes, r->edited + i * r->size, r->m->config.img_channels, side, side);
        if (status) break;
        for (int64_t k = 1; k < shells; k++) all += energy[k];
        hkd_spectrum_bands(share, energy, shells);
        low[i] = share[0] * all / (double)(side * side);
    }
    free(sizes);
    free(energy);
    return status;
}

static void compare(hkd_edit_control *out, const room *r) {
    double square = 0;
    for (int64_t i = 0; i < r->n; i++) {
        for (int k = 0; k < 2; k++) out->low[k] += r->low[k][i] / (double)r->n;
        out->difference += (r->low[1][i] - r->low[0][i]) / (double)r->n;
    }
    for (int64_t i = 0; i < r->n; i++) square += pow(r->low[1][i] - r->low[0][i] - out->difference, 2);
    out->half = r->n > 1 ? 1.96 * sqrt(square / (double)(r->n - 1) / (double)r->n) : INFINITY;
}

/* Masks: [0] the band, [1] the random set. Each at the given ratio, then the stronger one weaker. */
static hkd_status measure(hkd_edit_control *out, room *r, unsigned char *const *const *mask) {
    const double wanted = r->rule.ratio;
    hkd_status status = hkd_model_denoise(r->m, r->plain, NULL, r->image);
    for (int k = 0; k < 2 && !status; k++) {
        r->rule.band = mask[k];
        out->ratio[k] = wanted;
        status = change(&out->rmse[k], r, wanted);
        if (!status) status = low_energy(r->low[k], r);
    }
    const int strong = out->rmse[1] > out->rmse[0];
    r->rule.band = mask[strong];
    if (!status) status = match(&out->ratio[strong], &out->rmse[strong], r, wanted, out->rmse[!strong]);
    if (!status && out->ratio[strong] != wanted) status = low_energy(r->low[strong], r);
    if (!status) compare(out, r);
    return status;
}

hkd_status hkd_model_edit_control(hkd_edit_control *out, hkd_model *m, const hkd_model_input *image,
                                  const hkd_model_input *reference, const hkd_model_levels *levels, const hkd_edit_rule *rule,
                                  uint64_t seed) {
    const int64_t side = m->config.img_resolution, n = image->n, size = m->config.img_channels * side * side;
    unsigned char *random[HKD_MAX_LATENTS] = {NULL};
    unsigned char *const *const mask[2] = {rule->band, random};
    *out = (hkd_edit_control){.n = n};
    if (!rule->band) return hkd_fail(HKD_USAGE, "edit: a band is needed to compare it with a random one");
    double *memory = malloc((size_t)(2 * n * size + 2 * n) * sizeof *memory + 1);
    room r = {m, image, reference, levels, *rule, n, size, memory, memory + n * size, {NULL, NULL}};
    hkd_status status = memory ? HKD_OK : hkd_fail(HKD_RESOURCES, "edit of %lld images: out of memory", (long long)n);
    for (int k = 0; k < 2 && memory; k++) r.low[k] = memory + 2 * n * size + k * n;
    for (int64_t k = 0; k < levels->count && !status; k++) {
        const size_t modes = (size_t)hkd_mode_count(&levels->level[k]);
        random[k] = malloc(modes + 1);
        if (random[k]) memcpy(random[k], rule->band[k], modes);
        else status = hkd_fail(HKD_RESOURCES, "edit: out of memory for %zu modes", modes);
    }
    if (!status) {
        hkd_mask_shuffle(random, levels, seed);
        status = measure(out, &r, mask);
    }
    for (int64_t k = 0; k < levels->count; k++) free(random[k]);
    free(memory);
    return status;
}
