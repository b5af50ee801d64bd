/* hkd_report_write: one page that shows what a model does. Its sections are in the files report_*.c. */
#include "report.h"

#include "image.h"
#include "model_path.h"
#include "os.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

static void head(const hkd_report *r) {
    const hkd_config *c = &r->model->config;
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\">\n"
          "<title>hkd report</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n", r->out);
    fputs(hkd_report_style, r->out);
    fprintf(r->out, "</style>\n</head>\n<body>\n<h1>Hierarchical Koopman Diffusion: a model in pictures</h1>\n"
            "<p>%d x %d, %d channels, %lld operators (%s), one step from noise to picture.</p>\n<nav aria-label=\"Sections\">",
            c->img_resolution, c->img_resolution, c->img_channels, (long long)r->levels.count,
            hkd_hierarchy_name(c->hierarchy));
    static const char *const section[][2] = {{"samples", "Samples"}, {"path", "Trajectory"}, {"spectrum", "Spectrum"},
                                             {"effect", "Effect"},
                                             {"edits", "Edits"}, {"propositions", "Propositions"},
                                             {"training", "Training"}, {"verification", "Verification"},
                                             {"making", "How"}};
    for (size_t i = 0; i < sizeof section / sizeof *section; i++)
        fprintf(r->out, "<a href=\"#%s\">%s</a>", section[i][0], section[i][1]);
    fputs("</nav>\n<main>\n", r->out);
}

static hkd_status polarity(hkd_report *r) {
    return hkd_model_polarity(&r->polarity, r->model, &r->levels, &r->bands, &(hkd_ticker){hkd_report_tick, r});
}

static hkd_status training(hkd_report *r) { return hkd_report_training(r, r->o->log); }

static hkd_status verification(hkd_report *r) { return hkd_report_verification(r, r->o->verify); }

/* What the caller is told about: each part in turn. */
static hkd_status (*const part[])(hkd_report *) = {
    polarity, hkd_report_samples, hkd_report_path, hkd_report_spectrum, hkd_report_effect, hkd_report_edits,
    hkd_report_propositions, training, verification, hkd_report_making};
enum { PARTS = sizeof part / sizeof *part };

hkd_status hkd_report_ask(hkd_report *r) { return r->o->progress ? r->o->progress(r->o->self, r->done, PARTS) : HKD_OK; }

hkd_status hkd_report_tick(void *self, int64_t done, int64_t total) {
    (void)done, (void)total;
    return hkd_report_ask(self);
}

static hkd_status body(hkd_report *r) {
    hkd_status status = HKD_OK;
    for (r->done = 0; r->done < PARTS && !status; r->done++) {
        status = hkd_report_ask(r);
        if (!status) status = part[r->done](r);
    }
    fputs("</main>\n<script>\n", r->out);
    fputs(hkd_report_script, r->out);
    fputs("</script>\n</body>\n</html>\n", r->out);
    return status;
}

/* A file that is not there is said before the long work. */
static hkd_status check_files(const hkd_report_options *o) {
    const char *const file[] = {o->log, o->verify, o->refit, o->others, o->control};
    hkd_status status = HKD_OK;
    for (size_t k = 0; k < sizeof file / sizeof *file && !status; k++) {
        hkd_file *opened = NULL;
        if (file[k]) status = hkd_file_open(&opened, file[k]);
        hkd_file_close(opened);
    }
    return status;
}

/* The model's operators, ranked by alpha, and the images' noise, latents and pictures. */
static hkd_status prepare(hkd_report *r) {
    const hkd_report_options *o = r->o;
    r->side = r->model->config.img_resolution;
    r->channels = r->model->config.img_channels;
    r->size = r->channels * r->side * r->side;
    hkd_status status = hkd_model_levels_read(&r->levels, r->model);
    if (!status && o->n < 1) status = hkd_fail(HKD_USAGE, "report: %lld seeds, expected one or more", (long long)o->n);
    if (!status && o->teacher) status = hkd_teacher_check(o->teacher, r->model);
    if (!status) status = hkd_inputs_of_seeds(&r->noise, r->model, o->seeds, (size_t)o->n);
    if (!status && o->class_label >= 0) status = hkd_inputs_set_class(&r->noise, r->model, o->class_label);
    if (!status) status = hkd_model_bands_new(&r->bands, &r->levels, &(hkd_band_rule){.key = HKD_BY_ALPHA, .dt = -1});
    if (!status) status = hkd_latents_new(r->z, r->model, r->noise.in.n);
    if (!status) status = hkd_model_encode(r->model, r->z, &r->noise.in);
    if (!status && !(r->samples = hkd_report_room(r, r->noise.in.n))) status = hkd_report_no_room();
    return status ? status
                  : hkd_model_decode(r->model, r->samples, NULL, (const double *const *)r->z, &r->noise.in);
}

static hkd_status write(hkd_report *r, const char *path) {
    hkd_draft page;
    hkd_status status = hkd_draft_open(&page);
    if (status) return status;
    r->out = page.out;
    head(r);
    status = body(r);
    if (!status) return hkd_draft_save(&page, path);
    hkd_draft_abandon(&page);
    return status;
}

hkd_status hkd_report_write(const char *path, hkd_model *m, const hkd_report_options *options) {
    if (strcmp(hkd_image_ending(), "png"))
        return hkd_fail(HKD_USAGE, "%s: a report holds PNG, and this library was built without libpng", path);
    hkd_report *r = calloc(1, sizeof *r);
    if (!r) return hkd_fail(HKD_RESOURCES, "out of memory");
    r->o = options;
    r->model = m;
    hkd_status status = hkd_check_writable(path);
    if (!status) status = check_files(options);
    if (!status) status = prepare(r);
    if (!status) status = write(r, path);
    hkd_model_bands_free(&r->bands);
    hkd_model_levels_free(&r->levels);
    hkd_inputs_free(&r->noise);
    free(r->z[0]);
    free(r->samples);
    free(r);
    return status;
}
