/* hkd verify: what it prints for people, for TAP and as JSON says the same, and the line that repeats a failure does. */
#include "manifest.h"
#include "os.h"
#include "program.h"
#include "scratch.h"
#include "status.h"
#include "test.h"
#include "vector_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hkd_case cases[] = {
    {"good", HKD_EXACT, "Tail", "", "x 3x5 int"},
    {"wrong", HKD_EXACT, "Tail", "", "x 3x5 int"},
};

/* A set of two cases of relu in DIR, of which the second expects 1 too much at (1, 2); in RESULTS a port's file for it, which
 * is right. Whoever is judged with these fails in one tensor. */
static bool record_set(const char *dir, const char *results) {
    hkd_manifest_writer w;
    char path[512];
    bool good = !hkd_manifest_begin(&w, dir);
    for (int i = 0; good && i < 2; i++) {
        char file[64];
        hkd_vector v;
        snprintf(file, sizeof file, "relu/%s.safetensors", cases[i].name);
        good = !hkd_vector_make(&v, hkd_find_op("relu"), &cases[i]);
        for (int k = 0; good && k < 2; k++) { /* first what a port wrote */
            char folder[480];
            hkd_join(folder, sizeof folder, k ? dir : results, "relu");
            hkd_join(path, sizeof path, k ? dir : results, file);
            v.out[0][7] += k && i;
            good = !hkd_make_directory(folder) && (!(k || i) || !hkd_vector_save(path, &v));
        }
        good = good && !hkd_manifest_add(&w, &v, file);
        hkd_vector_free(&v);
    }
    good = good && !hkd_manifest_finish(&w);
    hkd_manifest_writer_free(&w);
    return CHECK(good, "%s", hkd_last_error());
}

/* ---- JSON and TAP ---- */

static int count_json(const json_t *tensors, const char *outcome) {
    size_t i;
    const json_t *t;
    int n = 0;
    json_array_foreach(tensors, i, t) {
        const char *is = json_string_value(json_object_get(t, "outcome"));
        const bool named = json_is_string(json_object_get(t, "case")) && json_is_string(json_object_get(t, "tensor"));
        const bool pass = is && !strcmp(is, "PASS"), share = json_is_number(json_object_get(t, "percent"));
        CHECK(named && pass == share, "a tensor without its name, or with a share that is none");
        n += is && !strcmp(is, outcome);
    }
    return n;
}

static int number(const json_t *o, const char *key) { return (int)json_integer_value(json_object_get(o, key)); }

/* The sums are those of the list, operator by operator and over all, and the device has said what it is. */
static void json(const char *words, int code, int passed, int failed, int skipped, const char *profile) {
    CHECK(program("verify %s --json", words) == code, "'%s' ended with another code than %d: %s", words, code, program_err());
    json_t *o = json_loads(program_out(), JSON_REJECT_DUPLICATES, NULL);
    if (!CHECK(o, "'%s' prints no JSON: %s", words, program_out())) return;
    const json_t *tensors = json_object_get(o, "tensors"), *op = json_array_get(json_object_get(o, "operators"), 0);
    const struct {
        const char *key, *outcome;
        int n;
    } sums[] = {{"passed", "PASS", passed}, {"failed", "FAIL", failed}, {"skipped", "SKIP", skipped}};
    for (int i = 0; i < 3; i++)
        CHECK(number(o, sums[i].key) == sums[i].n && number(op, sums[i].key) == sums[i].n &&
                  count_json(tensors, sums[i].outcome) == sums[i].n,
              "'%s': %d, %d and %d %s, expected %d", words, number(o, sums[i].key), number(op, sums[i].key),
              count_json(tensors, sums[i].outcome), sums[i].key, sums[i].n);
    const char *says = json_string_value(json_object_get(o, "profile"));
    CHECK(says && strstr(says, profile), "'%s': the profile is '%s'", words, says ? says : "missing");
    json_decref(o);
}

/* Lines "ok N - ..." numbered from 1, then the plan; anything else is a comment. */
static void tap(const char *words, int code, int passed, int failed, int skipped) {
    char copy[8192];
    int n = 0, ok = 0, not_ok = 0, skip = 0, plan = -1;
    CHECK(program("verify %s --tap", words) == code, "'%s' ended with another code than %d: %s", words, code, program_err());
    snprintf(copy, sizeof copy, "%s", program_out());
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        const bool bad = !strncmp(line, "not ", 4);
        int at = 0;
        if (sscanf(line, "1..%d", &plan) == 1 || *line == '#') continue;
        CHECK(plan < 0 && sscanf(line + (bad ? 4 : 0), "ok %d - relu/", &at) == 1 && at == ++n, "no TAP: %s", line);
        skip += strstr(line, " # SKIP ") != NULL;
        ok += !bad && !strstr(line, " # SKIP ");
        not_ok += bad;
    }
    CHECK(plan == n && ok == passed && not_ok == failed && skip == skipped, "'%s': plan %d, %d ok, %d not ok, %d skipped",
          words, plan, ok, not_ok, skip);
}

/* ---- the line that repeats a failure ---- */

enum { MOST = 24 };
typedef struct {
    char text[MOST][600];
    int count;
} words;

/* What a shell makes of a line. */
static words in_a_shell(const char *line) {
    static char command[4096];
    words w = {.count = 0};
    snprintf(command, sizeof command, "for word in %s; do printf '%%s\\n' \"$word\"; done", line);
    FILE *sh = popen(command, "r");
    while (CHECK(sh, "no shell") && w.count < MOST && fgets(w.text[w.count], sizeof w.text[0], sh))
        w.text[w.count][strcspn(w.text[w.count], "\n")] = 0, w.count++;
    if (sh) pclose(sh);
    return w;
}

static int call(const words *w) {
    const char *argv[MOST];
    for (int i = 0; i < w->count; i++) argv[i] = w->text[i];
    return program_called(w->count, argv);
}

/* A failed run (`given`, ending with NULL) prints a line that a shell reads as the same run of one case, `expected`; and that
 * fails in the same way, in that case alone. */
static void repeats(const char *const *given, const char *const *expected) {
    words first = {.count = 0};
    char failure[200];
    for (const char *const *word = given; *word; word++) snprintf(first.text[first.count++], sizeof first.text[0], "%s", *word);
    CHECK(call(&first) == HKD_CHECK_FAILED, "a wrong result passed: %s", program_err());
    char *at = strstr(program_out(), "repeat: "), *fail = strstr(program_out(), "FAIL relu/wrong out.y");
    if (!CHECK(at && fail, "no line that repeats the failure: %s", program_out())) return;
    snprintf(failure, sizeof failure, "%.*s", (int)strcspn(fail, "\n"), fail);
    at[strcspn(at, "\n")] = 0;
    const words again = in_a_shell(at + strlen("repeat: "));
    for (int i = 0; i < again.count || expected[i]; i++)
        if (!CHECK(i < again.count && expected[i] && !strcmp(again.text[i], expected[i]), "word %d is '%s', expected '%s'", i,
                   i < again.count ? again.text[i] : "missing", expected[i] ? expected[i] : "no more")) return;
    CHECK(call(&again) == HKD_CHECK_FAILED && strstr(program_out(), failure), "another failure: %s", program_out());
    CHECK(strstr(program_out(), "\n1 cases: "), "not that case alone: %s", program_out());
}

static void repeat_lines(const char *dir, const char *results) {
    const char *const device[] = {"build/an odd 'place'/hkd", "verify", "--isa", "plain", "--quiet", dir, "--threads=1",
                                  "--math", "direct", NULL};
    const char *const device_again[] = {"build/an odd 'place'/hkd", "verify", dir, "--isa", "plain", "--math", "direct",
                                        "--threads", "1", "--case", "relu/wrong", NULL};
    const char *const port[] = {"hkd", "verify", dir, "--results", results, "--op", "relu", "--flush", NULL};
    const char *const port_again[] = {"hkd", "verify", dir, "--results", results, "--flush", "--case", "relu/wrong", NULL};
    repeats(device, device_again);
    repeats(port, port_again);
}

/* Names that a shell would take apart, expand or run. */
static void odd_names(void) {
    static const char *const odd[] = {"two words", "it's", "$HOME `date` $(id)", "a\"b\\c", "*?[a-z]", "; exit 3 # no", "~",
                                      "(a|b)&<c>!"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char dir[400], results[440];
        snprintf(dir, sizeof dir, "%s", scratch(odd[i]));
        snprintf(results, sizeof results, "%s/%s", dir, odd[(i + 1) % (sizeof odd / sizeof *odd)]);
        CHECK(!hkd_make_directory(dir) && !hkd_make_directory(results), "%s", hkd_last_error());
        if (record_set(dir, results)) repeat_lines(dir, results);
    }
}

void test_verb_verify(void) {
    char dir[400], results[440], all[900], none[900];
    snprintf(dir, sizeof dir, "%s", scratch("verify_set"));
    snprintf(results, sizeof results, "%s/results", dir);
    CHECK(!hkd_make_directory(dir) && !hkd_make_directory(results), "%s", hkd_last_error());
    if (!record_set(dir, results)) return;
    snprintf(all, sizeof all, "%s --device cpu --isa plain", dir);
    snprintf(none, sizeof none, "%s --results %s", dir, results);
    json(all, HKD_CHECK_FAILED, 5, 1, 0, "FMA ");
    tap(all, HKD_CHECK_FAILED, 5, 1, 0);
    json(none, HKD_CHECK_FAILED, 1, 1, 1, "declared");
    tap(none, HKD_CHECK_FAILED, 1, 1, 1);
    snprintf(all, sizeof all, "%s --case relu/good", dir);
    json(all, HKD_OK, 3, 0, 0, "subnormals kept");
    tap(all, HKD_OK, 3, 0, 0);
    CHECK(program("verify %s/relu --tap", dir) == HKD_BAD_FILE && !strstr(program_out(), "1.."), "a plan without a manifest");
    odd_names();
}
