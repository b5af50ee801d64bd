/* Composites judged end to end (DESIGN "whole networks"): relative = max|a - b| / max|b| per tensor; a device may differ from
 * the reference by twice (--math fast: eight times) what the cpu's plain C build differs, plus 8 u. The files of a port
 * are allowed what the manifest says (network_allowance.c), so that every judge says the same,
 * and a device that stores activations as float16 what comes out in the same way.
 *
 * How far a tensor is off for one input is a draw of chance, on plain as on any device, the more so as many have four or eight
 * numbers. So both sides of the rule are means over draws of weights and inputs: the recorded ones and others, whose truth the
 * reference gives. What is shown of a tensor is the draw in which the device is furthest off. */
#include "verify.h"

#include "networks.h"
#include "os.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 16 };

/* One composite: what is right, what the judged gave, what plain gave, by draw. */
typedef struct {
    int draws; /* 1 for a port's files and for float16, which have recorded allowances */
    hkd_recording want[DRAWS], got[DRAWS], plain[DRAWS];
} composite_runs;

static double mean_error(const composite_runs *r, const hkd_recording *runs, const char *name, int *furthest) {
    double sum = 0, most = -1;
    for (int k = 0; k < r->draws; k++) {
        const hkd_recorded *y = hkd_recording_find(&r->want[k], name), *t = hkd_recording_find(&runs[k], name);
        if (!y || !t || !hkd_same_shape(&y->shape, &t->shape)) continue;
        const double error = hkd_relative_error(t->value, y->value, hkd_count(&y->shape));
        if (error > most && furthest) *furthest = k;
        most = fmax(most, error);
        sum += error;
    }
    return sum / r->draws;
}

/* Which draw is shown of tensor `name`, and what it may be off there, relative to its largest value: such that it uses the
 * share of its allowance that the means do. */
static double allowed(int *draw, const hkd_verify_options *o, const composite_runs *r, const char *name) {
    const double all = (o->fast ? 8 : 2) * mean_error(r, r->plain, name, NULL) + 8 * HKD_U;
    const double mean = mean_error(r, r->got, name, draw);
    const hkd_recorded *y = hkd_recording_find(&r->want[*draw], name), *t = hkd_recording_find(&r->got[*draw], name);
    if (!(mean > 0) || isinf(mean) || !t) return all;
    return all * hkd_relative_error(t->value, y->value, hkd_count(&y->shape)) / mean;
}

/* What a tensor may be off, by element, in units of 2^-24. */
static bool allow(double *bound, int *draw, const hkd_verify_options *o, const hkd_manifest *m, const char *network,
                  const composite_runs *r, const hkd_recorded *recorded) {
    double each = recorded->bound, size = 0; /* float16: filled in */
    if (o->results && !hkd_manifest_bound(&each, m, network, recorded->name)) return false;
    const bool live = !o->results && !hkd_judges_half(o);
    if (live) each = allowed(draw, o, r, recorded->name) / HKD_U;
    const hkd_recorded *y = hkd_recording_find(&r->want[*draw], recorded->name);
    const int64_t n = hkd_count(&y->shape);
    for (int64_t k = 0; k < n; k++) size = fmax(size, fabs(y->value[k]));
    if (live) each *= size;
    /* the rule adds half an ulp, which a device's eight u already hold */
    for (int64_t k = 0; k < n; k++) bound[k] = o->results ? each : fmax(0, each - hkd_ulp32(y->value[k]) / 2 / HKD_U);
    return true;
}

/* One result: recorded, and from the judged (NULL: none). */
static void judge(hkd_check *c, const hkd_verify_options *o, const hkd_recorded *want, const hkd_recorded *got,
                  const double *bound) {
    c->outcome = HKD_SKIP;
    if (!got) {
        snprintf(c->text, sizeof c->text, "no result");
        return;
    }
    c->outcome = HKD_FAIL;
    if (!hkd_same_shape(&want->shape, &got->shape)) {
        snprintf(c->text, sizeof c->text, "its shape is another than the recorded one");
        return;
    }
    hkd_profile profile = o->profile;
    profile.half_store = got->half || hkd_stores_half(o, &want->shape);
    const hkd_judged j = {want->value, bound, got->value, &want->shape, 1, false, 1, NULL};
    c->verdict = hkd_judge(&j, &profile);
    if (c->verdict.wrong) hkd_describe(c, o, &j, &profile);
    else c->outcome = HKD_PASS;
}

static hkd_status judge_all(hkd_composite_judge *tell, void *run, const hkd_verify_options *o, const hkd_manifest *m,
                            const composite_runs *r, const char *name) {
    for (int i = 0; i < r->want[0].count; i++) {
        const hkd_recorded *y = &r->want[0].item[i], *p = hkd_recording_find(&r->plain[0], y->name);
        hkd_check c = {.outcome = HKD_SKIP};
        int draw = 0;
        if (!o->results && (!p || p->given)) continue;
        double *bound = malloc(((size_t)hkd_count(&y->shape) + 1) * sizeof *bound);
        if (!bound) return hkd_fail(HKD_RESOURCES, "out of memory");
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.tensor, sizeof c.tensor, "%s", y->name);
        const bool result = allow(bound, &draw, o, m, name, r, y);
        if (result)
            judge(&c, o, hkd_recording_find(&r->want[draw], y->name), hkd_recording_find(&r->got[draw], y->name), bound);
        free(bound);
        if (result) tell(run, &c);
    }
    return HKD_OK;
}

/* What is right, and what plain makes of it. */
static hkd_status load(composite_runs *r, const hkd_verify_options *o, int index, hkd_device *plain) {
    char path[1200], file[96];
    hkd_device *ref = NULL;
    snprintf(file, sizeof file, "networks/%s.safetensors", hkd_network_name(index));
    if (!hkd_join(path, sizeof path, o->dir, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->dir);
    hkd_status status = hkd_recording_load(&r->want[0], path);
    r->draws = o->results || hkd_judges_half(o) ? 1 : DRAWS;
    if (!status && r->draws > 1) status = hkd_device_open_ref(&ref, &(hkd_device_options){0});
    for (int k = 1; k < r->draws && !status; k++) status = hkd_network_draw(&r->want[k], index, k, ref);
    for (int k = 0; k < r->draws && !status && !o->results; k++) status = hkd_network_draw(&r->plain[k], index, k, plain);
    if (!status && hkd_judges_half(o) && !hkd_network_trains(index)) status = hkd_network_allowance(&r->want[0], index, true);
    hkd_device_close(ref);
    return status;
}

/* What the judged device or port gives. *skip: why there is nothing to judge. */
static hkd_status results(composite_runs *r, const char **skip, const hkd_verify_options *o, int index) {
    char path[1200], file[96];
    hkd_status status = HKD_OK;
    if (hkd_judges_half(o) && hkd_network_trains(index)) *skip = "no gradients with storage as float16";
    if (*skip) return HKD_OK;
    for (int k = 0; k < r->draws && !status && !o->results; k++) status = hkd_network_draw(&r->got[k], index, k, o->device);
    if (!o->results) return status;
    snprintf(file, sizeof file, "networks/%s.safetensors", hkd_network_name(index));
    if (!hkd_join(path, sizeof path, o->results, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->results);
    if (hkd_exists(path)) return hkd_recording_load(&r->got[0], path);
    *skip = "no result";
    return HKD_OK;
}

hkd_status hkd_verify_network(const hkd_verify_options *o, int index, const hkd_manifest *m, hkd_device *plain,
                              hkd_composite_judge *tell, void *run) {
    const char *name = hkd_network_name(index), *skip = NULL;
    composite_runs r = {.draws = 0};
    const hkd_status status = load(&r, o, index, plain), ran = status ? status : results(&r, &skip, o, index);
    hkd_status judged = HKD_OK;
    if (!status && (ran || skip)) {
        hkd_check c = {.outcome = ran ? HKD_FAIL : HKD_SKIP};
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.text, sizeof c.text, "%s", ran ? hkd_last_error() : skip);
        tell(run, &c);
    } else if (!status) judged = judge_all(tell, run, o, m, &r, name);
    for (int k = 0; k < DRAWS; k++) {
        hkd_recording_free(&r.want[k]);
        hkd_recording_free(&r.got[k]);
        hkd_recording_free(&r.plain[k]);
    }
    return status ? status : judged ? judged : ran == HKD_RESOURCES ? ran : HKD_OK;
}
