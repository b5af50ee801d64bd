/* hkd sample - images from seeds: with an HKD model in one step, with a denoiser along its trajectory. */
#include "cost.h"
#include "files.h"
#include "grid.h"
#include "lists.h"
#include "model_file.h"
#include "os.h"
#include "progress.h"
#include "sample_request.h"
#include "sha256.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one seed. */
static int64_t pictures(const sample_job *j) { return j->times ? (int64_t)j->time_count : 1; }

/* ---- where it goes ------------------------------------------------------------------------------------------------------- */

static char *file_in(const char *dir, uint64_t seed) {
    char name[40];
    snprintf(name, sizeof name, "%06llu.%s", (unsigned long long)seed, hkd_image_ending());
    return hkd_path_join(dir, name);
}

static hkd_status check_target(sample_job *j) {
    const char *out = j->out;
    j->target = hkd_names_picture(out)                ? SAMPLE_TO_SHEET
                : hkd_ends_with(out, ".safetensors") ? SAMPLE_TO_TENSORS
                                                     : SAMPLE_TO_FOLDER;
    if (j->target != SAMPLE_TO_FOLDER) return hkd_check_writable(out);
    const char *slash = strrchr(out, '/'), *name = slash ? slash + 1 : out;
    if (!hkd_is_directory(out) && (hkd_exists(out) || strchr(name, '.'))) /* grid.jpg is no folder's name */
        return hkd_fail(HKD_USAGE, "--out %s: expected a folder (NAME/), or a name that ends in .png or .safetensors", out);
    hkd_status status = hkd_make_directory(out);
    char *probe = file_in(out, 0);
    if (!status) status = probe ? hkd_check_writable(probe) : hkd_fail(HKD_RESOURCES, "out of memory");
    free(probe);
    return status;
}

/* With --shard the seeds of that shard alone; those of all shards fill the folder, or their files are joined. */
static hkd_status keep_shard(sample_job *j) {
    int64_t first, last;
    if (!hkd_given(j->args, "shard")) return HKD_OK;
    if (j->target == SAMPLE_TO_SHEET || j->latents)
        return hkd_fail(HKD_USAGE, "--shard is for --out DIR or F.safetensors without given noise");
    const hkd_status status = hkd_arg_shard(&first, &last, j->args, (int64_t)j->count);
    if (status) return status;
    j->count = (size_t)(last - first);
    memmove(j->seeds, j->seeds + first, j->count * sizeof *j->seeds);
    return HKD_OK;
}

/* With --resume the seeds whose pictures are there need no work. */
static hkd_status drop_finished(sample_job *j) {
    size_t kept = 0;
    if (!hkd_given(j->args, "resume")) return HKD_OK;
    if (j->target != SAMPLE_TO_FOLDER || j->latents) return hkd_fail(HKD_USAGE, "--resume is for --out DIR without --latents");
    for (size_t i = 0; i < j->count; i++) {
        char *path = file_in(j->out, j->seeds[i]);
        if (!path) return hkd_fail(HKD_RESOURCES, "out of memory");
        if (!hkd_exists(path)) j->seeds[kept++] = j->seeds[i];
        free(path);
    }
    hkd_say(j->args, "%zu of %zu pictures are there already", j->count - kept, j->count);
    j->count = kept;
    return HKD_OK;
}

static hkd_status write_picture(const sample_job *j, uint64_t seed, const double *x) {
    const hkd_config *c = &j->generator.model->config;
    char seed_text[24];
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    const hkd_metadata text[] = {{"seed", seed_text}, {"model_sha256", j->sha256}, {"settings", j->settings},
                                 {"Software", "hkd " HKD_VERSION}};
    hkd_image image = {0};
    char *path = file_in(j->out, seed);
    hkd_status status = path ? hkd_image_new(&image, c->img_resolution, c->img_resolution, c->img_channels)
                             : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) hkd_image_set(&image, x);
    if (!status) status = hkd_image_write(path, &image, text, sizeof text / sizeof *text);
    hkd_image_free(&image);
    free(path);
    return status;
}

/* "0.25" above each column, the seed before each row. */
static hkd_status write_sheet(const sample_job *j) {
    const hkd_config *c = &j->generator.model->config;
    const size_t tiles = j->count * (size_t)pictures(j), labels = j->count + j->time_count;
    char (*text)[24] = calloc(labels + 1, sizeof *text);
    const char **label = calloc(labels + 1, sizeof *label);
    int64_t columns;
    hkd_image sheet = {0};
    hkd_status status =
        text && label ? hkd_arg_int(&columns, j->args, "columns", 0, 10000) : hkd_fail(HKD_RESOURCES, "out of memory");
    if (!status) {
        for (size_t i = 0; i < labels; i++) {
            if (i < j->count) snprintf(text[i], sizeof text[i], "%llu", (unsigned long long)j->seeds[i]);
            else snprintf(text[i], sizeof text[i], "%.3g", j->times[i - j->count]);
            label[i] = text[i];
        }
        const hkd_grid_options o = {.columns = j->times ? (int)j->time_count : (int)columns,
                                    .row_label = j->times ? label : NULL,
                                    .column_label = j->times ? label + j->count : NULL};
        const hkd_metadata about[] = {{"seeds", hkd_arg(j->args, "seeds")},
                                      {"model_sha256", j->sha256},
                                      {"settings", j->settings},
                                      {"Software", "hkd " HKD_VERSION}};
        if (tiles > 1) {
            status = hkd_grid_of_values(&sheet, j->x, tiles, c->img_channels, c->img_resolution, c->img_resolution, &o);
        } else { /* one picture as it is: other verbs read it */
            status = hkd_image_new(&sheet, c->img_resolution, c->img_resolution, c->img_channels);
            if (!status) hkd_image_set(&sheet, j->x);
        }
        if (!status) status = hkd_image_write(j->out, &sheet, about, sizeof about / sizeof *about);
    }
    hkd_image_free(&sheet);
    free(label);
    free(text);
    return status;
}

/* x [images, C, R, R]; with --decode-at the pictures of one seed follow each other. Samples that their seeds alone make have
 * seeds [images]. */
static hkd_status write_tensors(const sample_job *j) {
    const hkd_config *c = &j->generator.model->config;
    const bool exact = !strcmp(j->generator.model->dev->kind, "ref");
    const hkd_saved x = {.name = "x", .type = exact ? HKD_DOUBLE : HKD_FLOAT, .as = HKD_F64, .data = j->x,
                         .shape = hkd_shape_of(4, (int64_t)j->count * pictures(j), (int64_t)c->img_channels,
                                               (int64_t)c->img_resolution, (int64_t)c->img_resolution)};
    hkd_metadata about[5] = {{"model_sha256", j->sha256}, {"settings", j->settings}, {"seeds", hkd_arg(j->args, "seeds")}};
    size_t notes = 3;
    if (j->times) about[notes++] = (hkd_metadata){"decode_at", hkd_arg(j->args, "decode-at")};
    if (hkd_given(j->args, "shard")) about[notes++] = (hkd_metadata){"shard", hkd_arg(j->args, "shard")};
    unsigned char *seeds = malloc(8 * j->count + 1);
    if (!seeds) return hkd_fail(HKD_RESOURCES, "out of memory for %zu seeds", j->count);
    hkd_stored_encode_u64(seeds, j->seeds, j->count);
    const hkd_saved t[] = {x, {.name = "seeds", .type = HKD_U64, .shape = hkd_shape_of(1, (int64_t)j->count), .bytes = seeds}};
    const hkd_status status = hkd_safetensors_save(j->out, t, j->times || j->latents ? 1 : 2, about, notes);
    free(seeds);
    return status;
}

/* ---- the work ------------------------------------------------------------------------------------------------------------ */

static hkd_status stop_if_cancelled(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    (void)self, (void)i, (void)sigma, (void)x, (void)n, (void)size;
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : HKD_OK;
}

/* Pictures along the way come ordered by time, then seed; put them by seed, then time. */
static hkd_status path_of_batch(sample_job *j, double *x, const uint64_t *seeds, int64_t n, const double *latents,
                                const double *labels) {
    const int64_t times = (int64_t)j->time_count;
    double *by_time = malloc((size_t)(times * n * j->size) * sizeof *by_time + 1);
    if (!by_time) return hkd_fail(HKD_RESOURCES, "out of memory for %lld pictures", (long long)(times * n));
    const hkd_status status = hkd_generate_path(&j->generator, by_time, j->times, j->time_count, seeds, n, latents, labels);
    for (int64_t t = 0; t < times && !status; t++)
        for (int64_t i = 0; i < n; i++)
            memcpy(x + (i * times + t) * j->size, by_time + (t * n + i) * j->size, (size_t)j->size * sizeof *x);
    free(by_time);
    j->nfe += n;
    return status ? status : stop_if_cancelled(NULL, 0, 0, NULL, 0, 0);
}

/* A damaged model, or a sampler that ran away, would give grey or noisy pictures without a word. */
static hkd_status check_finite(const sample_job *j, const double *x, size_t first, int64_t n) {
    for (int64_t i = 0; i < n * pictures(j) * j->size; i++)
        if (!isfinite(x[i]))
            return hkd_fail(HKD_CHECK_FAILED, "the picture of seed %llu is not finite: a damaged model, or steps too wide",
                            (unsigned long long)j->seeds[first + (size_t)(i / (pictures(j) * j->size))]);
    return HKD_OK;
}

static hkd_status one_batch(sample_job *j, size_t first, int64_t n) {
    const int64_t classes = j->generator.model->config.label_dim;
    double *x = j->x + (j->target == SAMPLE_TO_FOLDER ? 0 : (int64_t)first * pictures(j) * j->size);
    const int64_t draws = j->generator.draws ? j->generator.draws : 1;
    const double *latents = j->latents ? j->latents + (int64_t)first * draws * j->size : NULL;
    const double *labels = j->class_labels ? j->class_labels + (int64_t)first * classes : NULL;
    int64_t nfe = 0;
    hkd_status status = j->times ? path_of_batch(j, x, j->seeds + first, n, latents, labels)
                                 : hkd_generate(&j->generator, x, &nfe, j->seeds + first, n, latents, labels);
    j->nfe += nfe;
    if (!status) status = check_finite(j, x, first, n);
    for (int64_t i = 0; i < n && !status && j->target == SAMPLE_TO_FOLDER; i++)
        status = write_picture(j, j->seeds[first + (size_t)i], x + i * j->size);
    return status;
}

static hkd_status work(sample_job *j) {
    const int64_t batch = j->generator.model->batch;
    const int64_t kept = j->target == SAMPLE_TO_FOLDER ? batch : (int64_t)j->count;
    hkd_progress progress;
    j->x = malloc((size_t)(kept * pictures(j) * j->size) * sizeof *j->x + 1);
    if (!j->x) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)kept);
    hkd_status status = HKD_OK;
    hkd_progress_begin(&progress, "sample", "img", (int64_t)j->count, hkd_given(j->args, "quiet"));
    for (size_t first = 0; first < j->count && !status; first += (size_t)batch) {
        const int64_t rest = (int64_t)(j->count - first), n = rest < batch ? rest : batch;
        status = one_batch(j, first, n);
        hkd_progress_at(&progress, (int64_t)first + n, NULL);
    }
    hkd_progress_end(&progress);
    if (!status && j->target == SAMPLE_TO_SHEET) status = write_sheet(j);
    if (!status && j->target == SAMPLE_TO_TENSORS) status = write_tensors(j);
    return status;
}

static void report(const sample_job *j) {
    const double nfe = j->count ? (double)j->nfe / (double)j->count : 0; /* of one image; not a whole number for rk45 alone */
    if (hkd_given(j->args, "json")) {
        json_t *each = j->count && j->nfe % (int64_t)j->count ? json_real(nfe) : json_integer((json_int_t)nfe);
        json_t *o = json_pack("{s:s, s:s, s:I, s:o, s:s, s:s, s:b}", "schema", "hkd-sample-1", "out", j->out, "images",
                              (json_int_t)j->count * pictures(j), "nfe", each, "settings", j->settings,
                              "model_sha256", j->sha256, "decode_at", j->times != NULL);
        json_dumpf(o, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(o);
    } else if (j->times) {
        printf("%zu seeds at %zu times: 1 pass of the encoder, %zu of the decoder; %s\n", j->count, j->time_count,
               j->time_count, j->out);
    } else {
        printf("%zu images, NFE %.6g, %s; %s\n", j->count, nfe, j->settings, j->out);
    }
}

/* ---- the verb ------------------------------------------------------------------------------------------------------------ */

/* With few images, transforming the weights in each pass would cost most. */
static bool keeps_prepared(const sample_job *j) { return hkd_prepared_pays(j->batch) || hkd_prepared_pays((int64_t)j->count); }

static hkd_status prepare(sample_job *j, hkd_model *m) {
    const hkd_config *c = &m->config;
    j->size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    m->batch = j->batch;
    hkd_status status = sample_request(j, m);
    if (!status && j->target != SAMPLE_TO_TENSORS && c->img_channels != 1 && c->img_channels != 3)
        status =
            hkd_fail(HKD_USAGE, "pictures need 1 or 3 channels, the model has %d: use --out F.safetensors", c->img_channels);
    if (!status) status = keep_shard(j);
    if (!status) status = drop_finished(j);
    if (!status) status = hkd_fit_batch(j->args, m, (int64_t)j->count, &m->batch, false);
    if (!status) status = hkd_sha256_of_file(j->sha256, hkd_arg(j->args, "model"));
    j->generator.watch = stop_if_cancelled;
    return status;
}

static hkd_status run(const hkd_args *a) {
    sample_job j = {.args = a, .out = hkd_arg(a, "out")};
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    if (!hkd_given(a, "model") || !j.out) return hkd_fail(HKD_USAGE, "--%s is needed", j.out ? "model" : "out");
    hkd_status status = hkd_parse_seeds(&j.seeds, &j.count, "--seeds", hkd_arg(a, "seeds"));
    if (!status) status = hkd_arg_int(&j.batch, a, "batch", 1, 1 << 16);
    if (!status) status = check_target(&j);
    if (!status) status = hkd_open_device(&dev, a);
    const double start = hkd_seconds();
    if (!status) status = (keeps_prepared(&j) ? hkd_model_load_prepared : hkd_model_load)(&m, hkd_arg(a, "model"), dev);
    const double loaded = hkd_seconds();
    if (!status) status = prepare(&j, m);
    const double begin = hkd_seconds();
    if (!status) status = work(&j);
    if (!status) report(&j);
    if (!status && j.count)
        hkd_say(a, "weights loaded%s in %.2f s; %.3g s for each image", m->frozen ? " and prepared" : "", loaded - start,
                (hkd_seconds() - begin) / (double)j.count);
    free(j.seeds);
    free(j.latents);
    free(j.class_labels);
    free(j.times);
    free(j.x);
    free(j.generator.sigma);
    hkd_model_free(m);
    hkd_device_close(dev);
    return status;
}

#define SAMPLER_HELP(id, name, steps, evaluations, count, what) \
    "\n                                       " #name " (" #steps ", " count "): " what

const hkd_verb hkd_verb_sample = {
    .name = "sample",
    .summary = "make images from seeds, in one step or many",
    .option = {{"model", "M.safetensors", NULL, "an HKD model or a denoiser"},
               {"out", "F.png|DIR|F.safetensors", NULL, "one sheet, a folder with a picture for each seed, or the tensor x"},
               {"seeds", "LIST", "0-63", "image k depends on its seed alone"},
               {"sampler", "NAME", NULL,
                "not given: onestep for HKD models, heun for denoisers; N steps (usual: in brackets) take as many "
                "evaluations:" HKD_SAMPLERS(SAMPLER_HELP)},
               {"steps", "N", NULL, "not given: the sampler's usual number"},
               {"times", "T,T,...", NULL, "onestep, consistency: starts of steps 2, 3, ... (1 noise, 0 data); not given: even"},
               {"levels", "SIGMA,...", NULL, "the same starts as noise levels (ECT: consistency --levels 0.821 --floor 0)"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"rng", HKD_RNG_CHOICES, "hkd",
                "whose noise and class a seed means: this program's, EDM's (torch-cuda of seed mod 2^32), ..."},
               {"noise", "F.npy|F.safetensors", NULL,
                "all noise from a file, no generator: `latents` [N,C,H,W], or [N,D C,H,W] with D draws (and `class_labels`)"},
               {"latents", "F.npy|F.safetensors", NULL,
                "start from the unit normals `latents` [N,C,H,W] (and `class_labels`) in a file; more noise as --rng has it"},
               {"decode-at", "T,T,...", NULL,
                "pictures along the way of an HKD model: a row for each seed, a column for each time"},
               {"columns", "N", "0", "of the sheet; 0: near a square"},
               {"disc", "edm|vp|ve|iddpm", NULL,
                "where the levels of heun, euler, ablation (edm), ddim and ddpm (the network's own) lie"},
               {"sigma-min", "SIGMA", NULL,
                "ends of the way; not given: those usual for --disc or --sde, as far as the network"},
               {"sigma-max", "SIGMA", NULL, "knows them (vp 0.001..152, ve 0.02..100, iddpm 0.0064..20291; its levels only)"},
               {"rho", "R", NULL, "--disc edm: how much the levels crowd at the low end (not given: the model's, 7)"},
               {"schedule", "linear|vp|ve", "linear", "ablation: sigma(t)"},
               {"scaling", "none|vp", "none", "ablation: s(t)"},
               {"solver", "euler|heun|midpoint", "heun", "ablation"},
               {"churn", "S", "0", "heun, euler, ablation: noise added per step (EDM's S_churn)"},
               {"churn-min", "SIGMA", "0", "lowest noise level where noise is added"},
               {"churn-max", "SIGMA", "inf", "highest noise level where noise is added"},
               {"churn-noise", "S", "1", "standard deviation of the added noise"},
               {"eta", "E", "0", "ddim: 0 deterministic, 1 ancestral"},
               {"variance", "small|large", "small", "ddpm: the posterior's, or beta"},
               {"sde", "ve|vp|sub-vp", NULL, "sde, pc (not given: ve for networks of that kind, else vp)"},
               {"correctors", "C", "1", "pc: Langevin steps in each step"},
               {"snr", "R", "0.16", "pc: their signal-to-noise ratio"},
               {"tolerance", "T", "1e-5", "rk45: relative and absolute"},
               {"boundary", "EPS", NULL, "consistency: c_skip and c_out that are exact at EPS (CM 0.002, ECT 0.003)"},
               {"floor", "SIGMA", NULL, "consistency: the level of what is predicted (not given: sigma_min; ECT 0)"},
               {"clip", "no|yes", NULL, "predictions to [-1, 1] (not given: yes for consistency, no for onestep)"},
               {"batch", "N", "16", "images in one pass; no image depends on it"},
               {"shard", "I/N", NULL,
                "part I (from 0) of N of the seeds: all together fill --out DIR as one run does; `hkd convert F0 F1 ... "
                "ALL.safetensors` joins what --out F.safetensors made into one run's file"},
               {"resume", NULL, NULL, "--out DIR: skip the pictures that are there"}},
    .example = {"sample --model data/scenes_hkd.safetensors --seeds 0-63 --out grid.png",
                "sample --model data/scenes_teacher.safetensors --steps 18 --out teacher/    35 evaluations for each image",
                "sample --model data/scenes_hkd.safetensors --seeds 0-7 --decode-at 1:0:9 --out time.png"},
    .run = run,
};
