#include "sample_request.h"

#include "files.h"
#include "lists.h"
#include "npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each option is read when given; the rest stands as the sampler has it. */
static hkd_status read_numbers(hkd_sampler_options *o, const hkd_args *a) {
    const struct {
        const char *name;
        double *to, least, most;
    } real[] = {{"churn", &o->edm.churn, 0, 1e6}, {"churn-min", &o->edm.churn_min, 0, 1e9},
                {"churn-max", &o->edm.churn_max, 0, HUGE_VAL}, {"churn-noise", &o->edm.churn_noise, 0, 1e6},
                {"sigma-min", &o->sigma_min, 1e-9, 1e9}, {"sigma-max", &o->sigma_max, 1e-9, 1e9}, {"rho", &o->rho, 1e-3, 1e3},
                {"eta", &o->eta, 0, 1}, {"snr", &o->snr, 0, 1e3}, {"tolerance", &o->tolerance, 1e-14, 1},
                {"boundary", &o->boundary, 1e-9, 1}, {"floor", &o->floor, 0, 1e9}};
    hkd_status status = HKD_OK;
    for (size_t i = 0; i < sizeof real / sizeof *real && !status; i++)
        if (hkd_given(a, real[i].name)) status = hkd_arg_real(real[i].to, a, real[i].name, real[i].least, real[i].most);
    if (!status && hkd_given(a, "steps")) status = hkd_arg_int(&o->steps, a, "steps", 1, 100000);
    if (!status && hkd_given(a, "correctors")) status = hkd_arg_int(&o->correctors, a, "correctors", 1, 100);
    return status;
}

static hkd_status read_choices(hkd_sampler_options *o, const hkd_args *a) {
    static const double alpha[] = {0, 1, 0.5};
    int disc = (int)o->disc, clock = 0, scaling = 0, solver = 1, sde = (int)o->sde, variance = 0, clip = o->clip;
    const struct {
        const char *name, *choices;
        int *to;
    } choice[] = {{"disc", "edm|vp|ve|iddpm", &disc}, {"schedule", "linear|vp|ve", &clock}, {"scaling", "none|vp", &scaling},
                  {"solver", "euler|heun|midpoint", &solver}, {"sde", "ve|vp|sub-vp", &sde},
                  {"variance", "small|large", &variance}, {"clip", "no|yes", &clip}};
    hkd_status status = HKD_OK;
    for (size_t i = 0; i < sizeof choice / sizeof *choice && !status; i++)
        if (hkd_given(a, choice[i].name)) status = hkd_arg_choice(choice[i].to, a, choice[i].name, choice[i].choices);
    o->disc = (hkd_schedule_kind)disc;
    o->clock = (hkd_clock)clock;
    o->vp_scaling = scaling == 1;
    o->alpha = alpha[solver];
    o->sde = (hkd_sde_kind)sde;
    o->large_variance = variance == 1;
    o->clip = clip == 1;
    return status;
}

/* What was chosen, for those who look at the pictures later: every option that was given. */
static void describe(sample_job *j, const hkd_sampler_options *o) {
    static const char *const names[] = {"times", "levels", "disc", "schedule", "scaling", "solver", "churn",
                                        "churn-min", "churn-max", "churn-noise", "sigma-min", "sigma-max", "rho", "eta",
                                        "variance", "sde", "correctors", "snr", "tolerance", "boundary", "floor",
                                        "clip", "rng", "noise", "class", "decode-at", "latents", "math"};
    const hkd_device *dev = j->generator.model->dev;
    int at = snprintf(j->settings, sizeof j->settings, "sampler=%s steps=%lld device=%s %.*s", hkd_sampler_name[o->kind],
                      (long long)o->steps, dev->kind, (int)strcspn(dev->name, ","), dev->name); /* threads change no byte */
    for (size_t i = 0; i < sizeof names / sizeof *names && at < (int)sizeof j->settings; i++)
        if (hkd_given(j->args, names[i]))
            at += snprintf(j->settings + at, sizeof j->settings - (size_t)at, " %s=%s", names[i], hkd_arg(j->args, names[i]));
}

/* --times or --levels: where steps 2, 3, ... start. *starts is NULL without both. */
static hkd_status read_starts(double **starts, hkd_sampler_options *o, const hkd_args *a) {
    const char *option = hkd_given(a, "levels") ? "--levels" : "--times", *text = hkd_arg(a, option + 2);
    size_t count = 0;
    if (!text) return HKD_OK;
    if (hkd_given(a, "times") && hkd_given(a, "levels")) return hkd_fail(HKD_USAGE, "--times or --levels, not both");
    if (o->kind != HKD_ONESTEP && o->kind != HKD_CONSISTENCY)
        return hkd_fail(HKD_USAGE, "%s is for --sampler onestep and consistency", option);
    const hkd_status status = hkd_parse_times(starts, &count, option, text);
    if (!status && hkd_given(a, "steps") && o->steps != (int64_t)count + 1)
        return hkd_fail(HKD_USAGE, "%s lists the starts of the second step and later: %zu for --steps %lld, not %zu", option,
                        (size_t)o->steps - 1, (long long)o->steps, count);
    o->steps = (int64_t)count + 1;
    o->levels = hkd_given(a, "levels");
    return status;
}

static hkd_status read_sampler(sample_job *j, hkd_model *m) {
    const hkd_args *a = j->args;
    int kind = m->config.is_hkd ? HKD_ONESTEP : HKD_HEUN, rng = 0;
    double *starts = NULL;
    hkd_status status = hkd_given(a, "sampler") ? hkd_arg_choice(&kind, a, "sampler", hkd_sampler_choices) : HKD_OK;
    hkd_sampler_options o = hkd_sampler_default((hkd_sampler_kind)kind, &m->config);
    if (!status) status = read_numbers(&o, a);
    if (!status) status = read_choices(&o, a);
    if (!status) status = hkd_arg_choice(&rng, a, "rng", HKD_RNG_CHOICES);
    if (!status) status = read_starts(&starts, &o, a);
    if (!status && o.edm.churn > 0 && kind != HKD_HEUN && kind != HKD_EULER && kind != HKD_ABLATION)
        status = hkd_fail(HKD_USAGE, "--churn is for --sampler heun, euler or ablation");
    if (!status) status = hkd_generator_new(&j->generator, m, &o, starts);
    free(starts);
    j->generator.rng = (hkd_rng_kind)rng;
    if (!status) describe(j, &o);
    return status;
}

static hkd_status read_class(sample_job *j, const hkd_config *c) {
    int64_t label = 0;
    if (!hkd_given(j->args, "class")) return HKD_OK;
    if (!c->label_dim) return hkd_fail(HKD_USAGE, "--class: the model has no classes");
    const hkd_status status = hkd_arg_int(&label, j->args, "class", 0, c->label_dim - 1);
    j->generator.class_label = (int)label;
    return status;
}

/* [N, C, R, R] starts the images; of --noise it may be [N, D C, R, R]: D draws, all that a sampler uses. */
static hkd_status check_latents(sample_job *j, const hkd_config *c, const char *path, hkd_shape x, bool all) {
    const int64_t image[3] = {c->img_channels, c->img_resolution, c->img_resolution};
    char found[80], wanted[80];
    const int64_t n = hkd_given(j->args, "seeds") ? (int64_t)j->count : (int64_t)HKD_ANY;
    const hkd_shape want = hkd_shape_of(4, n, image[0], image[1], image[2]);
    const bool fits = x.rank == 4 && x.dim[1] == image[0] * j->generator.draws && x.dim[2] == image[1] &&
                      x.dim[3] == image[2] && (n == HKD_ANY || n == x.dim[0]);
    if (!all) j->generator.draws = 0;
    return fits ? HKD_OK
                : hkd_fail(HKD_BAD_FILE, "%s: 'latents' is %s, expected %s", path,
                           hkd_shape_text(found, sizeof found, x.rank, x.dim),
                           hkd_shape_text(wanted, sizeof wanted, 4, want.dim));
}

static hkd_status read_latents(sample_job *j, const hkd_config *c) {
    const bool all = hkd_given(j->args, "noise"), with_seeds = hkd_given(j->args, "seeds");
    const char *path = hkd_arg(j->args, all ? "noise" : "latents");
    const int64_t res = c->img_resolution, channels = all ? HKD_ANY : c->img_channels; /* all: of D draws */
    hkd_shape x = hkd_shape_of(4, (int64_t)HKD_ANY, channels, res, res);
    hkd_safetensors *st = NULL;
    hkd_status status = hkd_ends_with(path, ".npy") ? hkd_npy_read(&j->latents, &x, path) : hkd_safetensors_open(&st, path);
    if (!status && st) status = hkd_read_tensor(&j->latents, &x, st, "latents", false);
    j->generator.draws = all && x.rank == 4 && x.dim[1] > c->img_channels ? x.dim[1] / c->img_channels : 1;
    if (!status) status = check_latents(j, c, path, x, all);
    hkd_shape labels = hkd_shape_of(2, x.dim[0], (int64_t)c->label_dim);
    if (!status && st && c->label_dim && !hkd_given(j->args, "class"))
        status = hkd_read_tensor(&j->class_labels, &labels, st, "class_labels", true);
    hkd_safetensors_close(st);
    if (status || with_seeds) return status;
    free(j->seeds);
    j->count = (size_t)x.dim[0];
    j->seeds = malloc((j->count + 1) * sizeof *j->seeds);
    if (!j->seeds) return hkd_fail(HKD_RESOURCES, "out of memory for %zu seeds", j->count);
    for (size_t i = 0; i < j->count; i++) j->seeds[i] = i;
    return HKD_OK;
}

static hkd_status read_times(sample_job *j, const hkd_config *c) {
    if (!hkd_given(j->args, "decode-at")) return HKD_OK;
    hkd_status status = hkd_parse_times(&j->times, &j->time_count, "--decode-at", hkd_arg(j->args, "decode-at"));
    if (!status && !c->is_hkd) status = hkd_fail(HKD_USAGE, "--decode-at is for HKD models");
    if (!status && j->generator.o.steps > 1) status = hkd_fail(HKD_USAGE, "--decode-at shows one step: leave out --steps");
    if (!status && j->target == SAMPLE_TO_FOLDER)
        status = hkd_fail(HKD_USAGE, "--decode-at needs --out FILE.png or FILE.safetensors");
    return status;
}

hkd_status sample_request(sample_job *j, hkd_model *m) {
    const hkd_config *c = &m->config;
    const bool noise = hkd_given(j->args, "noise"), latents = hkd_given(j->args, "latents");
    hkd_status status = read_sampler(j, m);
    if (!status) status = read_class(j, c);
    if (!status) status = read_times(j, c);
    if (!status && noise && latents) status = hkd_fail(HKD_USAGE, "--noise or --latents, not both");
    if (!status && (noise || latents)) status = read_latents(j, c);
    return status;
}
