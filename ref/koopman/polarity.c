#include "polarity.h"

#include "image_spectrum.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- marks ---- */

/* Pictures of one part, and the spectrum of one of them. */
typedef struct {
    int64_t side, channels, size, shells;
    double *whole, *without, *energy, *z[HKD_MAX_LATENTS + 1];
    int64_t *count;
} room;

static hkd_status room_new(room *r, const hkd_model *m, int64_t n) {
    r->side = m->config.img_resolution;
    r->channels = m->config.img_channels;
    r->size = r->channels * r->side * r->side;
    r->shells = hkd_spectrum_shells(r->side, r->side);
    r->whole = malloc((size_t)(2 * n * r->size + r->shells) * sizeof(double) + 1);
    r->count = malloc((size_t)r->shells * sizeof *r->count + 1);
    if (!r->whole || !r->count) return hkd_fail(HKD_RESOURCES, "bands: out of memory for %lld images", (long long)n);
    r->without = r->whole + n * r->size;
    r->energy = r->without + n * r->size;
    return hkd_latents_new(r->z, m, n);
}

static void room_free(room *r) {
    free(r->z[0]);
    free(r->whole);
    free(r->count);
}

/* The centroid of one picture; its radial power, `weight` times, is added to power [shells] unless that is NULL. */
static double look(room *r, const double *picture, double *power, double weight, hkd_status *status) {
    if (!*status) *status = hkd_image_spectrum(r->energy, r->count, picture, r->channels, r->side, r->side);
    for (int64_t k = 0; power && !*status && k < r->shells; k++)
        if (r->count[k]) power[k] += weight * r->energy[k] / (double)r->count[k];
    return *status ? 0 : hkd_spectrum_centroid(r->energy, r->shells);
}

/* Adds what the removal of a band does to pictures first .. first + n, of `all`. */
static hkd_status add_part(hkd_band_mark *mark, room *r, int64_t first, int64_t n, int64_t all) {
    const double weight = 1 / (double)all;
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < n && !status; i++) {
        double *picture = r->without + i * r->size, share[3];
        const double *whole = r->whole + i * r->size;
        const double centroid = look(r, picture, mark->power_without, weight, &status);
        if (mark->centroid) mark->centroid[first + i] = centroid;
        mark->without += weight * centroid;
        for (int64_t k = 0; k < r->size; k++) {
            picture[k] = whole[k] - picture[k];
            mark->change += weight * picture[k] * picture[k] / (double)r->size;
        }
        look(r, picture, mark->power_change, weight, &status);
        hkd_spectrum_bands(share, r->energy, r->shells);
        for (int k = 0; k < 3; k++) mark->share[k] += weight * share[k];
    }
    return status;
}

static hkd_status mark_part(hkd_band_mark *mark, int64_t count, double *whole, double *power_whole, room *r, int64_t first,
                            hkd_model *m, const hkd_model_input *part, int64_t all, const hkd_model_levels *l,
                            hkd_model_bands *b) {
    hkd_status status = hkd_model_encode(m, r->z, part);
    if (!status) status = hkd_model_decode(m, r->whole, NULL, (const double *const *)r->z, part);
    for (int64_t i = 0; i < part->n && !status; i++)
        *whole += look(r, r->whole + i * r->size, power_whole, 1 / (double)all, &status) / (double)all;
    for (int64_t k = 0; k < count && !status; k++) {
        status = hkd_model_bands_choose(b, l, mark[k].from, mark[k].to);
        hkd_model_bands_invert(b, l);
        if (!status) status = hkd_model_bands_decode(m, r->without, (const double *const *)r->z, part, l, b);
        hkd_model_bands_invert(b, l);
        if (!status) status = add_part(&mark[k], r, first, part->n, all);
    }
    return status;
}

static void clear(double *values, int64_t count) {
    for (int64_t k = 0; values && k < count; k++) values[k] = 0;
}

hkd_status hkd_model_band_marks(hkd_band_mark *mark, int64_t count, double *whole, double *power_whole, hkd_model *m,
                                const hkd_model_input *in, const hkd_model_levels *l, hkd_model_bands *b,
                                const hkd_ticker *ticker) {
    room r = {.count = NULL};
    hkd_status status = room_new(&r, m, m->batch);
    *whole = 0;
    clear(power_whole, r.shells);
    for (int64_t k = 0; k < count; k++) {
        mark[k].without = mark[k].change = 0;
        clear(mark[k].share, 3);
        clear(mark[k].power_without, r.shells);
        clear(mark[k].power_change, r.shells);
    }
    for (int64_t first = 0; first < in->n && !status; first += m->batch) {
        const hkd_model_input part = hkd_input_part(in, m, first, in->n - first < m->batch ? in->n - first : m->batch);
        status = mark_part(mark, count, whole, power_whole, &r, first, m, &part, in->n, l, b);
        if (!status) status = hkd_tick(ticker, first + part.n, in->n);
    }
    for (int64_t k = 0; k < count; k++) mark[k].change = sqrt(mark[k].change);
    room_free(&r);
    return status;
}

/* ---- polarity ---- */

bool hkd_polarity_convention(const hkd_band_rule *rule) { return rule->key != HKD_BY_GROWTH || rule->dt >= 0; }

static void judge(hkd_polarity *p, const double *lowest, const double *highest, const hkd_band_rule *rule) {
    const double n = (double)p->n;
    double square = 0;
    for (int64_t i = 0; i < p->n; i++) p->difference += (lowest[i] - highest[i]) / n;
    for (int64_t i = 0; i < p->n; i++) square += pow(lowest[i] - highest[i] - p->difference, 2);
    p->half = 1.96 * sqrt(square / (n - 1) / n);
    p->verdict = p->difference > p->half ? HKD_POLARITY_ASCENDING
               : p->difference < -p->half ? HKD_POLARITY_DESCENDING : HKD_POLARITY_UNDECIDED;
    p->ascending = p->verdict == HKD_POLARITY_UNDECIDED ? hkd_polarity_convention(rule) : p->verdict == HKD_POLARITY_ASCENDING;
}

hkd_status hkd_model_polarity(hkd_polarity *p, hkd_model *m, const hkd_model_levels *l, hkd_model_bands *b,
                              const hkd_ticker *ticker) {
    uint64_t seeds[HKD_POLARITY_IMAGES];
    double centroid[2][HKD_POLARITY_IMAGES];
    hkd_inputs noise;
    *p = (hkd_polarity){.n = HKD_POLARITY_IMAGES};
    for (int i = 0; i < HKD_POLARITY_IMAGES; i++) seeds[i] = (UINT64_C(1) << 40) + (uint64_t)i;
    for (int k = 0; k < 3; k++) hkd_band_interval(&p->third[k].from, &p->third[k].to, (hkd_band_name)k, true);
    p->third[0].centroid = centroid[0];
    p->third[2].centroid = centroid[1];
    hkd_status status = hkd_inputs_of_seeds(&noise, m, seeds, HKD_POLARITY_IMAGES);
    if (!status) status = hkd_model_band_marks(p->third, 3, &p->whole, NULL, m, &noise.in, l, b, ticker);
    if (!status) judge(p, centroid[0], centroid[1], &b->rule);
    p->third[0].centroid = p->third[2].centroid = NULL;
    hkd_inputs_free(&noise);
    return status;
}

void hkd_band_interval(double *from, double *to, hkd_band_name name, bool ascending) {
    const int third = ascending ? (int)name : 2 - (int)name;
    *from = third / 3.0;
    *to = third == 2 ? 1 : (third + 1) / 3.0;
}

void hkd_polarity_text(char *out, size_t size, const hkd_polarity *p) {
    static const char *const verdict[] = {"the model does not say which end is fine detail; high is by convention",
                                          "fine detail (high) is", "fine detail (high) is"};
    snprintf(out, size, "%s the %s ranks: without the lowest third minus without the highest, the centroid of %lld fixed "
             "pictures is %+.4f, 95 %% interval %+.4f to %+.4f cycles per picture", verdict[p->verdict],
             p->ascending ? "highest" : "lowest", (long long)p->n, p->difference, p->difference - p->half,
             p->difference + p->half);
}
