/* hkd ops - the operator table: what exists, and which device provides it. */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { DEVICES = 3 };
static const char *const device_name[DEVICES] = {"ref", "cpu", "opencl"};

/* "yes", "forward" (only), "-" (neither); an operator without a backward is complete with its forward. */
static const char *provided(const hkd_device *dev, const hkd_op *op) {
    if (!dev->supports(dev, op, false)) return "-";
    return !op->backward || dev->supports(dev, op, true) ? "yes" : "forward";
}

static json_t *names(const char *const *name) {
    json_t *list = json_array();
    for (; *name; name++) json_array_append_new(list, json_string(*name));
    return list;
}

static json_t *as_json(const hkd_op *op, hkd_device *const *dev, int devices) {
    json_t *params = json_object(), *on = json_object();
    for (int i = 0; op->param[i].name; i++) json_object_set_new(params, op->param[i].name, json_real(op->param[i].value));
    for (int i = 0; i < devices; i++)
        json_object_set_new(on, dev[i]->kind, json_pack("{s:b, s:b}", "forward", dev[i]->supports(dev[i], op, false),
                                                        "backward", op->backward && dev[i]->supports(dev[i], op, true)));
    json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:o}", "name", op->name, "formula", op->formula, "source",
                          op->source, "inputs", names(op->in), "outputs", names(op->out), "parameters", params,
                          "differentiable", op->backward != NULL, "devices", on);
    if (op->not_exact) json_object_set_new(o, "not_exact", json_string(op->not_exact));
    return o;
}

static void print_rows(hkd_device *const *dev, int devices, const char *only) {
    printf("%-18s", "operator");
    for (int i = 0; i < devices; i++) printf(" %-8s", dev[i]->kind);
    printf(" formula\n");
    for (int k = 0; hkd_op_table[k]; k++) {
        const hkd_op *op = hkd_op_table[k];
        if (only && strcmp(only, op->name)) continue;
        printf("%-18s", op->name);
        for (int i = 0; i < devices; i++) printf(" %-8s", provided(dev[i], op));
        printf(" %s\n", op->formula);
    }
}

static void print_json(hkd_device *const *dev, int devices, const char *only) {
    json_t *list = json_array();
    for (int k = 0; hkd_op_table[k]; k++)
        if (!only || !strcmp(only, hkd_op_table[k]->name)) json_array_append_new(list, as_json(hkd_op_table[k], dev, devices));
    json_dumpf(list, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(list);
}

/* The devices that open here; a listing needs no more. */
static int open_all(hkd_device **dev) {
    int n = 0;
    for (int i = 0; i < DEVICES; i++)
        if (!hkd_device_open(&dev[n], device_name[i], &(hkd_device_options){0})) n++;
    return n;
}

static hkd_status run(const hkd_args *a) {
    const char *only = a->operands ? a->operand[0] : NULL;
    hkd_status status = only ? hkd_known_op(only) : HKD_OK;
    if (status) return status;
    hkd_device *dev[DEVICES];
    const int devices = open_all(dev);
    (hkd_given(a, "json") ? print_json : print_rows)(dev, devices, only);
    for (int i = 0; i < devices; i++) hkd_device_close(dev[i]);
    return HKD_OK;
}

const hkd_verb hkd_verb_ops = {
    .name = "ops",
    .operands = "[OP]",
    .summary = "list the operators and which device provides them",
    .most = 1,
    .example = {"ops", "ops conv2d --json     one row with its parameters"},
    .run = run,
};
