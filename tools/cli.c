#include "cli.h"

#include "cpu.h"
#ifdef HKD_OPENCL
#include "machines.h"
#endif
#include "os.h"
#include "status.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const hkd_option hkd_common_option[] = {
    {"device", "ref|cpu|opencl[:N|:NAME]", "cpu", "where the operators run"},
    {"threads", "N", "0", "threads of the cpu device (0: all cores)"},
    {"seed", "N", "0", "seed of everything random"},
    {"json", NULL, NULL, "print the result as JSON"},
    {"quiet", NULL, NULL, "no progress and no messages"},
    {"math", "direct|fast", "fast", "direct: no Winograd, no reassociated algorithms"},
    {"isa", "plain|avx2|avx512", NULL, "instruction set of the cpu device, for tests (not given: the best); opencl: cpu|gpu"},
    {"force", NULL, NULL, "use an OpenCL device without its self-check"},
    {"half", NULL, NULL, "opencl: store activations as float16, compute in float32; no gradients"},
    {"no-tune", NULL, NULL, "opencl: ignore what hkd tune found out about this device"},
    {"clblast", NULL, NULL, "opencl: CLBlast for every matrix product (not given: where hkd tune found it faster)"},
    {"help", NULL, NULL, "this page"},
    {NULL, NULL, NULL, NULL},
};

static int own_options(const hkd_verb *v) {
    int n = 0;
    while (v->option[n].name) n++;
    return n;
}

/* Option number `i` of a verb: its own first, then the common ones. */
static const hkd_option *option_at(const hkd_verb *v, int i) {
    const int own = own_options(v);
    return i < own ? &v->option[i] : &hkd_common_option[i - own];
}

static int find_option(const hkd_verb *v, const char *name, size_t length) {
    for (int i = 0; option_at(v, i)->name; i++)
        if (strlen(option_at(v, i)->name) == length && !strncmp(option_at(v, i)->name, name, length)) return i;
    return -1;
}

/* ---- did you mean ---- */

/* Number of insertions, deletions, replacements and swaps of neighbours that lead from a to b. */
static int edits(const char *a, const char *b) {
    enum { MOST = 40 };
    int d[MOST + 1][MOST + 1];
    const int m = (int)strlen(a), n = (int)strlen(b);
    if (m > MOST || n > MOST) return MOST;
    for (int i = 0; i <= m; i++)
        for (int j = 0; j <= n; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[m][n];
}

const char *hkd_did_you_mean(const char *word, const char *const *words) {
    const char *best = NULL;
    int fewest = 3;
    for (; *words; words++) {
        const size_t length = strlen(word);
        const int e = length > 1 && !strncmp(word, *words, length) ? 1 : edits(word, *words);
        if (e < fewest && e < (int)strlen(*words)) {
            fewest = e;
            best = *words;
        }
    }
    return best;
}

/* hkd_fail with "unknown WHAT 'WORD'" and, where one is near, the word that was probably meant. */
static hkd_status unknown(const char *what, const char *dashes, const char *word, const char *const *words) {
    const char *near = hkd_did_you_mean(word, words);
    return near ? hkd_fail(HKD_USAGE, "unknown %s '%s%s'; did you mean '%s%s'?", what, dashes, word, dashes, near)
                : hkd_fail(HKD_USAGE, "unknown %s '%s%s'", what, dashes, word);
}

/* ---- reading the arguments ---- */

hkd_status hkd_parse_args(hkd_args *out, const hkd_verb *verb, int argc, const char **argv) {
    *out = (hkd_args){.verb = verb, .operand = argv};
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_operands || word[0] != '-' || !strcmp(word, "-")) {
            argv[out->operands++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            only_operands = true;
            continue;
        }
        const char *name = word[1] == '-' ? word + 2 : !strcmp(word, "-h") ? "help" : word;
        const char *equals = strchr(name, '=');
        const int at = find_option(verb, name, equals ? (size_t)(equals - name) : strlen(name));
        if (at < 0) {
            const char *words[HKD_MAX_OPTION + HKD_COMMON_OPTIONS + 1];
            int n = 0;
            for (; option_at(verb, n)->name; n++) words[n] = option_at(verb, n)->name;
            words[n] = NULL;
            return word[1] == '-' ? unknown("option", "--", name, words) : unknown("option", "", word, words);
        }
        const hkd_option *o = option_at(verb, at);
        if (!o->argument && equals) return hkd_fail(HKD_USAGE, "--%s takes no value", o->name);
        if (out->value[at] && o->argument) return hkd_fail(HKD_USAGE, "--%s is given twice", o->name);
        if (o->argument && !equals && i + 1 == argc) return hkd_fail(HKD_USAGE, "--%s needs a value: %s", o->name, o->argument);
        out->value[at] = !o->argument ? "" : equals ? equals + 1 : argv[++i];
    }
    out->help = hkd_given(out, "help");
    if (out->help) return HKD_OK;
    if (out->operands < verb->least)
        return hkd_fail(HKD_USAGE, "expected %s", verb->operands);
    if (out->operands > verb->most)
        return hkd_fail(HKD_USAGE, "'%s' is one argument too many (expected %s)", out->operand[verb->most],
                        verb->operands ? verb->operands : "options only");
    return HKD_OK;
}

const char *hkd_arg(const hkd_args *a, const char *name) {
    const int at = find_option(a->verb, name, strlen(name));
    return at < 0 ? NULL : a->value[at] ? a->value[at] : option_at(a->verb, at)->standard;
}

bool hkd_given(const hkd_args *a, const char *name) {
    const int at = find_option(a->verb, name, strlen(name));
    return at >= 0 && a->value[at];
}

void hkd_arg_preset(hkd_args *a, const char *name, const char *value) {
    const int at = find_option(a->verb, name, strlen(name));
    if (at >= 0 && !a->value[at]) a->value[at] = value;
}

hkd_status hkd_arg_int(int64_t *out, const hkd_args *a, const char *name, int64_t least, int64_t most) {
    const char *text = hkd_arg(a, name);
    char *end = NULL;
    errno = 0;
    const long long v = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || v < least || v > most)
        return hkd_fail(HKD_USAGE, "--%s %s: expected a whole number from %lld to %lld", name, text ? text : "(not given)",
                        (long long)least, (long long)most);
    *out = v;
    return HKD_OK;
}

hkd_status hkd_arg_real(double *out, const hkd_args *a, const char *name, double least, double most) {
    const char *text = hkd_arg(a, name);
    char *end = NULL;
    const double v = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !(v >= least && v <= most))
        return hkd_fail(HKD_USAGE, "--%s %s: expected a number from %g to %g", name, text ? text : "(not given)", least, most);
    *out = v;
    return HKD_OK;
}

hkd_status hkd_arg_choice(int *out, const hkd_args *a, const char *name, const char *choices) {
    const char *text = hkd_arg(a, name), *at = choices;
    for (int i = 0; text && *at; i++) {
        const size_t length = strcspn(at, "|");
        if (strlen(text) == length && !strncmp(text, at, length)) {
            *out = i;
            return HKD_OK;
        }
        at += length + (at[length] == '|');
    }
    return hkd_fail(HKD_USAGE, "--%s %s: expected %s", name, text ? text : "(not given)", choices);
}

hkd_status hkd_arg_shard(int64_t *first, int64_t *last, const hkd_args *a, int64_t count) {
    enum { BLOCK = 64, MOST = 1 << 20 }; /* statistics are made of such blocks (moments.h) */
    const char *text = hkd_arg(a, "shard");
    int i = 0, n = 1, end = 0;
    *first = 0;
    *last = count;
    if (!text) return HKD_OK;
    if (sscanf(text, "%d/%d%n", &i, &n, &end) != 2 || text[end] || i < 0 || i >= n || n > MOST)
        return hkd_fail(HKD_USAGE, "--shard %s: expected i/n with 0 <= i < n", text);
    const int64_t blocks = (count + BLOCK - 1) / BLOCK, from = (i * blocks + n - 1) / n, to = ((i + 1) * blocks + n - 1) / n;
    *first = from * BLOCK < count ? from * BLOCK : count;
    *last = to * BLOCK < count ? to * BLOCK : count;
    return HKD_OK;
}

/* Which OpenCL device it is was the program's choice. */
static void say_choice(const hkd_args *a, const hkd_device *dev) {
#ifdef HKD_OPENCL
    char remark[512];
    if (strcmp(dev->kind, "opencl") != 0) return;
    hkd_cl_remark(remark, sizeof remark, dev);
    hkd_say(a, "opencl: %s%s%s", dev->name, *remark ? "; " : "", remark);
#else
    (void)a, (void)dev;
#endif
}

hkd_status hkd_open_device(hkd_device **out, const hkd_args *a) {
    *out = NULL;
    int64_t threads = 0;
    int math = 0;
    hkd_status status = hkd_arg_int(&threads, a, "threads", 0, 4096);
    if (!status) status = hkd_arg_choice(&math, a, "math", "direct|fast");
    if (status) return status;
    const hkd_device_options options = {.threads = (int)threads, .direct = math == 0, .isa = hkd_arg(a, "isa"),
                                        .force = hkd_given(a, "force"), .no_tune = hkd_given(a, "no-tune"),
                                        .clblast = hkd_given(a, "clblast"), .half = hkd_given(a, "half")};
    status = hkd_device_open(out, hkd_arg(a, "device"), &options);
    if (!status) say_choice(a, *out);
    return status;
}

hkd_status hkd_known_op(const char *name) {
    const char *words[256];
    int n = 0;
    for (; hkd_op_table[n] && n < 255; n++) words[n] = hkd_op_table[n]->name;
    words[n] = NULL;
    return hkd_find_op(name) ? HKD_OK : unknown("operator", "", name, words);
}

void hkd_say(const hkd_args *a, const char *format, ...) {
    if (hkd_given(a, "quiet")) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- Ctrl-C ---- */

static const volatile sig_atomic_t *interrupted;

bool hkd_cancelled(void) { return interrupted && *interrupted; }

/* ---- help and version ---- */

enum { LEFT = 37, WIDTH = 128 }; /* columns of the help */

/* Words from column `at` on; what would pass WIDTH goes on below, at LEFT. Line breaks in the text stand. */
static void print_words(const char *text, int at) {
    while (*text) {
        const int spaces = (int)strspn(text, " "), word = (int)strcspn(text + spaces, " \n");
        if (at + spaces + word > WIDTH && at > LEFT) printf("\n%*s%.*s", LEFT, "", word, text + spaces), at = LEFT + word;
        else printf("%.*s", spaces + word, text), at += spaces + word;
        text += spaces + word;
        if (*text == '\n') putchar(*text++), at = 0;
    }
    putchar('\n');
}

static void print_options(const hkd_option *o) {
    for (; o->name; o++) {
        char left[128], help[4096];
        snprintf(left, sizeof left, "  --%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        if (o->standard) snprintf(help, sizeof help, " %s (%s)", o->help, o->standard);
        else snprintf(help, sizeof help, " %s", o->help);
        print_words(help, printf("%-*s", LEFT - 1, left));
    }
}

static void print_verb_help(const hkd_verb *v) {
    print_words(v->operands ? v->operands : "[options]", printf("hkd %s%s ", v->name, v->operands ? " [options]" : ""));
    printf("%s\n", v->summary);
    if (v->option[0].name) printf("\noptions (in brackets: what holds when not given)\n");
    print_options(v->option);
    printf("\ncommon options\n");
    print_options(hkd_common_option);
    if (v->example[0]) printf("\nexamples\n");
    for (int i = 0; i < HKD_MAX_EXAMPLE && v->example[i]; i++) printf("  hkd %s\n", v->example[i]);
}

static void print_help(const hkd_verb *const *verbs) {
    printf("hkd VERB [options]: Hierarchical Koopman Diffusion, one file per idea\n\n");
    for (; *verbs; verbs++) printf("  %-12s %s\n", (*verbs)->name, (*verbs)->summary);
    printf("\nhkd VERB --help says more, with examples; hkd --version says what this program was built with.\n"
           "Results go to stdout, messages to stderr. Exit: 0 done, 1 a check failed, 2 usage, 3 bad input file, 4 device,\n"
           "5 interrupted or out of resources.\n");
}

static void print_version(void) {
    static const char *const features[] = {
        "reference",
#ifdef HKD_OPENMP
        "openmp",
#endif
#ifdef HKD_OPENCL
        "opencl",
#endif
#ifdef HKD_CLBLAST
        "clblast",
#endif
#ifdef HKD_PNG
        "png",
#endif
#ifdef HKD_ZLIB
        "zlib",
#endif
#ifdef HKD_ZIP
        "zip",
#endif
#ifdef HKD_LAPACKE
        "lapacke",
#endif
#ifdef HKD_X86
        "avx2", "avx512",
#endif
    };
#if defined(__clang__)
    printf("hkd %s, built with %s\n", HKD_VERSION, __VERSION__);
#elif defined(__GNUC__)
    printf("hkd %s, built with gcc %s\n", HKD_VERSION, __VERSION__);
#else
    printf("hkd %s\n", HKD_VERSION);
#endif
    printf("features:");
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) printf(" %s", features[i]);
    printf("\n");
}

/* ---- the program ---- */

static int complain(const char *verb, hkd_status status) {
    const char *space = *verb ? " " : "";
    fprintf(stderr, "hkd%s%s: %s", space, verb, hkd_last_error());
    if (status == HKD_USAGE) fprintf(stderr, " (hkd%s%s --help lists what it takes)", space, verb);
    fputc('\n', stderr);
    return status;
}

static int run_verb(const hkd_verb *verb, const char *program, int argc, const char **argv) {
    hkd_args args;
    hkd_status status = hkd_parse_args(&args, verb, argc, argv);
    if (status) return complain(verb->name, status);
    args.program = program;
    if (args.help) {
        print_verb_help(verb);
        return HKD_OK;
    }
    interrupted = hkd_interrupt_flag();
    status = verb->run(&args);
    if (fflush(stdout) && !status) status = hkd_fail(HKD_RESOURCES, "stdout: %s", strerror(errno));
    return status ? complain(verb->name, status) : HKD_OK;
}

int hkd_main(const hkd_verb *const *verbs, int argc, const char **argv) {
    const char *word = argc > 1 ? argv[1] : "--help";
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        print_help(verbs);
        return argc > 1 ? HKD_OK : HKD_USAGE;
    }
    if (!strcmp(word, "--version")) {
        print_version();
        return HKD_OK;
    }
    const char *words[64];
    int n = 0;
    for (; verbs[n] && n < 63; n++) {
        if (!strcmp(verbs[n]->name, word)) return run_verb(verbs[n], argv[0], argc - 2, argv + 2);
        words[n] = verbs[n]->name;
    }
    words[n] = NULL;
    return complain("", unknown(word[0] == '-' ? "option" : "verb", "", word, words));
}
