/* hkd demo - the whole method in three minutes: distil the shipped teacher into a one-step model and show what it makes.
 *
 * The demo is a list of commands, the same that a user would give; each is shown before it runs. */
#include "cli.h"
#include "dataset.h"
#include "grid.h"
#include "image.h"
#include "os.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const hkd_verb hkd_verb_train, hkd_verb_sample, hkd_verb_report;

enum { MOST_WORDS = 64, PATH = 4096 };

/* ---- commands ---- */

/* `options` and, for every command, the common ones that the demo was given. NULL: out of memory. */
static char *with_common(const hkd_args *a, const char *options) {
    size_t room = strlen(options) + 1;
    for (const hkd_option *o = hkd_common_option; o->name; o++)
        if (hkd_given(a, o->name)) room += strlen(o->name) + strlen(hkd_arg(a, o->name)) + 6;
    char *line = malloc(room), *end = line;
    if (!line) return NULL;
    end += sprintf(end, "%s", options);
    for (const hkd_option *o = hkd_common_option; o->name; o++) {
        if (!hkd_given(a, o->name)) continue;
        end += sprintf(end, " --%s", o->name);
        if (o->argument) end += sprintf(end, " \"%s\"", hkd_arg(a, o->name));
    }
    return line;
}

/* Show and run "VERB options". Words are separated by spaces; a path with spaces stands between quotes. */
static hkd_status command(const hkd_args *a, const hkd_verb *verb, const char *options) {
    const char *argv[MOST_WORDS];
    char *line = with_common(a, options);
    int argc = 0;
    if (!line) return hkd_fail(HKD_RESOURCES, "out of memory");
    hkd_say(a, "\n$ hkd %s %s\n", verb->name, line);
    for (char *at = line; *at && argc < MOST_WORDS;) {
        const char *const end = *at == '"' ? "\"" : " ";
        argv[argc++] = at += *at == '"';
        at += strcspn(at, end);
        if (*at == '"') *at++ = 0;
        while (*at == ' ') *at++ = 0;
    }
    hkd_args args;
    hkd_status status = hkd_parse_args(&args, verb, argc, argv);
    if (!status) status = verb->run(&args);
    free(line);
    return status;
}

/* ---- places ---- */

/* The shipped file, beside the sources or where it was installed. */
static hkd_status shipped(char *out, const char *name) {
    static const char *const places[] = {"data", HKD_DATADIR};
    for (int i = 0; i < 2; i++) {
        snprintf(out, PATH, "%s/%s", places[i], name);
        if (hkd_exists(out)) return HKD_OK;
    }
    return hkd_fail(HKD_BAD_FILE, "%s is neither in data/ nor in %s", name, HKD_DATADIR);
}

typedef struct {
    const char *out, *data, *levels; /* data: NULL for the built-in scenes; levels: of its teacher's network */
    char teacher[PATH], model[PATH];
    double scale;           /* of all lengths of training */
} scene;

/* `usual` pictures, at the scene's scale; at least one batch. */
static long long scaled(const scene *s, double usual) {
    const double n = s->scale * usual;
    return n < 32 ? 32 : (long long)n;
}

/* Two sheets side by side, each under its title. */
static hkd_status beside(const scene *s, const char *left, const char *right, const char *out) {
    hkd_image image[2] = {{0}, {0}}, both = {0};
    char model[65], teacher[65], settings[256];
    static const char *const title[] = {"one step (HKD)", "teacher, 35 evaluations"};
    hkd_status status = hkd_sha256_of_file(model, s->model);
    if (!status) status = hkd_sha256_of_file(teacher, s->teacher);
    if (status) return status;
    snprintf(settings, sizeof settings, "left: onestep; right: heun steps=18 of %s", teacher);
    const hkd_metadata about[] = {{"seeds", "0-29"}, {"model_sha256", model}, {"settings", settings}};
    status = hkd_image_read(&image[0], left);
    if (!status) status = hkd_image_read(&image[1], right);
    if (!status) status = hkd_grid(&both, image, 2, &(hkd_grid_options){.columns = 2, .scale = 1, .column_label = title});
    if (!status) status = hkd_image_write(out, &both, about, 3);
    for (int i = 0; i < 2; i++) hkd_image_free(&image[i]);
    hkd_image_free(&both);
    return status;
}

/* ---- the demo ---- */

/* Levels as far as the pictures can be halved, at most three. */
static hkd_status levels_for(const char **out, const char *data) {
    hkd_dataset *set = NULL;
    const hkd_status status = hkd_dataset_open(&set, data);
    if (!status) *out = set->resolution % 4 == 0 ? "1,2,2" : set->resolution % 2 == 0 ? "1,2" : "1";
    hkd_dataset_close(set);
    return status;
}

static hkd_status train_teacher(const hkd_args *a, scene *s) {
    char line[3 * PATH];
    snprintf(s->teacher, sizeof s->teacher, "%s/teacher.safetensors", s->out);
    snprintf(line, sizeof line,
             "--objective edm --data \"%s\" --channels 32 --mult %s --blocks 2 --attention 14,16 --batch 32 --images %lld "
             "--lr 1e-3 --warmup %lld --cosine --clip 300 --out \"%s\" --log \"%s/teacher.csv\" --resume",
             s->data, s->levels, scaled(s, 2e6), scaled(s, 2e4), s->teacher, s->out);
    return command(a, &hkd_verb_train, line);
}

static hkd_status distil(const hkd_args *a, scene *s) {
    char line[3 * PATH], how[256];
    snprintf(s->model, sizeof s->model, "%s/model.safetensors", s->out);
    if (s->data)
        snprintf(how, sizeof how, "--trajectory-count %lld --trajectory-steps 18 --batch 32 --micro-batch 32 --images %lld "
                                  "--lr 5e-4 --lr-gamma 0.95", scaled(s, 2e4), scaled(s, 4e5));
    else
        snprintf(how, sizeof how, "--trajectory-count %lld --trajectory-steps 8 --times 2 --batch 16 --micro-batch 24 "
                                  "--images %lld --lr 1e-3 --lr-gamma 1 --cosine", scaled(s, 512), scaled(s, 3400));
    snprintf(line, sizeof line, "--objective hkd --teacher \"%s\" --trajectories \"%s/trajectories\" %s --out \"%s\" "
                                "--log \"%s/losses.csv\" --resume", s->teacher, s->out, how, s->model, s->out);
    return command(a, &hkd_verb_train, line);
}

static hkd_status show(const hkd_args *a, const scene *s) {
    char line[3 * PATH], samples[PATH], teacher[PATH], both[PATH];
    const char *picture = hkd_image_ending();
    snprintf(samples, sizeof samples, "%s/samples.%s", s->out, picture);
    snprintf(teacher, sizeof teacher, "%s/teacher.%s", s->out, picture);
    snprintf(both, sizeof both, "%s/samples_and_teacher.%s", s->out, picture);
    snprintf(line, sizeof line, "--model \"%s\" --seeds 0-29 --columns 5 --out \"%s\"", s->model, samples);
    hkd_status status = command(a, &hkd_verb_sample, line);
    snprintf(line, sizeof line, "--model \"%s\" --seeds 0-29 --columns 5 --sampler heun --steps 18 --out \"%s\"", s->teacher,
             teacher);
    if (!status) status = command(a, &hkd_verb_sample, line);
    snprintf(line, sizeof line, "--model \"%s\" --seeds 0-4 --decode-at 1:0:9 --out \"%s/trajectory.%s\"", s->model, s->out,
             picture);
    if (!status) status = command(a, &hkd_verb_sample, line);
    return status ? status : beside(s, samples, teacher, both);
}

/* One page with everything else; it holds PNG. */
static bool can_report(void) { return !strcmp(hkd_image_ending(), "png"); }

static hkd_status report(const hkd_args *a, const scene *s) {
    char line[4 * PATH];
    snprintf(line, sizeof line, "--model \"%s\" --teacher \"%s\" --log \"%s/losses.csv\" --out \"%s/report.html\"", s->model,
             s->teacher, s->out, s->out);
    return command(a, &hkd_verb_report, line);
}

static void tell(const scene *s) {
    const char *out = s->out, *picture = hkd_image_ending();
    printf("%s/samples_and_teacher.%s  one-step samples beside the teacher's images for the same noise\n", out, picture);
    printf("%s/trajectory.%s           five images on their way from noise (left) to picture, decoded from one encoder pass\n",
           out, picture);
    if (can_report()) printf("%s/report.html              the inside: spectrum, bands, edits; for a browser\n", out);
    printf("%s/losses.csv, losses.svg   the distillation\n", out);
    if (s->data) printf("%s/teacher.csv, teacher.svg the teacher's training\n", out);
    printf("%s/model.safetensors        try: hkd sample --model it --seeds 100-163 --out more.%s\n", out, picture);
}

static hkd_status run(const hkd_args *a) {
    scene s = {.out = hkd_arg(a, "out"), .data = hkd_arg(a, "data")};
    if (hkd_given(a, "json")) return hkd_fail(HKD_USAGE, "--json is not supported by the demo: what it leaves is for the eye");
    if (strchr(s.out, '"') || (s.data && strchr(s.data, '"')))
        return hkd_fail(HKD_USAGE, "the demo takes no paths with quotes");
    hkd_status status = hkd_arg_real(&s.scale, a, "scale", 1e-6, 1e3);
    if (!status && s.data) status = levels_for(&s.levels, s.data); /* before anything is made */
    if (!status) status = hkd_make_directory(s.out);
    if (!status) status = s.data ? train_teacher(a, &s) : shipped(s.teacher, "scenes_teacher.safetensors");
    if (!status) status = distil(a, &s);
    if (!status) status = show(a, &s);
    if (!status && can_report()) status = report(a, &s);
    if (!status) tell(&s);
    return status;
}

const hkd_verb hkd_verb_demo = {
    .name = "demo",
    .summary = "distil a teacher into a one-step model and show what it makes",
    .option = {
        {"out", "DIR", "out", "where everything goes"},
        {"data", "SET", NULL, "learn this data set instead (see `hkd data --help`), its teacher first: hours, and 2.3 GB of "
                              "trajectories at 32 x 32; Ctrl-C and the same command continue it"},
        {"scale", "X", "1", "train X times as long, on X times as many trajectories"},
    },
    .example = {
        "demo                                          the built-in scenes, about 75 seconds of training",
        "demo --data cifar-10-batches-bin --out cifar  CIFAR-10, from nothing",
        "demo --data pictures/ --scale 0.01 --out try  a folder of PNG files, a first look in minutes",
    },
    .run = run,
};
