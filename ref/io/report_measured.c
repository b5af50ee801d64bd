/* What longer measurements found, as the files that their verbs print, and the paper's propositions on this model. */
#include "report.h"

#include "hkd_insight.h"
#include "sides.h"
#include "status.h"
#include "svg.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A missing file is a sentence on the page that says how to make it. */
static void not_measured(FILE *out, const char *what, const char *command, const char *option) {
    fprintf(out, "<p>%s not measured for this page: <code>hkd %s --json &gt; F.json</code>, then <code>hkd report %s "
                 "F.json</code>.</p>\n", what, command, option);
}

static hkd_status load(json_t **out, const char *file, const char *prints) {
    *out = json_load_file(file, JSON_REJECT_DUPLICATES, NULL);
    return *out ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: expected what hkd %s --json prints", file, prints);
}

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void table_begin(FILE *out, const char *what, const char *const *head, int columns) {
    fprintf(out, "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\"><table><tr>", what);
    for (int k = 0; k < columns; k++) fprintf(out, "<th scope=\"col\">%s</th>", head[k]);
    fputs("</tr>\n", out);
}

static void table_end(FILE *out) { fputs("</table></div>\n", out); }

/* ---- identifiability: hkd spectrum --refit ---- */

static hkd_status show_refit(hkd_report *r, const char *file, const json_t *v) {
    static const char *const head[] = {"operators", "from noise", "along the path", "share of the gain"};
    const json_t *rows = json_object_get(v, "refit"), *row;
    const double images = number(v, "images"), runs = number(v, "runs"), agree = number(v, "alpha_correlation_with_model");
    double random = NAN;
    size_t i;
    if (json_array_size(rows) < 3 || !isfinite(images) || !isfinite(runs) || !isfinite(agree))
        return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd spectrum --refit --json prints", file);
    fprintf(r->out, "<p>Measured: distilled anew from the same weights, %.0f pictures a run, %.0f run%s of each kind, losses "
                    "on trajectories that no run has seen.</p>\n", images, runs, runs > 1 ? "s" : "");
    table_begin(r->out, "losses of the refit", head, 4);
    json_array_foreach(rows, i, row) {
        const json_t *curve = json_object_get(row, "curve"), *last = json_array_get(curve, json_array_size(curve) - 1);
        const char *name = json_string_value(json_object_get(row, "operators"));
        if (!name || !last) return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd spectrum --refit --json prints", file);
        if (!strcmp(name, "random")) random = number(row, "share_of_gain");
        fputs("<tr><th scope=\"row\">", r->out);
        hkd_svg_text(r->out, name);
        fprintf(r->out, "%s</th><td>%.5f</td><td>%.5f</td><td>%.1f %%</td></tr>\n", i ? ", frozen" : "",
                number(last, "loss_end"), number(last, "loss_path"), 100 * number(row, "share_of_gain"));
    }
    table_end(r->out);
    fprintf(r->out, "<p>%s Frozen random operators reach %.1f %% of what training gains over the start; alphas of the model "
                    "and of the new runs with trained operators correlate by %.3f, mode by mode.</p>\n",
            random > 0.95 ? "This spectrum is (nearly) all arbitrary: other eigenvalues make as good pictures."
            : random > 0.5 ? "Much of this spectrum is arbitrary." : "The loss needs the trained operators.", 100 * random,
            agree);
    return HKD_OK;
}

hkd_status hkd_report_identifiability(hkd_report *r, const char *file) {
    json_t *v = NULL;
    hkd_status status = HKD_OK;
    fputs("<h3>How to read a spectrum</h3>\n<p>The encoder is told the noise level, so many operators A describe the same "
          "pictures: what the encoder absorbs need not be in A. A spectrum is a property of this model, and only in part of "
          "the data.</p>\n", r->out);
    if (!file) return not_measured(r->out, "How much is", "spectrum --model M --refit --teacher T", "--refit"), HKD_OK;
    status = load(&v, file, "spectrum --refit");
    if (!status) status = show_refit(r, file, v);
    json_decref(v);
    return status;
}

/* ---- a band against random modes: hkd edit --control ---- */

static hkd_status show_control(hkd_report *r, const char *file, const json_t *v) {
    static const char *const head[] = {"random sets of", "RMSE", "low energy, band", "sets", "sets - band, 95 %", "verdict"};
    static const char *const key[] = {"each_level", "all_levels"}, *const name[] = {"each level", "all levels"};
    const char *band = json_string_value(json_object_get(v, "band"));
    if (!band) return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd edit --control --json prints", file);
    fputs("<p>Measured: ", r->out);
    hkd_svg_text(r->out, band);
    fputs(". At equal RMSE of every picture, the change in low spatial frequencies by the band and by as many random "
          "modes:</p>\n", r->out);
    table_begin(r->out, "band against random modes", head, 6);
    for (int k = 0; k < 2; k++) {
        const json_t *o = json_object_get(v, key[k]), *low = json_object_get(o, "low_energy");
        const json_t *ends = json_object_get(o, "interval");
        const char *verdict = json_string_value(json_object_get(o, "verdict"));
        if (json_array_size(low) != 2 || json_array_size(ends) != 2 || !verdict)
            return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd edit --control --json prints", file);
        fprintf(r->out, "<tr><th scope=\"row\">%s</th><td>%.5f</td><td>%.4g</td><td>%.4g</td><td>%+.3g to %+.3g</td><td>",
                name[k], number(o, "rmse"), json_number_value(json_array_get(low, 0)),
                json_number_value(json_array_get(low, 1)),
                json_number_value(json_array_get(ends, 0)), json_number_value(json_array_get(ends, 1)));
        hkd_svg_text(r->out, verdict);
        fprintf(r->out, " (%.0f images)</td></tr>\n", number(o, "images"));
    }
    table_end(r->out);
    return HKD_OK;
}

hkd_status hkd_report_control(hkd_report *r, const char *file) {
    json_t *v = NULL;
    fputs("<h3>Is the band more than its size?</h3>\n", r->out);
    if (!file) return not_measured(r->out, "That is", "edit --model M --seeds 0-255 --reference-seeds 256-511 --control",
                                   "--control"), HKD_OK;
    hkd_status status = load(&v, file, "edit --control");
    if (!status) status = show_control(r, file, v);
    json_decref(v);
    return status;
}

/* ---- models of other seeds: hkd spectrum --others ---- */

static void spread_row(FILE *out, const char *name, const json_t *o) {
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>%.4g</td><td>%.4g</td><td>%.3f</td></tr>\n", name,
            number(o, "sd_over_models"), number(o, "sd_over_places"), number(o, "correlation"));
}

static hkd_status show_others(hkd_report *r, const char *file, const json_t *v) {
    static const char *const head[] = {"", "over models", "over modes or pixels", "correlation of two models"};
    const json_t *all = json_object_get(v, "all"), *pictures = json_object_get(v, "pictures");
    if (!isfinite(number(all, "sd_over_models")) || !isfinite(number(pictures, "sd_over_models")))
        return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd spectrum --others --json prints", file);
    fprintf(r->out, "<p>Measured on %.0f models and the pictures of %.0f seeds; standard deviations:</p>\n",
            number(v, "models"), number(v, "seeds"));
    table_begin(r->out, "spread over models", head, 4);
    spread_row(r->out, "alpha of a mode", all);
    spread_row(r->out, "pixel of a seed", pictures);
    table_end(r->out);
    return HKD_OK;
}

static hkd_status others(hkd_report *r, const char *file) {
    json_t *v = NULL;
    fputs("<h3>D.1: spread over seeds</h3>\n<p>Do models that were trained alike, with other seeds, agree? The paper reports "
          "the spread of FID over five runs; here it is that of spectra and of pictures.</p>\n", r->out);
    if (!file) return not_measured(r->out, "That is", "spectrum --model A --others B,C", "--others"), HKD_OK;
    hkd_status status = load(&v, file, "spectrum --others");
    if (!status) status = show_others(r, file, v);
    json_decref(v);
    return status;
}

/* ---- C.1 to C.3 ---- */

/* On a matrix that is not normal: the printed factor against the corrected one. */
static hkd_status block_example(hkd_report *r) {
    enum { M = 4 };
    static const double k[M * M] = {0.9, -0.4, 0.3, 0, 0.4, 0.9, 0, 0.2, 0, 0, 0.7, 0.5, 0, 0, 0, 1.1};
    double p[2 * M * M], q[2 * M * M], alpha[M], beta[M], worst = 0, printed = 0;
    int64_t blocks = 0;
    const hkd_status status = hkd_block_diagonalise(p, q, alpha, beta, &blocks, k, M);
    for (int64_t i = 0; i < M * M && !status; i++) { /* at t = 0: P Q = I */
        double sum = 0;
        for (int64_t b = 0; b < 2 * blocks; b++) sum += p[i / M * 2 * blocks + b] * q[b * M + i % M];
        worst = fmax(worst, fabs(sum - (i / M == i % M)));
        printed = fmax(printed, fabs(sum / sqrt(2) - (i / M == i % M)));
    }
    if (!status)
        fprintf(r->out, "<p>A 4 x 4 matrix that is not normal becomes %lld blocks, the real eigenvalues doubled. P Q = I "
                        "holds to %.1g; with the factor that the paper prints it is off by %.2f. Any other matrix: <code>hkd "
                        "spectrum --matrix K.npy</code>.</p>\n", (long long)blocks, worst, printed);
    return status;
}

static hkd_status consistency(hkd_report *r) {
    hkd_insight *in = NULL;
    hkd_consistency c;
    if (!r->o->teacher) return fputs("<p>Not measured: no teacher was given (--teacher).</p>\n", r->out), HKD_OK;
    hkd_status status = hkd_insight_open(&in, r->model);
    if (!status) status = hkd_insight_consistency(&c, in, r->o->teacher, UINT64_C(1) << 41, 18);
    hkd_insight_free(in);
    if (!status)
        fprintf(r->out, "<p>On %d trajectories of the teacher at %d times: image side %.4g, latent side %.4g, largest "
                        "correlation of two levels %.3f. The bound says something while that is below 1 / (operators - 1) = "
                        "%.3f: %s.</p>\n",
                (int)HKD_SIDES_PATHS, (int)HKD_SIDES_TIMES, c.loss, c.bound, c.rho,
                1 / fmax(1, (double)r->levels.count - 1), c.meaningful ? "it does here" : "here it does not");
    return status;
}

hkd_status hkd_report_propositions(hkd_report *r) {
    fputs("<section id=\"propositions\"><h2>Propositions</h2>\n<h3>C.1: blocks</h3>\n<p>Every real matrix that can be "
          "diagonalised has the form of the operators here: 2 x 2 blocks.</p>\n", r->out);
    hkd_status status = block_example(r);
    fputs("<h3>C.2 and C.3: picture and latents</h3>\n<p>How much the picture changes when the latents of a later state take "
          "the place of the evolved ones (image side) is at least a multiple of how far these latents are apart (latent side), "
          "with the corrected factor 1 - rho (L - 1).</p>\n", r->out);
    if (!status) status = consistency(r);
    if (!status) status = others(r, r->o->others);
    fputs("</section>\n", r->out);
    return status;
}
