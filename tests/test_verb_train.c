/* hkd train as a user meets it: what is kept on disk belongs to one run and one teacher, options do what they say, and what
 * cannot work is refused before any work is done. */
#include "model_file.h"
#include "os.h"
#include "program.h"
#include "scratch.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "--data builtin:scenes:16"
#define NETWORK "--channels 8 --mult 1,1 --blocks 1 --attention 8 --batch 4 --micro-batch 4"

static char teacher[512];

static int train(const char *out, const char *words) {
    return program("train --quiet --threads 1 --out %s %s", scratch(out), words);
}

/* The configuration of a model that was written. */
static hkd_config config_of(const char *name) {
    hkd_safetensors *st = NULL;
    hkd_config c = {0};
    if (CHECK(!hkd_safetensors_open(&st, scratch(name)) && !hkd_model_file_config(&c, st), "%s", hkd_last_error()))
        hkd_safetensors_close(st);
    return c;
}

/* Column `column` (from 0) of the last row of a log. */
static double last_of_log(const char *name, int column) {
    unsigned char *text;
    size_t count;
    if (!CHECK(!hkd_read_file(&text, &count, scratch(name), 1 << 20), "%s", hkd_last_error())) return NAN;
    char *at = (char *)text;
    while (strchr(at, '\n') && strchr(at, '\n')[1]) at = strchr(at, '\n') + 1;
    for (int i = 0; i < column && at; i++) at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
    const double value = at ? strtod(at, NULL) : NAN;
    free(text);
    return value;
}

static void make_teacher(const char *seed) {
    snprintf(teacher, sizeof teacher, "%s", scratch("teacher.safetensors"));
    CHECK(program("train --quiet --threads 1 --out %s " DATA " --data-count 8 " NETWORK " --images 8 --seed %s", teacher,
                  seed) == 0, "%s", program_err());
}

/* The folder of one teacher must not serve another that has the same name, other data, another form or another precision. */
static void trajectories_have_an_owner(void) {
    char dir[512];
    snprintf(dir, sizeof dir, "%s", scratch("paths_of_one"));
#define DISTIL "train --quiet --threads 1 --objective hkd --trajectories %s --trajectory-count 4 --trajectory-steps 3 " \
               "--times 1 --batch 2 --images 2 --out %s "
    make_teacher("0");
    CHECK(program(DISTIL "--teacher %s", dir, scratch("m"), teacher) == 0, "%s", program_err());
    CHECK(program(DISTIL "--teacher %s --hierarchy bottleneck", dir, scratch("m"), teacher) == 0, "another student: %s",
          program_err());
    make_teacher("7");
    program_refuses(HKD_BAD_FILE, "another teacher or other settings", DISTIL "--teacher %s", dir, scratch("m"), teacher);
    snprintf(dir, sizeof dir, "%s", scratch("paths_of_form"));
#define FORM DISTIL DATA " --channels 8 --mult 1,1 --blocks 1 --attention 8 --teacher mixture "
    CHECK(program(FORM "--data-count 12 --clusters 2 --rank 2", dir, scratch("m")) == 0, "%s", program_err());
    CHECK(program(FORM "--data-count 12 --clusters 2 --rank 2", dir, scratch("m")) == 0, "the same again: %s", program_err());
    static const char *const others[] = {"--data-count 13 --clusters 2 --rank 2", "--data-count 12 --clusters 3 --rank 2",
                                         "--data-count 12 --clusters 2 --rank 3",
                                         "--data-count 12 --clusters 2 --rank 2 --full-precision",
                                         "--data-count 12 --clusters 2 --rank 2 --fields sigma_max=40"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        program_refuses(HKD_BAD_FILE, "another teacher or other settings", FORM "%s", dir, scratch("m"), others[i]);
}

/* --resume goes on with the same run only, and says what differs. A checkpoint lies beside the model of a finished run. */
static void resume_the_same(void) {
    const char *run = DATA " --data-count 8 " NETWORK " --images 8 --log", *log = scratch("r.csv");
    char words[1024];
    snprintf(words, sizeof words, "%s %s", run, log);
    CHECK(train("r", words) == 0, "%s", program_err());
    snprintf(words, sizeof words, "%s %s --resume", run, log);
    CHECK(train("r", words) == 0, "the same run: %s", program_err());
    static const struct {
        const char *words, *says;
    } other[] = {
        {DATA " --data-count 9 " NETWORK " --images 8", "learns from="},
        {DATA " --data-count 8 " NETWORK " --images 8 --dropout 0.1", "dropout=0 there, dropout=0.1 here"},
        {DATA " --data-count 8 " NETWORK " --images 8 --xflip", "xflip=no there, xflip=yes here"},
        {DATA " --data-count 8 " NETWORK " --images 8 --fields sigma_data=0.6", "sigma_data"},
        {DATA " --data-count 8 " NETWORK " --images 8 --conditional", "conditional"},
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        program_refuses(HKD_USAGE, other[i].says, "train --quiet --threads 1 --out %s %s --resume", scratch("r"),
                        other[i].words);
}

static void fields(void) {
    make_teacher("0");
    CHECK(program("train --quiet --objective hkd --teacher %s --images 0 --trajectory-steps 3 --out %s --fields "
                  "time=log_sigma,decoder_sigma=1,precond=decoder_only,sigma_max=40,rho=5,sigma_min=0.01", teacher,
                  scratch("f")) == 0, "%s", program_err());
    const hkd_config c = config_of("f");
    CHECK(c.time == HKD_TIME_LOG_SIGMA && c.decoder_sigma == 1 && c.precond == HKD_PRECOND_DECODER_ONLY && c.sigma_max == 40 &&
              c.rho == 5 && c.sigma_min == 0.01, "a field was lost");
    CHECK(train("f", DATA " --data-count 4 " NETWORK " --images 4 --fields precond=vp,sigma_data=0.7,channel_mult_emb=2") == 0,
          "%s", program_err());
    const hkd_config d = config_of("f");
    CHECK(d.precond == HKD_PRECOND_VP && d.sigma_data == 0.7 && d.channel_mult_emb == 2, "a field was lost");
    static const char *const wrong[] = {"time=sigma", "precond=edm2", "sigma_data", "sigma_data=-1", "img_resolution=8", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        program_refuses(HKD_USAGE, "--fields", "train --quiet --out %s " DATA " --data-count 4 " NETWORK " --fields=%s",
                        scratch("f"), wrong[i]);
}

/* The method's own decay of the learning rate, and none for EDM's training; noise levels where they were asked for. */
static void rates(void) {
    CHECK(program("train --quiet --threads 1 --objective hkd --teacher %s --images 12 --epoch-images 4 --trajectory-steps 3 "
                  "--times 1 --batch 4 --lr 0.1 --out %s --log %s", teacher, scratch("g"), scratch("g.csv")) == 0, "%s",
          program_err());
    CHECK(fabs(last_of_log("g.csv", 5) - 0.1 * 0.95 * 0.95) < 1e-8, "hkd: lr in epoch 2 is %g", last_of_log("g.csv", 5));
    CHECK(last_of_log("g.csv", 7) == 2, "epoch %g is logged", last_of_log("g.csv", 7));
    char words[512];
    snprintf(words, sizeof words, DATA " --data-count 4 " NETWORK " --images 12 --lr 0.1 --ema-half-life 40 --ema-ramp 0 "
                                  "--log %s", scratch("g.csv"));
    CHECK(train("g", words) == 0, "%s", program_err());
    CHECK(fabs(last_of_log("g.csv", 5) - 0.1) < 1e-9, "edm: lr in epoch 2 is %g", last_of_log("g.csv", 5));
    CHECK(fabs(last_of_log("g.csv", 8) - pow(0.5, 0.1)) < 1e-8, "the average's decay is %g", last_of_log("g.csv", 8));
}

/* A model's file says how it was trained: by content and options, not by file names. */
static void the_model_says(void) {
    hkd_safetensors *st = NULL;
    make_teacher("0");
    CHECK(program("train --quiet --threads 1 --objective hkd --teacher %s --images 4 --trajectory-steps 3 --times 1 --batch 4 "
                  "--seed 6 --out %s", teacher, scratch("t")) == 0, "%s", program_err());
    if (!CHECK(!hkd_safetensors_open(&st, scratch("t")), "%s", hkd_last_error())) return;
    const char *about = hkd_safetensors_metadata(st, "hkd.train");
    CHECK(about && strstr(about, "learns from=network ") && strstr(about, "images=4\n") && strstr(about, "seed=6\n"),
          "hkd.train: %s", about ? about : "nothing");
    CHECK(about && !strstr(about, "teacher.safetensors"), "a file's name is no content: %s", about ? about : "");
    hkd_safetensors_close(st);
}

/* The named configuration is a network of about a million parameters, and the command line overrides it. */
static void named(void) {
    const char *words = "--config cifar10-small --data builtin:scenes --data-count 2 --images 0 --augment 0.12";
    program_refuses(HKD_USAGE, "no xflip", "train --quiet --out %s %s", scratch("c"), words);
    CHECK(train("c", "--config cifar10-small --data builtin:scenes --data-count 2 --images 0 --blocks 1") == 0, "%s",
          program_err());
    const hkd_config c = config_of("c");
    CHECK(c.model_channels == 32 && c.levels == 3 && c.channel_mult[2] == 2 && c.num_blocks == 1 && c.attn_resolutions[0] == 16,
          "not what the configuration says");
    CHECK(train("c", DATA " --data-count 2 " NETWORK " --images 4 --augment 0.5") == 0, "%s", program_err());
    CHECK(config_of("c").augment_dim == 9, "the network is not told about augmentation");
    program_refuses(HKD_USAGE, "expected cifar10-small", "train --quiet --out %s --config cifar " DATA, scratch("c"));
}

/* A folder that is not there: one line, one code, before anything is loaded. */
static void nowhere(void) {
    const char *dir = scratch("nodir");
    program_refuses(HKD_USAGE, "nodir", "train --quiet --out %s/m " DATA, dir);
    program_refuses(HKD_USAGE, "nodir", "train --quiet --out %s --log %s/l.csv --data missing", scratch("m"), dir);
    program_refuses(HKD_USAGE, "--lr 0", "train --quiet --out %s --lr 0 --data-count 2 " NETWORK " " DATA, scratch("m"));
}

void test_verb_train(void) {
    trajectories_have_an_owner();
    resume_the_same();
    fields();
    rates();
    the_model_says();
    named();
    nowhere();
}
