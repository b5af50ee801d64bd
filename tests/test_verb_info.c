/* hkd info: figures against those of the published networks; files that contradict themselves are refused. */
#include "cost.h"
#include "os.h"
#include "program.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EDM's networks: parameters and multiply-adds, counted independently from their published definition. Catches a layer too many
 * or of another width, and a forgotten operator in the count. */
static void published_networks(void) {
    static const struct {
        hkd_arch arch;
        int res, labels;
        int64_t parameters;
        double giga;
    } nets[] = {{HKD_ARCH_DDPMPP, 32, 0, 55733891, 21.190}, {HKD_ARCH_DDPMPP, 32, 10, 55735299, 21.190},
                {HKD_ARCH_NCSNPP, 32, 0, 56397827, 21.389}, {HKD_ARCH_NCSNPP, 32, 10, 56400643, 21.389},
                {HKD_ARCH_DDPMPP, 64, 0, 61805571, 41.861}, {HKD_ARCH_NCSNPP, 64, 0, 62761091, 42.409}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        hkd_config c = hkd_config_default(nets[i].arch);
        const int ffhq[] = {1, 2, 2, 2};
        c.img_resolution = nets[i].res;
        c.label_dim = nets[i].labels;
        c.augment_dim = 9;
        if (nets[i].res == 64) c.levels = 4, memcpy(c.channel_mult, ffhq, sizeof ffhq);
        hkd_program *p = hkd_model_program(&c, &(hkd_model_options){.n = 1, .augment = true});
        int64_t parameters = 0;
        for (int v = 0; v < p->n_vars; v++)
            if (p->var[v].kind == HKD_VAR_WEIGHT && p->var[v].want_grad) parameters += hkd_count(&p->var[v].shape);
        const double giga = 1e-9 * hkd_multiply_adds(p);
        CHECK(parameters == nets[i].parameters, "network %d has %lld parameters", (int)i, (long long)parameters);
        CHECK(giga > nets[i].giga - 6e-4 && giga < nets[i].giga + 6e-4, "network %d needs %.4f G multiply-adds, published %.3f",
              (int)i, giga, nets[i].giga);
        hkd_program_free(p);
    }
}

/* A laid-out plan must be as large as the one that runs. */
static void memory(const hkd_config *c) {
    hkd_device *dev;
    hkd_memory predicted;
    CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}), "%s", hkd_last_error());
    hkd_model *m = small_model(c, dev);
    if (!m) return;
    CHECK(!hkd_predict_memory(&predicted, m, 6, true), "%s", hkd_last_error());
    hkd_program *p = hkd_model_program(c, &(hkd_model_options){.n = 6, .training = true});
    hkd_seed(p, hkd_find_var(p, "d"));
    hkd_plan *plan;
    hkd_weights_need_grad(m->weights);
    CHECK(!hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.backward = true}), "%s", hkd_last_error());
    CHECK(predicted.plan == hkd_plan_bytes(plan) && predicted.plan > 0, "predicted %zu bytes, used %zu", predicted.plan,
          hkd_plan_bytes(plan));
    CHECK(predicted.workspace == hkd_plan_workspace(plan), "predicted %zu bytes of workspace", predicted.workspace);
    CHECK(predicted.weights == 8 * (size_t)hkd_weights_total(m->weights, false), "%zu bytes of weights", predicted.weights);
    hkd_plan_free(plan);
    CHECK(!hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.backward = true, .dry = true}), "%s", hkd_last_error());
    CHECK(hkd_plan_forward(plan) == HKD_USAGE, "a dry plan was run");
    hkd_plan_free(plan);
    hkd_program_free(p);
    hkd_model_free(m);
    hkd_device_close(dev);
}

#ifndef HKD_SANITIZED /* sanitizers take memory of their own */
/* What `hkd WORDS` prints in a process of its own, and the most memory that it took. The caller frees it. */
static char *apart(double *peak, const char *words) {
    char line[1400], *text = NULL;
    const char *word[64] = {"hkd"};
    int count = 1;
    snprintf(line, sizeof line, "%s", words);
    for (char *at = strtok(line, " "); at && count < 63; at = strtok(NULL, " ")) word[count++] = at;
    *peak = 0;
    if (!CHECK(!hkd_run_again(&text, word), "%s: %s", words, hkd_last_error())) return NULL;
    const char *said = strstr(text, "peak ");
    if (CHECK(said, "%s: no peak in '%s'", words, text)) *peak = strtod(said + 5, NULL);
    return text;
}

/* The prediction against what runs take, as the kernel counts it, within 5 %: weights that are there twice, a plan that keeps
 * too much, scratch or prepared weights that nobody counted. */
static void holds(void) {
    static const struct {
        const char *run, *ask;
    } cases[] = {{"train --data builtin:scenes:32 --data-count 16 --channels 64 --mult 2,2,2 --dropout 0.13 --batch 8 "
                  "--micro-batch 8 --images 8 --out", "--train --batch 8"},
                 {"sample --sampler euler --steps 1 --seeds 0 --batch 1 --math direct --model", "--batch 1 --math direct"},
                 {"sample --sampler euler --steps 1 --seeds 0-3 --batch 4 --model", "--batch 4"},
                 {"sample --sampler euler --steps 1 --seeds 0-15 --batch 16 --model", "--batch 16"}};
    char model[512], out[512], line[1400];
    snprintf(model, sizeof model, "%s", scratch("wide.safetensors"));
    snprintf(out, sizeof out, "%s", scratch("wide_out.safetensors"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double peak, mine;
        snprintf(line, sizeof line, "%s %s --quiet --threads 2%s%s", cases[i].run, model, i ? " --out " : "", i ? out : "");
        free(apart(&peak, line));
        snprintf(line, sizeof line, "info --json --memory --threads 2 %s %s", model, cases[i].ask);
        char *text = apart(&mine, line);
        json_t *o = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        const double told = (double)json_integer_value(json_object_get(json_object_get(o, "memory"), "total"));
        CHECK(fabs(told - peak) <= 0.05 * peak, "%s: %.1f MB predicted, %.1f MB taken", cases[i].ask, 1e-6 * told, 1e-6 * peak);
        json_decref(o);
        free(text);
    }
}
#endif

static json_int_t number(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static void describes(const char *model, const hkd_config *c) {
    int64_t operators = 0; /* one for each latent of a full hierarchy */
    hkd_shape shape[HKD_MAX_LATENTS];
    const int skips = hkd_unet_latent_shapes(c, shape);
    for (int i = 0; i <= skips; i++) operators += hkd_count(&shape[i < skips ? i : skips - 1]);
    CHECK(program("info %s --json --memory --batch 3", model) == 0, "%s", program_err());
    json_t *o = json_loads(program_out(), JSON_REJECT_DUPLICATES, NULL);
    if (!CHECK(o, "not JSON: %s", program_out())) return;
    const json_t *parts = json_object_get(o, "parameters_by_part");
    CHECK(!strcmp(json_string_value(json_object_get(o, "kind")), "hkd"), "kind");
    CHECK(number(parts, "operators") == operators, "%d operator parameters", (int)number(parts, "operators"));
    CHECK(number(parts, "mapping") + number(parts, "encoder") + number(parts, "decoder") + operators == number(o, "parameters"),
          "the parts do not add up");
    CHECK((int)json_array_size(json_object_get(o, "latents")) == skips + 1, "latents");
    CHECK(number(json_object_get(o, "memory"), "batch") == 3, "memory");
    json_decref(o);
    CHECK(program("info %s --memory --train", model) == 0 && strstr(program_out(), "moved by koopman.bottleneck"), "%s%s",
          program_out(), program_err());
}

/* Copy a file, cutting off its end or replacing a text in it by one of the same length. */
static void damage(const char *to, const char *from, size_t cut, const char *text, const char *by) {
    unsigned char *bytes;
    size_t count;
    if (!CHECK(!hkd_read_file(&bytes, &count, from, 1 << 24), "%s", hkd_last_error())) return;
    for (size_t i = 0; text && i + strlen(text) < count; i++)
        if (!memcmp(bytes + i, text, strlen(text))) {
            memcpy(bytes + i, by, strlen(by));
            break;
        }
    CHECK(!hkd_write_file(to, bytes, count - cut), "%s", hkd_last_error());
    free(bytes);
}

static void refuses(const char *model) {
    char bad[512];
    snprintf(bad, sizeof bad, "%s", scratch("bad.safetensors"));
    damage(bad, model, 1, NULL, NULL);
    program_refuses(3, "bad.safetensors", "info %s", bad);
    damage(bad, model, 0, "model_channels\\\":8", "model_channels\\\":4");
    program_refuses(3, "another shape", "info %s", bad);
    damage(bad, model, 0, "model_channels\\\":8", "model_channels\\\":6");
    program_refuses(3, "describes no network", "info %s", bad);
    damage(bad, model, 0, "num_blocks\\\":1", "num_blocks\\\":2");
    program_refuses(3, "is missing", "info %s", bad);
    damage(bad, model, 0, "model_channels\\\":8", "modle_channels\\\":8");
    program_refuses(3, "bad.safetensors: hkd.config: 'modle_channels' is no field", "info %s", bad);
    damage(bad, model, 0, "\"koopman.1\"", "\"koopman.9\"");
    program_refuses(3, "koopman.1", "info %s", bad);
    damage(bad, model, 0, "img_resolution\\\":8", "img_resolution\\\":7");
    program_refuses(3, "img_resolution", "info %s", bad);
    damage(bad, model, 0, "\\\"arch\\\"", "\\\"arch\\\\");
    program_refuses(3, "hkd.config", "info %s", bad);
    CHECK(!hkd_write_file(bad, "PK\3\4 no safetensors", 19), "%s", hkd_last_error());
    program_refuses(3, "bad.safetensors", "info %s", bad);
    program_refuses(3, "No such file", "info %s", scratch("nothing"));
    program_refuses(2, "one argument too many", "info %s %s", model, model);
    damage(scratch("data_batch_1.bin"), model, 0, NULL, NULL);
    program_refuses(3, "data_batch_1.bin", "info %s", scratch("data_batch_1.bin"));
}

void test_verb_info(void) {
    const hkd_config c = small_config(true, 3);
    char model[512];
    snprintf(model, sizeof model, "%s", scratch("info.safetensors"));
    small_model_file(model, &c);
    published_networks();
    memory(&c);
    describes(model, &c);
    refuses(model);
#ifndef HKD_SANITIZED
    holds();
#endif
    const double x[6] = {1, 2, 3, 4, 5, 6};
    small_tensor_file(scratch("plain"), &(small_tensor){"x", x, hkd_shape_of(2, (int64_t)2, (int64_t)3), HKD_F16}, 1);
#ifdef HKD_PNG
    char sheet[512];
    snprintf(sheet, sizeof sheet, "%s", scratch("sheet.png"));
    CHECK(program("sample --quiet --model %s --seeds 3,5 --class 1 --decode-at 1,0.25,0 --out %s", model, sheet) == 0 &&
              program("info %s", sheet) == 0, "%s", program_err());
    static const char *const told[] = {"seeds = 3,5", "model_sha256 = ", "sampler=onestep", "class=1", "decode-at=1,0.25,0",
                                       "device=cpu"};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        CHECK(strstr(program_out(), told[i]), "the picture does not say '%s': %s", told[i], program_out());
    hkd_write_file(sheet, "\x89PNG", 4);
    program_refuses(HKD_BAD_FILE, "sheet.png", "info %s", sheet);
#endif
    CHECK(program("info %s", scratch("plain")) == 0 && strstr(program_out(), "F16   [2,3]"), "%s", program_out());
}
