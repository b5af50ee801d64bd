/* hkd record - compute all test vectors from the case lists and the reference. */
#include "cli.h"
#include "manifest.h"
#include "networks.h"
#include "os.h"
#include "progress.h"
#include "status.h"
#include "vector_file.h"

#include <stdio.h>
#include <string.h>

static int64_t count_cases(void) {
    int64_t n = 0;
    for (int k = 0; hkd_case_lists[k]; k++)
        for (const hkd_case *c = hkd_case_lists[k]->cases; c->name; c++) n++;
    return n;
}

static bool noted(const char *flag, size_t length) {
    for (const hkd_note *n = hkd_notes; n->flag; n++)
        if (strlen(n->flag) == length && !strncmp(n->flag, flag, length)) return true;
    return false;
}

static hkd_status check_flags(const char *op, const hkd_case *c) {
    for (const char *at = c->flags; *at;) {
        const size_t length = strcspn(at, ",");
        if (!noted(at, length)) return hkd_fail(HKD_USAGE, "case %s/%s: the flag '%.*s' has no note", op, c->name, (int)length,
                                                at);
        at += length + (at[length] == ',');
    }
    return HKD_OK;
}

static hkd_status record(hkd_manifest_writer *w, const hkd_op *op, const hkd_case *c) {
    char path[1024], file[160];
    hkd_vector v;
    snprintf(file, sizeof file, "%s/%s.safetensors", op->name, c->name);
    if (!hkd_join(path, sizeof path, w->dir, file)) return hkd_fail(HKD_USAGE, "%s: the path is too long", w->dir);
    hkd_status status = check_flags(op->name, c);
    if (!status) status = hkd_vector_make(&v, op, c);
    if (status) return status;
    status = hkd_vector_save(path, &v);
    if (!status) status = hkd_manifest_add(w, &v, file);
    hkd_vector_free(&v);
    return status;
}

static hkd_status record_list(hkd_manifest_writer *w, const hkd_case_list *list, hkd_progress *progress) {
    const hkd_op *op = hkd_find_op(list->op);
    char path[1024];
    if (!op) return hkd_fail(HKD_USAGE, "tools/cases has cases of '%s', which is no operator", list->op);
    if (!hkd_join(path, sizeof path, w->dir, op->name)) return hkd_fail(HKD_USAGE, "%s: the path is too long", w->dir);
    hkd_status status = hkd_make_directory(path);
    for (const hkd_case *c = list->cases; !status && c->name; c++) {
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : record(w, op, c);
        hkd_progress_at(progress, progress->done + 1, op->name);
    }
    return status;
}

static hkd_status record_composite(hkd_manifest_writer *w, int index, hkd_device *dev) {
    char path[1024], file[96];
    hkd_recording r;
    snprintf(file, sizeof file, "networks/%s.safetensors", hkd_network_name(index));
    if (!hkd_join(path, sizeof path, w->dir, file)) return hkd_fail(HKD_USAGE, "%s: the path is too long", w->dir);
    hkd_status status = hkd_network_run(&r, index, dev);
    if (!status) status = hkd_network_allowance(&r, index, false);
    if (!status) status = hkd_recording_save(path, &r);
    if (!status) status = hkd_manifest_add_network(w, hkd_network_name(index), &r, file);
    hkd_recording_free(&r);
    return status;
}

/* DIR/networks/NAME.safetensors for all composites, on the reference. */
static hkd_status record_composites(hkd_manifest_writer *w) {
    char folder[1024];
    hkd_device *dev = NULL;
    if (!hkd_join(folder, sizeof folder, w->dir, "networks")) return hkd_fail(HKD_USAGE, "%s: the path is too long", w->dir);
    hkd_status status = hkd_make_directory(folder);
    if (!status) status = hkd_device_open_ref(&dev, &(hkd_device_options){.threads = 1});
    for (int i = 0; !status && hkd_network_name(i); i++) status = record_composite(w, i, dev);
    hkd_device_close(dev);
    return status;
}

static hkd_status run(const hkd_args *a) {
    hkd_manifest_writer w;
    hkd_progress progress;
    hkd_status status = hkd_manifest_begin(&w, a->operands ? a->operand[0] : "vectors");
    hkd_progress_begin(&progress, "record", "cases", count_cases(), hkd_given(a, "quiet"));
    for (int k = 0; !status && hkd_case_lists[k]; k++) status = record_list(&w, hkd_case_lists[k], &progress);
    hkd_progress_end(&progress);
    if (!status) status = record_composites(&w);
    if (!status) status = hkd_manifest_finish(&w);
    if (!status)
        printf("%zu cases, %.2f MB of tensors, %.2f MB of index\n", json_array_size(w.cases), (double)w.bytes / 1e6,
               (double)w.index.length / 1e6);
    hkd_manifest_writer_free(&w);
    return status;
}

const hkd_verb hkd_verb_record = {
    .name = "record",
    .operands = "[DIR]",
    .summary = "compute the test vectors from the reference (DIR: vectors)",
    .most = 1,
    .example = {"record /tmp/v && diff -r /tmp/v vectors    the same bytes everywhere"},
    .run = run,
};
