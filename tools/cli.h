/* cli.h - the command line: verbs and their options are tables, and this reads them.
 *
 * One file per verb, tools/verb_NAME.c, exports `const hkd_verb hkd_verb_NAME`; verbs.c lists it. A verb's run() gives
 * its result on stdout and returns a status; what went wrong is said once, by the caller, from hkd_last_error().
 */
#ifndef HKD_CLI_H
#define HKD_CLI_H

#include "device.h"

#include <stdbool.h>

enum { HKD_MAX_OPTION = 56, HKD_MAX_EXAMPLE = 6, HKD_COMMON_OPTIONS = 12 };

typedef struct {
    const char *name;     /* "seeds" for --seeds */
    const char *argument; /* "LIST"; NULL: a switch */
    const char *standard; /* value when not given, shown in the help; NULL: none */
    const char *help;     /* one line */
} hkd_option;

typedef struct hkd_args hkd_args;

typedef struct {
    const char *name;
    const char *operands;                          /* "[DIR]"; NULL: none */
    const char *summary;                           /* one line */
    int least, most;                               /* number of operands */
    hkd_option option[HKD_MAX_OPTION];             /* terminated by name NULL */
    const char *example[HKD_MAX_EXAMPLE];          /* "verify --op conv2d    what it does"; printed after "hkd " */
    hkd_status (*run)(const hkd_args *args);
} hkd_verb;

/* What the user gave. Strings point into argv. */
struct hkd_args {
    const hkd_verb *verb;
    const char *value[HKD_MAX_OPTION + HKD_COMMON_OPTIONS]; /* the verb's options, then the common ones */
    const char **operand;                                   /* argv, reordered; `operands` of them */
    int operands;
    const char *program;                                    /* as it was called: "build/hkd" */
    bool help;
};

/* --device --threads --seed --json --quiet --math --isa --force --no-tune --clblast --half --help: all verbs have them.
 * Terminated by name NULL. */
extern const hkd_option hkd_common_option[];

/* Read argv (what follows the verb) against the tables. Reorders argv. */
hkd_status hkd_parse_args(hkd_args *out, const hkd_verb *verb, int argc, const char **argv);

const char *hkd_arg(const hkd_args *a, const char *name);    /* given or standard value; NULL: neither */
bool hkd_given(const hkd_args *a, const char *name);         /* was it on the command line? (also: is a switch on?) */
hkd_status hkd_arg_int(int64_t *out, const hkd_args *a, const char *name, int64_t least, int64_t most);
hkd_status hkd_arg_real(double *out, const hkd_args *a, const char *name, double least, double most);
/* Act as if `--name value` had been given, unless it was. */
void hkd_arg_preset(hkd_args *a, const char *name, const char *value);
/* Which of "direct|fast" was given: 0, 1, ... */
hkd_status hkd_arg_choice(int *out, const hkd_args *a, const char *name, const char *choices);

/* --shard i/n of `count` things: first .. last - 1, cut at multiples of 64; all of them when it is not given. */
hkd_status hkd_arg_shard(int64_t *first, int64_t *last, const hkd_args *a, int64_t count);

/* Open the device of --device, --threads, --math and --isa. */
hkd_status hkd_open_device(hkd_device **out, const hkd_args *a);

/* HKD_OK when the table has this operator; else a message with the name that was probably meant. */
hkd_status hkd_known_op(const char *name);

/* A message for people, on stderr, unless --quiet. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void hkd_say(const hkd_args *a, const char *format, ...);

/* True once Ctrl-C was pressed; long work ends soon after with HKD_RESOURCES. A second Ctrl-C ends the program. */
bool hkd_cancelled(void);

/* The nearest of a NULL-terminated list of words, or NULL when none is near. */
const char *hkd_did_you_mean(const char *word, const char *const *words);

extern const hkd_verb *const hkd_verbs[]; /* verbs.c; ends with NULL */

/* The whole program: find the verb (`verbs` ends with NULL), run it, report; returns the exit code. */
int hkd_main(const hkd_verb *const *verbs, int argc, const char **argv);

#endif
