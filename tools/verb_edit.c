/* hkd edit - mix the latents of a reference into those of an image, on a band of modes and a region of the picture. */
#include "cost.h"
#include "edit.h"
#include "edit_control.h"
#include "files.h"
#include "image_spectrum.h"
#include "lists.h"
#include "model_bands.h"
#include "model_edit.h"
#include "pictures.h"
#include "progress.h"
#include "status.h"
#include "subject.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVOLVED, NOISED, BOTH, MOST_COLUMNS = 8 };

typedef struct {
    hkd_subject s;
    hkd_inputs image, reference[2];  /* reference as EVOLVED and as NOISED */
    hkd_model_bands bands;
    hkd_column column[MOST_COLUMNS];
    double *pictures[MOST_COLUMNS], *region, *picture;
    int columns, encode;
    int64_t n;
    double time, ratio, from, to;
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
    for (int k = EVOLVED; k <= NOISED && !status; k++) status = hkd_inputs_set_class(&j->reference[k], m, a, "reference-class");
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

/* --band as an interval of ranks; low, middle and high are measured on the images first. */
static hkd_status choose_band(job *j, const char *name) {
    static const char *const names[] = {"low", "middle", "high"};
    for (int k = 0; k < 3; k++) {
        double *z[HKD_MAX_LATENTS + 1] = {NULL};
        hkd_polarity p;
        if (strcmp(name, names[k])) continue;
        hkd_status status = hkd_latents_new(z, j->s.model, j->n);
        if (!status) status = hkd_model_encode(j->s.model, z, &j->image.in);
        if (!status)
            status = hkd_model_polarity(&p, j->s.model, (const double *const *)z, &j->image.in, &j->s.levels, &j->bands);
        if (!status) hkd_band_interval(&j->from, &j->to, (hkd_band_name)k, p.ascending);
        free(z[0]);
        return status;
    }
    double interval[2];
    const hkd_status status = hkd_parse_interval(interval, "--band", name);
    j->from = interval[0];
    j->to = interval[1];
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
static hkd_status add_grid(job *j) {
    static const struct {
        double ratio;
        const char *title, *name;
    } band[] = {{0.1, "10%", "band_10"}, {0.2, "20%", "band_20"}, {0.5, "50%", "band_50"}, {0.8, "80%", "band_80"},
                {0.9, "90%", "band_90"}};
    hkd_status status = HKD_OK;
    for (int k = 0; k < 5 && !status; k++) status = add_edit(j, band[k].title, band[k].name, band[k].ratio, false,
                                                             j->encode == NOISED);
    return status ? status : add_edit(j, "all 90%", "all_90", 0.9, true, j->encode == NOISED);
}

static hkd_status edit(job *j, bool grid) {
    hkd_status status = add_column(j, "image", "image");
    if (!status) status = hkd_model_denoise(j->s.model, j->pictures[0], NULL, &j->image.in);
    if (!status) status = add_column(j, "ref", "reference");
    if (!status) memcpy(j->pictures[1], j->picture, (size_t)(j->n * j->s.size) * sizeof *j->picture);
    if (!status && grid) return add_grid(j);
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

static hkd_status report(const job *j, bool json) {
    json_t *list = json_array();
    hkd_status status = HKD_OK;
    if (!json)
        printf("ranks %.4g to %.4g, %lld images; what changed, and its energy by spatial frequency\n%-10s %10s %8s %8s %8s\n",
               j->from,
               j->to, (long long)j->n, "", "RMSE", "low", "middle", "high");
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
    if (json && !status) json_dumpf(all, stdout, JSON_INDENT(1)), printf("\n");
    json_decref(all);
    return status;
}

/* The band against random modes; one line, or a JSON object. */
static hkd_status control(const job *j, const hkd_args *a) {
    const hkd_edit_rule rule = {j->ratio, j->bands.mask, j->region};
    hkd_edit_control c;
    int64_t seed = 0;
    hkd_status status = hkd_arg_int(&seed, a, "seed", 0, INT64_MAX);
    if (!status)
        status = hkd_model_edit_control(&c, j->s.model, &j->image.in, &j->reference[j->encode == NOISED].in, &j->s.levels,
                                        &rule, (uint64_t)seed);
    if (status) return status;
    if (hkd_given(a, "json")) {
        json_t *o = json_pack("{s:I, s:[f,f], s:[f,f], s:[f,f], s:f, s:[f,f]}", "images", (json_int_t)c.n, "rmse", c.rmse[0],
                              c.rmse[1], "ratio", c.ratio[0], c.ratio[1], "low_energy", c.low[0], c.low[1], "difference",
                              c.difference, "interval", c.difference - c.half, c.difference + c.half);
        json_dumpf(o, stdout, JSON_INDENT(1));
        printf("\n");
        json_decref(o);
        return HKD_OK;
    }
    printf("%lld images, ranks %.4g to %.4g against as many random modes, ratios %.3g and %.3g for an RMSE of %.5f and %.5f\n"
           "change in low spatial frequencies, per value: band %.4g, random %.4g; random - band %.4g, 95 %% interval %.4g to "
           "%.4g: %s\n",
           (long long)c.n, j->from, j->to, c.ratio[0], c.ratio[1], c.rmse[0], c.rmse[1], c.low[0], c.low[1], c.difference,
           c.difference - c.half, c.difference + c.half,
           c.difference > c.half ? "the band spares them" : c.difference < -c.half ? "the band changes them more"
               : "no difference seen");
    return HKD_OK;
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status check_options(job *j, const hkd_args *a, hkd_band_rule *rule) {
    int key = 0;
    double interval[2];
    const char *band = hkd_arg(a, "band");
    *rule = (hkd_band_rule){.dt = -1, .joint = hkd_given(a, "joint")};
    hkd_status status = hkd_arg_real(&j->time, a, "time", 0, 1);
    if (!status) status = hkd_arg_real(&j->ratio, a, "ratio", 0, 1);
    if (!status) status = hkd_arg_choice(&key, a, "sort", "alpha|abs_alpha|growth");
    rule->key = (hkd_band_key)key;
    if (!status && strcmp(band, "low") && strcmp(band, "middle") && strcmp(band, "high"))
        status = hkd_parse_interval(interval, "--band", band);
    if (!status && hkd_given(a, "reference-seeds") == hkd_given(a, "reference"))
        status = hkd_fail(HKD_USAGE, "a reference is needed: --reference-seeds or --reference, one of the two");
    j->encode = hkd_given(a, "reference-seeds") ? EVOLVED : NOISED;
    if (!status && hkd_given(a, "reference-encode"))
        status = hkd_arg_choice(&j->encode, a, "reference-encode", "evolved|noised|both");
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
    if (!status) status = hkd_model_bands_new(&j->bands, &j->s.levels, rule);
    if (!status) status = choose_band(j, by_default ? "high" : hkd_arg(a, "band"));
    if (!status) status = hkd_model_bands_choose(&j->bands, &j->s.levels, j->from, j->to);
    if (!status && hkd_given(a, "control")) return control(j, a);
    hkd_progress_begin(&j->progress, "edit", "edit", grid ? 6 : j->encode == BOTH ? 2 : 1, hkd_given(a, "quiet"));
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
                                          "be that"},
               {"sort", "KEY", "alpha", "what ranks the modes: alpha, abs_alpha, growth"},
               {"joint", NULL, NULL, "rank all levels together"},
               {"mask", "MASK", "all", "where: all, triangle (lower left), rectangle (lower left quarter), or a picture (white "
                                       "= edited)"},
               {"reference-encode", "HOW", NULL, "evolved (by the model's operators, default for seeds), noised (to TAU's "
                                                 "noise level with "
                                                 "the image's noise, default for pictures), both (side by side)"},
               {"grid", NULL, NULL, "the paper's Figure 5: the band (high unless given) at 10, 20, 50, 80, 90 %, and "
                                    "everything at 90 %"},
               {"control", NULL, NULL, "no pictures: does the band (high unless given) spare low spatial frequencies more than "
                                       "as many random "
                                       "modes do, at equal RMSE?"},
               {"out", "F", NULL, "sheet.png, DIR/ (single pictures), or F.safetensors"}},
    .example = {"edit --model M.safetensors --seeds 0-3 --reference-seeds 4-7 --band 0:1/3 --mask triangle --out edit.png",
                "edit --model M.safetensors --seeds 0-3 --reference-seeds 4-7 --mask triangle --grid --out figure5.png",
                "edit --model M.safetensors --seeds 0-255 --reference-seeds 256-511 --control --json",
                "edit --model M.safetensors --reference cat.png --time 0.4 --ratio 0.8 --out edit.png"},
    .run = run,
};
