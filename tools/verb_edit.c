/* hkd edit - mix the latents of a reference into those of an image, on a band of modes and a region of the picture. */
#include "cost.h"
#include "edit.h"
#include "files.h"
#include "image_spectrum.h"
#include "lists.h"
#include "measure.h"
#include "model_edit.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVOLVED, NOISED, BOTH, STRENGTHS = 6, MOST_COLUMNS = 2 + 2 * STRENGTHS };

typedef struct {
    hkd_subject s;
    hkd_inputs image, reference[2];  /* reference as EVOLVED and as NOISED */
    hkd_model_bands bands;
    hkd_column column[MOST_COLUMNS];
    double *pictures[MOST_COLUMNS], *region, *picture;
    int columns, encode;
    int64_t n;
    double time, ratio, from, to;
    hkd_polarity polarity;
    bool measured;                   /* the band is low, middle or high, by that polarity */
    hkd_progress progress;
} job;

/* ---- the request ------------------------------------------------------------------------------------------------------ */

static hkd_status read_region(job *j, const char *mask) {
    const int64_t side = j->s.side;
    if (!strcmp(mask, "all")) return HKD_OK;
    j->region = malloc((size_t)(side * side) * sizeof *j->region + 1);
    if (!j->region) return hkd_fail(HKD_RESOURCES, "out of memory for the mask");
    if (!strcmp(mask, "triangle")) return hkd_region_triangle(j->region, side, side), HKD_OK;
    if (!strcmp(mask, "rectangle")) return hkd_region_rectangle(j->region, side, side, 0.5, 1, 0, 0.5);
    return hkd_read_mask(j->region, mask, side);
}

/* The reference's picture: a file, or what its seeds give. */
static hkd_status read_reference(job *j, const hkd_args *a, hkd_inputs *seeds) {
    j->picture = malloc((size_t)(j->n * j->s.size) * sizeof *j->picture + 1);
    if (!j->picture) return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)j->n);
    if (seeds) return hkd_model_denoise(j->s.model, j->picture, NULL, &seeds->in);
    const hkd_status status = hkd_read_picture(j->picture, hkd_arg(a, "reference"), j->s.channels, j->s.side);
    for (int64_t i = 1; i < j->n && !status; i++)
        memcpy(j->picture + i * j->s.size, j->picture, (size_t)j->s.size * sizeof *j->picture);
    return status;
}

/* A reference of seeds evolves from its own noise; a picture can only be encoded at the end, where it has none, and moved
 * back. */
static hkd_status encode_reference(job *j, const hkd_args *a, const hkd_inputs *seeds) {
    const hkd_model *m = j->s.model;
    hkd_inputs *evolved = &j->reference[EVOLVED], *noised = &j->reference[NOISED];
    const size_t n = (size_t)j->n;
    hkd_status status = seeds ? hkd_inputs_of_seeds(evolved, m, seeds->seeds, n)
                              : hkd_inputs_of_pictures(evolved, m, j->picture, j->image.seeds, n, 0);
    for (int64_t i = 0; !seeds && !status && i < j->n * j->s.size; i++) evolved->x[i] = j->picture[i];
    if (!status) status = hkd_inputs_of_pictures(noised, m, j->picture, j->image.seeds, n, j->time);
    for (int k = EVOLVED; k <= NOISED && !status; k++)
        status = hkd_inputs_class_of_option(&j->reference[k], m, a, "reference-class");
    if (!status && seeds && noised->in.class_labels)
        memcpy(noised->labels, seeds->labels, n * (size_t)m->config.label_dim * sizeof *noised->labels);
    return status;
}

static hkd_status read_inputs(job *j, const hkd_args *a) {
    hkd_inputs seeds = {.seeds = NULL};
    const bool of_seeds = hkd_given(a, "reference-seeds");
    hkd_status status = hkd_inputs_of_option(&j->image, j->s.model, a, "seeds");
    j->n = j->image.in.n;
    if (!status && of_seeds) status = hkd_inputs_of_option(&seeds, j->s.model, a, "reference-seeds");
    if (!status && of_seeds && seeds.in.n != j->n)
        status = hkd_fail(HKD_USAGE, "%lld --seeds and %lld --reference-seeds: as many are needed", (long long)j->n,
                          (long long)seeds.in.n);
    if (!status) status = read_reference(j, a, of_seeds ? &seeds : NULL);
    if (!status) status = encode_reference(j, a, of_seeds ? &seeds : NULL);
    hkd_inputs_free(&seeds);
    return status;
}

/* ---- editing ---------------------------------------------------------------------------------------------------------- */

static hkd_status add_column(job *j, const char *title, const char *name) {
    double *d = j->pictures[j->columns] = malloc((size_t)(j->n * j->s.size) * sizeof *d + 1);
    j->column[j->columns++] = (hkd_column){title, name, d};
    return d ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)j->n);
}

/* One more column: the edit of all images. Everything everywhere needs no band, and then mixes the rest of the model's state
 * too. */
static hkd_status add_edit(job *j, const char *title, const char *name, double ratio, bool all, int encode) {
    const hkd_edit_rule rule = {ratio, all || (j->from == 0 && j->to == 1) ? NULL : j->bands.mask, j->region};
    hkd_status status = add_column(j, title, name);
    if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    if (!status)
        status = hkd_model_edit(j->s.model, j->pictures[j->columns - 1], &j->image.in, &j->reference[encode].in, &j->s.levels,
                                &rule);
    hkd_progress_at(&j->progress, j->columns - 2, NULL);
    return status;
}

/* Figure 5 of the paper: five strengths of the band, and everything at 90 %. */
static hkd_status add_grid(job *j, int encode) {
    static const struct {
        double ratio;
        const char *title[2], *name[2];
    } strength[STRENGTHS] = {
        {0.1, {"10%", "10% n"}, {"band_10", "noised_10"}}, {0.2, {"20%", "20% n"}, {"band_20", "noised_20"}},
        {0.5, {"50%", "50% n"}, {"band_50", "noised_50"}}, {0.8, {"80%", "80% n"}, {"band_80", "noised_80"}},
        {0.9, {"90%", "90% n"}, {"band_90", "noised_90"}}, {0.9, {"all 90%", "all n"}, {"all_90", "noised_all_90"}}};
    const bool told = j->encode == BOTH && encode == NOISED;
    hkd_status status = HKD_OK;
    for (int k = 0; k < STRENGTHS && !status; k++)
        status = add_edit(j, strength[k].title[told], strength[k].name[told], strength[k].ratio, k == STRENGTHS - 1, encode);
    return status;
}

static hkd_status edit(job *j, bool grid) {
    hkd_status status = add_column(j, "image", "image");
    if (!status) status = hkd_model_denoise(j->s.model, j->pictures[0], NULL, &j->image.in);
    if (!status) status = add_column(j, "ref", "reference");
    if (!status) memcpy(j->pictures[1], j->picture, (size_t)(j->n * j->s.size) * sizeof *j->picture);
    if (!status && grid) {
        if (j->encode != NOISED) status = add_grid(j, EVOLVED);
        return status || j->encode == EVOLVED ? status : add_grid(j, NOISED);
    }
    if (!status && j->encode != BOTH) return add_edit(j, "edited", "edited", j->ratio, false, j->encode);
    if (!status) status = add_edit(j, "evolved", "evolved", j->ratio, false, EVOLVED);
    return status ? status : add_edit(j, "noised", "noised", j->ratio, false, NOISED);
}

/* ---- what changed ----------------------------------------------------------------------------------------------------- */

typedef struct {
    double rmse, share[3];   /* of the change: its size, and its energy by spatial frequency */
} change;

static hkd_status measure(change *out, const job *j, int column) {
    const int64_t side = j->s.side, count = j->n * j->s.size, shells = hkd_spectrum_shells(side, side);
    double *difference = malloc((size_t)(count + shells) * sizeof *difference + 1), square = 0;
    int64_t *sizes = malloc((size_t)shells * sizeof *sizes + 1);
    hkd_status status = difference && sizes ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = 0; i < count && !status; i++) {
        difference[i] = j->pictures[column][i] - j->pictures[0][i];
        square += difference[i] * difference[i];
    }
    if (!status) status = hkd_image_spectrum(difference + count, sizes, difference, j->n * j->s.channels, side, side);
    if (!status) {
        out->rmse = sqrt(square / (double)count);
        hkd_spectrum_bands(out->share, difference + count, shells);
    }
    free(sizes);
    free(difference);
    return status;
}

/* What the band is, for people. */
static void describe(char *out, size_t size, const job *j) {
    static const char *const key[] = {"alpha", "abs_alpha", "growth", "detail"};
    const hkd_band_rule *rule = &j->bands.rule;
    char why[256] = "";
    if (j->measured) hkd_polarity_text(why, sizeof why, &j->polarity);
    snprintf(out, size, "ranks %.4g to %.4g by %s%s%s%s", j->from, j->to, key[rule->key],
             rule->joint ? ", over all levels" : "", *why ? "; " : "", why);
}

static hkd_status report(const job *j, bool json) {
    json_t *list = json_array();
    char what[320];
    describe(what, sizeof what, j);
    hkd_status status = HKD_OK;
    if (!json)
        printf("%s\n%lld images; what changed, and its energy by spatial frequency\n%-10s %10s %8s %8s %8s\n", what,
               (long long)j->n, "", "RMSE", "low", "middle", "high");
    for (int c = 2; c < j->columns && !status; c++) {
        change v = {0};
        status = measure(&v, j, c);
        if (!json) printf("%-10s %10.5f %7.1f%% %7.1f%% %7.1f%%\n", j->column[c].title, v.rmse, 100 * v.share[0],
                          100 * v.share[1], 100 * v.share[2]);
        json_array_append_new(list, json_pack("{s:s, s:f, s:[f,f,f]}", "name", j->column[c].name, "rmse", v.rmse,
                                              "low_middle_high",
                                              v.share[0], v.share[1], v.share[2]));
    }
    json_t *all = json_pack("{s:[f,f], s:o}", "band", j->from, j->to, "edits", list);
    if (j->measured) json_object_set_new(all, "polarity", hkd_polarity_json(&j->polarity));
    if (json && !status) json_dumpf(all, stdout, JSON_INDENT(1)), printf("\n");
    json_decref(all);
    return status;
}

static hkd_status control(job *j, const hkd_args *a) {
    const hkd_edit_rule rule = {j->ratio, j->bands.mask, j->region};
    char what[320];
    describe(what, sizeof what, j);
    return hkd_print_control(&j->s, &j->image.in, &j->reference[j->encode].in, &rule, a, what);
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status check_options(job *j, const hkd_args *a, hkd_band_rule *rule) {
    double interval[2];
    const char *band = hkd_arg(a, "band");
    hkd_status status = hkd_arg_real(&j->time, a, "time", 0, 1);
    if (!status) status = hkd_arg_real(&j->ratio, a, "ratio", 0, 1);
    if (!status) status = hkd_rule_of_options(rule, a);
    if (!status && strcmp(band, "low") && strcmp(band, "middle") && strcmp(band, "high"))
        status = hkd_parse_interval(interval, "--band", band);
    if (!status && hkd_given(a, "reference-seeds") == hkd_given(a, "reference"))
        status = hkd_fail(HKD_USAGE, "a reference is needed: --reference-seeds or --reference, one of the two");
    j->encode = hkd_given(a, "reference-seeds") ? EVOLVED : NOISED;
    if (!status && hkd_given(a, "reference-encode"))
        status = hkd_arg_choice(&j->encode, a, "reference-encode", "evolved|noised|both");
    if (!status && hkd_given(a, "control") && j->encode == BOTH)
        status = hkd_fail(HKD_USAGE, "--control takes one way of encoding the reference: evolved or noised");
    if (!status && hkd_given(a, "control")) return status;
    if (!status && !hkd_given(a, "out")) status = hkd_fail(HKD_USAGE, "--out is needed");
    if (!status) status = hkd_check_sheet_path(hkd_arg(a, "out"));
    return status;
}

static hkd_status work(job *j, const hkd_args *a, const hkd_band_rule *rule) {
    const bool grid = hkd_given(a, "grid"), by_default = !hkd_given(a, "band") && (grid || hkd_given(a, "control"));
    hkd_status status = read_region(j, hkd_arg(a, "mask"));
    if (!status) status = read_inputs(j, a);
    if (!status) status = hkd_fit_batch(a, j->s.model, j->n, &j->s.model->batch, false);
    if (!status) status = hkd_rank_modes(&j->bands, &j->s, rule, hkd_given(a, "quiet"));
    if (!status)
        status = hkd_choose_band(&j->from, &j->to, &j->measured, &j->polarity, by_default ? "high" : hkd_arg(a, "band"), &j->s,
                                 &j->bands, hkd_given(a, "quiet"));
    if (!status) status = hkd_model_bands_choose(&j->bands, &j->s.levels, j->from, j->to);
    if (!status && hkd_given(a, "control")) return control(j, a);
    if (!status && hkd_given(a, "reference") && j->encode != NOISED)
        hkd_say(a, "a picture has no noise: \"evolved\" encodes it at the smallest noise level and moves it back to noise, "
                   "where no model was trained to meet it; expect noise, and see \"noised\"");
    hkd_progress_begin(&j->progress, "edit", "edit", (grid ? STRENGTHS : 1) * (j->encode == BOTH ? 2 : 1),
                       hkd_given(a, "quiet"));
    if (!status) status = edit(j, grid);
    hkd_progress_end(&j->progress);
    const hkd_sheet sheet = {j->column, j->columns, j->n, j->s.channels, j->s.side, NULL, j->image.seeds};
    if (!status) status = hkd_save_sheet(hkd_arg(a, "out"), &sheet, a);
    return status ? status : report(j, hkd_given(a, "json"));
}

static hkd_status run(const hkd_args *a) {
    job j = {.n = 0};
    hkd_band_rule rule;
    hkd_status status = check_options(&j, a, &rule);
    if (!status) status = hkd_subject_open(&j.s, a);
    if (!status) status = work(&j, a, &rule);
    hkd_model_bands_free(&j.bands);
    hkd_inputs_free(&j.image);
    for (int k = 0; k < 2; k++) hkd_inputs_free(&j.reference[k]);
    for (int c = 0; c < MOST_COLUMNS; c++) free(j.pictures[c]);
    free(j.region);
    free(j.picture);
    hkd_subject_free(&j.s);
    return status;
}

const hkd_verb hkd_verb_edit = {
    .name = "edit",
    .summary = "mix a reference into images, on a band of modes and a part of the picture",
    .option = {{"model", "M", NULL, "an HKD model"},
               {"seeds", "LIST", "0-3", "the images"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"reference-seeds", "LIST", NULL, "a reference for each image"},
               {"reference", "A.png", NULL, "or one picture for all of them"},
               {"reference-class", "K", NULL,
                "class of the reference; not given: drawn from its seed, a picture's from the image's"},
               {"time", "TAU", "0.5", "where the reference is encoded when noised (1 noise, 0 picture); otherwise without "
                                      "effect: "
                                      "mixing commutes with the operators"},
               {"ratio", "R", "0.5", "how much of the reference: 0 none, 1 all"},
               {"band", "FROM:TO", "0:1", "ranks of modes, such as 0:1/3; or low, middle, high: the third that is measured to "
                                          "be that, on fixed pictures of the model (see hkd bands --help)"},
               {"sort", "KEY", "alpha", HKD_SORT_HELP},
               {"joint", NULL, NULL, "rank all levels together"},
               {"mask", "MASK", "all", "where: all, triangle (lower left), rectangle (lower left quarter), or a picture (white "
                                       "= edited)"},
               {"reference-encode", "HOW", NULL, "evolved (default for seeds: from its own noise, by the model's operators), "
                                                 "noised (default for pictures: with the image's noise at TAU's level, encoded "
                                                 "there), both (side by side, n: noised). A picture evolves badly: it has no "
                                                 "noise of its "
                                                 "own, and its way back to noise is one that no model was trained on"},
               {"grid", NULL, NULL, "the paper's Figure 5: the band (high unless given) at 10, 20, 50, 80, 90 %, and "
                                    "everything at 90 %"},
               {"control", NULL, NULL, "no pictures: does the band (high unless given) spare low spatial frequencies more than "
                                       "as many random modes do, at equal RMSE of every picture? With a 95 % interval over "
                                       "pictures and sets"},
               {"sets", "N", "8", "random sets of the control"},
               {"out", "F", NULL, "sheet.png, DIR/ (single pictures), or F.safetensors"}},
    .example = {"edit --model M.safetensors --seeds 0-3 --reference-seeds 4-7 --band 0:1/3 --mask triangle --out edit.png",
                "edit --model M.safetensors --seeds 0-3 --reference-seeds 4-7 --mask triangle --grid --out figure5.png",
                "edit --model M.safetensors --seeds 0-255 --reference-seeds 256-511 --control --json",
                "edit --model M.safetensors --reference cat.png --time 0.4 --ratio 0.8 --out edit.png"},
    .run = run,
};
