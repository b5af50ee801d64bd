#include "train_start.h"

#include "augment.h"
#include "init.h"
#include "lists.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hkd_status whole(int64_t *out, const train_job *j, const char *name, int64_t least, int64_t most) {
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

static hkd_status new_network(hkd_config *c, const train_job *j) {
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
    if (hkd_given(j->args, "augment")) c->augment_dim = HKD_AUGMENT_LABELS;
    return status;
}

/* Readings of the papers, chosen by name. */
static hkd_status choose_fields(hkd_config *c, const train_job *j) {
    const char *fields = hkd_arg(j->args, "fields");
    return fields ? hkd_config_set(c, fields, "--fields") : HKD_OK;
}

static hkd_status load_data(train_job *j) {
    int64_t most = 0;
    hkd_status status = whole(&most, j, "data-count", 0, INT64_MAX);
    if (!status) status = training_images_load(&j->data, hkd_arg(j->args, "data"), most, hkd_given(j->args, "quiet"));
    if (status) return status;
    training_images_hash(j->data_hash, &j->data);
    snprintf(j->learns_from, sizeof j->learns_from, "data %s", j->data_hash);
    return HKD_OK;
}

hkd_status train_start_edm(train_job *j) {
    const hkd_args *a = j->args;
    hkd_config c;
    int64_t seed = 0;
    j->edm = (hkd_edm_objective){.images = &j->data.images, .xflip = hkd_given(a, "xflip")};
    hkd_status status = hkd_given(a, "data") ? whole(&seed, j, "seed", 0, INT64_MAX)
                                             : hkd_fail(HKD_USAGE, "--objective edm needs --data");
    if (!status) status = hkd_arg_real(&j->edm.p_mean, a, "p-mean", -20, 20);
    if (!status) status = hkd_arg_real(&j->edm.p_std, a, "p-std", 0, 20);
    if (!status && hkd_given(a, "augment")) status = hkd_arg_real(&j->edm.augment, a, "augment", 1e-6, 1);
    if (!status) status = load_data(j);
    if (!status) status = new_network(&c, j);
    if (!status) status = choose_fields(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) status = hkd_init_weights(j->model->weights, (uint64_t)seed, false);
    j->edm.seed = (uint64_t)seed;
    j->settings.edm = &j->edm;
    return status;
}

/* ---- distillation ---- */

static void show_trajectories(void *self, int64_t done, int64_t total) {
    hkd_progress *bar = self;
    (void)total;
    hkd_progress_at(bar, done, NULL);
}

static hkd_status make_trajectories(train_job *j, const char *dir) {
    int64_t count = 0, steps = 0;
    double minutes = 0;
    char made_by[512];
    const hkd_config *c = j->teacher.config;
    const bool half = !hkd_given(j->args, "full-precision");
    hkd_progress bar;
    hkd_status status = whole(&count, j, "trajectory-count", 1, INT64_C(1) << 31);
    if (!status) status = whole(&steps, j, "trajectory-steps", 2, 1000);
    if (!status) status = hkd_arg_real(&minutes, j->args, "checkpoint-minutes", 0, 1e6);
    if (status) return status;
    snprintf(made_by, sizeof made_by,
             "{\"teacher\":\"%s\",\"steps\":%lld,\"sigma_min\":%.9g,\"sigma_max\":%.9g,\"rho\":%.9g,\"first_seed\":4294967296,"
             "\"stored\":\"%s\"}",
             j->learns_from, (long long)steps, c->sigma_min, c->sigma_max, c->rho, half ? "float16" : "float32");
    hkd_progress_begin(&bar, "trajectories", "img", count, hkd_given(j->args, "quiet"));
    const hkd_trajectory_request r = {
        .count = count, .steps = steps, .first_seed = UINT64_C(1) << 32, .half = half, .every = 60 * minutes,
        .made_by = made_by, .cancel = hkd_interrupt_flag(), .progress = show_trajectories, .progress_self = &bar};
    status = hkd_trajectories_make(dir, &j->teacher, &r);
    hkd_progress_end(&bar);
    if (!status) status = hkd_trajectories_open(&j->trajectories, dir);
    if (!status) j->trajectories.count = count; /* the folder may hold more */
    return status;
}

static hkd_status live_trajectories(train_job *j) {
    int64_t count = 0, steps = 0;
    hkd_status status = whole(&count, j, "trajectory-count", 1, INT64_C(1) << 31);
    if (!status) status = whole(&steps, j, "trajectory-steps", 2, 1000);
    if (!status) status = hkd_paths_live(&j->trajectories, &j->teacher, UINT64_C(1) << 32, count, steps);
    j->live = !status;
    return status;
}

static hkd_status operators(hkd_config *c, const train_job *j) {
    int hierarchy = 0;
    const hkd_status status = hkd_arg_choice(&hierarchy, j->args, "hierarchy", "full|bottleneck|shared|none");
    c->is_hkd = true;
    c->hierarchy = (hkd_hierarchy)hierarchy;
    c->tie_bottleneck = hkd_given(j->args, "tie-bottleneck");
    if (status) return status;
    const hkd_status fields = choose_fields(c, j);
    return fields ? fields : hkd_arg_real(&c->dropout, j->args, "dropout", 0, 0.99);
}

/* A network teaches: its weights are the start, operators at 0. */
static hkd_status network_teacher(train_job *j, const char *path) {
    hkd_safetensors *st;
    hkd_status status = hkd_model_load(&j->network, path, j->dev);
    if (status) return status;
    if (j->network->config.is_hkd) return hkd_fail(HKD_USAGE, "%s is an HKD model already; a denoiser is needed", path);
    char hash[65];
    hkd_config c = j->network->config;
    status = hkd_sha256_of_file(hash, path);
    snprintf(j->learns_from, sizeof j->learns_from, "network %s", hash);
    if (!status) status = operators(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) j->teacher = (hkd_path_teacher){.model = j->network, .config = &j->model->config};
    if (!status) status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = hkd_model_file_weights(j->model, st, "", true);
    hkd_safetensors_close(st);
    return status;
}

/* A closed form teaches; the network starts from nothing. */
static hkd_status exact_teacher(train_job *j, const char *kind, int64_t seed) {
    hkd_config c;
    int64_t clusters = 0, rank = 0;
    hkd_status status = hkd_given(j->args, "data") ? whole(&clusters, j, "clusters", 1, 10000)
                                                   : hkd_fail(HKD_USAGE, "--teacher %s needs --data", kind);
    if (!status) status = whole(&rank, j, "rank", 1, HKD_FIT_SAMPLE - 1);
    if (!status) status = load_data(j);
    if (!status) status = new_network(&c, j);
    c.label_dim = 0;
    if (!status) status = operators(&c, j);
    if (!status) status = hkd_model_new(&j->model, &c, j->dev);
    if (!status) status = hkd_init_weights(j->model->weights, (uint64_t)seed, false);
    if (status) return status;
    if (!strcmp(kind, "gaussian")) clusters = 1;
    if (strcmp(kind, "points"))
        snprintf(j->learns_from, sizeof j->learns_from, "mixture of %lld, rank %lld, seed %lld, data %s", (long long)clusters,
                 (long long)rank, (long long)seed, j->data_hash);
    j->teacher = (hkd_path_teacher){.config = &j->model->config};
    return hkd_exact_teacher_new(&j->exact, &j->teacher, kind, &j->data, clusters, rank, (uint64_t)seed);
}

hkd_status train_start_hkd(train_job *j) {
    const char *dir = hkd_arg(j->args, "trajectories"), *teacher = hkd_arg(j->args, "teacher");
    int64_t times = 0, seed = 0;
    int distance = 0;
    if (!teacher) return hkd_fail(HKD_USAGE, "--objective hkd needs --teacher");
    hkd_status status = whole(&times, j, "times", 0, 64);
    if (!status) status = whole(&seed, j, "seed", 0, INT64_MAX);
    if (!status) status = hkd_arg_choice(&distance, j->args, "distance", "mse|l2");
    if (!status) status = hkd_is_exact_teacher(teacher) ? exact_teacher(j, teacher, seed) : network_teacher(j, teacher);
    if (!status) status = dir ? make_trajectories(j, dir) : live_trajectories(j);
    j->hkd = (hkd_hkd_objective){.trajectories = &j->trajectories, .times = (int)times, .seed = (uint64_t)seed,
                                 .sum_times = hkd_given(j->args, "sum-times"), .distance = (hkd_distance)distance};
    j->settings.hkd = &j->hkd;
    return status ? status : perceptual_start(&j->perceptual, &j->hkd, j->args, &j->model->config, j->dev);
}

void train_job_free(train_job *j) {
    hkd_trainer_free(j->trainer);
    if (j->live) hkd_paths_live_free(&j->trajectories);
    else if (j->trajectories.context) hkd_trajectories_close(&j->trajectories);
    hkd_model_free(j->network);
    hkd_model_free(j->model);
    hkd_exact_teacher_free(&j->exact);
    training_images_free(&j->data);
    free(j->text);
    perceptual_end(&j->perceptual);
    hkd_device_close(j->dev);
}
