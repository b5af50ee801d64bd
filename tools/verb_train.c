/* hkd train - train a denoiser (EDM's objective) or distil one into a one-step HKD model. */
#include "cost.h"
#include "files.h"
#include "refit.h"
#include "train_start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hkd_status whole(int64_t *out, const train_job *j, const char *name, int64_t least, int64_t most) {
    return hkd_arg_int(out, j->args, name, least, most);
}

/* ---- the run ---- */

/* Append the line "name=value". */
static hkd_status add_line(train_job *j, const char *name, const char *value) {
    const size_t before = j->text ? strlen(j->text) : 0, more = strlen(name) + strlen(value) + 3;
    char *text = realloc(j->text, before + more);
    if (!text) return hkd_fail(HKD_RESOURCES, "out of memory for the settings");
    j->text = text;
    snprintf(text + before, more, "%s=%s\n", name, value);
    return HKD_OK;
}

/* The run as text: what it learns from, by content, and every option that can change a bit of the result. Checkpoint and model
 * keep it. */
static hkd_status describe(train_job *j) {
    static const char *const no_matter[] = {"out",    "data",    "teacher",            "trajectories",
                                            "config", "log",     "checkpoint-minutes", "resume", "perceptual",
                                            "device", "threads", "json",               "quiet", "force", "help",
                                            "consistency-every"};
    hkd_status status = add_line(j, "learns from", j->learns_from);
    if (!status) status = add_line(j, "perceptual term", j->perceptual.text);
    for (int list = 0; list < 2; list++)
        for (const hkd_option *o = list ? hkd_common_option : j->args->verb->option; o->name && !status; o++) {
            size_t k = 0;
            while (k < sizeof no_matter / sizeof *no_matter && strcmp(no_matter[k], o->name)) k++;
            if (k < sizeof no_matter / sizeof *no_matter) continue;
            const char *value = hkd_arg(j->args, o->name);
            status = add_line(j, o->name, !value ? "no" : *value ? value : "yes");
        }
    return status;
}

/* Samples in one pass: as given, or the largest that divides a step. */
static hkd_status read_micro_batch(train_job *j, int64_t samples) {
    hkd_train_settings *s = &j->settings;
    const hkd_status status = whole(&s->micro_batch, j, "micro-batch", 1, 256);
    while (!hkd_given(j->args, "micro-batch") && s->micro_batch > 4 && samples % s->micro_batch) s->micro_batch -= 4;
    if (s->micro_batch > samples || (!hkd_given(j->args, "micro-batch") && samples % 4)) s->micro_batch = samples;
    return status;
}

static hkd_status read_settings(train_job *j, bool distil) {
    hkd_train_settings *s = &j->settings;
    const hkd_args *a = j->args;
    int optimizer = 0;
    s->optimizer = HKD_OPTIMIZER_DEFAULT;
    s->lr_gamma = distil ? 0.95 : 1; /* hkd.md C12; EDM's learning rate is constant */
    int64_t times = 0;
    hkd_status status = whole(&s->batch, j, "batch", 1, 1 << 20);
    if (!status) status = whole(&times, j, "times", 0, 64);
    if (!status) status = read_micro_batch(j, s->batch * (distil ? 1 + times : 1));
    if (!status) status = whole(&s->images, j, "images", 0, INT64_C(1) << 40);
    if (!status) status = whole(&s->epoch_images, j, "epoch-images", 0, INT64_C(1) << 40);
    if (!status) status = hkd_arg_real(&s->lr, a, "lr", 1e-12, 1);
    if (!status) status = hkd_arg_real(&s->lr_warmup_images, a, "warmup", 0, 1e12);
    if (!status && hkd_given(a, "lr-gamma")) status = hkd_arg_real(&s->lr_gamma, a, "lr-gamma", 0, 1);
    if (!status) status = hkd_arg_real(&s->optimizer.clip, a, "clip", 0, 1e12);
    if (!status) status = hkd_arg_real(&s->optimizer.weight_decay, a, "weight-decay", 0, 1e6);
    if (!status) status = hkd_arg_real(&s->average.half_life, a, "ema-half-life", 0, 1e12);
    if (!status) status = hkd_arg_real(&s->average.ramp, a, "ema-ramp", 0, 1e6);
    if (!status) status = hkd_arg_choice(&optimizer, a, "optimizer", "adam|radam");
    s->optimizer.radam = optimizer == 1;
    s->lr_cosine = hkd_given(a, "cosine");
    return status;
}

/* Operators drawn once and left alone: does the loss miss what training makes of them? */
static hkd_status draw_operators(train_job *j) {
    int64_t seed = 0;
    double size = 0;
    hkd_status status = hkd_arg_real(&size, j->args, "freeze-operators", 0, 100);
    if (!status) status = whole(&seed, j, "seed", 0, INT64_MAX);
    return status ? status : hkd_draw_operators(j->model, size, (uint64_t)seed);
}

static hkd_status train(train_job *j) {
    const char *out = hkd_arg(j->args, "out"), *log = hkd_arg(j->args, "log");
    char checkpoint[4096], plot[4096];
    double minutes = 0;
    int64_t every = 0;
    hkd_status status = hkd_arg_real(&minutes, j->args, "checkpoint-minutes", 0, 1e6);
    if (!status) status = whole(&every, j, "consistency-every", 0, INT64_C(1) << 40);
    if (!status && hkd_given(j->args, "freeze-operators")) status = draw_operators(j);
    const int64_t samples = j->settings.batch * (j->settings.hkd ? 1 + j->hkd.times : 1);
    if (!status) status = hkd_fit_batch(j->args, j->model, samples, &j->settings.micro_batch, true);
    if (!status) status = hkd_trainer_new(&j->trainer, j->model, &j->settings);
    if (status) return status;
    if (hkd_given(j->args, "freeze-operators")) hkd_freeze_operators(j->model);
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", out);
    const bool resume = hkd_given(j->args, "resume") && hkd_exists(checkpoint);
    if (!j->settings.hkd || j->model->config.hierarchy == HKD_HIERARCHY_NONE) every = 0;
    training_run run = {.trainer = j->trainer, .what = j->settings.hkd ? "distil" : "train", .settings = j->text,
                        .checkpoint = checkpoint, .every = 60 * minutes, .log = log, .resume = resume, .sides_every = every,
                        .quiet = hkd_given(j->args, "quiet")};
    hkd_say(j->args, "%s: %lld trained parameters on %s (%s)\n", run.what,
            (long long)hkd_weights_total(j->model->weights, true), j->dev->kind, j->dev->name);
    status = training_run_to_end(&run);
    const hkd_metadata about = {"hkd.train", j->text};
    if (!status) status = hkd_model_save(j->model, j->trainer->optimizer->ema, out, &about, 1);
    if (!status && log) {
        const size_t length = strlen(log), stem = length > 4 && !strcmp(log + length - 4, ".csv") ? length - 4 : length;
        snprintf(plot, sizeof plot, "%.*s.svg", (int)stem, log);
        status = training_plot(log, plot, run.what);
    }
    if (!status) hkd_say(j->args, "wrote %s\n", out);
    return status;
}

/* ---- the verb ---- */

/* Named configurations: options that hold unless the command line says otherwise. */
static const struct {
    const char *config;
    bool distil;
    const char *option, *value;
} preset[] = {
    /* 1.8 million parameters for CIFAR-10, less than two hours on two cores for either model */
    {"cifar10-small", false, "channels", "32"},          {"cifar10-small", false, "mult", "1,2,2"},
    {"cifar10-small", false, "blocks", "2"},             {"cifar10-small", false, "attention", "16"},
    {"cifar10-small", false, "batch", "32"},             {"cifar10-small", false, "micro-batch", "32"},
    {"cifar10-small", false, "images", "110000"},        {"cifar10-small", false, "lr", "1e-3"},
    {"cifar10-small", false, "warmup", "6400"},          {"cifar10-small", false, "cosine", ""},
    {"cifar10-small", false, "xflip", ""},               {"cifar10-small", false, "clip", "1000"},
    {"cifar10-small", true, "trajectory-count", "3072"}, {"cifar10-small", true, "trajectory-steps", "18"},
    {"cifar10-small", true, "times", "2"},               {"cifar10-small", true, "batch", "16"},
    {"cifar10-small", true, "micro-batch", "24"},        {"cifar10-small", true, "images", "20000"},
    {"cifar10-small", true, "lr", "7e-4"},               {"cifar10-small", true, "lr-gamma", "1"},
    {"cifar10-small", true, "cosine", ""},               {"cifar10-small", true, "clip", "10"},
};

static hkd_status apply_config(hkd_args *a, bool distil) {
    const char *config = hkd_arg(a, "config");
    bool known = !config;
    for (size_t i = 0; i < sizeof preset / sizeof *preset && config; i++) {
        if (strcmp(preset[i].config, config)) continue;
        known = true;
        if (preset[i].distil == distil) hkd_arg_preset(a, preset[i].option, preset[i].value);
    }
    return known ? HKD_OK : hkd_fail(HKD_USAGE, "--config %s: expected cifar10-small", config);
}

/* Where results go must be writable before hours are spent on them. */
static hkd_status check_outputs(const hkd_args *a) {
    const char *out = hkd_arg(a, "out"), *log = hkd_arg(a, "log");
    if (!out) return hkd_fail(HKD_USAGE, "--out is needed: where the model goes");
    const hkd_status status = hkd_check_writable(out);
    return status || !log ? status : hkd_check_writable(log);
}

static hkd_status run(const hkd_args *args) {
    hkd_args with_config = *args;
    train_job j = {.args = &with_config};
    int objective = 0;
    hkd_status status = check_outputs(args);
    if (!status) status = hkd_arg_choice(&objective, args, "objective", "edm|hkd");
    if (!status) status = apply_config(&with_config, objective == 1);
    if (!status && !objective && hkd_given(args, "freeze-operators"))
        status = hkd_fail(HKD_USAGE, "--freeze-operators is for --objective hkd");
    if (!status && hkd_given(args, "half")) status = hkd_fail(HKD_USAGE, "--half is not for training: it has no gradients");
    if (!status) status = read_settings(&j, objective == 1); /* before minutes are spent on data or trajectories */
    if (!status) status = hkd_open_device(&j.dev, args);
    if (!status) status = objective ? train_start_hkd(&j) : train_start_edm(&j);
    if (!j.settings.epoch_images) j.settings.epoch_images = objective ? j.trajectories.count : j.data.images.count;
    if (!status) status = describe(&j);
    if (!status) status = train(&j);
    train_job_free(&j);
    return status;
}

const hkd_verb hkd_verb_train = {
    .name = "train",
    .summary = "train a denoiser, or distil one into a one-step HKD model",
    .option = {
        {"objective", "edm|hkd", "edm", "EDM's denoising loss, or HKD's distillation of a teacher"},
        {"config", "NAME", NULL, "cifar10-small: its options hold where none is given, for teacher (edm) and model (hkd)"},
        {"out", "FILE", NULL, "the model (the average over the run); FILE.checkpoint keeps the run"},
        {"data", "SET", NULL, "what to learn (see `hkd data --help`)"},
        {"data-count", "N", "0", "only the first N pictures (0: all)"},
        {"conditional", NULL, NULL, "edm: give the network the class labels"},
        {"xflip", NULL, NULL, "edm: mirror every other picture"},
        {"augment", "P", NULL, "edm: flip, scale, turn, stretch and shift with probability P each, and tell the network (EDM's "
                               "augmentation; 0.12 for CIFAR-10)"},
        {"p-mean", "X", "-1.2", "edm: mean of ln sigma"},
        {"p-std", "X", "1.2", "edm: its standard deviation"},
        {"arch", "ddpmpp|ncsnpp", "ddpmpp", "edm: the network"},
        {"channels", "N", "32", "edm: width of the first level"},
        {"mult", "LIST", "1,2,2", "edm: width of each level, in multiples of it"},
        {"blocks", "N", "2", "edm: residual blocks per level"},
        {"attention", "LIST", "16", "edm: resolutions with attention"},
        {"dropout", "P", "0", "between the convolutions of a block"},
        {"fields", "LIST", NULL, "NAME=VALUE,...: readings of the papers; precond, sigma_data, channel_mult_emb, and for hkd "
                                 "time, decoder_sigma, sigma_min, sigma_max, rho"},
        {"teacher", "FILE|KIND", NULL, "hkd: the denoiser to distil, also the start; or gaussian, mixture, points: exact, "
                                       "from --data"},
        {"clusters", "N", "10", "hkd: components of the mixture"},
        {"rank", "N", "64", "hkd: directions of a Gaussian that have a variance of their own"},
        {"trajectories", "DIR", NULL, "hkd: where the trajectories are, or will be made (Ctrl-C keeps what is ready, a kill "
                                      "loses at most 255); without it each is made when needed"},
        {"trajectory-count", "N", "4096", "hkd: how many"},
        {"trajectory-steps", "N", "18", "hkd: steps of the Karras grid (2N - 1 evaluations each)"},
        {"full-precision", NULL, NULL, "hkd: store trajectories in float32 instead of float16"},
        {"times", "N", "4", "hkd: times per trajectory and step besides T; 0: no trajectory-consistency loss"},
        {"sum-times", NULL, NULL, "hkd: their losses are summed, not averaged"},
        {"distance", "mse|l2", "mse", "hkd: mean of squares, or the norm"},
        {"perceptual", "lpips:FILE", NULL, "hkd: add LPIPS to the squared error (see `hkd eval --help` for the file)"},
        {"lambda1", "power|tower|one", "power", "hkd: weight of the squared error beside it: 10^(-3p), 10^(-(3^p)) with p = "
                                                "epoch/epochs, or 1"},
        {"lambda2", "X", "1", "hkd: weight of the perceptual term"},
        {"hierarchy", "KIND", "full", "hkd: full, bottleneck, shared or none (no Koopman operators)"},
        {"freeze-operators", "S", NULL, "hkd: operators are drawn from N(0, S^2) and not trained. The encoder is told the "
                                        "noise level and can absorb A: as low a loss shows how much of a trained spectrum is "
                                        "arbitrary"},
        {"tie-bottleneck", NULL, NULL, "hkd: the bottleneck shares the last skip's operator"},
        {"batch", "N", "64", "pictures or trajectories per step"},
        {"micro-batch", "N", "16", "most samples in one pass (a multiple of 4); bounds memory, changes no result"},
        {"images", "N", "100000", "length of the run in pictures or trajectories"},
        {"epoch-images", "N", "0", "length of an epoch (0: the data once)"},
        {"lr", "X", "1e-3", "learning rate"},
        {"warmup", "N", "0", "pictures over which it grows from 0"},
        {"lr-gamma", "X", NULL, "factor per epoch (not given: 0.95 for hkd, 1 for edm)"},
        {"cosine", NULL, NULL, "let it fall to 0 along half a cosine"},
        {"clip", "X", "0", "largest norm of the gradient (0: no clipping)"},
        {"optimizer", "adam|radam", "adam", "RAdam takes its steps without a variance while that is uncertain"},
        {"weight-decay", "X", "0", "X times the weight is added to its gradient"},
        {"ema-half-life", "N", "500000", "pictures after which an old weight counts half in the average; 0: the last weights"},
        {"ema-ramp", "X", "0.05", "at first the half-life is X times the pictures seen; 0: as long from the start"},
        {"log", "FILE.csv", NULL, "one row per step; a plot is made beside it"},
        {"consistency-every", "N", "50", "hkd: every N steps the log has both sides of Proposition C.2's corrected bound, "
                                          "measured on the first 4 trajectories at 3 times: consistency_loss (the square of "
                                          "what the picture changes when the latents of a later state take the place of the "
                                          "evolved ones) >= consistency_bound; the bound says something only while "
                                          "consistency_rho < 1 / (operators - 1). 0: never"},
        {"checkpoint-minutes", "X", "5", "time between checkpoints, of the run and of the trajectories before it"},
        {"resume", NULL, NULL, "continue from the checkpoint if there is one: bit for bit the run that was never stopped"},
    },
    .example = {
        "train --objective edm --data builtin:scenes --data-count 8192 --out teacher.safetensors --log teacher.csv",
        "train --objective hkd --teacher teacher.safetensors --trajectories out/paths --out model.safetensors",
    },
    .run = run,
};
