#include "generate.h"

#include "exact.h"
#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const hkd_sampler_name[] = {
#define NAME(id, name, steps, evaluations, count, what) #name,
    HKD_SAMPLERS(NAME)
};
#define CHOICE(id, name, steps, evaluations, count, what) "|" #name
const char *const hkd_sampler_choices = &(HKD_SAMPLERS(CHOICE))[1];

int64_t hkd_sampler_evaluations(const hkd_sampler_options *o) {
    const int64_t N = o->steps, second = o->alpha > 0, correctors = o->correctors;
    const int64_t all[] = {
#define EVALUATIONS(id, name, steps, evaluations, count, what) evaluations,
        HKD_SAMPLERS(EVALUATIONS)
    };
    return all[o->kind];
}

hkd_sampler_options hkd_sampler_default(hkd_sampler_kind kind, const hkd_config *c) {
    static const int64_t usual[] = {
#define STEPS(id, name, steps, evaluations, count, what) steps,
        HKD_SAMPLERS(STEPS)
    };
    static const hkd_schedule_kind own[] = {HKD_SCHEDULE_EDM, HKD_SCHEDULE_VP, HKD_SCHEDULE_VE, HKD_SCHEDULE_IDDPM,
                                            HKD_SCHEDULE_EDM}; /* by hkd_precond */
    hkd_sampler_options o = {.kind = kind, .steps = usual[kind], .rho = c->rho, .edm = hkd_edm_heun, .alpha = 1, .eta = 0,
                             .sde = c->precond == HKD_PRECOND_VE ? HKD_SDE_VE : HKD_SDE_VP, .correctors = 1, .snr = 0.16,
                             .tolerance = 1e-5, .floor = -1, .clip = kind == HKD_CONSISTENCY};
    o.disc = kind == HKD_DDIM || kind == HKD_DDPM ? own[c->precond] : HKD_SCHEDULE_EDM;
    return o;
}

/* ---- noise levels ------------------------------------------------------------------------------------------------------- */

static const double VP_END = 1e-3; /* of VP's time, as in EDM's sampler and in Score-SDE */

static double level(const hkd_config *c, double time) { return hkd_karras_sigma(1 - time, c->sigma_min, c->sigma_max, c->rho); }

/* From sigma_max on; each further step starts at its level, or at its time's. */
static hkd_status onestep_levels(double *sigma, const hkd_sampler_options *o, const double *times) {
    sigma[0] = o->sigma_max;
    for (int64_t i = 1; i < o->steps && o->levels; i++) {
        sigma[i] = times[i - 1];
        if (!(sigma[i] > o->floor && sigma[i] < sigma[i - 1]))
            return hkd_fail(HKD_USAGE, "levels must lie between %g and %g and decrease; %g does not", o->floor, o->sigma_max,
                            sigma[i]);
    }
    for (int64_t i = 0; i < o->steps && !o->levels; i++) {
        const double time = i && times ? times[i - 1] : 1 - (double)i / (double)o->steps;
        const double before = i < 2 || !times ? 1 : times[i - 2];
        if (i && times && !(time > 0 && time < before))
            return hkd_fail(HKD_USAGE, "times must lie between 0 and 1 and decrease; %g does not", time);
        sigma[i] = hkd_karras_sigma(1 - time, o->sigma_min, o->sigma_max, o->rho);
    }
    sigma[o->steps] = 0;
    return HKD_OK;
}

/* The usual ends of the way where none are given, and none that the network does not know. */
static hkd_status resolve_range(hkd_sampler_options *o, const hkd_config *c) {
    const hkd_schedule usual = hkd_schedule_default(o->disc);
    const bool of_sde = o->kind == HKD_SDE || o->kind == HKD_PC, own = !of_sde && o->disc == HKD_SCHEDULE_EDM;
    const hkd_sde_options vp = {.kind = o->sde, .vp = hkd_vp_default};
    const bool ve = o->sde == HKD_SDE_VE;
    double known[2], least = own ? c->sigma_min : usual.sigma_min, most = own ? c->sigma_max : usual.sigma_max;
    if (of_sde) least = ve ? 0.01 : hkd_sde_sigma(VP_END, &vp), most = ve ? 50 : hkd_sde_sigma(1, &vp);
    hkd_level_range(known, c->precond);
    o->sigma_min = fmax(o->sigma_min > 0 ? o->sigma_min : least, known[0]);
    o->sigma_max = fmin(o->sigma_max > 0 ? o->sigma_max : most, known[1]);
    if (o->floor < 0) o->floor = o->sigma_min;
    if (o->sigma_min < o->sigma_max) return HKD_OK;
    return hkd_fail(HKD_USAGE, "the noise levels must go from sigma_max down to sigma_min, not from %g to %g", o->sigma_max,
                    o->sigma_min);
}

/* VP and sub-VP between other ends: beta in the usual proportion, as large as sigma_max asks, until sigma_min is reached.
 * sub-VP's sigma is 2 sinh(B / 2), VP's sqrt(e^B - 1). */
static hkd_sde_options sde_of(const hkd_sampler_options *o) {
    double end[2] = {o->sigma_min, o->sigma_max};
    for (int i = 0; i < 2 && o->sde == HKD_SDE_SUB_VP; i++) {
        const double grown = end[i] / 2 + sqrt(end[i] * end[i] / 4 + 1); /* e^(B/2) */
        end[i] = sqrt(grown * grown - 1);
    }
    hkd_vp vp = hkd_vp_default;
    const double share = hkd_log(1 + end[1] * end[1]) / (vp.beta_d / 2 + vp.beta_min);
    vp.beta_d *= share;
    vp.beta_min *= share;
    return (hkd_sde_options){.kind = o->sde, .sigma_min = o->sigma_min, .sigma_max = o->sigma_max, .vp = vp,
                             .t_min = o->sde == HKD_SDE_VE ? 1e-5 : hkd_vp_time(end[0], &vp),
                             .correctors = o->kind == HKD_PC ? o->correctors : 0, .snr = o->snr};
}

static hkd_status check_model(const hkd_config *c, const hkd_sampler_options *o) {
    const bool one_step = o->kind == HKD_ONESTEP || o->kind == HKD_CONSISTENCY;
    if (!one_step && c->is_hkd)
        return hkd_fail(HKD_USAGE, "%s follows a denoiser; an HKD model goes to the end in one step: use onestep",
                        hkd_sampler_name[o->kind]);
    if (o->boundary > 0 && (c->is_hkd || c->precond != HKD_PRECOND_EDM))
        return hkd_fail(HKD_USAGE, "a boundary is for denoisers with EDM's preconditioning");
    return HKD_OK;
}

hkd_status hkd_generator_new(hkd_generator *g, hkd_model *m, const hkd_sampler_options *o, const double *times) {
    *g = (hkd_generator){.model = m, .o = *o, .class_label = -1};
    hkd_status status = check_model(&m->config, o);
    if (!status) status = resolve_range(&g->o, &m->config);
    if (status) return status;
    g->sigma = calloc((size_t)o->steps + 1, sizeof *g->sigma);
    if (!g->sigma) return hkd_fail(HKD_RESOURCES, "out of memory for the sampler");
    const hkd_schedule schedule = {o->disc, g->o.sigma_min, g->o.sigma_max, o->rho};
    const bool one_step = o->kind == HKD_ONESTEP || o->kind == HKD_CONSISTENCY;
    status = one_step ? onestep_levels(g->sigma, &g->o, times) : hkd_schedule_grid(g->sigma, o->steps, &schedule);
    g->sde = sde_of(&g->o);
    if (o->kind == HKD_RK45) g->sigma[0] = g->o.sigma_max;
    if (o->kind == HKD_SDE || o->kind == HKD_PC) g->sigma[0] = hkd_sde_sigma(1, &g->sde);
    else for (int64_t i = 0; i < o->steps && m->config.precond == HKD_PRECOND_IDDPM; i++)
        g->sigma[i] = hkd_iddpm_round(g->sigma[i]);
    return status;
}

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

void hkd_draw_labels(double *labels, const hkd_generator *g, const uint64_t *seeds, int64_t n) {
    const int64_t classes = g->model->config.label_dim;
    for (int64_t k = 0; k < n && classes; k++) {
        const int64_t label = g->class_label >= 0 ? g->class_label : hkd_random_label(seeds[k], classes);
        for (int64_t i = 0; i < classes; i++) labels[k * classes + i] = i == label;
    }
}

/* What one call works on. `sigmas` [n] is scratch: the network wants a noise level for each image. */
typedef struct {
    const hkd_generator *g;
    hkd_sampling s;
    hkd_noise noise;
    double *labels, *sigmas;
    const double *class_labels;
} request;

/* D, or with a boundary eps the consistency function with c_skip = d^2 / ((sigma - eps)^2 + d^2) and
 * c_out = d (sigma - eps) / sqrt(sigma^2 + d^2), d = sigma_data: x itself at sigma = eps. */
static hkd_status denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    request *r = self;
    const hkd_sampler_options *o = &r->g->o;
    const double sd = r->g->model->config.sigma_data, from = sigma - o->boundary;
    const bool bounded = o->boundary > 0;
    const hkd_model_input in = {.n = n, .x = x, .sigma = r->sigmas, .class_labels = r->class_labels};
    for (int64_t i = 0; i < n; i++) r->sigmas[i] = sigma;
    const hkd_status status = hkd_model_denoise(r->g->model, bounded ? NULL : d, bounded ? d : NULL, &in);
    for (int64_t i = 0; i < n * size && bounded && !status; i++)
        d[i] = sd * sd / (from * from + sd * sd) * x[i] + sd * from / sqrt(sigma * sigma + sd * sd) * d[i];
    return status;
}

static void end(request *r) {
    free(r->noise.generator);
    free(r->labels);
    free(r->sigmas);
}

static hkd_status seed_generators(request *r) {
    const hkd_generator *g = r->g;
    if (g->rng == HKD_RNG_HKD || g->draws) return HKD_OK;
    r->noise.generator = malloc((size_t)r->s.n * sizeof *r->noise.generator + 1);
    if (!r->noise.generator) return hkd_fail(HKD_RESOURCES, "out of memory for %lld generators", (long long)r->s.n);
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < r->s.n && !status; k++)
        status = hkd_foreign_seed(&r->noise.generator[k], r->s.seeds[k], g->rng);
    r->s.noise = &r->noise;
    return status;
}

/* After the latents, as EDM does it; drawn also where a class is given, so that later noise is the same. */
static hkd_status draw_foreign_labels(request *r) {
    const int64_t classes = r->g->model->config.label_dim;
    int64_t label;
    hkd_status status = HKD_OK;
    for (int64_t k = 0; k < r->s.n && classes && !status; k++) {
        status = hkd_foreign_label(&label, classes, &r->noise.generator[k]);
        for (int64_t i = 0; i < classes && r->g->class_label < 0; i++) r->labels[k * classes + i] = i == label;
    }
    return status;
}

/* Everything in place, and x at noise level `sigma`. */
static hkd_status begin(request *r, const hkd_generator *g, double *x, double sigma, const uint64_t *seeds, int64_t n,
                        const double *latents, const double *class_labels) {
    const hkd_config *c = &g->model->config;
    *r = (request){.g = g};
    r->s = (hkd_sampling){.denoise = denoise, .denoiser = r, .n = n, .seeds = seeds, .watch = g->watch, .watcher = g->watcher,
                          .size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution,
                          .round = c->precond == HKD_PRECOND_IDDPM ? hkd_iddpm_round : NULL};
    r->labels = calloc((size_t)(n * c->label_dim) + 1, sizeof *r->labels);
    r->sigmas = calloc((size_t)n + 1, sizeof *r->sigmas);
    if (!r->labels || !r->sigmas) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)n);
    hkd_draw_labels(r->labels, g, seeds, n);
    r->class_labels = class_labels ? class_labels : r->labels;
    if (g->draws) {
        r->noise = (hkd_noise){.given = latents, .draws = g->draws};
        r->s.noise = &r->noise;
    }
    hkd_status status = seed_generators(r);
    if (!status) status = hkd_draw_latents(x, &r->s, sigma);
    if (!status && r->noise.generator) status = draw_foreign_labels(r);
    for (int64_t i = 0; i < n * r->s.size && latents && !g->draws; i++) x[i] = sigma * latents[i];
    return status;
}

static hkd_status run(hkd_sampling *s, double *x, const hkd_generator *g) {
    const hkd_sampler_options *o = &g->o;
    hkd_edm_options edm = o->edm;
    const hkd_ablation_options ablation = {o->clock, o->vp_scaling, hkd_vp_of_range(o->sigma_min, o->sigma_max, VP_END),
                                           o->alpha, edm.churn, edm.churn_min, edm.churn_max, edm.churn_noise};
    edm.order = o->kind == HKD_HEUN ? 2 : 1;
    switch (o->kind) {
    case HKD_ONESTEP:
    case HKD_CONSISTENCY: return hkd_sample_multistep(s, x, g->sigma, o->steps, o->floor, o->clip);
    case HKD_HEUN:
    case HKD_EULER: return hkd_sample_edm(s, x, g->sigma, o->steps, &edm);
    case HKD_ABLATION: return hkd_sample_ablation(s, x, g->sigma, o->steps, &ablation);
    case HKD_DDIM: return hkd_sample_ddim(s, x, g->sigma, o->steps, o->eta);
    case HKD_DDPM: return hkd_sample_ddpm(s, x, g->sigma, o->steps, o->large_variance);
    case HKD_SDE:
    case HKD_PC: return hkd_sample_sde(s, x, o->steps, &g->sde);
    case HKD_RK45: return hkd_sample_rk45(s, x, g->sigma[0], o->sigma_min, o->tolerance, true);
    case HKD_SAMPLER_KINDS: break;
    }
    return hkd_fail(HKD_USAGE, "no such sampler");
}

hkd_status hkd_generate(const hkd_generator *g, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n,
                        const double *latents, const double *class_labels) {
    request r;
    hkd_status status = begin(&r, g, x, g->sigma[0], seeds, n, latents, class_labels);
    if (!status) status = run(&r.s, x, g);
    *nfe = r.s.nfe * (g->o.kind == HKD_RK45 ? 1 : n);
    end(&r);
    return status;
}

/* The number of `name` in "this|that". */
static hkd_status choose(int *out, const char *what, const char *name, const char *choices) {
    const char *at = choices;
    for (*out = 0;; ++*out) {
        const size_t n = strcspn(at, "|");
        if (n == strlen(name) && !strncmp(at, name, n)) return HKD_OK;
        if (!at[n]) return hkd_fail(HKD_USAGE, "%s '%s': expected %s", what, name, choices);
        at += n + 1;
    }
}

hkd_status hkd_sample_with(hkd_model *m, double *x, int64_t *nfe, const uint64_t *seeds, int64_t n, const char *sampler,
                           int64_t steps, const char *rng, int class_label) {
    hkd_generator g = {0};
    int kind = m->config.is_hkd ? HKD_ONESTEP : HKD_HEUN, stream = HKD_RNG_HKD;
    int64_t evaluations;
    hkd_status status = sampler ? choose(&kind, "sampler", sampler, hkd_sampler_choices) : HKD_OK;
    if (!status && rng) status = choose(&stream, "rng", rng, HKD_RNG_CHOICES);
    if (!status && (class_label < -1 || (class_label >= 0 && class_label >= m->config.label_dim)))
        status = hkd_fail(HKD_USAGE, "class %d: the model has %d classes", class_label, m->config.label_dim);
    if (!status && steps < 0) status = hkd_fail(HKD_USAGE, "%lld steps: expected one or more", (long long)steps);
    if (status) return status;
    hkd_sampler_options o = hkd_sampler_default((hkd_sampler_kind)kind, &m->config);
    if (steps) o.steps = steps;
    status = hkd_generator_new(&g, m, &o, NULL);
    g.rng = (hkd_rng_kind)stream;
    g.class_label = class_label;
    if (!status) status = hkd_generate(&g, x, nfe ? nfe : &evaluations, seeds, n, NULL, NULL);
    free(g.sigma);
    return status;
}

hkd_status hkd_sample(hkd_model *m, double *x, const uint64_t *seeds, int64_t n, int64_t steps) {
    if (steps < 1) return hkd_fail(HKD_USAGE, "%lld steps: expected one or more", (long long)steps);
    return hkd_sample_with(m, x, NULL, seeds, n, NULL, steps, NULL, -1);
}

/* ---- pictures along the way --------------------------------------------------------------------------------------------- */

static hkd_status allocate_latents(double **z, const hkd_model *m, int64_t n) {
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        z[i] = malloc((size_t)(n * hkd_count(&s)) * sizeof *z[i] + 1);
        if (!z[i]) return hkd_fail(HKD_RESOURCES, "out of memory for the latents of %lld images", (long long)n);
    }
    return HKD_OK;
}

/* dt carries latents from time 1 to `time`; for time 0 it is exactly that of one step. */
static double dt_to(const hkd_config *c, double time) {
    return hkd_dt_to_end(c, c->sigma_max) - hkd_dt_to_end(c, level(c, time));
}

hkd_status hkd_generate_path(const hkd_generator *g, double *x, const double *times, size_t count, const uint64_t *seeds,
                             int64_t n, const double *latents, const double *class_labels) {
    const hkd_config *c = &g->model->config;
    if (!c->is_hkd) return hkd_fail(HKD_USAGE, "only HKD models have states along the way");
    double *z[HKD_MAX_LATENTS + 1] = {NULL}, *noise = NULL, *dt = NULL;
    const int64_t size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    request r = {.g = g};
    hkd_status status = allocate_latents(z, g->model, n);
    if (!status) {
        noise = malloc((size_t)(n * size) * sizeof *noise + 1);
        dt = malloc((size_t)n * sizeof *dt + 1);
        if (!noise || !dt) status = hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)n);
    }
    if (!status) status = begin(&r, g, noise, c->sigma_max, seeds, n, latents, class_labels);
    if (!status) {
        const hkd_model_input in = {.n = n, .x = noise, .sigma = r.sigmas, .class_labels = r.class_labels, .dt = dt};
        for (int64_t i = 0; i < n; i++) r.sigmas[i] = c->sigma_max;
        for (int64_t i = 0; i < n; i++) dt[i] = 0;
        status = hkd_model_encode(g->model, z, &in);
        for (size_t t = 0; t < count && !status; t++) {
            for (int64_t i = 0; i < n; i++) dt[i] = dt_to(c, times[t]);
            status = hkd_model_decode(g->model, x + (int64_t)t * n * size, NULL, (const double *const *)z, &in);
        }
    }
    for (int i = 0; i <= HKD_MAX_LATENTS; i++) free(z[i]);
    free(noise);
    free(dt);
    end(&r);
    return status;
}
