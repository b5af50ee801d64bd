#include "edit_control.h"

#include "image_spectrum.h"
#include "model_bands.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 12, MOST_SETS = HKD_CONTROL_SETS + 1 };

/* Of one part of the pictures, for the band (set 0) and every random set. */
typedef struct {
    hkd_edit_pair pair;
    hkd_edit_rule rule;
    unsigned char *mask[MOST_SETS][HKD_MAX_LATENTS]; /* [0] the caller's */
    int64_t sets, n, size;
    double *plain, *edited;                          /* [n, size] */
    double *most, *rmse, *ratio, *target;            /* [sets, n] at the full ratio; [n] of one set at its ratio; [n] */
    double *below, *above, *less, *more;             /* [n] ratios that enclose the target, and their changes */
    double *low;                                     /* [all, sets]: energy of the change in low frequencies */
} room;

/* rmse [n] of the edit with one set at ratio [n]; `edited` becomes the change. */
static hkd_status change(room *r, int64_t set, double *rmse) {
    r->rule.band = r->mask[set];
    const hkd_status status = hkd_edit_pair_decode(&r->pair, r->edited, &r->rule, r->ratio);
    for (int64_t i = 0; i < r->n && !status; i++) {
        double square = 0;
        for (int64_t k = 0; k < r->size; k++) {
            double *value = r->edited + i * r->size + k;
            *value -= r->plain[i * r->size + k];
            square += *value * *value;
        }
        rmse[i] = sqrt(square / (double)r->size);
    }
    return status;
}

/* Lower each picture's ratio until its change is the target, to 1 %: it grows with the ratio, nearly in proportion, so the next
 * ratio is that on the line between the two that enclose the target, from (0, 0) and (full, most) on. */
static hkd_status match(room *r, int64_t set) {
    hkd_status status = HKD_OK;
    bool done = false;
    for (int64_t i = 0; i < r->n; i++) {
        r->below[i] = r->less[i] = 0;
        r->above[i] = r->rule.ratio;
        r->more[i] = r->most[set * r->n + i];
    }
    for (int k = 0; k < TRIES && !done && !status; k++) {
        for (int64_t i = 0; i < r->n; i++) {
            const double span = r->more[i] - r->less[i], part = span > 0 ? (r->target[i] - r->less[i]) / span : 1;
            r->ratio[i] = r->below[i] + part * (r->above[i] - r->below[i]);
        }
        status = change(r, set, r->rmse);
        done = true;
        for (int64_t i = 0; i < r->n; i++) {
            const bool under = r->rmse[i] < r->target[i];
            (under ? r->below : r->above)[i] = r->ratio[i];
            (under ? r->less : r->more)[i] = r->rmse[i];
            done &= fabs(r->rmse[i] - r->target[i]) <= 0.01 * r->target[i];
        }
    }
    return status;
}

/* The energy per value of each picture's change below a third of the largest frequency. */
static hkd_status low_energy(const room *r, double *low, int64_t stride) {
    const int64_t side = r->pair.m->config.img_resolution, shells = hkd_spectrum_shells(side, side);
    double *energy = malloc((size_t)shells * sizeof *energy + 1), share[3];
    int64_t *sizes = malloc((size_t)shells * sizeof *sizes + 1);
    hkd_status status = energy && sizes ? HKD_OK : hkd_fail(HKD_RESOURCES, "edit: out of memory");
    for (int64_t i = 0; i < r->n && !status; i++) {
        double all = 0;
        status = hkd_image_spectrum(energy, sizes, r->edited + i * r->size, r->pair.m->config.img_channels, side, side);
        if (status) break;
        for (int64_t k = 1; k < shells; k++) all += energy[k];
        hkd_spectrum_bands(share, energy, shells);
        low[i * stride] = share[0] * all / (double)(side * side);
    }
    free(sizes);
    free(energy);
    return status;
}

/* Everything about one part of the pictures: its low energies go to r->low, its means to out. */
static hkd_status measure(hkd_edit_control *out, room *r, int64_t first, int64_t all) {
    hkd_status status = hkd_model_denoise(r->pair.m, r->plain, NULL, r->pair.image);
    for (int64_t i = 0; i < r->n; i++) r->ratio[i] = r->rule.ratio, r->target[i] = INFINITY;
    for (int64_t s = 0; s < r->sets && !status; s++) {
        status = change(r, s, r->most + s * r->n);
        for (int64_t i = 0; i < r->n; i++) r->target[i] = fmin(r->target[i], r->most[s * r->n + i]);
    }
    for (int64_t s = 0; s < r->sets && !status; s++) {
        status = match(r, s);
        if (!status) status = low_energy(r, r->low + first * r->sets + s, r->sets);
        for (int64_t i = 0; i < r->n; i++) {
            if (s == 0) out->rmse += r->target[i] / (double)all;
            out->ratio[s > 0] += r->ratio[i] / (double)(all * (s ? r->sets - 1 : 1));
        }
    }
    return status;
}

static double variance(const double *x, int64_t n) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    return square / (double)(n - 1);
}

/* The 97.5 % quantile of Student's t, to 1 % (Cornish-Fisher around the normal's; exact values for one and two degrees). */
static double student(double degrees) {
    const double z = 1.959964, z2 = z * z;
    if (degrees < 2) return 12.7062;
    if (degrees < 3) return 4.30265;
    return z + z * (z2 + 1) / (4 * degrees) + z * (5 * z2 * z2 + 16 * z2 + 3) / (96 * degrees * degrees)
         + z * (3 * z2 * z2 * z2 + 19 * z2 * z2 + 17 * z2 - 15) / (384 * degrees * degrees * degrees);
}

static hkd_status compare(hkd_edit_control *out, const room *r) {
    const int64_t n = out->n, sets = out->sets;
    double *of_picture = calloc((size_t)(n + sets), sizeof *of_picture), *of_set = of_picture + n;
    if (!of_picture) return hkd_fail(HKD_RESOURCES, "edit: out of memory");
    for (int64_t i = 0; i < n; i++) {
        const double *low = r->low + i * r->sets;
        out->low[0] += low[0] / (double)n;
        for (int64_t s = 0; s < sets; s++) {
            out->low[1] += low[s + 1] / (double)(n * sets);
            of_picture[i] += (low[s + 1] - low[0]) / (double)sets;
            of_set[s] += (low[s + 1] - low[0]) / (double)n;
        }
        out->difference += of_picture[i] / (double)n;
    }
    const double spread = variance(of_picture, n) / (double)n + variance(of_set, sets) / (double)sets;
    out->half = student((double)(sets - 1)) * sqrt(spread);
    free(of_picture);
    return HKD_OK;
}

static hkd_status room_new(room *r, const hkd_edit_control *c, const hkd_model *m, const hkd_model_levels *l,
                           const hkd_edit_rule *rule, uint64_t seed) {
    const int64_t side = m->config.img_resolution, batch = m->batch;
    *r = (room){.rule = *rule, .sets = c->sets + 1, .size = m->config.img_channels * side * side};
    r->plain = malloc((size_t)(2 * batch * r->size + (r->sets + 7) * batch + c->n * r->sets) * sizeof *r->plain);
    if (!r->plain) return hkd_fail(HKD_RESOURCES, "edit of %lld images: out of memory", (long long)c->n);
    r->edited = r->plain + batch * r->size;
    r->most = r->edited + batch * r->size;
    r->rmse = r->most + r->sets * batch;
    r->ratio = r->rmse + batch;
    r->target = r->ratio + batch;
    r->below = r->target + batch;
    r->above = r->below + batch;
    r->less = r->above + batch;
    r->more = r->less + batch;
    r->low = r->more + batch;
    for (int64_t s = 0; s < r->sets; s++) {
        for (int64_t k = 0; k < l->count; k++) {
            const size_t modes = (size_t)hkd_mode_count(&l->level[k]);
            r->mask[s][k] = malloc(modes + 1);
            if (!r->mask[s][k]) return hkd_fail(HKD_RESOURCES, "edit: out of memory for %zu modes", modes);
            memcpy(r->mask[s][k], rule->band[k], modes);
        }
        if (s) hkd_mask_shuffle(r->mask[s], l, c->over_all, seed * HKD_CONTROL_SETS + (uint64_t)s);
    }
    return HKD_OK;
}

static void room_free(room *r) {
    for (int64_t s = 0; s < r->sets; s++)
        for (int k = 0; k < HKD_MAX_LATENTS; k++) free(r->mask[s][k]);
    free(r->plain);
}

hkd_status hkd_model_edit_control(hkd_edit_control *out, hkd_model *m, const hkd_model_input *image,
                                  const hkd_model_input *reference, const hkd_model_levels *levels, const hkd_edit_rule *rule,
                                  uint64_t seed, const hkd_ticker *ticker) {
    *out = (hkd_edit_control){.n = image->n, .sets = out->sets, .over_all = out->over_all};
    if (!rule->band) return hkd_fail(HKD_USAGE, "edit: a band is needed to compare it with random ones");
    if (image->n < 2 || reference->n != image->n || out->sets < 2 || out->sets > HKD_CONTROL_SETS)
        return hkd_fail(HKD_USAGE, "edit: an interval needs at least 2 images (%lld given) with a reference each, and 2 to %d "
                        "random sets (%lld)", (long long)image->n, (int)HKD_CONTROL_SETS, (long long)out->sets);
    room *r = malloc(sizeof *r);
    hkd_status status = r ? room_new(r, out, m, levels, rule, seed) : hkd_fail(HKD_RESOURCES, "edit: out of memory");
    for (int64_t first = 0; first < image->n && !status; first += m->batch) {
        r->n = image->n - first < m->batch ? image->n - first : m->batch;
        const hkd_model_input a = hkd_input_part(image, m, first, r->n), b = hkd_input_part(reference, m, first, r->n);
        status = hkd_edit_pair_new(&r->pair, m, &a, &b, levels);
        if (!status) status = measure(out, r, first, image->n);
        hkd_edit_pair_free(&r->pair);
        if (!status) status = hkd_tick(ticker, first + r->n, image->n);
    }
    if (!status) status = compare(out, r);
    if (r) room_free(r);
    free(r);
    return status;
}
