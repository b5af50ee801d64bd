/* The command line: what a user may mistype must be named, never ignored. */
#include "cli.h"
#include "lists.h"
#include "program.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static const hkd_verb verb = {
    .name = "demo", .operands = "[FILE]", .most = 1,
    .option = {{"steps", "N", "4", ""}, {"grad", NULL, NULL, ""}, {"out", "FILE", NULL, ""}},
};

static hkd_status parse(hkd_args *a, const char **words) {
    int n = 0;
    while (words[n]) n++;
    return hkd_parse_args(a, &verb, n, words);
}

static void options(void) {
    hkd_args a;
    int64_t steps = 0;
    const char *good[] = {"in", "--out=x", "--grad", "--steps", "7", NULL};
    CHECK(parse(&a, good) == HKD_OK, "%s", hkd_last_error());
    CHECK(a.operands == 1 && !strcmp(a.operand[0], "in"), "the operand was lost");
    CHECK(hkd_given(&a, "grad") && !hkd_given(&a, "json"), "switches mixed up");
    CHECK(hkd_arg_int(&steps, &a, "steps", 1, 9) == HKD_OK && steps == 7, "--steps 7 read as %d", (int)steps);
    CHECK(!strcmp(hkd_arg(&a, "out"), "x") && !strcmp(hkd_arg(&a, "device"), "cpu"), "a value or default was lost");
    CHECK(hkd_arg_int(&steps, &a, "steps", 1, 6) == HKD_USAGE, "7 accepted where at most 6 is allowed");
}

/* Each line is one mistake and a word that the message must contain. */
static void mistakes(void) {
    static const struct {
        const char *words[4], *says;
    } wrong[] = {
        {{"--devise", "ref"}, "did you mean '--device'"}, {{"--out"}, "--out needs a value"}, {{"a", "b"}, "'b'"},
        {{"--grad=1"}, "--grad takes no value"},          {{"--steps", "1", "--steps=2"}, "twice"}, {{"-x"}, "'-x'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hkd_args a;
        const char *words[5] = {wrong[i].words[0], wrong[i].words[1], wrong[i].words[2], NULL};
        CHECK(parse(&a, words) == HKD_USAGE, "accepted: %s", wrong[i].words[0]);
        CHECK(strstr(hkd_last_error(), wrong[i].says), "'%s' does not say '%s'", hkd_last_error(), wrong[i].says);
    }
}

static void lists(void) {
    uint64_t *seeds;
    double *times;
    size_t n;
    CHECK(!hkd_parse_seeds(&seeds, &n, "--seeds", "0-3,100,7") && n == 6 && seeds[3] == 3 && seeds[4] == 100 && seeds[5] == 7,
          "0-3,100,7 misread");
    free(seeds);
    CHECK(!hkd_parse_seeds(&seeds, &n, "--seeds", "18446744073709551615") && seeds[0] == UINT64_MAX, "largest seed misread");
    free(seeds);
    static const char *const bad[] = {"5-2", "", "1,", "-1", "a", "1-", "1 2", "0-99999999999", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(hkd_parse_seeds(&seeds, &n, "--seeds", bad[i]) == HKD_USAGE && !seeds, "seed list '%s' accepted", bad[i]);
    hkd_parse_seeds(&seeds, &n, "--seeds", "5-2");
    CHECK(strstr(hkd_last_error(), "5-2 runs backwards"), "%s", hkd_last_error());
    CHECK(!hkd_parse_times(&times, &n, "--at", "-1,0:1:5") && n == 6 && times[0] == -1 && times[2] == 0.25 && times[5] == 1,
          "-1,0:1:5 misread");
    free(times);
    static const char *const bad_times[] = {"", "0:1", "0:1:1", "nan", "1,,2", "x"};
    for (size_t i = 0; i < sizeof bad_times / sizeof *bad_times; i++)
        CHECK(hkd_parse_times(&times, &n, "--at", bad_times[i]) == HKD_USAGE, "time list '%s' accepted", bad_times[i]);
}

/* Every verb explains itself: each option has a text, no line is wider than a window, and examples are of this verb. */
static void help(void) {
    for (const hkd_verb *const *v = hkd_verbs; *v; v++) {
        CHECK(program("%s --help", (*v)->name) == 0 && strstr(program_out(), (*v)->summary), "no help for %s", (*v)->name);
        for (const hkd_option *o = (*v)->option; o->name; o++)
            CHECK(o->help && strlen(o->help) > 5 && strstr(program_out(), o->name), "%s --%s is not explained", (*v)->name,
                  o->name);
        for (const char *line = program_out(); *line; line += strcspn(line, "\n"), line += *line == '\n')
            CHECK(strcspn(line, "\n") <= 128 || !strncmp(line, "  hkd ", 6), "%s --help: a line of %d columns", (*v)->name,
                  (int)strcspn(line, "\n"));
        for (int i = 0; i < HKD_MAX_EXAMPLE && (*v)->example[i]; i++)
            CHECK(strstr((*v)->example[i], (*v)->name), "%s: an example of another verb", (*v)->name);
    }
}

void test_cli(void) {
    help();
    options();
    mistakes();
    lists();
}
