/* FID by its rules: Inception-v3 of 2015, 50000 pictures per value, more than one value from blocks of other seeds, of which
 * papers report the least. */
#include "eval.h"
#include "feature_file.h"
#include "moments_file.h"
#include "reference_file.h"
#include "dataset.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

enum { EXPECTED = 50000, MOST_BLOCKS = 256 };

const char hkd_inception_source[] =
    "pt_inception-2015-12-05-6726825d.pth is among the releases of mseitzer/pytorch-fid; "
    "`hkd convert pt_inception-2015-12-05-6726825d.pth inception.safetensors` makes the file";

typedef struct {
    int blocks;
    double value[MOST_BLOCKS], least, mean, deviation; /* deviation over blocks - 1; NAN for one */
    int64_t images[MOST_BLOCKS], reference;            /* reference 0: not said by its file */
} result;

/* Has a block of `count` pictures the number that FID is defined by? Any will do with --any-count. */
static hkd_status check_count(const hkd_eval_job *j, const char *name, int64_t count, int64_t expected) {
    if (count == expected || hkd_given(j->args, "any-count")) return HKD_OK;
    return hkd_fail(HKD_USAGE, "%s: %lld pictures, FID needs %lld (50000 for each value); --any-count takes what there is, for "
                    "values that are comparable only among themselves", name, (long long)count, (long long)expected);
}

static hkd_status add_block(result *r, const hkd_eval_job *j, const char *name, const hkd_gaussian *reference) {
    hkd_gaussian g;
    if (r->blocks == MOST_BLOCKS) return hkd_fail(HKD_USAGE, "fid: more than %d blocks", (int)MOST_BLOCKS);
    hkd_status status = hkd_gaussian_of(&g, j, name);
    if (!status && g.count) status = check_count(j, name, g.count, EXPECTED);
    if (!status) status = hkd_gaussian_distance(&r->value[r->blocks], &g, reference);
    r->images[r->blocks] = g.count;
    if (!status) r->blocks++;
    hkd_gaussian_free(&g);
    return status;
}

/* The first 50000 pictures, the next ...; equal shares of all with --any-count. */
static hkd_status add_pictures(result *r, const hkd_eval_job *j, const char *name, int64_t blocks,
                               const hkd_gaussian *reference) {
    hkd_dataset *set;
    hkd_eval_job part = *j;
    hkd_status status = hkd_dataset_open(&set, name);
    if (status) return status;
    const int64_t count = j->limit && j->limit < set->count ? j->limit : set->count, expected = blocks * EXPECTED;
    hkd_dataset_close(set);
    status = check_count(j, name, count < expected ? count : expected, expected); /* more than enough is enough */
    part.limit = hkd_given(j->args, "any-count") ? count / blocks : EXPECTED;
    for (int64_t b = 0; b < blocks && !status; b++) {
        part.first = b * part.limit;
        status = add_block(r, &part, name, reference);
    }
    return status;
}

static void summarise(result *r) {
    double squares = 0;
    r->least = r->value[0];
    for (int i = 0; i < r->blocks; i++) r->least = fmin(r->least, r->value[i]), r->mean += r->value[i] / r->blocks;
    for (int i = 0; i < r->blocks; i++) squares += (r->value[i] - r->mean) * (r->value[i] - r->mean);
    r->deviation = r->blocks > 1 ? sqrt(squares / (r->blocks - 1)) : NAN;
}

static void report(const hkd_eval_job *j, const result *r) {
    if (hkd_given(j->args, "json")) {
        json_t *values = json_array(), *images = json_array();
        for (int i = 0; i < r->blocks; i++) {
            json_array_append_new(values, json_real(r->value[i]));
            json_array_append_new(images, r->images[i] ? json_integer(r->images[i]) : json_null());
        }
        json_t *o = json_pack("{s:s, s:s, s:f, s:f, s:f, s:o, s:o, s:o, s:s, s:s}", "schema", "hkd-eval-1", "metric", "fid",
                              "value", r->least, "least", r->least, "mean", r->mean, "blocks", values, "images", images,
                              "reference_images", r->reference ? json_integer(r->reference) : json_null(), "reference",
                              j->args->operand[j->args->operands - 1], "of", j->of);
        if (r->blocks > 1) json_object_set_new(o, "deviation", json_real(r->deviation));
        json_dumpf(o, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(o);
        return;
    }
    for (int i = 0; i < r->blocks; i++) {
        printf("FID %.4g", r->value[i]);
        if (r->images[i]) printf("  (%lld images)", (long long)r->images[i]);
        printf("\n");
    }
    if (r->blocks > 1) printf("least %.4g, mean %.4g +- %.2g of %d blocks\n", r->least, r->mean, r->deviation, r->blocks);
}

hkd_status hkd_eval_fid(const hkd_eval_job *j) {
    const hkd_args *a = j->args;
    result r = {0};
    hkd_gaussian reference = {0};
    int64_t blocks = 1;
    if (a->operands < 2) return hkd_fail(HKD_USAGE, "expected pictures and a reference, A and REFERENCE");
    if (!hkd_features_is_inception(j->features))
        return hkd_fail(HKD_BAD_FILE, "%s: not the Inception-v3 that FID is defined by: %s", j->features, hkd_inception_source);
    hkd_status status = hkd_arg_int(&blocks, a, "blocks", 1, MOST_BLOCKS);
    hkd_eval_job whole = *j; /* --count and --any-count are about A */
    whole.limit = 0;
    if (!status) status = hkd_gaussian_of(&reference, &whole, a->operand[a->operands - 1]);
    r.reference = reference.count;
    for (int i = 0; i + 1 < a->operands && !status; i++) {
        const char *name = a->operand[i];
        const bool pictures = !hkd_is_moments_file(name) && !hkd_is_reference_file(name);
        status = pictures ? add_pictures(&r, j, name, blocks, &reference) : add_block(&r, j, name, &reference);
    }
    hkd_gaussian_free(&reference);
    if (status) return status;
    summarise(&r);
    report(j, &r);
    return HKD_OK;
}
