#include "report.h"

#include "edit.h"
#include "model_edit.h"
#include "status.h"
#include "svg.h"

#include <stdlib.h>
#include <string.h>

enum { EDITS = 6, COLUMNS = EDITS + 2, MASKS = 3, WAYS = 2 };
static const char *const mask_name[MASKS] = {"triangle", "rectangle", "all"};
static const char *const way_name[WAYS] = {"evolved", "noised"};

typedef struct {
    hkd_inputs reference[WAYS];
    double *picture;        /* [n, size] of the references */
    double *region, *all;   /* [side, side]; [n, COLUMNS, size] */
    const char **row;
} gallery;

/* The next seed's picture is the reference: from its noise, and as a picture with the image's noise at time 1/2. */
static hkd_status choose_references(gallery *g, hkd_report *r) {
    const int64_t n = r->noise.in.n;
    uint64_t *seeds = malloc((size_t)n * sizeof *seeds + 1);
    hkd_status status = seeds ? HKD_OK : hkd_report_no_room();
    for (int64_t i = 0; i < n && !status; i++) seeds[i] = r->noise.seeds[(i + 1) % n] + (n == 1);
    if (!status) status = hkd_inputs_of_seeds(&g->reference[0], r->model, seeds, (size_t)n);
    if (!status && r->o->class_label >= 0) status = hkd_inputs_set_class(&g->reference[0], r->model, r->o->class_label);
    if (!status) status = hkd_model_denoise(r->model, g->picture, NULL, &g->reference[0].in);
    if (!status) status = hkd_inputs_of_pictures(&g->reference[1], r->model, g->picture, r->noise.seeds, (size_t)n, 0.5);
    if (!status && g->reference[1].in.class_labels)
        memcpy(g->reference[1].labels, g->reference[0].labels, (size_t)(n * r->model->config.label_dim) * sizeof(double));
    free(seeds);
    return status;
}

/* Image, reference, five strengths of the high band, and everything at 90 %. */
static hkd_status edit_all(gallery *g, hkd_report *r, const double *region, int way) {
    static const double ratio[EDITS] = {0.1, 0.2, 0.5, 0.8, 0.9, 0.9};
    const int64_t n = r->noise.in.n, size = r->size;
    double from, to, *d = hkd_report_room(r, n);
    hkd_band_interval(&from, &to, HKD_BAND_HIGH, r->polarity.ascending);
    hkd_status status = d ? hkd_model_bands_choose(&r->bands, &r->levels, from, to) : hkd_report_no_room();
    for (int c = 0; c < COLUMNS && !status; c++) {
        const hkd_edit_rule rule = {c >= 2 ? ratio[c - 2] : 0, c == COLUMNS - 1 ? NULL : r->bands.mask, region};
        if (c < 2) memcpy(d, c ? g->picture : r->samples, (size_t)(n * size) * sizeof *d);
        else status = hkd_model_edit(r->model, d, &r->noise.in, &g->reference[way].in, &r->levels, &rule);
        if (!status) status = hkd_report_ask(r);
        for (int64_t i = 0; i < n && !status; i++) memcpy(g->all + (i * COLUMNS + c) * size, d + i * size,
                                                          (size_t)size * sizeof *d);
    }
    free(d);
    return status;
}

static hkd_status show(gallery *g, hkd_report *r, int mask, int way) {
    static const char *const columns[COLUMNS] = {"image", "reference", "10 %", "20 %", "50 %", "80 %", "90 %", "all 90 %"};
    const int64_t n = r->noise.in.n, side = r->side;
    int sheet;
    hkd_status status = HKD_OK;
    if (mask == 0) hkd_region_triangle(g->region, side, side);
    if (mask == 1) status = hkd_region_rectangle(g->region, side, side, 0.5, 1, 0, 0.5);
    if (!status) status = edit_all(g, r, mask == 2 ? NULL : g->region, way);
    fprintf(r->out, "<div data-edit=\"%s %s\"%s>\n", mask_name[mask], way_name[way], mask || way ? " hidden" : "");
    if (!status) status = hkd_report_sheet(&sheet, r, g->all, n, COLUMNS);
    if (!status) hkd_report_gallery(r, sheet, g->row, n, columns, COLUMNS);
    fputs("</div>\n", r->out);
    return status;
}

static void choices(FILE *out, const char *legend, const char *name, const char *const *choice, int count) {
    fprintf(out, "<fieldset><legend>%s</legend>", legend);
    for (int k = 0; k < count; k++)
        fprintf(out, "<label><input type=\"radio\" name=\"%s\" value=\"%s\"%s> %s</label>", name, choice[k],
                k ? "" : " checked", choice[k]);
    fputs("</fieldset>", out);
}

hkd_status hkd_report_edits(hkd_report *r) {
    const int64_t n = r->noise.in.n, side = r->side;
    gallery g = {.picture = hkd_report_room(r, n), .region = malloc((size_t)(side * side) * sizeof(double) + 1),
                 .all = hkd_report_room(r, n * COLUMNS), .row = hkd_report_seeds(r)};
    hkd_status status = g.picture && g.region && g.all && g.row ? choose_references(&g, r) : hkd_report_no_room();
    fputs("<section id=\"edits\"><h2>Edits</h2>\n<p>The high band of the next seed's picture is mixed into each picture, "
          "within the mask; in the last column all bands. An <em>evolved</em> reference starts from its own noise and moves "
          "with the same operators: mixing commutes with them, so at which time it is done makes no difference. A "
          "<em>noised</em> one "
          "is the reference's picture with the image's noise at time 1/2, encoded there: all that can be done with a picture "
          "that has no noise of its own, and then the time matters.</p>\n<div class=\"controls\">", r->out);
    choices(r->out, "Mask", "mask", mask_name, MASKS);
    choices(r->out, "Reference", "way", way_name, WAYS);
    fputs("</div>\n", r->out);
    for (int mask = 0; mask < MASKS; mask++)
        for (int way = 0; way < WAYS && !status; way++) status = show(&g, r, mask, way);
    if (!status) status = hkd_report_control(r, r->o->control);
    fputs("</section>\n", r->out);
    for (int way = 0; way < WAYS; way++) hkd_inputs_free(&g.reference[way]);
    free(g.row);
    free(g.picture);
    free(g.region);
    free(g.all);
    return status;
}
