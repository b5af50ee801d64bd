/* hkd report - one page that shows what a model does: samples, path, spectrum, bands, edits, training, verification. */
#include "lists.h"
#include "os.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"

#include "hkd_insight.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static hkd_status write_page(hkd_subject *s, hkd_report_options *o, const hkd_args *a) {
    hkd_progress bar;
    hkd_progress_begin(&bar, "report", "part", 0, hkd_given(a, "quiet"));
    const hkd_ticker ticker = hkd_progress_ticker(&bar);
    o->progress = ticker.tick;
    o->self = ticker.self;
    const hkd_status status = hkd_report_write(hkd_arg(a, "out"), s->model, o);
    hkd_progress_end(&bar);
    return status;
}

static hkd_status run(const hkd_args *a) {
    char command[2048];
    uint64_t *seeds = NULL;
    int64_t label = -1;
    size_t n = 0;
    hkd_subject s = {.dev = NULL};
    hkd_model *teacher = NULL;
    hkd_command_text(command, sizeof command, a);
    hkd_status status = hkd_given(a, "out") ? HKD_OK : hkd_fail(HKD_USAGE, "--out is needed");
    if (!status && hkd_given(a, "class")) status = hkd_arg_int(&label, a, "class", 0, INT_MAX);
    if (!status) status = hkd_parse_seeds(&seeds, &n, "--seeds", hkd_arg(a, "seeds"));
    if (!status) status = hkd_subject_open(&s, a);
    if (!status && hkd_given(a, "teacher")) status = hkd_model_load(&teacher, hkd_arg(a, "teacher"), s.dev);
    if (!status) {
        hkd_report_options o = {.teacher = teacher, .seeds = seeds, .n = (int64_t)n, .class_label = (int)label,
                                .log = hkd_arg(a, "log"), .verify = hkd_arg(a, "verify"), .refit = hkd_arg(a, "refit"),
                                .others = hkd_arg(a, "others"), .control = hkd_arg(a, "control"), .command = command};
        status = write_page(&s, &o, a);
    }
    if (!status) printf("%s: one page, works from the file without a network\n", hkd_arg(a, "out"));
    hkd_model_free(teacher);
    hkd_subject_free(&s);
    free(seeds);
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
