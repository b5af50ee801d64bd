/* Composites judged end to end (DESIGN "whole networks"): relative = max|a - b| / max|b| per tensor; a device may differ from
 * the recorded values by twice (--math fast: eight times) what the cpu's plain C build differs, plus 8 u. The files of a port
 * are allowed what the manifest says (network_allowance.c), so that every judge says the same,
 * and a device that stores activations as float16 what comes out in the same way.
 *
 * A gradient inherits the rounding of everything above it, and many have four or eight numbers: the largest error among so few
 * is one draw of chance, on plain as on any device. So plain's difference in a gradient is the largest of its differences over
 * the gradients of the network: one yardstick for all of them, which a mistake of 0.1 % still exceeds a hundred times. */
#include "verify.h"

#include "networks.h"
#include "os.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_gradient(const char *name) { return !strncmp(name, "grad.", 5); }

/* plain's relative error in a result. */
static double plain_error(const hkd_recording *want, const hkd_recording *plain, const char *name) {
    double most = 0;
    for (int k = 0; k < plain->count; k++) {
        const hkd_recorded *t = &plain->item[k], *y = hkd_recording_find(want, t->name);
        if (strcmp(t->name, name) != 0 && !(is_gradient(name) && is_gradient(t->name))) continue;
        if (y && hkd_same_shape(&y->shape, &t->shape))
            most = fmax(most, hkd_relative_error(t->value, y->value, hkd_count(&y->shape)));
    }
    return most;
}

/* What tensor i may be off, by element, in units of 2^-24. */
static bool allow(double *bound, const hkd_verify_options *o, const hkd_manifest *m, const char *name,
                  const hkd_recording *want, const hkd_recording *plain, int i) {
    const hkd_recorded *y = &want->item[i];
    const int64_t n = hkd_count(&y->shape);
    double each = 0, size = 0;
    if (o->results && !hkd_manifest_bound(&each, m, name, y->name)) return false;
    for (int64_t k = 0; k < n; k++) size = fmax(size, fabs(y->value[k]));
    if (hkd_judges_half(o)) each = y->bound;
    else if (!o->results) each = ((o->fast ? 8 : 2) * plain_error(want, plain, y->name) / HKD_U + 8) * size;
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
                            const hkd_recording *want, const hkd_recording *got, const hkd_recording *plain, const char *name) {
    for (int i = 0; i < want->count; i++) {
        const hkd_recorded *y = &want->item[i], *p = hkd_recording_find(plain, y->name);
        hkd_check c = {.outcome = HKD_SKIP};
        if (!o->results && (!p || p->given)) continue;
        double *bound = malloc(((size_t)hkd_count(&y->shape) + 1) * sizeof *bound);
        if (!bound) return hkd_fail(HKD_RESOURCES, "out of memory");
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.tensor, sizeof c.tensor, "%s", y->name);
        const bool result = allow(bound, o, m, name, want, plain, i);
        if (result) judge(&c, o, y, hkd_recording_find(got, y->name), bound);
        free(bound);
        if (result) tell(run, &c);
    }
    return HKD_OK;
}

/* What the judged device or port gives. *skip: why there is nothing to judge. */
static hkd_status results(hkd_recording *out, const char **skip, const hkd_verify_options *o, int index) {
    char path[1200], file[96];
    if (hkd_judges_half(o) && hkd_network_trains(index)) *skip = "no gradients with storage as float16";
    if (*skip) return HKD_OK;
    if (!o->results) return hkd_network_run(out, index, o->device);
    snprintf(file, sizeof file, "networks/%s.safetensors", hkd_network_name(index));
    if (!hkd_join(path, sizeof path, o->results, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->results);
    if (hkd_exists(path)) return hkd_recording_load(out, path);
    *skip = "no result";
    return HKD_OK;
}

hkd_status hkd_verify_network(const hkd_verify_options *o, int index, const hkd_manifest *m, hkd_device *plain,
                              hkd_composite_judge *tell, void *run) {
    char path[1200], file[96];
    const char *name = hkd_network_name(index), *skip = NULL;
    hkd_recording want = {.count = 0}, got = {.count = 0}, base = {.count = 0};
    snprintf(file, sizeof file, "networks/%s.safetensors", name);
    if (!hkd_join(path, sizeof path, o->dir, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->dir);
    hkd_status status = hkd_recording_load(&want, path);
    if (!status && !o->results) status = hkd_network_run(&base, index, plain);
    if (!status && hkd_judges_half(o) && !hkd_network_trains(index)) status = hkd_network_allowance(&want, index, true);
    const hkd_status ran = status ? status : results(&got, &skip, o, index);
    if (!status && (ran || skip)) {
        hkd_check c = {.outcome = ran ? HKD_FAIL : HKD_SKIP};
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.text, sizeof c.text, "%s", ran ? hkd_last_error() : skip);
        tell(run, &c);
    } else if (!status) status = judge_all(tell, run, o, m, &want, &got, &base, name);
    hkd_recording_free(&want);
    hkd_recording_free(&got);
    hkd_recording_free(&base);
    return status ? status : ran == HKD_RESOURCES ? ran : HKD_OK;
}
