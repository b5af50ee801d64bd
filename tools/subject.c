#include "subject.h"

#include "lists.h"
#include "model_file.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_subject_open(hkd_subject *s, const hkd_args *a) {
    *s = (hkd_subject){.dev = NULL};
    if (!hkd_given(a, "model")) return hkd_fail(HKD_USAGE, "--model is needed");
    hkd_status status = hkd_open_device(&s->dev, a);
    if (!status) status = hkd_model_load(&s->model, hkd_arg(a, "model"), s->dev);
    if (status) return status;
    s->side = s->model->config.img_resolution;
    s->channels = s->model->config.img_channels;
    s->size = s->channels * s->side * s->side;
    status = hkd_model_levels_read(&s->levels, s->model);
    return status;
}

void hkd_subject_free(hkd_subject *s) {
    hkd_model_levels_free(&s->levels);
    hkd_model_free(s->model);
    hkd_device_close(s->dev);
}

hkd_status hkd_inputs_class_of_option(hkd_inputs *i, const hkd_model *m, const hkd_args *a, const char *option) {
    const int64_t classes = m->config.label_dim;
    int64_t label;
    if (!hkd_given(a, option)) return HKD_OK;
    if (!classes) return hkd_fail(HKD_USAGE, "--%s: the model has no classes", option);
    const hkd_status status = hkd_arg_int(&label, a, option, 0, classes - 1);
    return status ? status : hkd_inputs_set_class(i, m, label);
}

hkd_status hkd_inputs_of_option(hkd_inputs *out, const hkd_model *m, const hkd_args *a, const char *name) {
    char what[32];
    uint64_t *seeds;
    size_t n;
    snprintf(what, sizeof what, "--%s", name);
    *out = (hkd_inputs){.seeds = NULL};
    hkd_status status = hkd_arg(a, name) ? hkd_parse_seeds(&seeds, &n, what, hkd_arg(a, name))
                                         : hkd_fail(HKD_USAGE, "%s is needed", what);
    if (status) return status;
    status = hkd_inputs_of_seeds(out, m, seeds, n);
    free(seeds);
    if (status) return status;
    return hkd_inputs_class_of_option(out, m, a, strcmp(name, "reference-seeds") ? "class" : "reference-class");
}
