/* The calls of hkd_insight.h: what the other files of this folder measure and do, on a model and seeds. */
#include "hkd_insight.h"

#include "detail.h"
#include "edit_control.h"
#include "effect.h"
#include "image_spectrum.h"
#include "model_edit.h"
#include "model_path.h"
#include "paths.h"
#include "polarity.h"
#include "refit.h"
#include "restore.h"
#include "sides.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

struct hkd_insight {
    hkd_model *m; /* not owned */
    hkd_model_levels levels;
    hkd_model_bands bands;
    double from, to;
};

static int64_t picture_size(const hkd_model *m) {
    return (int64_t)m->config.img_channels * m->config.img_resolution * m->config.img_resolution;
}

hkd_status hkd_insight_open(hkd_insight **out, hkd_model *m) {
    *out = NULL;
    hkd_insight *in = calloc(1, sizeof *in);
    if (!in) return hkd_fail(HKD_RESOURCES, "out of memory for the operators");
    in->m = m;
    in->to = 1;
    hkd_status status = hkd_model_levels_read(&in->levels, m);
    if (!status) status = hkd_model_bands_new(&in->bands, &in->levels, &(hkd_band_rule){.key = HKD_BY_ALPHA, .dt = -1});
    if (status) hkd_insight_free(in);
    else *out = in;
    return status;
}

void hkd_insight_free(hkd_insight *in) {
    if (!in) return;
    hkd_model_bands_free(&in->bands);
    hkd_model_levels_free(&in->levels);
    free(in);
}

int hkd_insight_levels(const hkd_insight *in) { return (int)in->levels.count; }

hkd_insight_level hkd_insight_level_at(const hkd_insight *in, int level) {
    const hkd_level *v = &in->levels.level[level];
    return (hkd_insight_level){in->levels.name[level], in->levels.latent[level], v->d / 2, v->ah, v->aw};
}

/* ---- spectrum ---- */

void hkd_insight_spectrum(double *alpha, double *beta, const hkd_insight *in, int level) {
    const int64_t modes = hkd_mode_count(&in->levels.level[level]);
    for (int64_t m = 0; m < modes; m++) {
        const hkd_mode mode = hkd_mode_at(in->levels.level, level, m);
        alpha[m] = mode.alpha;
        beta[m] = mode.beta;
    }
}

void hkd_insight_discrete(double *re, double *im, double alpha, double beta, double dt) {
    const hkd_complex e = hkd_discrete_eigenvalue(alpha, beta, dt);
    *re = e.re;
    *im = e.im;
}

/* ---- bands ---- */

static hkd_status measure_detail(double **detail, hkd_insight *in) {
    for (int64_t k = 0; k < in->levels.count; k++) {
        detail[k] = malloc((size_t)hkd_mode_count(&in->levels.level[k]) * sizeof **detail + 1);
        if (!detail[k]) return hkd_fail(HKD_RESOURCES, "out of memory for the modes");
    }
    return hkd_model_detail(detail, in->m, &in->levels, NULL);
}

hkd_status hkd_insight_rank(hkd_insight *in, hkd_sort key, bool joint) {
    static const hkd_band_key internal[] = {HKD_BY_ALPHA, HKD_BY_ABS_ALPHA, HKD_BY_GROWTH, HKD_BY_MEASURE};
    double *detail[HKD_MAX_LATENTS] = {NULL};
    hkd_model_bands bands;
    if (key < HKD_SORT_ALPHA || key > HKD_SORT_DETAIL) return hkd_fail(HKD_USAGE, "sort key %d: expected 0 to 3", (int)key);
    const hkd_band_rule rule = {.key = internal[key], .dt = -1, .joint = joint, .measure = detail};
    hkd_status status = key == HKD_SORT_DETAIL ? measure_detail(detail, in) : HKD_OK;
    if (!status) {
        status = hkd_model_bands_new(&bands, &in->levels, &rule);
        bands.rule.measure = NULL;
        if (status) {
            hkd_model_bands_free(&bands);
        } else {
            hkd_model_bands_free(&in->bands);
            in->bands = bands;
            in->from = 0, in->to = 1;
        }
    }
    for (int64_t k = 0; k < in->levels.count; k++) free(detail[k]);
    return status;
}

hkd_status hkd_insight_choose(hkd_insight *in, double from, double to) {
    const hkd_status status = hkd_model_bands_choose(&in->bands, &in->levels, from, to);
    if (!status) in->from = from, in->to = to;
    return status;
}

void hkd_insight_mask(unsigned char *mask, const hkd_insight *in, int level) {
    memcpy(mask, in->bands.mask[level], (size_t)hkd_mode_count(&in->levels.level[level]));
}

static hkd_status check_times(const double *times, int64_t count) {
    for (int64_t t = 0; t < count; t++)
        if (!(times[t] >= 0 && times[t] <= 1)) return hkd_fail(HKD_USAGE, "time %g lies outside [0, 1]", times[t]);
    return HKD_OK;
}

/* The noise of seeds and the latents that the encoder makes of it; both are freed also after a failure. */
typedef struct {
    hkd_inputs noise;
    double *z[HKD_MAX_LATENTS + 1];
} encoded;

static hkd_status encode(encoded *out, hkd_insight *in, const uint64_t *seeds, int64_t n) {
    *out = (encoded){.z = {NULL}};
    hkd_status status = hkd_inputs_of_seeds(&out->noise, in->m, seeds, (size_t)n);
    if (!status) status = hkd_latents_new(out->z, in->m, n);
    return status ? status : hkd_model_encode(in->m, out->z, &out->noise.in);
}

static void encoded_free(encoded *e) {
    hkd_inputs_free(&e->noise);
    free(e->z[0]);
}

hkd_status hkd_insight_band_images(hkd_insight *in, double *d, const uint64_t *seeds, int64_t n, double time) {
    encoded e;
    hkd_status status = check_times(&time, 1);
    if (status) return status;
    status = encode(&e, in, seeds, n);
    if (!status) {
        hkd_inputs_set_dt(&e.noise, hkd_dt_from_noise(&in->m->config, time));
        status = hkd_model_bands_decode(in->m, d, (const double *const *)e.z, &e.noise.in, &in->levels, &in->bands);
    }
    encoded_free(&e);
    return status;
}

hkd_status hkd_insight_measure_polarity(hkd_insight_polarity *out, hkd_insight *in) {
    hkd_polarity p;
    hkd_status status = hkd_model_polarity(&p, in->m, &in->levels, &in->bands, NULL);
    if (!status) *out = (hkd_insight_polarity){p.difference, p.half, p.verdict != HKD_POLARITY_UNDECIDED, p.ascending};
    const hkd_status back = hkd_insight_choose(in, in->from, in->to);
    return status ? status : back;
}

hkd_status hkd_insight_band_mark(hkd_insight_mark *out, double *power, hkd_insight *in, const uint64_t *seeds, int64_t n) {
    const int64_t side = in->m->config.img_resolution, shells = hkd_spectrum_shells(side, side);
    hkd_band_mark mark = {.from = in->from, .to = in->to};
    hkd_inputs noise;
    double whole;
    if (power) mark.power_without = power + shells, mark.power_change = power + 2 * shells;
    hkd_status status = hkd_inputs_of_seeds(&noise, in->m, seeds, (size_t)n);
    if (!status) status = hkd_model_band_marks(&mark, 1, &whole, power, in->m, &noise.in, &in->levels, &in->bands, NULL);
    if (!status)
        *out = (hkd_insight_mark){whole, mark.without, mark.change, mark.share[0], mark.share[1], mark.share[2], shells};
    hkd_inputs_free(&noise);
    return status;
}

hkd_status hkd_insight_effect(hkd_insight *in, double *effect, const uint64_t *seeds, int64_t n, const double *times,
                              int64_t count) {
    const hkd_model_levels *l = &in->levels;
    const double *z[HKD_MAX_LATENTS];
    encoded e;
    hkd_status status = check_times(times, count);
    double *t = malloc((size_t)(3 * count) * sizeof *t + 1), *both = t + count; /* outside and inside the band */
    if (!status && !t) status = hkd_fail(HKD_RESOURCES, "out of memory for %lld times", (long long)count);
    if (!status) status = encode(&e, in, seeds, n);
    else e = (encoded){.z = {NULL}};
    for (int64_t k = 0; k < l->count; k++) z[k] = e.z[l->latent[k]];
    for (int64_t i = 0; i < count && !status; i++)
        t[i] = times[i] == 1 ? l->T : times[i] == 0 ? l->eps : l->T + hkd_dt_from_noise(&in->m->config, times[i]);
    if (!status)
        status = hkd_cumulative_effect(both, NULL, z, n, l->level, l->count, (const unsigned char *const *)in->bands.mask, 2,
                                       l->eps, l->T, t, count);
    if (!status) memcpy(effect, both + count, (size_t)count * sizeof *effect);
    encoded_free(&e);
    free(t);
    return status;
}

/* ---- path ---- */

hkd_status hkd_insight_path(hkd_insight *in, double *x, const uint64_t *seeds, int64_t n, const double *times, int64_t count) {
    encoded e;
    hkd_status status = check_times(times, count);
    if (status) return status;
    status = encode(&e, in, seeds, n);
    for (int64_t t = 0; t < count && !status; t++) {
        hkd_inputs_set_dt(&e.noise, hkd_dt_from_noise(&in->m->config, times[t]));
        status = hkd_model_decode(in->m, x + t * n * picture_size(in->m), NULL, (const double *const *)e.z, &e.noise.in);
    }
    encoded_free(&e);
    return status;
}

static hkd_status check_teacher(const hkd_insight *in, const hkd_model *teacher, int64_t steps) {
    const hkd_status status = hkd_teacher_check(teacher, in->m);
    if (status) return status;
    return steps > 0 ? HKD_OK : hkd_fail(HKD_USAGE, "teacher: %lld steps, expected at least 1", (long long)steps);
}

hkd_status hkd_insight_teacher_path(hkd_insight *in, double *x, hkd_model *teacher, const uint64_t *seeds, int64_t n,
                                    const double *times, int64_t count, int64_t steps) {
    hkd_inputs noise = {.seeds = NULL};
    hkd_status status = check_times(times, count);
    if (!status) status = check_teacher(in, teacher, steps);
    if (!status) status = hkd_inputs_of_seeds(&noise, in->m, seeds, (size_t)n);
    if (!status) status = hkd_teacher_states(x, teacher, in->m, &noise.in, times, count, steps, NULL);
    hkd_inputs_free(&noise);
    return status;
}

double hkd_insight_sigma(const hkd_insight *in, double time) { return hkd_level_at(&in->m->config, time); }

/* ---- edits and restoration ---- */

/* An edit as the model takes it; the inputs are freed also after a failure. */
typedef struct {
    hkd_inputs image, reference;
    hkd_edit_rule rule;
} edit_of_model;

static hkd_status edit_begin(edit_of_model *out, const hkd_insight *in, const hkd_edit *edit) {
    const bool whole = edit->everything || (in->from == 0 && in->to == 1);
    const size_t n = (size_t)edit->n;
    *out = (edit_of_model){.rule = {edit->ratio, whole ? NULL : in->bands.mask, edit->region}};
    hkd_status status = check_times(&edit->time, 1);
    if (!status && !edit->reference_seeds == !edit->reference)
        status = hkd_fail(HKD_USAGE, "an edit needs reference_seeds or a reference, one of the two");
    if (!status) status = hkd_inputs_of_seeds(&out->image, in->m, edit->seeds, n);
    if (!status && edit->reference_seeds) status = hkd_inputs_of_seeds(&out->reference, in->m, edit->reference_seeds, n);
    else if (!status) status = hkd_inputs_of_pictures(&out->reference, in->m, edit->reference, edit->seeds, n, edit->time);
    return status;
}

static void edit_end(edit_of_model *e) {
    hkd_inputs_free(&e->image);
    hkd_inputs_free(&e->reference);
}

hkd_status hkd_insight_edit(hkd_insight *in, double *d, const hkd_edit *edit) {
    edit_of_model e;
    hkd_status status = edit_begin(&e, in, edit);
    if (!status) status = hkd_model_edit(in->m, d, &e.image.in, &e.reference.in, &in->levels, &e.rule);
    edit_end(&e);
    return status;
}

hkd_status hkd_insight_edit_control(hkd_edit_control *out, hkd_insight *in, const hkd_edit *edit, uint64_t seed) {
    edit_of_model e;
    hkd_status status = edit_begin(&e, in, edit);
    if (!status)
        status = hkd_model_edit_control(out, in->m, &e.image.in, &e.reference.in, &in->levels, &e.rule, seed, NULL);
    edit_end(&e);
    return status;
}

hkd_status hkd_insight_restore(hkd_insight *in, double *x, const double *y, const hkd_known *known, const uint64_t *seeds,
                               int64_t n, int64_t steps) {
    const hkd_config *c = &in->m->config;
    hkd_inputs noise = {.seeds = NULL};
    if (known->channels != c->img_channels || known->side != c->img_resolution)
        return hkd_fail(HKD_USAGE, "restoration: pictures of %lld x %lld x %lld, expected the model's %d x %d x %d",
                        (long long)known->channels, (long long)known->side, (long long)known->side, c->img_channels,
                        c->img_resolution, c->img_resolution);
    hkd_status status = hkd_inputs_of_seeds(&noise, in->m, seeds, (size_t)n);
    if (!status) status = hkd_model_restore(in->m, x, y, known, &noise, steps, NULL, NULL);
    hkd_inputs_free(&noise);
    return status;
}

/* ---- Propositions C.2 and C.3 ---- */

hkd_status hkd_insight_consistency(hkd_consistency *out, hkd_insight *in, hkd_model *teacher, uint64_t first_seed,
                                   int64_t steps) {
    const hkd_path_teacher by = {.model = teacher, .config = &in->m->config};
    hkd_trajectories paths = {.count = 0};
    hkd_status status = check_teacher(in, teacher, steps);
    if (!status && steps < 2) status = hkd_fail(HKD_USAGE, "teacher: 1 step has no time between noise and picture");
    if (!status) status = hkd_paths_live(&paths, &by, first_seed, HKD_SIDES_PATHS, steps);
    if (status) return status;
    status = hkd_train_sides(out, in->m, &paths);
    hkd_paths_live_free(&paths);
    return status;
}

/* ---- identifiability ---- */

hkd_status hkd_insight_refit(hkd_refit *out, hkd_insight *in, hkd_model *teacher, const hkd_refit_settings *s) {
    const hkd_path_teacher by = {.model = teacher, .config = &in->m->config};
    const hkd_status status = check_teacher(in, teacher, s->steps);
    return status ? status : hkd_refit_run(out, in->m, teacher, &by, s);
}
