/* subject.h - what the verbs that look inside a model start from: the model with its operators, and the noise of --seeds. */
#ifndef HKD_SUBJECT_H
#define HKD_SUBJECT_H

#include "cli.h"
#include "model_inputs.h"
#include "model_levels.h"

typedef struct {
    hkd_device *dev;
    hkd_model *model;
    hkd_model_levels levels;
    int64_t side, channels, size;   /* of one picture; size = channels side side */
} hkd_subject;

/* Open --device and --model. HKD_USAGE for a model without operators. Free it also after a failure. */
hkd_status hkd_subject_open(hkd_subject *s, const hkd_args *a);
void hkd_subject_free(hkd_subject *s);

/* --OPTION's class for all of them, if it is given, in place of the drawn ones. */
hkd_status hkd_inputs_class_of_option(hkd_inputs *i, const hkd_model *m, const hkd_args *a, const char *option);
/* --NAME's list of seeds: their noise; their class is --class, that of --reference-seeds is --reference-class. */
hkd_status hkd_inputs_of_option(hkd_inputs *out, const hkd_model *m, const hkd_args *a, const char *name);

#endif
