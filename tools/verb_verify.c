/* hkd verify - judge a device or a port with the recorded vectors. */
#include "cli.h"
#include "status.h"
#include "verify.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    bool tap, tensors;
    json_t *json;  /* list of checks, or NULL */
    int number;    /* of the TAP line */
} printer;

static const char *const outcome_name[] = {"PASS", "FAIL", "SKIP"};

static void print_tap(printer *p, const hkd_check *c) {
    const char *gap = *c->tensor ? " " : "";
    printf("%sok %d - %s%s%s", c->outcome == HKD_FAIL ? "not " : "", ++p->number, c->id, gap, c->tensor);
    if (c->outcome == HKD_SKIP) printf(" # SKIP %s", c->text);
    if (c->outcome == HKD_PASS) printf(" # %.3g %% of the allowance", 100 * c->verdict.used);
    printf("\n");
    for (const char *at = c->text; c->outcome == HKD_FAIL && *at;) {
        const size_t n = strcspn(at, "\n");
        printf("# %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
}

static json_t *check_json(const hkd_check *c) {
    json_t *o = json_pack("{s:s, s:s, s:s}", "case", c->id, "tensor", c->tensor, "outcome", outcome_name[c->outcome]);
    if (c->outcome == HKD_PASS) json_object_set_new(o, "percent", json_real(100 * c->verdict.used));
    if (c->outcome == HKD_FAIL) json_object_set_new(o, "wrong", json_integer((json_int_t)c->verdict.wrong));
    if (*c->text) json_object_set_new(o, "text", json_string(c->text));
    return o;
}

static void print_check(void *context, const hkd_check *c) {
    printer *p = context;
    const char *gap = *c->tensor ? " " : "";
    if (p->json) json_array_append_new(p->json, check_json(c));
    else if (p->tap) print_tap(p, c);
    else if (c->outcome == HKD_FAIL) printf("FAIL %s%s%s: %s\n", c->id, gap, c->tensor, c->text);
    else if (p->tensors && c->outcome == HKD_SKIP) printf("SKIP %s%s%s: %s\n", c->id, gap, c->tensor, c->text);
    else if (p->tensors && c->outcome == HKD_PASS) printf("PASS %s %s: %.3g %%\n", c->id, c->tensor, 100 * c->verdict.used);
}

static void print_operators(const hkd_verify_report *r) {
    double worst = 0;
    const char *at = "";
    for (int i = 0; i < r->ops; i++) {
        const hkd_op_report *o = &r->op[i];
        if (!o->cases && !o->failed) {
            printf("SKIP %-20s %s\n", o->op, o->missing ? o->missing : "no result");
            continue;
        }
        printf("%s %-20s %3d cases %4d tensors", o->failed ? "FAIL" : "ok  ", o->op, o->cases, o->passed + o->failed);
        if (o->passed) printf("   worst %6.2f %% of the allowance   %s", 100 * o->worst, o->worst > 0 ? o->worst_at : "");
        if (o->failed) printf("   %d wrong", o->failed);
        if (o->missing) printf("   %s", o->missing);
        printf("\n");
        if (o->passed && o->worst >= worst) worst = o->worst, at = o->worst_at;
    }
    printf("%d cases: %d tensors passed, %d failed, %d skipped; worst %.2f %% of the allowance (%s)\n", r->cases, r->passed,
           r->failed, r->skipped, 100 * worst, at);
}

static hkd_status print_json(const hkd_verify_report *r, const hkd_verify_options *o, const char *profile, json_t *checks) {
    json_t *ops = json_array();
    for (int i = 0; i < r->ops; i++) {
        const hkd_op_report *p = &r->op[i];
        json_t *one = json_pack("{s:s, s:i, s:i, s:i, s:i}", "operator", p->op, "cases", p->cases, "passed", p->passed,
                                "failed",
                                p->failed, "skipped", p->skipped);
        if (p->passed) json_object_update_new(one, json_pack("{s:f, s:s}", "worst_percent", 100 * p->worst, "worst_at",
                                                             p->worst_at));
        if (p->missing) json_object_set_new(one, "missing", json_string(p->missing));
        json_array_append_new(ops, one);
    }
    json_t *all = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:O}", "vectors", o->dir, "judged",
                            o->results ? o->results : o->device->kind, "profile", profile, "cases", r->cases, "passed",
                            r->passed, "failed", r->failed, "skipped", r->skipped, "operators", ops, "tensors", checks);
    if (!all) return hkd_fail(HKD_USAGE, "--json: the names of the directories must be UTF-8");
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
    return HKD_OK;
}

/* Unless --math is given, a verification computes directly, and every bound is element by element. */
static hkd_status open_device(hkd_verify_options *o, char *profile, size_t size, const hkd_args *a) {
    hkd_args direct = *a;
    if (hkd_given(a, "flush"))
        return hkd_fail(HKD_USAGE, "--flush declares what a port does (--results); a device is measured");
    hkd_arg_preset(&direct, "math", "direct");
    hkd_status status = hkd_open_device(&o->device, &direct);
    o->fast = !strcmp(hkd_arg(&direct, "math"), "fast");
    if (!status) status = hkd_probe(&o->profile, o->device);
    if (!status) {
        char arithmetic[192];
        hkd_profile_text(arithmetic, sizeof arithmetic, &o->profile);
        snprintf(profile, size, "%s: %s; %s", o->device->kind, o->device->name, arithmetic);
    }
    return status;
}

/* Add one word to a command, in quotes where a shell would read it otherwise. */
static void add_word(char *command, size_t size, const char *word) {
    static const char *const tame = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=+@%";
    const bool quote = !*word || strspn(word, tame) != strlen(word);
    size_t at = strlen(command);
    if (at + 8 > size) return;
    at += (size_t)snprintf(command + at, size - at, "%s%s", at ? " " : "", quote ? "'" : "");
    for (; *word && at + 8 < size; word++) {
        if (*word == '\'') at += (size_t)snprintf(command + at, size - at, "'\\''");
        else command[at++] = *word, command[at] = 0;
    }
    if (quote) snprintf(command + at, size - at, "'");
}

/* The command as it was given, but for what chooses cases and how they are printed. */
static void repeat_text(char *out, size_t size, const hkd_args *a, const char *dir) {
    static const char *const words[] = {"results", "device", "isa", "math", "threads"};
    static const char *const switches[] = {"flush", "force", "half", "clblast", "no-tune"};
    char option[32];
    *out = 0;
    add_word(out, size, a->program);
    add_word(out, size, "verify");
    add_word(out, size, dir);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *value = hkd_arg(a, words[i]);
        if (!value || !hkd_given(a, words[i])) continue;
        snprintf(option, sizeof option, "--%s", words[i]);
        add_word(out, size, option);
        add_word(out, size, value);
    }
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        snprintf(option, sizeof option, "--%s", switches[i]);
        if (hkd_given(a, switches[i])) add_word(out, size, option);
    }
}

static hkd_status run(const hkd_args *a) {
    char profile[420] = "", repeat[2048];
    printer p = {.tap = hkd_given(a, "tap"), .tensors = hkd_given(a, "tensors")};
    if (hkd_given(a, "json")) p.json = json_array();
    hkd_verify_options o = {.dir = a->operands ? a->operand[0] : "vectors", .results = hkd_arg(a, "results"),
                            .only_op = hkd_arg(a, "op"), .only_case = hkd_arg(a, "case"), .repeat = repeat, .each = print_check,
                            .context = &p, .cancelled = hkd_cancelled};
    hkd_verify_report r = {.op = NULL};
    repeat_text(repeat, sizeof repeat, a, o.dir);
    hkd_status status = o.only_op && strcmp(o.only_op, "networks") != 0 ? hkd_known_op(o.only_op) : HKD_OK;
    if (!status && !o.results) status = open_device(&o, profile, sizeof profile, a);
    else if (!status) {
        o.profile.flushes = hkd_given(a, "flush");
        snprintf(profile, sizeof profile, "results in %s; subnormals %s (declared)", o.results,
                 o.profile.flushes ? "flushed to zero" : "kept");
    }
    if (!status && !p.json) printf("%s%s\n", p.tap ? "# " : "", profile);
    if (!status) status = hkd_verify(&r, &o);
    const hkd_status said = r.op && p.json ? print_json(&r, &o, profile, p.json) : HKD_OK;
    if (said) status = said;
    if (r.op && !p.json && p.tap) printf("1..%d\n", p.number);
    else if (r.op && !p.json) print_operators(&r);
    hkd_verify_report_free(&r);
    hkd_device_close(o.device);
    json_decref(p.json);
    return status;
}

const hkd_verb hkd_verb_verify = {
    .name = "verify",
    .operands = "[DIR]",
    .summary = "judge a device, or a port's results, with the recorded vectors (DIR: vectors)",
    .most = 1,
    .option = {{"op", "OP", NULL, "only this operator; \"networks\": only the composites"},
               {"case", "CASE", NULL, "only this case (\"conv2d/exact_3x3\")"},
               {"results", "DIR", NULL, "judge the files that a port wrote: DIR/OP/CASE.safetensors with out.* and grad.*"},
               {"flush", NULL, NULL, "with --results: the port flushes subnormal numbers to zero"},
               {"tensors", NULL, NULL, "one line for every tensor"},
               {"tap", NULL, NULL, "print in the Test Anything Protocol"}},
    .example = {"verify --device cpu", "verify --op conv2d --device ref --json",
                "verify --results out/port    a port that never links our code"},
    .run = run,
};
