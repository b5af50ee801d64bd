#include "report.h"

#include "hkd_insight.h"
#include "model_path.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 21, STEPS = 18 };

double *hkd_report_room(const hkd_report *r, int64_t count) {
    return calloc((size_t)(count * r->size) + 1, sizeof(double));
}

hkd_status hkd_report_no_room(void) { return hkd_fail(HKD_RESOURCES, "out of memory for the report's pictures"); }

/* A blank that no line breaks at. */
const char **hkd_report_seeds(const hkd_report *r) {
    const int64_t n = r->noise.in.n;
    const char **title = malloc((size_t)n * (sizeof *title + 32) + 1);
    char *text = title ? (char *)(title + n) : NULL;
    for (int64_t i = 0; title && i < n; i++, text += 32) {
        snprintf(text, 32, "seed\302\240%llu", (unsigned long long)r->noise.seeds[i]);
        title[i] = text;
    }
    return title;
}

/* ---- the teacher ---- */

/* state [count, n, size] at times; the last is the teacher's picture. */
static hkd_status teacher_states(hkd_report *r, double *state, const double *times, int64_t count) {
    return hkd_teacher_states(state, r->o->teacher, r->model, &r->noise.in, times, count, STEPS,
                              &(hkd_ticker){hkd_report_tick, r});
}

/* ---- samples ---- */

hkd_status hkd_report_samples(hkd_report *r) {
    static const char *const rows[] = {"one step", "teacher, 35 evaluations"};
    const int64_t n = r->noise.in.n, count = r->o->teacher ? 2 : 1;
    double *both = hkd_report_room(r, 2 * n);
    const double end[] = {0};
    const char **seeds = hkd_report_seeds(r);
    int sheet;
    hkd_status status = both && seeds ? HKD_OK : hkd_report_no_room();
    if (!status) memcpy(both, r->samples, (size_t)(n * r->size) * sizeof *both);
    if (!status && r->o->teacher) status = teacher_states(r, both + n * r->size, end, 1);
    fputs("<section id=\"samples\"><h2>Samples</h2>\n<p>Each picture is made from the noise of its seed in one pass of the "
          "network.</p>\n", r->out);
    if (!status) status = hkd_report_sheet(&sheet, r, both, count, n);
    if (!status) hkd_report_gallery(r, sheet, rows, count, seeds, n);
    fputs("</section>\n", r->out);
    free(seeds);
    free(both);
    return status;
}

/* ---- trajectory ---- */

/* What is shown of one kind: [n, TIMES, size] from [TIMES, n, size], scaled to the size of the data. */
static hkd_status path_row(hkd_report *r, const double *by_time, const char *title, const double *scale) {
    const int64_t n = r->noise.in.n, size = r->size;
    double *by_seed = hkd_report_room(r, n * TIMES);
    int sheet;
    hkd_status status = by_seed ? HKD_OK : hkd_report_no_room();
    for (int64_t i = 0; i < n && !status; i++)
        for (int64_t t = 0; t < TIMES; t++)
            for (int64_t e = 0; e < size; e++)
                by_seed[(i * TIMES + t) * size + e] = by_time[(t * n + i) * size + e] * (scale ? scale[t] : 1);
    if (!status) status = hkd_report_sheet(&sheet, r, by_seed, n, TIMES);
    if (!status) {
        fprintf(r->out, "<p>%s</p>\n<div class=\"tiles\" style=\"grid-template-columns:repeat(auto-fill,minmax(64px,96px))\">",
                title);
        for (int64_t i = 0; i < n; i++) hkd_report_tile(r, sheet, i, -1, title);
        fputs("</div>\n", r->out);
    }
    free(by_seed);
    return status;
}

/* ---- the shape of paths ---- */

static void add_shape(hkd_path_shape *sum, const hkd_path_shape *one, int64_t n) {
    for (int k = 0; k < 3; k++) sum->explained[k] += one->explained[k] / (double)n;
    sum->degrees += one->degrees / (double)n;
    sum->residual += one->residual / (double)n;
}

/* Of pictures [TIMES, n, size], each time scaled; the mean over images. */
static hkd_status picture_shape(hkd_path_shape *mean, const hkd_report *r, const double *by_time, const double *scale) {
    const int64_t n = r->noise.in.n, size = r->size;
    double *path = hkd_report_room(r, TIMES);
    hkd_status status = path ? HKD_OK : hkd_report_no_room();
    *mean = (hkd_path_shape){.residual = 0};
    for (int64_t i = 0; i < n && !status; i++) {
        hkd_path_shape one;
        for (int64_t e = 0; e < TIMES * size; e++)
            path[e] = by_time[(e / size * n + i) * size + e % size] * (scale ? scale[e / size] : 1);
        status = hkd_trajectory_shape(&one, path, TIMES, size);
        if (!status) add_shape(mean, &one, n);
    }
    free(path);
    return status;
}

/* Of all latents together; one image at a time, for they are many. */
static hkd_status latent_shape(hkd_path_shape *mean, hkd_report *r, const double *times) {
    const int64_t n = r->noise.in.n, latents = hkd_model_latent_count(r->model);
    int64_t all = 0, size[HKD_MAX_LATENTS + 1];
    for (int64_t k = 0; k < latents; k++) {
        const hkd_shape shape = hkd_model_latent_shape(r->model, (int)k);
        all += size[k] = hkd_count(&shape);
    }
    double *path = malloc((size_t)(TIMES * all) * sizeof *path + 1);
    hkd_status status = path ? HKD_OK : hkd_report_no_room();
    *mean = (hkd_path_shape){.residual = 0};
    for (int64_t i = 0; i < n && !status; i++) {
        hkd_path_shape one;
        for (int64_t t = 0; t < TIMES && !status; t++) {
            const double *from[HKD_MAX_LATENTS + 1];
            double *to[HKD_MAX_LATENTS + 1], *at = path + t * all;
            for (int64_t k = 0; k < latents; at += size[k], k++) from[k] = r->z[k] + i * size[k], to[k] = at;
            status = hkd_model_evolve(to, from, 1, hkd_dt_from_noise(&r->model->config, times[t]), r->model, &r->levels);
        }
        if (!status) status = hkd_trajectory_shape(&one, path, TIMES, all);
        if (!status) add_shape(mean, &one, n);
    }
    free(path);
    return status;
}

static void shape_row(FILE *out, const char *name, const hkd_path_shape *s) {
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>%.2f %%</td><td>%.2f %%</td><td>%.1f&deg;</td><td>%.2g</td></tr>\n", name,
            100 * s->explained[0], 100 * s->explained[1], s->degrees, s->residual);
}

/* decoded and, with a teacher, its states: [TIMES, n, size]. */
static hkd_status shapes(hkd_report *r, const double *times, const hkd_path_shape *decoded, const hkd_path_shape *teacher) {
    hkd_path_shape latents;
    const hkd_status status = latent_shape(&latents, r, times);
    if (status) return status;
    fputs("<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"shape of the paths\"><table>\n<tr><th "
          "scope=\"col\">path</th><th scope=\"col\">1 component</th><th scope=\"col\">2</th><th scope=\"col\">angle</th><th "
          "scope=\"col\">off the plane</th></tr>\n", r->out);
    shape_row(r->out, "latents", &latents);
    shape_row(r->out, "decoded", decoded);
    if (teacher) shape_row(r->out, "teacher", teacher);
    fputs("</table></div>\n<p>Principal components of each path (variance explained by the first, by the first two), the angle "
          "between noise and picture, and the largest share of a state outside the plane of the two: a path that only turns "
          "has none.</p>\n", r->out);
    if (decoded->degrees < 5)
        fprintf(r->out, "<p>This model's own path is short: its picture turns by %.1f&deg; from noise to picture, and is "
                        "nearly finished at once. The encoder, which is told the noise level, does most of the work, the "
                        "operators little.</p>\n", decoded->degrees);
    return HKD_OK;
}

static hkd_status teacher_rows(hkd_report *r, double *state, const double *times, hkd_path_shape *shape) {
    const hkd_config *c = &r->model->config;
    double scale[TIMES];
    hkd_status status = teacher_states(r, state, times, TIMES);
    for (int t = 0; t < TIMES; t++) {
        const double sigma = times[t] > 0 ? hkd_level_at(c, times[t]) : 0;
        scale[t] = c->sigma_data / sqrt(sigma * sigma + c->sigma_data * c->sigma_data);
    }
    if (!status) status = path_row(r, state, "The teacher's state at the same noise level, shown at the size of the data",
                                   scale);
    if (!status) status = picture_shape(shape, r, state, scale);
    for (int64_t t = 0; t < TIMES && !status; t++) { /* each is replaced by what the model makes of it */
        hkd_model_input in = r->noise.in;
        double *x = state + t * in.n * r->size;
        in.x = x;
        in.dt = NULL;
        for (int64_t i = 0; i < in.n; i++) r->noise.sigma[i] = hkd_level_at(c, times[t]);
        double *d = hkd_report_room(r, in.n);
        status = d ? hkd_model_denoise(r->model, d, NULL, &in) : hkd_report_no_room();
        if (!status) memcpy(x, d, (size_t)(in.n * r->size) * sizeof *d);
        free(d);
    }
    for (int64_t i = 0; i < r->noise.in.n; i++) r->noise.sigma[i] = c->sigma_max;
    if (status) return status;
    return path_row(r, state, "What the model makes of that state, in one step: consistent if it does not change", NULL);
}

hkd_status hkd_report_path(hkd_report *r) {
    const int64_t n = r->noise.in.n;
    double times[TIMES], *all = hkd_report_room(r, n * TIMES);
    hkd_path_shape decoded, teacher;
    hkd_status status = all ? HKD_OK : hkd_report_no_room();
    fputs("<section id=\"path\"><h2>Trajectory</h2>\n<p>The encoder runs once, on noise (time 1). Its latents are moved to any "
          "time by the operators, z(t) = exp((t - 1) A) z(1), and decoded. At time 0 this is the sample.</p>\n"
          "<div class=\"controls\"><label for=\"time\">Time</label><input id=\"time\" type=\"range\" min=\"0\" ", r->out);
    fprintf(r->out, "max=\"%d\" value=\"%d\" data-labels=\"", TIMES - 1, TIMES - 1);
    for (int t = 0; t < TIMES; t++) {
        times[t] = 1 - t / (TIMES - 1.0);
        fprintf(r->out, "%st = %.2f, sigma = %.4g", t ? "|" : "", times[t], hkd_level_at(&r->model->config, times[t]));
    }
    fputs("\"><output id=\"time-label\" for=\"time\"></output></div>\n", r->out);
    for (int t = 0; t < TIMES && !status; t++) {
        hkd_inputs_set_dt(&r->noise, hkd_dt_from_noise(&r->model->config, times[t]));
        status = hkd_model_decode(r->model, all + t * n * r->size, NULL, (const double *const *)r->z, &r->noise.in);
    }
    r->noise.in.dt = NULL;
    if (!status) status = path_row(r, all, "The model's state, decoded", NULL);
    if (!status) status = picture_shape(&decoded, r, all, NULL);
    if (!status && r->o->teacher) status = teacher_rows(r, all, times, &teacher);
    if (!status) status = shapes(r, times, &decoded, r->o->teacher ? &teacher : NULL);
    fputs("</section>\n", r->out);
    free(all);
    return status;
}
