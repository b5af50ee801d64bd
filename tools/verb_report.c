/* hkd report - one page that shows what a model does: samples, path, spectrum, bands, edits, training, verification. */
#include "files.h"
#include "model_file.h"
#include "os.h"
#include "progress.h"
#include "report.h"
#include "status.h"
#include "svg.h"

#include <stdlib.h>
#include <string.h>

static void head(const hkd_report *r) {
    const hkd_config *c = &r->s.model->config;
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\">\n"
          "<title>hkd report</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n", r->out);
    fputs(hkd_report_style, r->out);
    fprintf(r->out, "</style>\n</head>\n<body>\n<h1>Hierarchical Koopman Diffusion: a model in pictures</h1>\n"
            "<p>%d x %d, %d channels, %lld operators (%s), one step from noise to picture.</p>\n<nav aria-label=\"Sections\">",
            c->img_resolution, c->img_resolution, c->img_channels, (long long)r->s.levels.count,
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

static hkd_status body(hkd_report *r) {
    static hkd_status (*const part[])(hkd_report *) = {hkd_report_samples, hkd_report_path, hkd_report_spectrum,
                                                       hkd_report_effect, hkd_report_edits, hkd_report_propositions};
    enum { PARTS = sizeof part / sizeof *part };
    hkd_progress progress;
    hkd_status status = HKD_OK;
    hkd_progress_begin(&progress, "report", "part", PARTS, hkd_given(r->args, "quiet"));
    for (int i = 0; i < PARTS && !status; i++) {
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : part[i](r);
        hkd_progress_at(&progress, i + 1, NULL);
    }
    hkd_progress_end(&progress);
    if (!status) status = hkd_report_training(r, hkd_arg(r->args, "log"));
    if (!status) status = hkd_report_verification(r, hkd_arg(r->args, "verify"));
    if (!status) status = hkd_report_making(r);
    fputs("</main>\n<script>\n", r->out);
    fputs(hkd_report_script, r->out);
    fputs("</script>\n</body>\n</html>\n", r->out);
    return status;
}

static hkd_status prepare(hkd_report *r) {
    const hkd_args *a = r->args;
    const hkd_band_rule rule = {.key = HKD_BY_ALPHA};
    hkd_status status = hkd_subject_open(&r->s, a);
    if (!status && hkd_given(a, "teacher")) status = hkd_model_load(&r->teacher, hkd_arg(a, "teacher"), r->s.dev);
    if (!status && r->teacher) {
        const hkd_config *t = &r->teacher->config, *m = &r->s.model->config;
        if (t->is_hkd || t->img_resolution != m->img_resolution || t->img_channels != m->img_channels ||
            t->label_dim != m->label_dim)
            status = hkd_fail(HKD_USAGE, "--teacher %s: expected a denoiser of the model's pictures and classes",
                              hkd_arg(a, "teacher"));
    }
    if (!status) status = hkd_inputs_of_option(&r->noise, r->s.model, a, "seeds");
    if (!status) status = hkd_model_bands_new(&r->bands, &r->s.levels, &rule);
    if (!status) status = hkd_latents_new(r->z, r->s.model, r->noise.in.n);
    if (!status) status = hkd_model_encode(r->s.model, r->z, &r->noise.in);
    if (status) return status;
    r->samples = malloc((size_t)(r->noise.in.n * r->s.size) * sizeof *r->samples + 1);
    if (!r->samples) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)r->noise.in.n);
    status = hkd_model_decode(r->s.model, r->samples, NULL, (const double *const *)r->z, &r->noise.in);
    if (status) return status;
    return hkd_measure_polarity(&r->polarity, &r->s, &r->bands, hkd_given(a, "quiet"));
}

static hkd_status write(hkd_report *r, const char *path) {
    hkd_draft page;
    hkd_status status = hkd_draft_open(&page);
    if (status) return status;
    r->out = page.out;
    head(r);
    status = body(r);
    if (!status) status = hkd_draft_save(&page, path);
    else hkd_draft_abandon(&page);
    if (!status) printf("%s: %.1f MB, works from the file without a network\n", path, (double)page.size / 1e6);
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_report *r = calloc(1, sizeof *r);
    if (!r) return hkd_fail(HKD_RESOURCES, "out of memory");
    r->args = a;
    hkd_status status = hkd_given(a, "out") ? hkd_check_writable(hkd_arg(a, "out")) : hkd_fail(HKD_USAGE, "--out is needed");
    if (!status) status = prepare(r);
    if (!status) status = write(r, hkd_arg(a, "out"));
    hkd_model_bands_free(&r->bands);
    hkd_inputs_free(&r->noise);
    hkd_model_free(r->teacher);
    hkd_subject_free(&r->s);
    free(r->z[0]);
    free(r->samples);
    free(r);
    return status;
}

const hkd_verb hkd_verb_report = {
    .name = "report",
    .summary = "one self-contained page: samples, path, spectrum, edits, training, verification",
    .option = {{"model", "M", NULL, "an HKD model"},
               {"teacher", "T", NULL, "the denoiser it learnt from, shown beside it"},
               {"seeds", "LIST", "0-5", "the images"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"log", "F.csv", NULL, "the log of hkd train"},
               {"verify", "F.json", NULL, "what hkd verify --json printed"},
               {"refit", "F.json", NULL, "what hkd spectrum --refit --json printed: how much of the spectrum is arbitrary"},
               {"others", "F.json", NULL, "what hkd spectrum --others --json printed: models of other seeds"},
               {"control", "F.json", NULL, "what hkd edit --control --json printed: the band against random modes"},
               {"out", "F.html", NULL, "the page"}},
    .example = {"report --model M.safetensors --teacher T.safetensors --log train.csv --out report.html",
                "report --model M.safetensors --refit refit.json --control control.json --out report.html"},
    .run = run,
};
