/* hkd spectrum on small models made here: what it prints and writes against the weights themselves. */
#include "cli.h"
#include "init.h"
#include "model_file.h"
#include "model_levels.h"
#include "os.h"
#include "scratch.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const hkd_verb hkd_verb_spectrum;

static hkd_model *small_model(hkd_device *dev, hkd_hierarchy hierarchy, bool is_hkd) {
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
        hkd_model *m = small_model(dev, (hkd_hierarchy)h, true);
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
    hkd_model *plain = small_model(dev, HKD_HIERARCHY_FULL, false);
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
    hkd_model *m = small_model(dev, HKD_HIERARCHY_FULL, true);
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

void test_spectrum_verb(void) {
    hkd_device *dev = NULL;
    if (!CHECK(hkd_device_open_ref(&dev, &(hkd_device_options){.threads = 1}) == HKD_OK, "%s", hkd_last_error())) return;
    levels_of(dev);
    files(dev);
    hkd_device_close(dev);
}
