#include "measure.h"

#include "detail.h"
#include "lists.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hkd_status hkd_rule_of_options(hkd_band_rule *rule, const hkd_args *a) {
    int key = 0;
    const hkd_status status = hkd_arg_choice(&key, a, "sort", "alpha|abs_alpha|growth|detail");
    *rule = (hkd_band_rule){.key = (hkd_band_key)key, .dt = -1, .joint = hkd_given(a, "joint")};
    return status;
}

hkd_status hkd_rank_modes(hkd_model_bands *out, hkd_subject *s, const hkd_band_rule *rule, bool quiet) {
    hkd_band_rule measured = *rule;
    double *detail[HKD_MAX_LATENTS] = {NULL};
    hkd_status status = HKD_OK;
    hkd_progress bar;
    if (rule->key != HKD_BY_MEASURE) return hkd_model_bands_new(out, &s->levels, rule);
    hkd_progress_begin(&bar, "detail", "img", 0, quiet);
    const hkd_ticker ticker = hkd_progress_ticker(&bar);
    for (int64_t k = 0; k < s->levels.count && !status; k++) {
        detail[k] = malloc((size_t)hkd_mode_count(&s->levels.level[k]) * sizeof **detail + 1);
        if (!detail[k]) status = hkd_fail(HKD_RESOURCES, "out of memory for the modes");
    }
    if (!status) status = hkd_model_detail(detail, s->model, &s->levels, &ticker);
    hkd_progress_end(&bar);
    measured.measure = detail;
    if (!status) status = hkd_model_bands_new(out, &s->levels, &measured);
    out->rule.measure = NULL;
    for (int64_t k = 0; k < s->levels.count; k++) free(detail[k]);
    return status;
}

/* ---- polarity ---- */

hkd_status hkd_measure_polarity(hkd_polarity *out, hkd_subject *s, hkd_model_bands *b, bool quiet) {
    hkd_progress bar;
    hkd_progress_begin(&bar, "polarity", "img", HKD_POLARITY_IMAGES, quiet);
    const hkd_ticker ticker = hkd_progress_ticker(&bar);
    const hkd_status status = hkd_model_polarity(out, s->model, &s->levels, b, &ticker);
    hkd_progress_end(&bar);
    return status;
}

json_t *hkd_polarity_json(const hkd_polarity *p) {
    static const char *const verdict[] = {"undecided", "ascending", "descending"};
    json_t *thirds = json_array();
    for (int k = 0; k < 3; k++)
        json_array_append_new(thirds, json_pack("{s:f, s:f, s:[f,f,f]}", "centroid_without", p->third[k].without, "rmse",
                                                p->third[k].change, "low_middle_high", p->third[k].share[0],
                                                p->third[k].share[1], p->third[k].share[2]));
    return json_pack("{s:s, s:s, s:f, s:[f,f], s:f, s:I, s:o}", "verdict", verdict[p->verdict], "used",
                     p->ascending ? "ascending" : "descending", "difference", p->difference, "interval",
                     p->difference - p->half, p->difference + p->half, "centroid", p->whole, "pictures", (json_int_t)p->n,
                     "thirds", thirds);
}

hkd_status hkd_choose_band(double *from, double *to, bool *measured, hkd_polarity *p, const char *name, hkd_subject *s,
                           hkd_model_bands *b, bool quiet) {
    static const char *const names[] = {"low", "middle", "high"};
    double interval[2];
    *measured = false;
    for (int k = 0; k < 3; k++) {
        if (strcmp(name, names[k])) continue;
        const hkd_status status = hkd_measure_polarity(p, s, b, quiet);
        if (!status) hkd_band_interval(from, to, (hkd_band_name)k, p->ascending);
        *measured = true;
        return status;
    }
    const hkd_status status = hkd_parse_interval(interval, "--band", name);
    *from = interval[0];
    *to = interval[1];
    return status;
}

/* ---- a band against random modes ---- */

static const char *verdict_of(const hkd_edit_control *c) {
    return c->difference > c->half ? "the band spares them"
         : c->difference < -c->half ? "the band changes them more" : "no difference seen";
}

static json_t *json_of(const hkd_edit_control *c) {
    return json_pack("{s:I, s:I, s:f, s:[f,f], s:[f,f], s:f, s:[f,f], s:s}", "images", (json_int_t)c->n, "sets",
                     (json_int_t)c->sets, "rmse", c->rmse, "ratio", c->ratio[0], c->ratio[1], "low_energy", c->low[0],
                     c->low[1], "difference", c->difference, "interval", c->difference - c->half, c->difference + c->half,
                     "verdict", verdict_of(c));
}

static void print_row(const hkd_edit_control *c) {
    printf("against %lld sets of modes %s: at an RMSE of %.5f the change in low spatial frequencies, per value, is %.4g by the "
           "band and %.4g by the sets; sets - band %+.3g, 95 %% interval %+.3g to %+.3g: %s\n", (long long)c->sets,
           c->over_all ? "of all levels" : "as many on each level", c->rmse, c->low[0], c->low[1], c->difference,
           c->difference - c->half, c->difference + c->half, verdict_of(c));
}

hkd_status hkd_print_control(hkd_subject *s, const hkd_model_input *image, const hkd_model_input *reference,
                             const hkd_edit_rule *rule, const hkd_args *a, const char *what) {
    hkd_edit_control c[2];
    hkd_progress bar;
    int64_t seed = 0, sets = 0;
    hkd_status status = hkd_arg_int(&seed, a, "seed", 0, INT64_MAX / HKD_CONTROL_SETS - 1);
    if (!status) status = hkd_arg_int(&sets, a, "sets", 2, HKD_CONTROL_SETS);
    for (int k = 0; k < 2 && !status; k++) {
        c[k] = (hkd_edit_control){.sets = sets, .over_all = k == 1};
        hkd_progress_begin(&bar, k ? "sets of all levels" : "sets of each level", "img", image->n, hkd_given(a, "quiet"));
        const hkd_ticker ticker = hkd_progress_ticker(&bar);
        status = hkd_model_edit_control(&c[k], s->model, image, reference, &s->levels, rule, (uint64_t)seed, &ticker);
        hkd_progress_end(&bar);
    }
    if (status) return status;
    if (hkd_given(a, "json")) {
        char command[2048];
        hkd_command_text(command, sizeof command, a);
        json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "command", command, "band", what, "each_level", json_of(&c[0]),
                              "all_levels", json_of(&c[1]));
        json_dumpf(o, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(o);
        return HKD_OK;
    }
    printf("%lld images; %s\n", (long long)image->n, what);
    for (int k = 0; k < 2; k++) print_row(&c[k]);
    return HKD_OK;
}
