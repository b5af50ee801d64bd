/* hkd spectrum on small models made here: what it prints and writes against the weights themselves. */
#include "cli.h"
#include "init.h"
#include "model_file.h"
#include "model_levels.h"
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
#include <unistd.h>

extern const hkd_verb hkd_verb_spectrum;

static hkd_model *numbered_model(hkd_device *dev, hkd_hierarchy hierarchy, bool is_hkd) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = 8;
    c.model_channels = 8;
    c.num_blocks = 1;
    c.levels = 2, c.channel_mult[0] = 1, c.channel_mult[1] = 2;
    c.attn_count = 0;
    c.augment_dim = 0;
    c.is_hkd = is_hkd;
    c.hierarchy = hierarchy;
    hkd_model *m = NULL;
    CHECK(hkd_model_new(&m, &c, dev) == HKD_OK, "%s", hkd_last_error());
    if (m) CHECK(hkd_init_weights(m->weights, 1, true) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; m && i < m->weights->count; i++) { /* every value tells its operator and its place */
        hkd_weight *w = &m->weights->item[i];
        const int64_t count = hkd_count(&w->value.shape);
        if (strncmp(w->name, "koopman.", 8)) continue;
        double *values = malloc((size_t)count * sizeof *values);
        for (int64_t k = 0; values && k < count; k++) values[k] = (double)i + (double)k / (double)count;
        dev->upload(dev, &w->value, values, HKD_F64);
        free(values);
    }
    return m;
}

/* One level per latent in the full hierarchy; shared vectors appear once and point to one array; one for the bottleneck. */
static void levels_of(hkd_device *dev) {
    static hkd_model_levels l;
    for (int h = 0; h < 3; h++) {
        hkd_model *m = numbered_model(dev, (hkd_hierarchy)h, true);
        if (!m) return;
        CHECK(hkd_model_levels_read(&l, m) == HKD_OK, "%s", hkd_last_error());
        CHECK(l.count == (h == HKD_HIERARCHY_BOTTLENECK ? 1 : hkd_model_latent_count(m)), "%d levels", (int)l.count);
        CHECK(l.eps == 0 && l.T == 1, "Karras time runs from %g to %g", l.eps, l.T);
        int64_t own = 0;
        for (int64_t k = 0; k < l.count; k++) {
            const hkd_shape z = hkd_model_latent_shape(m, l.latent[k]);
            const hkd_weight *w = hkd_weights_find(m->weights, l.name[k]);
            own += l.first[k] == k;
            CHECK(l.level[k].d == z.dim[0] && l.level[k].h == z.dim[1], "level %d has another latent's shape", (int)k);
            CHECK(l.level[k].a == l.level[l.first[k]].a, "a shared operator was read twice");
            CHECK(w && l.level[k].a[0] == (double)(w - m->weights->item), "level %d reads another operator", (int)k);
        }
        CHECK(h == HKD_HIERARCHY_SHARED ? own == 2 : own == l.count, "%d operators of their own", (int)own);
        hkd_model_levels_free(&l);
        hkd_model_free(m);
    }
    hkd_model *plain = numbered_model(dev, HKD_HIERARCHY_FULL, false);
    CHECK(plain && hkd_model_levels_read(&l, plain) == HKD_USAGE, "a denoiser has no operators");
    hkd_model_free(plain);
}

/* Run the verb with its results going to a file. */
static hkd_status run(const char **words, int count) {
    hkd_args a;
    const hkd_status parsed = hkd_parse_args(&a, &hkd_verb_spectrum, count, words);
    if (!CHECK(parsed == HKD_OK, "%s", hkd_last_error())) return parsed;
    fflush(stdout);
    const int terminal = dup(1);
    FILE *out = fopen(scratch("stdout"), "wb");
    dup2(fileno(out), 1);
    const hkd_status status = hkd_verb_spectrum.run(&a);
    fflush(stdout);
    dup2(terminal, 1);
    close(terminal);
    fclose(out);
    return status;
}

/* The CSV holds every mode once, alpha and beta in the right columns, and the discrete eigenvalue that belongs to them. */
static void files(hkd_device *dev) {
    hkd_model *m = numbered_model(dev, HKD_HIERARCHY_FULL, true);
    static hkd_model_levels l;
    if (!m || !CHECK(hkd_model_levels_read(&l, m) == HKD_OK, "%s", hkd_last_error())) return;
    const char *model = scratch("spectrum.safetensors");
    CHECK(hkd_model_save(m, NULL, model, NULL, 0) == HKD_OK, "%s", hkd_last_error());
    const char *csv = scratch("modes.csv"), *plots = scratch("plots");
    const char *words[] = {"--device", "ref", "--model", model, "--csv", csv, "--svg", plots, "--json"};
    CHECK(run(words, 9) == HKD_OK, "%s", hkd_last_error());
    unsigned char *text = NULL;
    size_t size = 0;
    if (CHECK(hkd_read_file(&text, &size, csv, 1 << 24) == HKD_OK, "%s", hkd_last_error())) {
        int64_t k = 0, i = 0;
        for (char *line = strchr((char *)text, '\n'); line && line[1]; line = strchr(line + 1, '\n'), i++) {
            char name[48];
            double v[5] = {0};
            long long pair, row, col;
            if (i == hkd_mode_count(&l.level[k])) k++, i = 0;
            const int got = sscanf(line, " %47[^,],%lld,%lld,%lld,%lf,%lf,%lf,%lf,%lf", name, &pair, &row, &col, v, v + 1,
                                   v + 2, v + 3, v + 4);
            const hkd_mode mode = hkd_mode_at(l.level, k, i);
            const hkd_complex e = hkd_discrete_eigenvalue(mode.alpha, mode.beta, -1);
            const double want[5] = {mode.alpha, mode.beta, e.re, e.im, -1};
            if (!CHECK(got == 9 && !memcmp(v, want, sizeof want) && pair == mode.pair && row == mode.row && col == mode.col &&
                       !strcmp(name, l.name[k]),
                       "level %d, mode %d: %.60s", (int)k, (int)i, line + 1))
                break;
        }
        CHECK(k == l.count - 1 && i == hkd_mode_count(&l.level[k]), "the list ends at level %d, mode %d", (int)k, (int)i);
    }
    free(text);
    char **names = NULL;
    size_t count = 0;
    CHECK(hkd_list_directory(&names, &count, plots) == HKD_OK, "%s", hkd_last_error());
    CHECK((int64_t)count == 2 + 5 * l.count, "%d plots for %d operators", (int)count, (int)l.count);
    hkd_names_free(names, count);
    hkd_model_levels_free(&l);
    hkd_model_free(m);
    const char *none[] = {"--device", "ref"}, *missing[] = {"--device", "ref", "--model", "/nowhere"};
    CHECK(run(none, 2) == HKD_USAGE, "no model, no complaint");
    CHECK(run(missing, 4) == HKD_BAD_FILE, "a missing model must exit with 3");
}

/* --modes: every eigenvalue is in the JSON. Two questions at once, or a model without operators, are refused. */
static void modes_and_questions(const char *model, const char *plain) {
    CHECK(program("spectrum --device ref --model %s --json --modes", model) == 0, "%s", program_err());
    json_t *o = json_loads(program_out(), 0, NULL), *op = json_array_get(json_object_get(o, "operators"), 1);
    const json_t *alpha = json_object_get(json_object_get(op, "eigenvalues"), "alpha");
    CHECK(op && (json_int_t)json_array_size(alpha) == json_integer_value(json_object_get(op, "modes")), "modes are missing");
    CHECK(json_real_value(json_array_get(alpha, 0)) != json_real_value(json_array_get(alpha, 1)), "one mode for all");
    json_decref(o);
    program_refuses(2, "one at a time", "spectrum --model %s --refit --others %s", model, model);
    program_refuses(2, "no Koopman operators", "spectrum --model %s", plain);
    program_refuses(2, "--refit needs --teacher", "spectrum --model %s --refit", model);
    program_refuses(2, "expected a denoiser", "spectrum --model %s --refit --teacher %s", model, model);
    program_refuses(2, "needs --data", "spectrum --model %s --refit --teacher mixture", model);
    program_refuses(3, "nowhere", "spectrum --model %s --refit --teacher %s", model, scratch("nowhere"));
    program_refuses(2, "of the configuration of", "spectrum --model %s --others %s", model, scratch("wide.safetensors"));
    program_refuses(2, "of the configuration of", "spectrum --model %s --others %s", model, plain);
    program_refuses(3, "nowhere", "spectrum --model %s --others %s", model, scratch("nowhere"));
    program_refuses(2, "cannot write", "spectrum --model %s --csv %s", model, scratch("no/such/dir.csv"));
}

/* Proposition C.1 as a verb: a rotation and a real eigenvalue come out as they went in; a Jordan block is no such matrix. */
static void matrix(void) {
    const double k[9] = {1.2, 0.5, 0, -0.5, 1.2, 0, 0, 0, 0.7}, jordan[4] = {1, 1, 0, 1}, wide[2] = {1, 2};
    small_tensor_file(scratch("k.safetensors"), &(small_tensor){"K", k, {2, {3, 3}}, HKD_DOUBLE}, 1);
    small_tensor_file(scratch("j.safetensors"), &(small_tensor){"K", jordan, {2, {2, 2}}, HKD_DOUBLE}, 1);
    small_tensor_file(scratch("w.safetensors"), &(small_tensor){"K", wide, {2, {1, 2}}, HKD_DOUBLE}, 1);
    CHECK(program("spectrum --matrix %s --json --out %s", scratch("k.safetensors"), scratch("blocks.safetensors")) == 0, "%s",
          program_err());
    json_t *o = json_loads(program_out(), 0, NULL), *blocks = json_object_get(o, "blocks");
    const json_t *pair = json_array_get(blocks, 0), *real = json_array_get(blocks, 1);
    CHECK(json_array_size(blocks) == 2 && fabs(json_real_value(json_object_get(pair, "alpha")) - 0.2) < 1e-14 &&
              fabs(json_real_value(json_object_get(pair, "beta")) - 0.5) < 1e-14 &&
              fabs(json_real_value(json_object_get(real, "alpha")) + 0.3) < 1e-14 &&
              json_is_true(json_object_get(real, "doubled")), "%s", program_out());
    CHECK(json_real_value(json_object_get(o, "error_matrix")) < 1e-14, "the blocks do not give K back");
    json_decref(o);
    int64_t count = 0;
    double *p = tensor_in_file(scratch("blocks.safetensors"), "p", NULL, &count);
    CHECK(p && count == 3 * 4, "p has %d elements", (int)count);
    free(p);
    program_refuses(1, "Jordan block", "spectrum --matrix %s", scratch("j.safetensors"));
    program_refuses(3, "square matrix", "spectrum --matrix %s", scratch("w.safetensors"));
    program_refuses(3, "nowhere", "spectrum --matrix %s", scratch("nowhere.npy"));
}

/* One refit; the losses of operators that are trained, random, zero, and (3) of the start. */
static void refit_losses(double loss[4], const char *model, const char *teacher, const char *lr) {
    CHECK(program("spectrum --model %s --refit --teacher %s --refit-images 32 --refit-trajectories 16 --refit-steps 3 "
                  "--refit-runs 2 --refit-lr %s --refit-size 0.5 --json --quiet", model, teacher, lr) == 0, "%s",
          program_err());
    json_t *o = json_loads(program_out(), 0, NULL), *rows = json_object_get(o, "refit");
    for (size_t i = 0; i < 3; i++) {
        const json_t *curve = json_object_get(json_array_get(rows, i), "curve"), *last = json_array_get(curve, 3);
        loss[i] = json_number_value(json_object_get(last, "loss_end"));
    }
    loss[3] = json_number_value(json_object_get(json_object_get(o, "start"), "loss_end"));
    CHECK(o && strstr(json_string_value(json_object_get(o, "command")), "spectrum --model"), "no command");
    json_decref(o);
}

/* Three kinds of operators from one start. With a learning rate of almost 0 all of them stay there, and A = 0 is the start
 * itself; with a real one, trained operators and those frozen at 0 part. Catches a variant that starts from other weights,
 * and operators that were to be frozen and were not. */
static void refit(const char *model, const char *teacher) {
    double still[4], moved[4];
    refit_losses(still, model, teacher, "1e-12");
    refit_losses(moved, model, teacher, "1e-2");
    const double before = still[3];
    CHECK(before > 0 && fabs(still[2] - before) < 1e-6 * before && fabs(still[0] - before) < 1e-6 * before,
          "start %g, trained %g, zero %g", before, still[0], still[2]);
    CHECK(fabs(still[1] - before) > 1e-4 * before, "random operators change nothing: %g, %g", still[1], before);
    CHECK(moved[0] != still[0] && moved[0] != moved[2], "nothing was trained, or zero was not frozen: %g, %g, %g", still[0],
          moved[0], moved[2]);
    CHECK(program("spectrum --model %s --refit --teacher gaussian --data builtin:scenes:16 --data-count 70 "
                  "--refit-images 16 --refit-trajectories 16 --refit-steps 2 --quiet", scratch("large.safetensors")) == 0, "%s",
          program_err());
    CHECK(strstr(program_out(), "random, frozen"), "%s", program_out());
}

/* A model and itself agree wholly; with another one the spread is that of the two values, |a - b| / sqrt 2. */
static void others(const char *model) {
    hkd_config c = small_config(true, 0);
    hkd_device *dev = NULL;
    char other[512];
    snprintf(other, sizeof other, "%s", scratch("other.safetensors"));
    if (!CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}), "%s", hkd_last_error())) return;
    hkd_model *m = small_model(&c, dev);
    const hkd_tensor *w = &hkd_weights_find(m->weights, "koopman.bottleneck")->value;
    const int64_t count = hkd_count(&w->shape);
    double *a = malloc((size_t)count * sizeof *a);
    dev->download(dev, a, HKD_F64, w);
    for (int64_t i = 0; i < count; i++) a[i] += 0.3;
    dev->upload(dev, w, a, HKD_F64);
    CHECK(!hkd_model_save(m, NULL, other, NULL, 0), "%s", hkd_last_error());
    CHECK(program("spectrum --device ref --model %s --others %s,%s --pictures 2 --json", model, model, other) == 0, "%s",
          program_err());
    json_t *o = json_loads(program_out(), 0, NULL), *list = json_object_get(o, "operators");
    const json_t *first = json_array_get(list, 0), *last = json_array_get(list, json_array_size(list) - 1);
    CHECK(json_number_value(json_object_get(first, "sd_over_models")) == 0, "equal operators have a spread");
    /* values x, x, x + 0.3: variance 0.3^2 / 3 */
    CHECK(fabs(json_number_value(json_object_get(last, "sd_over_models")) - 0.3 / sqrt(3)) < 1e-6 &&
              fabs(json_number_value(json_object_get(last, "correlation")) - 1) < 1e-6, "%s", program_out());
    CHECK(json_number_value(json_object_get(json_object_get(o, "pictures"), "sd_over_models")) > 0, "pictures do not differ");
    json_decref(o);
    free(a);
    hkd_model_free(m);
    hkd_device_close(dev);
}

void test_spectrum_verb(void) {
    hkd_device *dev = NULL;
    if (!CHECK(hkd_device_open_ref(&dev, &(hkd_device_options){.threads = 1}) == HKD_OK, "%s", hkd_last_error())) return;
    char model[512], plain[512];
    hkd_config c = small_config(true, 0), d = small_config(false, 0);
    snprintf(model, sizeof model, "%s", scratch("whole.safetensors"));
    snprintf(plain, sizeof plain, "%s", scratch("plain.safetensors"));
    small_model_file(model, &c);
    small_model_file(plain, &d);
    c.model_channels = 12;
    small_model_file(scratch("wide.safetensors"), &c);
    c.img_resolution = 16;
    small_model_file(scratch("large.safetensors"), &c);
    levels_of(dev);
    files(dev);
    matrix();
    modes_and_questions(model, plain);
    refit(model, plain);
    others(model);
    hkd_device_close(dev);
}
