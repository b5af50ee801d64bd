#include "verify.h"

#include "cli.h"
#include "networks.h"
#include "os.h"
#include "sha256.h"
#include "status.h"
#include "vector_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const hkd_verify_options *o;
    hkd_verify_report *r;
    hkd_op_report *op;              /* of the current case */
    const hkd_manifest_entry *entry;
} run;

static void tell(run *s, hkd_check *c) {
    int *count[] = {&s->op->passed, &s->op->failed, &s->op->skipped};
    int *total[] = {&s->r->passed, &s->r->failed, &s->r->skipped};
    ++*count[c->outcome];
    ++*total[c->outcome];
    if (c->outcome == HKD_PASS && c->verdict.used >= s->op->worst) {
        s->op->worst = c->verdict.used;
        snprintf(s->op->worst_at, sizeof s->op->worst_at, "%s %s", c->id, c->tensor);
    }
    if (s->o->each) s->o->each(s->o->context, c);
}

static void tell_composite(void *context, hkd_check *c) { tell(context, c); }

static hkd_check new_check(const run *s, const char *tensor, hkd_outcome outcome) {
    hkd_check c = {.outcome = outcome};
    snprintf(c.id, sizeof c.id, "%s", s->entry->id);
    snprintf(c.tensor, sizeof c.tensor, "%s", tensor);
    return c;
}

static void whole_case(run *s, hkd_outcome outcome, const char *why) {
    hkd_check c = new_check(s, "", outcome);
    snprintf(c.text, sizeof c.text, "%s", why);
    tell(s, &c);
}

/* ---- the report of a failure ---- */

static size_t describe_element(char *out, size_t size, const char *which, const hkd_judged *j, int64_t i,
                               const hkd_profile *profile) {
    char place[64];
    hkd_coordinates(place, sizeof place, j->shape, i);
    const double y = j->expected[i] * j->repeats;
    const double allowed = j->exact ? 0 : (j->repeats == 1 ? 1 : 3) * hkd_allowance(y, j->bound[i], j->n, profile);
    const int n = snprintf(out, size, "  %s %s: expected %.9g, got %.9g, off by %.3g of %.3g allowed\n", which, place, y,
                           j->got[i],
                           j->got[i] - y, allowed);
    return n > 0 && (size_t)n < size ? (size_t)n : size;
}

void hkd_describe(hkd_check *c, const hkd_verify_options *o, const hkd_judged *j, const hkd_profile *profile) {
    char guess[160];
    hkd_guess(guess, sizeof guess, j, profile);
    size_t at = (size_t)snprintf(c->text, sizeof c->text, "%lld of %lld elements wrong%s\n", (long long)c->verdict.wrong,
                                 (long long)c->verdict.count, j->exact ? " (exact: every bit counts)" : "");
    at += describe_element(c->text + at, sizeof c->text - at, "first", j, c->verdict.first, profile);
    at += describe_element(c->text + at, sizeof c->text - at, "worst", j, c->verdict.worst, profile);
    if (*guess) at += (size_t)snprintf(c->text + at, sizeof c->text - at, "  guess: %s\n", guess);
    if (at < sizeof c->text)
        snprintf(c->text + at, sizeof c->text - at, "  repeat: %s --case %s", o->repeat ? o->repeat : "hkd verify", c->id);
}

/* ---- storage ---- */

bool hkd_stores_half(const hkd_verify_options *o, const hkd_shape *shape) {
    return o->device && o->device->bytes(o->device, shape, HKD_ACTIVATION) == 2 * (size_t)hkd_count(shape);
}

bool hkd_judges_half(const hkd_verify_options *o) { return hkd_stores_half(o, &(hkd_shape){2, {1, 1}}); }

/* ---- one case ---- */

static void judge(run *s, const hkd_vector *v, const char *role, const char *name, const hkd_shape *shape,
                  const double *expected, const double *bound, const double *got, bool half, int repeats) {
    char tensor[48];
    snprintf(tensor, sizeof tensor, "%s.%s%s", role, name, repeats == 2 ? " (accumulated)" : "");
    hkd_check c = new_check(s, tensor, HKD_SKIP);
    snprintf(c.text, sizeof c.text, "no result");
    if (got) {
        const hkd_judged j = {expected, bound, got, shape, (double)hkd_vector_elements(v), v->kind == HKD_EXACT, repeats,
                             v->op};
        hkd_profile profile = s->o->profile;
        profile.half_store = half || hkd_stores_half(s->o, shape);
        c.verdict = hkd_judge(&j, &profile);
        c.outcome = c.verdict.wrong ? HKD_FAIL : HKD_PASS;
        *c.text = 0;
        if (c.verdict.wrong) hkd_describe(&c, s->o, &j, &profile);
    }
    tell(s, &c);
}

static void judge_all(run *s, const hkd_vector *v, const hkd_vector_result *r) {
    const hkd_op *op = v->op;
    s->op->cases++;
    s->r->cases++;
    for (int i = 0; i < hkd_op_outputs(op); i++)
        judge(s, v, "out", op->out[i], &v->out_shape[i], v->out[i], v->out_bound[i], r->out[i], r->half_out[i],
              1);
    for (int i = 0; i < hkd_op_inputs(op); i++) {
        const char *name = hkd_op_input_name(op, i);
        if (!v->grad[i]) continue;
        judge(s, v, "grad", name, &v->in_shape[i], v->grad[i], v->grad_bound[i], r->grad[i], r->half_grad[i], 1);
        if (r->twice[i]) judge(s, v, "grad", name, &v->in_shape[i], v->grad[i], v->grad_bound[i], r->twice[i], false, 2);
    }
}

static hkd_op_report *report_of(hkd_verify_report *r, const char *op);

/* An algorithm whose error is not element-wise gets a row of its own, and bounds as it declares. */
static void look_for_spread(run *s, hkd_vector *v) {
    const hkd_device *dev = s->o->device;
    hkd_call call = {.op = v->op};
    for (int i = 0; i < HKD_MAX_PARAM; i++) call.p[i] = v->p[i];
    for (int i = 0; i < hkd_op_inputs(v->op); i++) call.in[i].shape = v->in_shape[i];
    for (int i = 0; i < hkd_op_outputs(v->op); i++) call.out[i].shape = v->out_shape[i];
    const hkd_spread *spread = dev->spread ? dev->spread(dev, &call) : NULL;
    if (!spread) return;
    s->op = report_of(s->r, spread->name);
    hkd_vector_spread(v, spread);
}

static hkd_status on_device(run *s, hkd_vector *v) {
    hkd_vector_result r;
    hkd_device *dev = s->o->device;
    if (!dev->supports(dev, v->op, false)) {
        s->op->missing = "not provided";
        whole_case(s, HKD_SKIP, "not provided");
        return HKD_OK;
    }
    if (v->up[0] && !dev->supports(dev, v->op, true)) s->op->missing = "no backward";
    const hkd_status status = hkd_vector_run(&r, dev, v);
    if (status == HKD_RESOURCES) return status;
    if (status) {
        whole_case(s, HKD_FAIL, hkd_last_error());
        return HKD_OK;
    }
    look_for_spread(s, v);
    judge_all(s, v, &r);
    hkd_vector_result_free(&r);
    return HKD_OK;
}

static hkd_status from_port(run *s, const hkd_vector *v) {
    char path[1024];
    hkd_vector_result r;
    if (!hkd_join(path, sizeof path, s->o->results, s->entry->file)) return hkd_fail(HKD_USAGE, "%s: too long", s->o->results);
    if (!hkd_exists(path)) {
        whole_case(s, HKD_SKIP, "no result");
        return HKD_OK;
    }
    const hkd_status status = hkd_vector_result_load(&r, v, path);
    if (status) {
        whole_case(s, HKD_FAIL, hkd_last_error());
        return status == HKD_RESOURCES ? status : HKD_OK;
    }
    judge_all(s, v, &r);
    hkd_vector_result_free(&r);
    return HKD_OK;
}

static hkd_status check_case(run *s) {
    char path[1024], hash[65];
    hkd_vector v;
    if (!hkd_join(path, sizeof path, s->o->dir, s->entry->file)) return hkd_fail(HKD_USAGE, "%s: too long", s->o->dir);
    hkd_status status = hkd_sha256_of_file(hash, path);
    if (!status && strcmp(hash, s->entry->sha256) != 0)
        status = hkd_fail(HKD_BAD_FILE, "%s: changed, its SHA-256 is not the manifest's", path);
    if (!status) status = hkd_vector_load(&v, path);
    if (status) {
        whole_case(s, HKD_FAIL, hkd_last_error());
        return status == HKD_RESOURCES ? status : HKD_OK;
    }
    status = s->o->results ? from_port(s, &v) : on_device(s, &v);
    hkd_vector_free(&v);
    return status;
}

/* ---- all cases ---- */

static bool wanted(const hkd_verify_options *o, const hkd_manifest_entry *e) {
    if (o->only_op && strcmp(o->only_op, e->op) != 0) return false;
    /* a device that rounds its inputs to float16 is asked about such inputs */
    if (hkd_judges_half(o) && strcmp(e->op, "networks") != 0 && !strstr(e->id, "/half_")) return false;
    return !o->only_case || !strcmp(o->only_case, e->id) || (strchr(e->id, '/') && !strcmp(o->only_case, strchr(e->id,
                                                                                                                '/') + 1));
}

static hkd_op_report *report_of(hkd_verify_report *r, const char *op) {
    for (int i = 0; i < r->ops; i++)
        if (!strcmp(r->op[i].op, op)) return &r->op[i];
    hkd_op_report *new_one = &r->op[r->ops++];
    *new_one = (hkd_op_report){.missing = NULL};
    snprintf(new_one->op, sizeof new_one->op, "%s", op);
    return new_one;
}

/* Composites that this set holds. */
static hkd_status networks(hkd_verify_report *r, const hkd_verify_options *o, const hkd_manifest *m) {
    hkd_device *plain = NULL;
    hkd_status status = HKD_OK;
    for (int i = 0; !status && hkd_network_name(i); i++) {
        char id[96], path[1024];
        snprintf(id, sizeof id, "networks/%s", hkd_network_name(i));
        const hkd_manifest_entry entry = {.id = id, .op = "networks"};
        run s = {o, r, NULL, &entry};
        if (!hkd_join(path, sizeof path, o->dir, id) || strlen(path) + 16 > sizeof path) continue;
        strcat(path, ".safetensors");
        if (!wanted(o, &entry) || !hkd_exists(path)) continue;
        s.op = report_of(r, "networks");
        const hkd_device_options options = {.direct = true, .isa = "plain"};
        if (!plain && !o->results) status = hkd_device_open(&plain, "cpu", &options);
        if (!status && o->cancelled && o->cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        const int before = s.op->passed + s.op->failed;
        if (!status) status = hkd_verify_network(o, i, m, plain, tell_composite, &s);
        if (s.op->passed + s.op->failed > before) s.op->cases++, r->cases++;
    }
    hkd_device_close(plain);
    return status;
}

static hkd_status conclude(const hkd_verify_report *r, const hkd_verify_options *o) {
    if (r->failed) return hkd_fail(HKD_CHECK_FAILED, "%d of %d results are wrong", r->failed, r->failed + r->passed);
    if (!r->passed && o->only_case) return hkd_fail(HKD_CHECK_FAILED, "no result was judged; is there a case '%s'?",
                                                    o->only_case);
    if (!r->passed) return hkd_fail(HKD_CHECK_FAILED, "no result was judged");
    return HKD_OK;
}

hkd_status hkd_verify(hkd_verify_report *out, const hkd_verify_options *options) {
    hkd_manifest m;
    *out = (hkd_verify_report){.op = NULL};
    hkd_status status = hkd_manifest_load(&m, options->dir);
    if (status) return status;
    out->op = calloc(2 * m.count + 2, sizeof *out->op);
    if (!out->op) status = hkd_fail(HKD_RESOURCES, "out of memory");
    for (size_t i = 0; !status && i < m.count; i++) {
        if (!wanted(options, &m.entry[i])) continue;
        if (options->cancelled && options->cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        run s = {options, out, report_of(out, m.entry[i].op), &m.entry[i]};
        if (!status) status = check_case(&s);
    }
    if (!status) status = networks(out, options, &m);
    hkd_manifest_free(&m);
    return status ? status : conclude(out, options);
}

void hkd_verify_report_free(hkd_verify_report *r) {
    free(r->op);
    r->op = NULL;
}
