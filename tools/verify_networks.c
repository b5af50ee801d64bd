/* Composites judged end to end (DESIGN "whole networks"): relative = max|a - b| / max|b| per tensor; a device may differ from
 * the recorded values by twice (--math fast: eight times) what the cpu's plain C build differs, plus 8 u.
 *
 * A gradient inherits the rounding of everything above it, and many have four or eight numbers: the largest error among so few
 * is one draw of chance, on plain as on any device. So plain's difference in a gradient is the largest of its differences over
 * the gradients of the network: one yardstick for all of them, which a mistake of 0.1 % still exceeds a hundred times. */
#include "verify.h"

#include "manifest.h"
#include "networks.h"
#include "os.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

double hkd_relative_error(const double *a, const double *b, int64_t n) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        if (isnan(d)) return INFINITY;
        off = fmax(off, d);
        size = fmax(size, fabs(b[i]));
    }
    return off == 0 ? 0 : off / size;
}

static bool is_gradient(const char *name) { return !strncmp(name, "grad.", 5); }

/* plain's relative error in a result of number i. */
static double plain_error(const hkd_recording *want, const hkd_recording *plain, int i) {
    const bool gradient = is_gradient(plain->item[i].name);
    double most = 0;
    for (int k = 0; k < plain->count; k++) {
        const hkd_recorded *t = &plain->item[k], *y = hkd_recording_find(want, t->name);
        if ((k != i && !(gradient && is_gradient(t->name))) || !y || !hkd_same_shape(&y->shape, &t->shape)) continue;
        most = fmax(most, hkd_relative_error(t->value, y->value, hkd_count(&y->shape)));
    }
    return most;
}

/* One result: recorded, and from the judged (NULL: none); `plain` is plain's error, `factor` how much of it is allowed. */
static void judge(hkd_check *c, const hkd_recorded *want, const hkd_recorded *got, double plain, double factor) {
    c->outcome = HKD_FAIL;
    if (!want) snprintf(c->text, sizeof c->text, "the recorded composite has no such tensor");
    else if (!got) c->outcome = HKD_SKIP, snprintf(c->text, sizeof c->text, "no result");
    else if (!hkd_same_shape(&want->shape, &got->shape))
        snprintf(c->text, sizeof c->text, "its shape is another than the recorded one");
    if (*c->text) return;
    const double off = hkd_relative_error(got->value, want->value, hkd_count(&want->shape));
    const double allowed = factor * plain + 8 * HKD_U;
    c->verdict = (hkd_verdict){.used = off / allowed, .count = hkd_count(&want->shape), .wrong = !(off <= allowed)};
    if (off <= allowed) c->outcome = HKD_PASS;
    else
        snprintf(c->text, sizeof c->text, "off by %.3g of its largest element, %.3g allowed (%g times plain's error + 8 u)",
                 off, allowed, factor);
}

static void judge_all(hkd_composite_judge *tell, void *run, const hkd_recording *want, const hkd_recording *got,
                      const hkd_recording *plain, const char *name, double factor) {
    for (int i = 0; i < plain->count; i++) {
        hkd_check c = {.outcome = HKD_SKIP};
        const char *tensor = plain->item[i].name;
        if (plain->item[i].given) continue;
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.tensor, sizeof c.tensor, "%s", tensor);
        judge(&c, hkd_recording_find(want, tensor), hkd_recording_find(got, tensor), plain_error(want, plain, i), factor);
        tell(run, &c);
    }
}

/* What the judged device or port gives. *skip: why there is nothing to judge. */
static hkd_status results(hkd_recording *out, const char **skip, const hkd_verify_options *o, int index) {
    char path[1200], file[96];
    if (!o->results) return hkd_network_run(out, index, o->device);
    snprintf(file, sizeof file, "networks/%s.safetensors", hkd_network_name(index));
    if (!hkd_join(path, sizeof path, o->results, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->results);
    if (hkd_exists(path)) return hkd_recording_load(out, path);
    *skip = "no result";
    return HKD_OK;
}

hkd_status hkd_verify_network(const hkd_verify_options *o, int index, hkd_device *plain, hkd_composite_judge *tell, void *run) {
    char path[1200], file[96];
    const char *name = hkd_network_name(index), *skip = NULL;
    hkd_recording want = {.count = 0}, got = {.count = 0}, base = {.count = 0};
    snprintf(file, sizeof file, "networks/%s.safetensors", name);
    if (!hkd_join(path, sizeof path, o->dir, file)) return hkd_fail(HKD_USAGE, "%s: too long", o->dir);
    hkd_status status = hkd_recording_load(&want, path);
    if (!status) status = hkd_network_run(&base, index, plain);
    const hkd_status ran = status ? status : results(&got, &skip, o, index);
    if (!status && (ran || skip)) {
        hkd_check c = {.outcome = ran ? HKD_FAIL : HKD_SKIP};
        snprintf(c.id, sizeof c.id, "networks/%s", name);
        snprintf(c.text, sizeof c.text, "%s", ran ? hkd_last_error() : skip);
        tell(run, &c);
    } else if (!status) judge_all(tell, run, &want, &got, &base, name, o->fast ? 8 : 2);
    hkd_recording_free(&want);
    hkd_recording_free(&got);
    hkd_recording_free(&base);
    return status ? status : ran == HKD_RESOURCES ? ran : HKD_OK;
}
