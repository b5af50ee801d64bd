/* hkd devices - what this computer can compute on: the reference, the processor, and every OpenCL device. */
#include "cli.h"

#ifdef HKD_OPENCL
#include "machines.h"
#endif

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static hkd_status open_and_name(json_t *list, const char *kind, const hkd_args *a) {
    hkd_device *dev;
    const hkd_device_options options = {.isa = NULL};
    const hkd_status status = hkd_device_open(&dev, kind, &options);
    if (status) return status;
    json_array_append_new(list, json_pack("{s:s, s:s}", "device", kind, "name", dev->name));
    if (!hkd_given(a, "json")) printf("%-10s %s\n", kind, dev->name);
    hkd_device_close(dev);
    return HKD_OK;
}

#ifdef HKD_OPENCL
static const char *type_of(const hkd_cl_machine *m) {
    if (m->type & CL_DEVICE_TYPE_GPU) return m->unified ? "GPU sharing the host's memory" : "GPU";
    return m->type & CL_DEVICE_TYPE_CPU ? "CPU" : "accelerator";
}

static const char *verdict(const hkd_args *a, int index) {
    char name[32];
    hkd_device *dev;
    const hkd_device_options options = {.isa = NULL};
    snprintf(name, sizeof name, "opencl:%d", index);
    if (!hkd_given(a, "check")) return NULL;
    if (hkd_device_open(&dev, name, &options)) return hkd_last_error();
    hkd_device_close(dev);
    return "passed";
}

static void print_machine(const hkd_cl_machine *m, int index, const char *check) {
    printf("opencl:%-3d %s\n", index, m->name);
    printf("           %s, %u units, by %s on %s\n", type_of(m), m->units, m->vendor, m->platform_name);
    printf("           driver %s, %s\n", m->driver, m->version);
    printf("           memory %.2f GiB, at most %.2f GiB in one piece, local %.0f KiB, work-groups of %zu\n",
           (double)m->memory / 1073741824, (double)m->largest / 1073741824, (double)m->local / 1024, m->group);
    printf("           half %s, double %s (neither is needed)\n", m->half_float ? "yes" : "no", m->double_float ? "yes" : "no");
    if (check) printf("           self-check: %s\n", check);
}

static json_t *as_json(const hkd_cl_machine *m, int index, const char *check) {
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:s*}", "device",
                     "opencl", "index", index, "name", m->name, "type", type_of(m), "vendor", m->vendor, "platform",
                     m->platform_name, "driver", m->driver, "version", m->version, "memory", (json_int_t)m->memory,
                     "largest_allocation", (json_int_t)m->largest, "local_memory", (json_int_t)m->local, "work_group",
                     (json_int_t)m->group, "units", (json_int_t)m->units, "unified_memory", m->unified, "half", m->half_float,
                     "double", m->double_float, "self_check", check);
}

static hkd_status list_opencl(json_t *list, const hkd_args *a) {
    hkd_cl_machine *machines;
    int count;
    char empty[256];
    const hkd_status status = hkd_cl_machines(&machines, &count, empty, sizeof empty);
    if (status) return status;
    for (int i = 0; i < count; i++) {
        const char *check = verdict(a, i);
        json_array_append_new(list, as_json(&machines[i], i, check));
        if (!hkd_given(a, "json")) print_machine(&machines[i], i, check);
    }
    if (*empty) hkd_say(a, "opencl: installed, but without a device: %s", empty);
    if (!count) {
        hkd_device *none;
        hkd_device_open_opencl(&none, NULL, &(hkd_device_options){.isa = NULL});
        hkd_say(a, "%s", hkd_last_error());
    }
    free(machines);
    return HKD_OK;
}
#else
static hkd_status list_opencl(json_t *list, const hkd_args *a) {
    (void)list;
    hkd_say(a, "opencl: not supported, this program was built without OpenCL");
    return HKD_OK;
}
#endif

static hkd_status run(const hkd_args *a) {
    json_t *list = json_array();
    hkd_status status = open_and_name(list, "ref", a);
    if (!status) status = open_and_name(list, "cpu", a);
    if (!status) status = list_opencl(list, a);
    if (!status && hkd_given(a, "json")) {
        json_dumpf(list, stdout, JSON_INDENT(1));
        printf("\n");
    }
    json_decref(list);
    return status;
}

const hkd_verb hkd_verb_devices = {
    .name = "devices",
    .summary = "list what can be computed on; --device opencl:N or opencl:NAME picks one",
    .option = {{"check", NULL, NULL, "open every OpenCL device and let it prove itself"}},
    .example = {"devices", "devices --check --json"},
    .run = run,
};
