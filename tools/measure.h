/* measure.h - what verbs about bands share: how modes are ranked, which end is high, is a band more than its size. */
#ifndef HKD_MEASURE_H
#define HKD_MEASURE_H

#include "edit_control.h"
#include "polarity.h"
#include "subject.h"

#include <jansson.h>

/* --sort and --joint, and the ranking that they ask for (--sort detail measures first, with a progress bar). */
hkd_status hkd_rule_of_options(hkd_band_rule *rule, const hkd_args *a);
hkd_status hkd_rank_modes(hkd_model_bands *out, hkd_subject *s, const hkd_band_rule *rule, bool quiet);
#define HKD_SORT_HELP "what ranks the modes: alpha, abs_alpha, growth (eigenvalues), or detail: how fine what a mode paints " \
                      "is, measured by the decoder's gradients on fixed pictures"

/* Polarity with a progress bar. */
hkd_status hkd_measure_polarity(hkd_polarity *out, hkd_subject *s, hkd_model_bands *b, bool quiet);
json_t *hkd_polarity_json(const hkd_polarity *p);
/* ranks [from, to) of "low", "middle" or "high", measured; anything else is read as an interval. *measured says which. */
hkd_status hkd_choose_band(double *from, double *to, bool *measured, hkd_polarity *p, const char *name, hkd_subject *s,
                           hkd_model_bands *b, bool quiet);

/* hkd edit --control: against sets of each level and against sets of all levels, printed as text or JSON. */
hkd_status hkd_print_control(hkd_subject *s, const hkd_model_input *image, const hkd_model_input *reference,
                             const hkd_edit_rule *rule, const hkd_args *a, const char *what);

#endif
