/* hkd trajectory - a model's path from noise to picture at any times, beside its teacher's, and the shape of both. */
#include "files.h"
#include "hkd_insight.h"
#include "lists.h"
#include "model_file.h"
#include "model_path.h"
#include "os.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECODED, STATE, RECONSTRUCTED, KINDS };
static const char *const kind_name[KINDS] = {"decoded", "teacher", "reconstructed"};

typedef struct {
    hkd_subject s;
    hkd_model *teacher;
    hkd_inputs noise;
    double *times;
    int64_t count, n, size;                      /* times, images, numbers in one */
    double *pictures[KINDS];                     /* [count, n, size] */
    double *z[HKD_MAX_LATENTS + 1], *moved[HKD_MAX_LATENTS + 1], *encoded[HKD_MAX_LATENTS + 1];
    double *latents;                             /* [count, n, latent_size]: the path of all latents */
    int64_t latent_size;
    double *gap;                                 /* [count, n] */
    hkd_progress progress;
    int64_t passes;                              /* of the teacher, at most */
} job;

/* ---- the paths -------------------------------------------------------------------------------------------------------- */

static hkd_status room(job *j) {
    const hkd_model *m = j->s.model;
    const size_t bytes = (size_t)(j->count * j->n * j->size) * sizeof(double) + 1;
    hkd_status status = hkd_latents_new(j->z, m, j->n);
    if (!status) status = hkd_latents_new(j->moved, m, j->n);
    if (!status) status = hkd_latents_new(j->encoded, m, j->n);
    for (int k = 0; k < KINDS; k++) j->pictures[k] = calloc(1, bytes);
    for (int i = 0; i < hkd_model_latent_count(m); i++) {
        const hkd_shape s = hkd_model_latent_shape(m, i);
        j->latent_size += hkd_count(&s);
    }
    j->latents = malloc((size_t)(j->count * j->n * j->latent_size) * sizeof(double) + 1);
    j->gap = calloc((size_t)(j->count * j->n) + 1, sizeof *j->gap);
    const bool good = j->pictures[0] && j->pictures[1] && j->pictures[2] && j->latents && j->gap;
    return status || good ? status : hkd_fail(HKD_RESOURCES, "out of memory for %lld states", (long long)(j->count * j->n));
}

/* The latents of every image at one time, each image's behind each other. */
static void keep_latents(job *j, double *to) {
    int64_t at = 0;
    for (int i = 0; i < hkd_model_latent_count(j->s.model); i++) {
        const hkd_shape s = hkd_model_latent_shape(j->s.model, i);
        const int64_t size = hkd_count(&s);
        for (int64_t k = 0; k < j->n; k++) memcpy(to + k * j->latent_size + at, j->moved[i] + k * size,
                                                  (size_t)size * sizeof *to);
        at += size;
    }
}

static hkd_status own_path(job *j) {
    hkd_status status = hkd_model_encode(j->s.model, j->z, &j->noise.in);
    for (int64_t t = 0; t < j->count && !status; t++) {
        const double dt = hkd_dt_from_noise(&j->s.model->config, j->times[t]);
        hkd_inputs_set_dt(&j->noise, dt);
        status = hkd_model_decode(j->s.model, j->pictures[DECODED] + t * j->n * j->size, NULL, (const double *const *)j->z,
                                  &j->noise.in);
        if (!status) status = hkd_model_evolve(j->moved, (const double *const *)j->z, j->n, dt, j->s.model, &j->s.levels);
        if (!status) keep_latents(j, j->latents + t * j->n * j->latent_size);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        hkd_progress_at(&j->progress, t + 1, NULL);
    }
    return status;
}

/* What is shown as done after the model's own times, while the teacher goes through `passes` passes at most. */
static hkd_status teacher_moves(void *self, int64_t done, int64_t total) {
    job *j = self;
    (void)total;
    hkd_progress_at(&j->progress, j->count + done, NULL);
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : HKD_OK;
}

/* The teacher's state at each level, encoded there: carried to the end as a picture, and compared with the model's own
 * state. */
static hkd_status reconstruct(job *j) {
    hkd_status status = HKD_OK;
    for (int64_t t = 0; t < j->count && !status; t++) {
        hkd_model_input in = j->noise.in;
        in.x = j->pictures[STATE] + t * j->n * j->size;
        in.dt = NULL;
        for (int64_t i = 0; i < j->n; i++) j->noise.sigma[i] = hkd_level_at(&j->s.model->config, j->times[t]);
        status = hkd_model_encode(j->s.model, j->encoded, &in);
        if (!status)
            status = hkd_model_decode(j->s.model, j->pictures[RECONSTRUCTED] + t * j->n * j->size, NULL,
                                      (const double *const *)j->encoded, &in);
        const double dt = hkd_dt_from_noise(&j->s.model->config, j->times[t]);
        if (!status) status = hkd_model_evolve(j->moved, (const double *const *)j->z, j->n, dt, j->s.model, &j->s.levels);
        if (!status)
            hkd_model_latent_gap(j->gap + t * j->n, (const double *const *)j->encoded, (const double *const *)j->moved, j->n,
                                 &j->s.levels);
        hkd_progress_at(&j->progress, j->count + j->passes + t + 1, NULL);
    }
    return status;
}

/* A teacher's state of noise level sigma is brought to the size of the data, for the eye and for the shape of its path: as it
 * is, the first, largest noise levels would be all there is. */
static double shown(const job *j, int kind, int64_t t) {
    const hkd_config *c = &j->s.model->config;
    const double sigma = j->times[t] > 0 ? hkd_level_at(c, j->times[t]) : 0;
    return kind == STATE ? c->sigma_data / sqrt(sigma * sigma + c->sigma_data * c->sigma_data) : 1;
}

/* ---- the shape of the paths ------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    hkd_path_shape of; /* means over images */
} shape;

/* x [times, n, dim] of a kind of picture, or (KINDS) of latents; one image's path is gathered from it. */
static hkd_status measure(shape *out, const job *j, int kind) {
    const double *x = kind == KINDS ? j->latents : j->pictures[kind];
    const int64_t dim = kind == KINDS ? j->latent_size : j->size;
    double *path = malloc((size_t)(j->count * dim) * sizeof *path + 1);
    hkd_status status = path ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for a path");
    for (int64_t i = 0; i < j->n && !status; i++) {
        hkd_path_shape one;
        for (int64_t t = 0; t < j->count; t++)
            for (int64_t e = 0; e < dim; e++) path[t * dim + e] = shown(j, kind, t) * x[(t * j->n + i) * dim + e];
        status = hkd_trajectory_shape(&one, path, j->count, dim);
        for (int k = 0; k < 3; k++) out->of.explained[k] += one.explained[k] / (double)j->n;
        out->of.degrees += one.degrees / (double)j->n;
        out->of.residual += one.residual / (double)j->n;
    }
    free(path);
    return status;
}

static double rmse(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)n);
}

/* How far the reconstruction from each time is from the teacher's picture, per image. */
static double miss(const job *j, int64_t t, int64_t i) {
    const double *got = j->pictures[RECONSTRUCTED] + (t * j->n + i) * j->size;
    return rmse(got, j->pictures[STATE] + ((j->count - 1) * j->n + i) * j->size, j->size);
}

static void mean_over_images(double *gap, double *away, const job *j, int64_t t) {
    *gap = *away = 0;
    for (int64_t i = 0; i < j->n; i++) *gap += j->gap[t * j->n + i] / (double)j->n, *away += miss(j, t, i) / (double)j->n;
}

static void print_shapes(const job *j, const shape *shapes, int count) {
    printf("%-10s %30s %8s %10s\n%-10s %10s %9s %9s %8s %10s\n", "path", "explained by components", "angle", "residual", "",
           "1", "1-2", "1-3",
           "degrees", "of plane");
    for (int k = 0; k < count; k++)
        printf("%-10s %10.4f %9.4f %9.4f %8.2f %10.3g\n", shapes[k].name, shapes[k].of.explained[0], shapes[k].of.explained[1],
               shapes[k].of.explained[2], shapes[k].of.degrees, shapes[k].of.residual);
    if (!j->teacher) return;
    printf("%-10s %12s %16s %22s\n", "time", "sigma", "latent gap", "reconstruction RMSE");
    for (int64_t t = 0; t < j->count; t++) {
        double gap, away;
        mean_over_images(&gap, &away, j, t);
        printf("%-10.4g %12.5g %16.4g %22.5f\n", j->times[t], hkd_level_at(&j->s.model->config, j->times[t]), gap, away);
    }
}

static void print_json(const job *j, const shape *shapes, int count) {
    json_t *paths = json_array(), *times = json_array();
    for (int k = 0; k < count; k++)
        json_array_append_new(paths, json_pack("{s:s, s:[f,f,f], s:f, s:f}", "path", shapes[k].name, "explained",
                                               shapes[k].of.explained[0], shapes[k].of.explained[1],
                                               shapes[k].of.explained[2], "angle", shapes[k].of.degrees * acos(-1) / 180,
                                               "rotation_residual", shapes[k].of.residual));
    for (int64_t t = 0; t < j->count && j->teacher; t++) {
        double gap, away;
        mean_over_images(&gap, &away, j, t);
        json_array_append_new(times, json_pack("{s:f, s:f, s:f, s:f}", "time", j->times[t], "sigma",
                                               hkd_level_at(&j->s.model->config, j->times[t]), "latent_gap", gap,
                                                   "reconstruction_rmse", away));
    }
    json_t *all = json_pack("{s:o, s:o}", "paths", paths, "times", times);
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

static hkd_status report(const job *j, bool json) {
    shape shapes[3] = {{.name = "latents"}, {.name = "decoded"}, {.name = "teacher"}};
    hkd_status status = measure(&shapes[0], j, KINDS);
    if (!status) status = measure(&shapes[1], j, DECODED);
    if (!status && j->teacher) status = measure(&shapes[2], j, STATE);
    if (!status) (json ? print_json : print_shapes)(j, shapes, j->teacher ? 3 : 2);
    return status;
}

/* ---- pictures and tensors --------------------------------------------------------------------------------------------- */

/* A column for each time; for each image a row of each kind. */
static hkd_status save_sheet(const job *j, const hkd_args *a, const int *kinds, int count) {
    const int64_t rows = j->n * count;
    hkd_column *column = calloc((size_t)j->count, sizeof *column);
    double *values = malloc((size_t)(j->count * rows * j->size) * sizeof *values);
    char(*text)[48] = calloc((size_t)(rows + 2 * j->count), sizeof *text);
    const char **label = calloc((size_t)rows, sizeof *label);
    const bool good = column && values && text && label;
    for (int64_t t = 0; good && t < j->count; t++) {
        char *title = text[rows + 2 * t], *name = text[rows + 2 * t + 1];
        snprintf(title, sizeof *text, "%.3g", j->times[t]);
        snprintf(name, sizeof *text, "time_%.4f", j->times[t]);
        column[t] = (hkd_column){title, name, values + t * rows * j->size};
        for (int64_t r = 0; r < rows; r++) {
            const double *from = j->pictures[kinds[r % count]] + (t * j->n + r / count) * j->size;
            double *to = values + (t * rows + r) * j->size, scale = shown(j, kinds[r % count], t);
            for (int64_t i = 0; i < j->size; i++) to[i] = scale * from[i];
        }
    }
    for (int64_t r = 0; good && r < rows; r++) {
        snprintf(text[r], sizeof *text, "%llu %s", (unsigned long long)j->noise.seeds[r / count], kind_name[kinds[r % count]]);
        label[r] = text[r];
    }
    const hkd_sheet sheet = {column, (int)j->count, rows, j->s.channels, j->s.side, label, NULL};
    const hkd_status status = good ? hkd_save_sheet(hkd_arg(a, "out"), &sheet, a)
                              : hkd_fail(HKD_RESOURCES, "out of memory for the sheet");
    free(label);
    free(text);
    free(values);
    free(column);
    return status;
}

static hkd_status save_pictures(const job *j, const hkd_args *a) {
    int kinds[KINDS] = {DECODED}, count = 1;
    if (j->teacher) kinds[count++] = STATE;
    if (hkd_given(a, "reconstruct")) kinds[count++] = RECONSTRUCTED;
    if (!hkd_ends_with(hkd_arg(a, "out"), ".safetensors")) return save_sheet(j, a, kinds, count);
    hkd_column column[KINDS]; /* as they are, by time, then image */
    for (int k = 0; k < count; k++) column[k] = (hkd_column){kind_name[kinds[k]], kind_name[kinds[k]], j->pictures[kinds[k]]};
    const hkd_sheet sheet = {column, count, j->count * j->n, j->s.channels, j->s.side, NULL, NULL};
    return hkd_save_sheet(hkd_arg(a, "out"), &sheet, a);
}

/* latents [times, images, all latents in order, flattened]. */
static hkd_status save_latents(const job *j, const char *path) {
    const hkd_shape list = hkd_shape_of(1, j->count);
    const hkd_saved t[] = {
        {.name = "latents", .type = HKD_DOUBLE, .shape = hkd_shape_of(3, j->count, j->n, j->latent_size), .as = HKD_F64,
         .data = j->latents},
        {.name = "times", .type = HKD_DOUBLE, .shape = list, .as = HKD_F64, .data = j->times}};
    return hkd_safetensors_save(path, t, 2, NULL, 0);
}

static hkd_status save_csv(const job *j, const char *path) {
    hkd_draft draft;
    const hkd_status status = hkd_draft_open(&draft);
    if (status) return status;
    FILE *out = draft.out;
    fprintf(out, "seed,time,sigma,decoded_to_end_rmse%s\n", j->teacher ? ",latent_gap,reconstruction_rmse" : "");
    for (int64_t i = 0; i < j->n; i++)
        for (int64_t t = 0; t < j->count; t++) {
            const double *d = j->pictures[DECODED] + (t * j->n + i) * j->size;
            fprintf(out, "%llu,%.17g,%.17g,%.17g", (unsigned long long)j->noise.seeds[i], j->times[t],
                    hkd_level_at(&j->s.model->config, j->times[t]),
                    rmse(d, j->pictures[DECODED] + ((j->count - 1) * j->n + i) * j->size, j->size));
            if (j->teacher) fprintf(out, ",%.17g,%.17g", j->gap[t * j->n + i], miss(j, t, i));
            fprintf(out, "\n");
        }
    return hkd_draft_save(&draft, path);
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status check_options(job *j, const hkd_args *a, int64_t *steps) {
    size_t count = 0;
    hkd_status status = hkd_parse_times(&j->times, &count, "--times", hkd_arg(a, "times"));
    j->count = (int64_t)count;
    for (int64_t t = 0; t < j->count && !status; t++) {
        if (!(j->times[t] >= 0 && j->times[t] <= 1)) status = hkd_fail(HKD_USAGE, "--times: %g lies outside [0, 1]",
                                                                       j->times[t]);
        else if (t && !(j->times[t] < j->times[t - 1])) status = hkd_fail(HKD_USAGE, "--times: expected to decrease, from "
                                                                                     "noise to picture");
    }
    if (!status && hkd_given(a, "reconstruct") && !hkd_given(a, "teacher"))
        status = hkd_fail(HKD_USAGE, "--reconstruct starts from the states of a --teacher");
    if (!status && hkd_given(a, "teacher") && (j->times[0] != 1 || j->times[j->count - 1] != 0))
        status = hkd_fail(HKD_USAGE, "--times: with --teacher expected to begin with 1 and to end with 0");
    if (!status) status = hkd_arg_int(steps, a, "steps", 1, 10000);
    if (!status && hkd_given(a, "out")) status = hkd_check_sheet_path(hkd_arg(a, "out"));
    static const char *const files[] = {"csv", "latents"};
    for (int k = 0; k < 2 && !status; k++)
        if (hkd_given(a, files[k])) status = hkd_check_writable(hkd_arg(a, files[k]));
    return status;
}

static hkd_status load_teacher(job *j, const char *path) {
    hkd_status status = hkd_model_load(&j->teacher, path, j->s.dev);
    if (status) return status;
    const hkd_config *t = &j->teacher->config, *m = &j->s.model->config;
    if (t->is_hkd) return hkd_fail(HKD_USAGE, "--teacher %s: expected a denoiser, not an HKD model", path);
    if (t->img_resolution != m->img_resolution || t->img_channels != m->img_channels || t->label_dim != m->label_dim)
        return hkd_fail(HKD_USAGE, "--teacher %s: pictures or classes differ from the model's", path);
    return HKD_OK;
}

static hkd_status work(job *j, const hkd_args *a, int64_t steps) {
    hkd_status status = hkd_given(a, "teacher") ? load_teacher(j, hkd_arg(a, "teacher")) : HKD_OK;
    if (!status) status = hkd_inputs_of_option(&j->noise, j->s.model, a, "seeds");
    j->n = j->noise.in.n;
    j->size = j->s.size;
    if (!status) status = room(j);
    j->passes = 2 * (steps + j->count); /* Heun, on the grid and at the times */
    hkd_progress_begin(&j->progress, "trajectory", "pass", j->teacher ? 2 * j->count + j->passes : j->count,
                       hkd_given(a, "quiet"));
    if (!status) status = own_path(j);
    if (!status && j->teacher)
        status = hkd_teacher_states(j->pictures[STATE], j->teacher, j->s.model, &j->noise.in, j->times, j->count, steps,
                                    &(hkd_ticker){teacher_moves, j});
    if (!status && j->teacher) status = reconstruct(j);
    hkd_progress_end(&j->progress);
    if (!status && hkd_given(a, "out")) status = save_pictures(j, a);
    if (!status && hkd_given(a, "csv")) status = save_csv(j, hkd_arg(a, "csv"));
    if (!status && hkd_given(a, "latents")) status = save_latents(j, hkd_arg(a, "latents"));
    return status ? status : report(j, hkd_given(a, "json"));
}

static hkd_status run(const hkd_args *a) {
    job j = {.n = 0};
    int64_t steps;
    hkd_status status = check_options(&j, a, &steps);
    if (!status) status = hkd_subject_open(&j.s, a);
    if (!status) status = work(&j, a, steps);
    for (int k = 0; k < KINDS; k++) free(j.pictures[k]);
    free(j.z[0]);
    free(j.moved[0]);
    free(j.encoded[0]);
    free(j.latents);
    free(j.gap);
    free(j.times);
    hkd_inputs_free(&j.noise);
    hkd_model_free(j.teacher);
    hkd_subject_free(&j.s);
    return status;
}

const hkd_verb hkd_verb_trajectory = {
    .name = "trajectory",
    .summary = "states along a model's path, beside its teacher's, and the shape of both",
    .option = {{"model", "M", NULL, "an HKD model"},
               {"teacher", "T", NULL, "the denoiser it learnt from: its true states at the same noise levels"},
               {"seeds", "LIST", "0-3", "the images"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"times", "LIST", "1:0:9", "from 1 (noise) to 0 (picture); the encoder runs once"},
               {"steps", "N", "18", "of the teacher's Heun grid, to which the times are added"},
               {"reconstruct", NULL, NULL, "the teacher's state at each time, encoded there and carried to the end (Figure 2)"},
               {"out", "F", NULL, "pictures: sheet.png (teacher's states at the size of the data), DIR/, F.safetensors (as "
                                  "they are)"},
               {"latents", "F.safetensors", NULL, "latents [times, images, all of them in order]"},
               {"csv", "F", NULL, "numbers of each image and time"}},
    .example = {"trajectory --model M.safetensors --seeds 0-3 --out path.png",
                "trajectory --model M.safetensors --teacher T.safetensors --reconstruct --out figure2.png --csv path.csv"},
    .run = run,
};
