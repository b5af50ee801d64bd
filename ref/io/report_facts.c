#include "report.h"

#include "model_file.h"
#include "os.h"
#include "sha256.h"
#include "status.h"
#include "svg.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = 1 << 20, MOST_BYTES = 1 << 28, COLUMNS = 16, MOST_POINTS = 400 };

/* ---- training: the log of hkd train ----- */

/* Read up to COLUMNS numbers of each line below the header, NAN where there is none; returns the number of lines. */
static int64_t read_lines(double *values, int64_t room, char *text) {
    int64_t lines = 0;
    for (char *line = strchr(text, '\n'); line && line[1] && lines < room; line = strchr(line + 1, '\n'), lines++) {
        char *at = line + 1;
        for (int c = 0; c < COLUMNS; c++) {
            char *end = at;
            const double v = *at == ',' || *at == '\n' || *at == '\r' || !*at ? NAN : strtod(at, &end);
            values[lines * COLUMNS + c] = end == at ? NAN : v;
            at = end + (*end == ',');
        }
    }
    return lines;
}

static int column_named(const char *header, const char *name) {
    const size_t length = strlen(name);
    int column = 0;
    for (const char *at = header; *at && *at != '\n' && *at != '\r'; column++) {
        const size_t n = strcspn(at, ",\r\n");
        if (n == length && !strncmp(at, name, n)) return column < COLUMNS ? column : -1;
        at += n + (at[n] == ',');
    }
    return -1;
}

/* Means over stretches of the lines that have a number there, so that a long log stays a small plot. */
static int64_t thin(double *x, double *y, const double *values, int64_t lines, int cx, int cy) {
    const int64_t stretch = (lines + MOST_POINTS - 1) / MOST_POINTS;
    int64_t count = 0;
    for (int64_t first = 0; first < lines; first += stretch) {
        double n = 0;
        x[count] = y[count] = 0;
        for (int64_t i = first; i < lines && i < first + stretch; i++) {
            if (isnan(values[i * COLUMNS + cy])) continue;
            x[count] += values[i * COLUMNS + cx];
            y[count] += values[i * COLUMNS + cy];
            n++;
        }
        if (n > 0) x[count] /= n, y[count] /= n, count++;
    }
    return count;
}

/* One plot of the columns that the log has; returns how many. */
static int plot_columns(FILE *out, const char *title, const char *label, const char *const *wanted, int most, const char *text,
                        const double *values, int64_t lines) {
    double x[3][MOST_POINTS + 1], y[3][MOST_POINTS + 1];
    const int cx = column_named(text, "images");
    hkd_series series[3];
    int count = 0;
    for (int k = 0; k < most; k++) {
        const int cy = column_named(text, wanted[k]);
        if (cx < 0 || cy < 0) continue;
        const int64_t points = thin(x[count], y[count], values, lines, cx, cy);
        series[count] = (hkd_series){wanted[k], points > 1 ? HKD_LINE : HKD_POINTS, x[count], y[count], points};
        count += points > 0;
    }
    if (count) hkd_svg_plot(out, &(hkd_plot){title, {.label = "pictures seen"}, {.label = label, .log = true}, series, count,
                                             false});
    return count;
}

static hkd_status plot_log(hkd_report *r, const char *path, char *text) {
    static const char *const loss[] = {"loss", "loss_end", "loss_path"};
    static const char *const sides[] = {"consistency_loss", "consistency_bound"};
    int64_t room = 1;
    for (const char *at = text; (at = strchr(at, '\n')) && room < MOST_LINES; at++) room++;
    double *values = malloc((size_t)room * COLUMNS * sizeof *values);
    if (!values) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    const int64_t lines = read_lines(values, room, text);
    fputs("<div class=\"plots\">", r->out);
    const int count = plot_columns(r->out, "Loss", "loss", loss, 3, text, values, lines);
    const int both = plot_columns(r->out, "Both sides of Proposition C.2", "squares", sides, 2, text, values, lines);
    fputs("</div>\n", r->out);
    if (both)
        fputs("<p>The latent side (consistency_bound) never exceeds the image side; where it is not positive, it is not drawn: "
              "the levels' changes are correlated too much for the bound to say anything.</p>\n", r->out);
    free(values);
    return count ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: expected a log of hkd train with the columns images and loss", path);
}

hkd_status hkd_report_training(hkd_report *r, const char *log) {
    unsigned char *text = NULL;
    size_t size;
    hkd_status status = HKD_OK;
    fputs("<section id=\"training\"><h2>Training</h2>\n", r->out);
    if (!log) fputs("<p>No log was given (--log).</p>\n", r->out);
    else status = hkd_read_file(&text, &size, log, MOST_BYTES);
    if (text) status = plot_log(r, log, (char *)text);
    fputs("</section>\n", r->out);
    free(text);
    return status;
}

/* ---- verification: what hkd verify --json said ----- */

static hkd_status show_verdict(hkd_report *r, const char *path, const json_t *v) {
    const json_t *failed = json_object_get(v, "failed"), *passed = json_object_get(v, "passed");
    const json_t *skipped = json_object_get(v, "skipped");
    const char *judged = json_string_value(json_object_get(v, "judged"));
    if (!json_is_integer(failed) || !json_is_integer(passed) || !json_is_integer(skipped) || !judged)
        return hkd_fail(HKD_BAD_FILE, "%s: expected what hkd verify --json prints", path);
    char text[160];
    fputs("<table>\n", r->out);
    static const char *const words[] = {"vectors", "profile"};
    hkd_report_row(r->out, "judged", judged);
    for (int k = 0; k < 2; k++)
        if (json_is_string(json_object_get(v, words[k])))
            hkd_report_row(r->out, words[k], json_string_value(json_object_get(v, words[k])));
    snprintf(text, sizeof text, "%lld passed, %lld failed, %lld skipped", (long long)json_integer_value(passed),
             (long long)json_integer_value(failed), (long long)json_integer_value(skipped));
    hkd_report_row(r->out, "tensors", text);
    json_t *op;
    size_t i;
    double worst = -1;
    json_array_foreach(json_object_get(v, "operators"), i, op) {
        const double percent = json_number_value(json_object_get(op, "worst_percent"));
        if (percent <= worst) continue;
        worst = percent;
        snprintf(text, sizeof text, "%.2f %% of the allowance, %.80s", percent,
                 json_string_value(json_object_get(op, "operator")));
    }
    if (worst >= 0) hkd_report_row(r->out, "worst", text);
    fputs("</table>\n", r->out);
    return HKD_OK;
}

hkd_status hkd_report_verification(hkd_report *r, const char *file) {
    hkd_status status = HKD_OK;
    fputs("<section id=\"verification\"><h2>Verification</h2>\n", r->out);
    if (file) {
        json_t *v = json_load_file(file, JSON_REJECT_DUPLICATES, NULL);
        status = v ? show_verdict(r, file, v) : hkd_fail(HKD_BAD_FILE, "%s: expected what hkd verify --json prints", file);
        json_decref(v);
    } else {
        fputs("<p>Not run for this page. <code>hkd verify --json &gt; verify.json</code>, then <code>hkd report --verify "
              "verify.json</code>.</p>\n", r->out);
    }
    fputs("</section>\n", r->out);
    return status;
}

/* ---- how it was made ----- */

static hkd_status file_row(hkd_report *r, const char *name, const char *path) {
    char hash[65], text[512];
    const hkd_status status = hkd_sha256_of_file(hash, path);
    if (status) return status;
    const char *slash = strrchr(path, '/');
    snprintf(text, sizeof text, "%.400s, SHA-256 %s", slash ? slash + 1 : path, hash);
    hkd_report_row(r->out, name, text);
    return HKD_OK;
}

/* What the model's file says about its training (its settings and seed, what it learnt from, by content). */
static hkd_status training_row(hkd_report *r, const char *name, const char *path) {
    hkd_safetensors *st;
    const hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    const char *about = hkd_safetensors_metadata(st, "hkd.train");
    fputs("<tr><th scope=\"row\">", r->out);
    hkd_svg_text(r->out, name);
    fputs("</th><td><pre>", r->out);
    hkd_svg_text(r->out, about ? about : "its file does not say");
    fputs("</pre></td></tr>\n", r->out);
    hkd_safetensors_close(st);
    return HKD_OK;
}

/* The file of a model, and how it was trained. */
static hkd_status model_rows(hkd_report *r, const char *name, const char *path) {
    const hkd_status status = file_row(r, name, path);
    return status ? status : training_row(r, "... trained with", path);
}

/* The file of a measurement, and the command that printed it. */
static hkd_status measured_row(hkd_report *r, const char *name, const char *path) {
    json_t *v = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(v, "command"));
    hkd_status status = file_row(r, name, path);
    if (!status && command) hkd_report_row(r->out, "... by", command);
    json_decref(v);
    return status;
}

static void seeds_row(const hkd_report *r) {
    fputs("<tr><th scope=\"row\">seeds</th><td>", r->out);
    for (int64_t i = 0; i < r->noise.in.n; i++)
        fprintf(r->out, "%s%llu", i ? ", " : "", (unsigned long long)r->noise.seeds[i]);
    fputs("</td></tr>\n", r->out);
}

hkd_status hkd_report_making(hkd_report *r) {
    const hkd_report_options *o = r->o;
    const char *const measured[][2] = {{"verify", o->verify}, {"refit", o->refit}, {"others", o->others},
                                       {"control", o->control}};
    char *config;
    hkd_status status = hkd_config_to_json(&config, &r->model->config);
    if (status) return status;
    fputs("<section id=\"making\"><h2>How this was made</h2>\n<table>\n", r->out);
    if (o->command) hkd_report_row(r->out, "command", o->command);
    hkd_report_row(r->out, "program", "hkd " HKD_VERSION);
    hkd_report_row(r->out, "device", r->model->dev->kind);
    seeds_row(r);
    if (r->model->file) status = model_rows(r, "model", r->model->file);
    if (!status && o->teacher && o->teacher->file) status = model_rows(r, "teacher", o->teacher->file);
    if (!status && o->log) status = file_row(r, "log", o->log);
    for (int k = 0; k < 4 && !status; k++)
        if (measured[k][1]) status = measured_row(r, measured[k][0], measured[k][1]);
    hkd_report_row(r->out, "configuration", config);
    fputs("</table></section>\n", r->out);
    free(config);
    return status;
}
