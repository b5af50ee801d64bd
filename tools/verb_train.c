/* hkd train - train a denoiser (EDM's objective) or distil one into a one-step HKD model. */
#include "cost.h"
#include "fit.h"
#include "init.h"
#include "lists.h"
#include "rng.h"
#include "training.h"
#include "trajectory_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that a run owns. */
typedef struct {
    const hkd_args *args;
    hkd_device *dev;
    hkd_model *model, *network; /* network: the teacher, if it is one */
    hkd_fit fit;                /* or a closed form, fitted to the data */
    hkd_point_cloud cloud;
    hkd_path_teacher teacher;
    bool live;                  /* trajectories are made as they are needed */
    training_images data;
    hkd_trajectories trajectories;
    hkd_edm_objective edm;
    hkd_hkd_objective hkd;
    hkd_train_settings settings;
    hkd_trainer *trainer;
    char text[2048]; /* the settings as text: what a checkpoint must agree with */
} job;

static hkd_status whole(int64_t *out, const job *j, const char *name, int64_t least, int64_t most) {
    return hkd_arg_int(out, j->args, name, least, most);
}

/* ---- the network ---- */

static hkd_status read_integers(int *out, int *count, const char *what, const char *text) {
    double *values;
    size_t n;
    const hkd_status status = hkd_parse_times(&values, &n, what, text);
    if (status) return status;
    *count = n > HKD_MAX_LEVELS ? HKD_MAX_LEVELS : (int)n;
    for (int i = 0; i < *count; i++) out[i] = (int)values[i];
    free(values);
    return n > HKD_MAX_LEVELS ? hkd_fail(HKD_USAGE, "%s: at most %d numbers", what, (int)HKD_MAX_LEVELS) : HKD_OK;
}

static hkd_status new_network(hkd_config *c, const job *j) {
    int arch = 0;
    int64_t channels = 0, blocks = 0;
    hkd_status status = hkd_arg_choice(&arch, j->args, "arch", "ddpmpp|ncsnpp");
    if (status) return status;
    *c = hkd_config_default((hkd_arch)arch);
    c->img_channels = j->data.channels;
    c->img_resolution = j->data.resolution;
    c->label_dim = hkd_given(j->args, "conditional") ? j->data.classes : 0;
    status = whole(&channels, j, "channels", 4, 1024);
    if (!status) status = whole(&blocks, j, "blocks", 1, 16);
    if (!status) status = hkd_arg_real(&c->dropout, j->args, "dropout", 0, 0.99);
    if (!status) status = read_integers(c->channel_mult, &c->levels, "--mult", hkd_arg(j->args, "mult"));
    if (!status) status = read_integers(c->attn_resolutions, &c->attn_count, "--attention", hkd_arg(j->args, "attention"));
    c->model_channels = (int)channels;
    c->num_blocks = (int)blocks;
    return status;
}

static hkd_status start_edm(job *j) {
    hkd_config c;
    int64_t most = 0, seed = 0;
    hkd_status status = hkd_given(j->args, "data") ? whole(&most, j, "data-count", 0, INT64_MAX)
                                                   : hkd_fail(HKD_USAGE, "--objective edm needs --data");
    if (!status) status = whole(&seed, j, "seed", 0, INT64_MAX);
    if (!status) status = training_images_load(&j->data, hkd_arg(j->args, "data"), most, hkd_given(j->args, "quiet"));
    if (!status) status = new_network(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) status = hkd_init_weights(j->model->weights, (uint64_t)seed, false);
    j->edm = (hkd_edm_objective){.images = &j->data.images, .p_mean = -1.2, .p_std = 1.2, .xflip = hkd_given(j->args, "xflip"),
                                 .seed = (uint64_t)seed};
    j->settings.edm = &j->edm;
    return status;
}

/* ---- distillation ---- */

static void show_trajectories(void *self, int64_t done, int64_t total) {
    hkd_progress *bar = self;
    (void)total;
    hkd_progress_at(bar, done, NULL);
}

static hkd_status make_trajectories(job *j, const char *dir) {
    int64_t count = 0, steps = 0;
    char made_by[1024];
    hkd_progress bar;
    hkd_status status = whole(&count, j, "trajectory-count", 1, INT64_C(1) << 31);
    if (!status) status = whole(&steps, j, "trajectory-steps", 2, 1000);
    if (status) return status;
    snprintf(made_by, sizeof made_by, "{\"teacher\":\"%s\",\"steps\":%lld,\"first_seed\":4294967296}",
             hkd_arg(j->args, "teacher"),
             (long long)steps);
    hkd_progress_begin(&bar, "trajectories", "img", count, hkd_given(j->args, "quiet"));
    const hkd_trajectory_request r = {
        .count = count, .steps = steps, .first_seed = UINT64_C(1) << 32, .half = !hkd_given(j->args, "full-precision"),
        .made_by = made_by, .cancel = hkd_interrupt_flag(), .progress = show_trajectories, .progress_self = &bar};
    status = hkd_trajectories_make(dir, &j->teacher, &r);
    hkd_progress_end(&bar);
    return status;
}

static hkd_status live_trajectories(job *j) {
    int64_t count = 0, steps = 0;
    hkd_status status = whole(&count, j, "trajectory-count", 1, INT64_C(1) << 31);
    if (!status) status = whole(&steps, j, "trajectory-steps", 2, 1000);
    if (!status) status = hkd_paths_live(&j->trajectories, &j->teacher, UINT64_C(1) << 32, count, steps);
    j->live = !status;
    return status;
}

static hkd_status operators(hkd_config *c, const job *j) {
    int hierarchy = 0;
    const hkd_status status = hkd_arg_choice(&hierarchy, j->args, "hierarchy", "full|bottleneck|shared|none");
    c->is_hkd = true;
    c->hierarchy = (hkd_hierarchy)hierarchy;
    c->tie_bottleneck = hkd_given(j->args, "tie-bottleneck");
    return status ? status : hkd_arg_real(&c->dropout, j->args, "dropout", 0, 0.99);
}

/* A network teaches: its weights are the start, operators at 0. */
static hkd_status network_teacher(job *j, const char *path) {
    hkd_safetensors *st;
    hkd_status status = hkd_model_load(&j->network, path, j->dev);
    if (status) return status;
    if (j->network->config.is_hkd) return hkd_fail(HKD_USAGE, "%s is an HKD model already; a denoiser is needed", path);
    hkd_config c = j->network->config;
    j->teacher = (hkd_path_teacher){.model = j->network, .config = &j->network->config};
    status = operators(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = hkd_model_file_weights(j->model, st, "", true);
    hkd_safetensors_close(st);
    return status;
}

/* All pictures as floats in [-1, 1]. */
static hkd_status points_of(float **out, const training_images *data) {
    const int64_t size = (int64_t)data->channels * data->resolution * data->resolution, total = data->images.count * size;
    *out = malloc((size_t)total * sizeof **out + 1);
    if (!*out) return hkd_fail(HKD_RESOURCES, "out of memory for the teacher's pictures");
    for (int64_t i = 0; i < total; i++) (*out)[i] = (float)hkd_to_value(data->bytes[i]);
    return HKD_OK;
}

/* A closed form teaches; the network starts from nothing. */
static hkd_status exact_teacher(job *j, const char *kind, int64_t seed) {
    hkd_config c;
    int64_t most = 0, clusters = 0, rank = 0;
    float *points = NULL;
    hkd_status status = hkd_given(j->args, "data") ? whole(&most, j, "data-count", 0, INT64_MAX)
                                                   : hkd_fail(HKD_USAGE, "--teacher %s needs --data", kind);
    if (!status) status = whole(&clusters, j, "clusters", 1, 10000);
    if (!status) status = whole(&rank, j, "rank", 1, HKD_FIT_SAMPLE - 1);
    if (!status) status = training_images_load(&j->data, hkd_arg(j->args, "data"), most, hkd_given(j->args, "quiet"));
    if (!status) status = new_network(&c, j);
    c.label_dim = 0;
    if (!status) status = operators(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) status = hkd_init_weights(j->model->weights, (uint64_t)seed, false);
    if (!status) status = points_of(&points, &j->data);
    if (status) return status;
    j->cloud = (hkd_point_cloud){j->data.images.count, points};
    j->teacher = (hkd_path_teacher){.denoise = hkd_denoise_points, .self = &j->cloud, .config = &j->model->config};
    if (!strcmp(kind, "points")) return HKD_OK;
    j->teacher.denoise = hkd_denoise_mixture;
    j->teacher.self = &j->fit.mixture;
    return hkd_fit_mixture(&j->fit, points, j->cloud.count, (int64_t)c.img_channels * c.img_resolution * c.img_resolution,
                           !strcmp(kind, "gaussian") ? 1 : clusters, rank, (uint64_t)seed);
}

static bool is_exact(const char *teacher) {
    return !strcmp(teacher, "gaussian") || !strcmp(teacher, "mixture") || !strcmp(teacher, "points");
}

static hkd_status start_hkd(job *j) {
    const char *dir = hkd_arg(j->args, "trajectories"), *teacher = hkd_arg(j->args, "teacher");
    int64_t times = 0, seed = 0;
    if (!teacher) return hkd_fail(HKD_USAGE, "--objective hkd needs --teacher");
    hkd_status status = whole(&times, j, "times", 0, 64);
    if (!status) status = whole(&seed, j, "seed", 0, INT64_MAX);
    if (!status) status = is_exact(teacher) ? exact_teacher(j, teacher, seed) : network_teacher(j, teacher);
    if (!status) status = dir ? make_trajectories(j, dir) : live_trajectories(j);
    if (!status && dir) status = hkd_trajectories_open(&j->trajectories, dir);
    if (status) return status;
    const hkd_config *c = &j->model->config;
    if (dir && hkd_trajectories_size(&j->trajectories) != (int64_t)c->img_channels * c->img_resolution * c->img_resolution)
        return hkd_fail(HKD_BAD_FILE, "%s: its pictures have another size than the teacher's", dir);
    j->hkd = (hkd_hkd_objective){.trajectories = &j->trajectories, .times = (int)times, .seed = (uint64_t)seed};
    j->settings.hkd = &j->hkd;
    return HKD_OK;
}

/* ---- the run ---- */

static hkd_status read_settings(job *j, bool distil) {
    hkd_train_settings *s = &j->settings;
    const int64_t pictures = distil ? j->trajectories.count : j->data.images.count;
    int optimizer = 0;
    s->optimizer = HKD_OPTIMIZER_DEFAULT;
    s->lr_gamma = 1;
    hkd_status status = whole(&s->batch, j, "batch", 1, 1 << 20);
    if (!status) status = whole(&s->micro_batch, j, "micro-batch", 1, 256);
    if (!status) status = whole(&s->images, j, "images", 0, INT64_C(1) << 40);
    if (!status) status = whole(&s->epoch_images, j, "epoch-images", 0, INT64_C(1) << 40);
    if (!status) status = hkd_arg_real(&s->lr, j->args, "lr", 0, 1);
    if (!status) status = hkd_arg_real(&s->lr_warmup_images, j->args, "warmup", 0, 1e12);
    if (!status) status = hkd_arg_real(&s->lr_gamma, j->args, "lr-gamma", 0, 1);
    if (!status) status = hkd_arg_real(&s->optimizer.clip, j->args, "clip", 0, 1e12);
    if (!status) status = hkd_arg_choice(&optimizer, j->args, "optimizer", "adam|radam");
    s->optimizer.radam = optimizer == 1;
    s->lr_cosine = hkd_given(j->args, "cosine");
    if (!s->epoch_images) s->epoch_images = pictures;
    const int64_t samples = s->batch * (distil ? 1 + j->hkd.times : 1);
    if (s->micro_batch > samples) s->micro_batch = samples;
    snprintf(j->text, sizeof j->text,
             "objective=%s data=%s hierarchy=%s times=%d batch=%lld micro=%lld images=%lld epoch=%lld lr=%.17g warmup=%.17g "
             "gamma=%.17g cosine=%d clip=%.17g optimizer=%s xflip=%d seed=%s frozen=%s",
             distil ? "hkd" : "edm", hkd_arg(j->args, distil && !j->live ? "trajectories" : distil ? "teacher" : "data"),
                 hkd_arg(j->args, "hierarchy"),
             distil ? j->hkd.times : 0, (long long)s->batch, (long long)s->micro_batch, (long long)s->images,
             (long long)s->epoch_images, s->lr, s->lr_warmup_images, s->lr_gamma, s->lr_cosine, s->optimizer.clip,
             hkd_arg(j->args, "optimizer"), j->edm.xflip, hkd_arg(j->args, "seed"),
             hkd_given(j->args, "freeze-operators") ? hkd_arg(j->args, "freeze-operators") : "no");
    return status;
}

/* Operators drawn once and left alone: does the loss miss what training makes of them? */
static hkd_status draw_operators(job *j) {
    int64_t seed = 0;
    double size = 0;
    hkd_status status = hkd_arg_real(&size, j->args, "freeze-operators", 0, 100);
    if (!status) status = whole(&seed, j, "seed", 0, INT64_MAX);
    for (int i = 0; i < j->model->weights->count && !status; i++) {
        hkd_weight *w = &j->model->weights->item[i];
        if (strncmp(w->name, "koopman.", 8)) continue;
        const int64_t count = hkd_count(&w->value.shape);
        const hkd_stream stream = {.seed = (uint64_t)seed, .purpose = HKD_FOR_WEIGHTS, .draw = (uint32_t)i};
        double *a = malloc((size_t)count * sizeof *a + 1);
        if (!a) return hkd_fail(HKD_RESOURCES, "out of memory for %s", w->name);
        hkd_random_normals(a, 0, count, &stream);
        for (int64_t k = 0; k < count; k++) a[k] = (float)(size * a[k]);
        status = j->dev->upload(j->dev, &w->value, a, HKD_F64);
        free(a);
    }
    return status;
}

static hkd_status train(job *j) {
    const char *out = hkd_arg(j->args, "out"), *log = hkd_arg(j->args, "log");
    char checkpoint[4096], plot[4096];
    double minutes = 0;
    hkd_status status = hkd_arg_real(&minutes, j->args, "checkpoint-minutes", 0, 1e6);
    if (!status && hkd_given(j->args, "freeze-operators")) status = draw_operators(j);
    const int64_t samples = j->settings.batch * (j->settings.hkd ? 1 + j->hkd.times : 1);
    if (!status) status = hkd_fit_batch(j->args, j->model, samples, &j->settings.micro_batch, true);
    if (!status) status = hkd_trainer_new(&j->trainer, j->model, &j->settings);
    if (status) return status;
    for (int i = 0; i < j->model->weights->count && hkd_given(j->args, "freeze-operators"); i++)
        if (!strncmp(j->model->weights->item[i].name, "koopman.", 8)) j->model->weights->item[i].trained = false;
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", out);
    const bool resume = hkd_given(j->args, "resume") && hkd_exists(checkpoint);
    const training_run run = {.trainer = j->trainer, .what = j->settings.hkd ? "distil" : "train", .settings = j->text,
                              .checkpoint = checkpoint, .every = 60 * minutes, .log = log, .resume = resume,
                              .quiet = hkd_given(j->args, "quiet")};
    hkd_say(j->args, "%s: %lld trained parameters on %s (%s)\n", run.what,
            (long long)hkd_weights_total(j->model->weights, true), j->dev->kind, j->dev->name);
    status = training_run_to_end(&run);
    if (!status) status = hkd_model_save(j->model, j->trainer->optimizer->ema, out, NULL, 0);
    if (!status && log) {
        const size_t length = strlen(log), stem = length > 4 && !strcmp(log + length - 4, ".csv") ? length - 4 : length;
        snprintf(plot, sizeof plot, "%.*s.svg", (int)stem, log);
        status = training_plot(log, plot, run.what);
    }
    if (!status) hkd_say(j->args, "wrote %s\n", out);
    return status;
}

static hkd_status run(const hkd_args *args) {
    job j = {.args = args};
    int objective = 0;
    hkd_status status = hkd_given(args, "out") ? hkd_arg_choice(&objective, args, "objective", "edm|hkd")
                                               : hkd_fail(HKD_USAGE, "--out is needed: where the model goes");
    if (!status && !objective && hkd_given(args, "freeze-operators"))
        status = hkd_fail(HKD_USAGE, "--freeze-operators is for --objective hkd");
    if (!status) status = hkd_open_device(&j.dev, args);
    if (!status) status = objective ? start_hkd(&j) : start_edm(&j);
    if (!status) status = read_settings(&j, objective == 1);
    if (!status) status = train(&j);
    hkd_trainer_free(j.trainer);
    if (j.live) hkd_paths_live_free(&j.trajectories);
    else if (j.trajectories.context) hkd_trajectories_close(&j.trajectories);
    hkd_model_free(j.network);
    hkd_model_free(j.model);
    hkd_fit_free(&j.fit);
    free((void *)(uintptr_t)j.cloud.points);
    training_images_free(&j.data);
    hkd_device_close(j.dev);
    return status;
}

const hkd_verb hkd_verb_train = {
    .name = "train",
    .summary = "train a denoiser, or distil one into a one-step HKD model",
    .option = {
        {"objective", "edm|hkd", "edm", "EDM's denoising loss, or HKD's distillation of a teacher"},
        {"out", "FILE", NULL, "the model (the average over the run); FILE.checkpoint keeps the run"},
        {"data", "SET", NULL, "what to learn (see `hkd data --help`)"},
        {"data-count", "N", "0", "only the first N pictures (0: all)"},
        {"conditional", NULL, NULL, "edm: give the network the class labels"},
        {"xflip", NULL, NULL, "edm: mirror every other picture"},
        {"arch", "ddpmpp|ncsnpp", "ddpmpp", "edm: the network"},
        {"channels", "N", "32", "edm: width of the first level"},
        {"mult", "LIST", "1,2,2", "edm: width of each level, in multiples of it"},
        {"blocks", "N", "2", "edm: residual blocks per level"},
        {"attention", "LIST", "16", "edm: resolutions with attention"},
        {"dropout", "P", "0", "between the convolutions of a block"},
        {"teacher", "FILE|KIND", NULL, "hkd: the denoiser to distil, also the start; or gaussian, mixture, points: exact, from "
                                       "--data"},
        {"clusters", "N", "10", "hkd: components of the mixture"},
        {"rank", "N", "64", "hkd: directions of a Gaussian that have a variance of their own"},
        {"trajectories", "DIR", NULL, "hkd: where the trajectories are, or will be made; without it each is made when needed"},
        {"trajectory-count", "N", "4096", "hkd: how many"},
        {"trajectory-steps", "N", "18", "hkd: steps of the Karras grid (2N - 1 evaluations each)"},
        {"full-precision", NULL, NULL, "hkd: store trajectories in float32 instead of float16"},
        {"times", "N", "4", "hkd: times per trajectory and step besides T; 0: no trajectory-consistency loss"},
        {"hierarchy", "KIND", "full", "hkd: full, bottleneck, shared or none (no Koopman operators)"},
        {"freeze-operators", "S", NULL, "hkd: operators are drawn from N(0, S^2) and not trained. The encoder is told the "
                                        "noise level "
                                        "and can absorb A: as low a loss shows how much of a trained spectrum is arbitrary"},
        {"tie-bottleneck", NULL, NULL, "hkd: the bottleneck shares the last skip's operator"},
        {"batch", "N", "64", "pictures or trajectories per step"},
        {"micro-batch", "N", "16", "samples in one pass (a multiple of 4); bounds memory, changes no result"},
        {"images", "N", "100000", "length of the run in pictures or trajectories"},
        {"epoch-images", "N", "0", "length of an epoch (0: the data once)"},
        {"lr", "X", "1e-3", "learning rate"},
        {"warmup", "N", "0", "pictures over which it grows from 0"},
        {"lr-gamma", "X", "1", "factor per epoch"},
        {"cosine", NULL, NULL, "let it fall to 0 along half a cosine"},
        {"clip", "X", "0", "largest norm of the gradient (0: no clipping)"},
        {"optimizer", "adam|radam", "adam", ""},
        {"log", "FILE.csv", NULL, "one row per step; a plot is made beside it"},
        {"checkpoint-minutes", "X", "5", "time between checkpoints"},
        {"resume", NULL, NULL, "continue from the checkpoint if there is one: bit for bit the run that was never stopped"},
    },
    .example = {
        "train --objective edm --data builtin:scenes --data-count 8192 --out teacher.safetensors --log teacher.csv",
        "train --objective hkd --teacher teacher.safetensors --trajectories out/paths --out model.safetensors",
    },
    .run = run,
};
