/* hkd trace and hkd compare on a small network: a right trace passes on every device, a wrong tensor is named. */
#include "cpu.h"
#include "init.h"
#include "model_file.h"
#include "networks.h"
#include "program.h"
#include "scratch.h"
#include "test.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A network of two levels, one block each, 8x8, with operators. */
static bool write_model(const char *path) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = 8, c.model_channels = 8, c.levels = 2, c.channel_mult[0] = c.channel_mult[1] = 1, c.num_blocks = 1;
    c.attn_count = 1, c.attn_resolutions[0] = 4, c.augment_dim = 0, c.is_hkd = true;
    hkd_device *dev = NULL;
    hkd_model *m = NULL;
    hkd_status status = hkd_device_open_ref(&dev, &(hkd_device_options){.threads = 1});
    if (!status) status = hkd_model_new(&m, &c, dev);
    if (!status) status = hkd_init_weights(m->weights, 1, true);
    if (!status) status = hkd_model_save(m, NULL, path, NULL, 0);
    hkd_model_free(m);
    hkd_device_close(dev);
    return CHECK(!status, "%s", hkd_last_error());
}

static void write_input(const char *path) {
    float x[2 * 3 * 8 * 8], sigma[2] = {80, 0.5f};
    for (int i = 0; i < 2 * 3 * 8 * 8; i++) x[i] = (float)(i * 37 % 101 - 50) / 25;
    const hkd_saved saved[] = {
        {.name = "x", .type = HKD_FLOAT, .shape = {4, {2, 3, 8, 8}}, .as = HKD_F32, .data = x},
        {.name = "sigma", .type = HKD_FLOAT, .shape = {1, {2, 0, 0, 0}}, .as = HKD_F32, .data = sigma},
    };
    CHECK(!hkd_safetensors_save(path, saved, 2, NULL, 0), "%s", hkd_last_error());
}

/* A port's file: the results of the trace alone, with one element of `wrong` changed by a thousandth. */
static void write_port(const char *path, const hkd_trace *t, int wrong) {
    hkd_saved *saved = calloc((size_t)t->vars + 1, sizeof *saved);
    size_t count = 0;
    t->var[wrong].value[1] *= 1.001;
    for (int v = 0; saved && v < t->vars; v++)
        if (t->var[v].value)
            saved[count++] = (hkd_saved){.name = t->var[v].name, .type = HKD_FLOAT, .shape = t->var[v].shape, .as = HKD_F64,
                                         .data = t->var[v].value};
    CHECK(!hkd_safetensors_save(path, saved, count, NULL, 0), "%s", hkd_last_error());
    free(saved);
}

/* *calls: is there a program to follow? Samples have none. */
static hkd_status record_network(const char *path, bool *calls, int index, hkd_device *dev) {
    hkd_recording r;
    hkd_status status = hkd_network_run(&r, index, dev);
    if (!status) status = hkd_recording_save(path, &r);
    *calls = r.calls > 0;
    hkd_recording_free(&r);
    return status;
}

/* One line says which operator is wrong given its own inputs, one which tensor is the first outside end to end. */
static void two_lines(const char *said, const char *name) {
    const char *second = strchr(said, '\n'), *end = second ? strchr(second + 1, '\n') : NULL;
    if (!CHECK(end && !end[1], "not two lines: %s", said)) return;
    const char *in_first = strstr(said, name);
    CHECK(!strncmp(said, "operators: the first wrong one is", 33) && in_first && in_first < second, "%s", said);
    CHECK(!strncmp(second + 1, "end to end: the first tensor outside", 36) && strstr(second, name), "%s", said);
}

/* The recorded networks against the cpu's: a port does the same with files of its own. */
static void networks(void) {
    char mine[512], words[2048];
    snprintf(mine, sizeof mine, "%s", scratch("network.safetensors"));
    for (int i = 0; hkd_network_name(i); i++) {
        hkd_device *dev = NULL;
        if (!CHECK(!hkd_device_open_cpu(&dev, &(hkd_device_options){.threads = 2}), "%s", hkd_last_error())) return;
        bool calls = false;
        CHECK(!record_network(mine, &calls, i, dev), "%s", hkd_last_error());
        hkd_device_close(dev);
        if (!calls) continue;
        snprintf(words, sizeof words, "compare vectors/networks/%s.safetensors %s", hkd_network_name(i), mine);
        CHECK(program("%s", words) == HKD_OK, "network %s on cpu: %s", hkd_network_name(i), hkd_last_error());
    }
}

void test_trace(void) {
    networks();
    char model[512], in[512], out[512], port[512], words[2048];
    snprintf(model, sizeof model, "%s", scratch("trace_model.safetensors"));
    snprintf(in, sizeof in, "%s", scratch("trace_in.safetensors"));
    snprintf(out, sizeof out, "%s", scratch("trace_out.safetensors"));
    snprintf(port, sizeof port, "%s", scratch("trace_port.safetensors"));
    if (!write_model(model)) return;
    write_input(in);
    static const char *const devices[] = {"cpu --as-run", "ref", "cpu", "cpu --isa plain", "cpu --math direct"};
    for (int d = 0; d < 5; d++) {
        snprintf(words, sizeof words, "trace --device %s --model %s --in %s --out %s", devices[d], model, in, out);
        CHECK(program("%s", words) == HKD_OK, "%s: %s", words, hkd_last_error());
        snprintf(words, sizeof words, "compare %s", out);
        CHECK(program("%s", words) == HKD_OK, "%s's own trace is refused: %s", devices[d], hkd_last_error());
    }
    hkd_trace t;
    if (!CHECK(!hkd_trace_load(&t, out), "%s", hkd_last_error())) return;
    const int middle = t.call[t.calls / 2].out[0];
    char name[96];
    snprintf(name, sizeof name, "%s", t.var[middle].name);
    write_port(port, &t, middle);
    hkd_trace_free(&t);
    snprintf(words, sizeof words, "compare %s %s", out, port);
    CHECK(program("%s", words) == HKD_CHECK_FAILED, "a wrong tensor passed");
    two_lines(program_out(), name);
    CHECK(strstr(program_err(), name), "the wrong tensor is %s, but: %s", name, program_err());
}
