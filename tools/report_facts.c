#include "report.h"

#include "model_file.h"
#include "os.h"
#include "pictures.h"
#include "sha256.h"
#include "status.h"
#include "svg.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = 1 << 20, MOST_BYTES = 1 << 28, COLUMNS = 16, MOST_POINTS = 400 };

/* ---- training: the log of hkd train ----- */

/* Read up to COLUMNS numbers of each line below the header; returns the number of lines. */
static int64_t read_lines(double *values, int64_t room, char *text) {
    int64_t lines = 0;
    for (char *line = strchr(text, '\n'); line && line[1] && lines < room; line = strchr(line + 1, '\n'), lines++) {
        char *at = line + 1;
        for (int c = 0; c < COLUMNS; c++) {
            char *end;
            const double v = strtod(at, &end);
            values[lines * COLUMNS + c] = end == at ? 0 : v;
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

/* Means over stretches, so that a long log stays a small plot. */
static int64_t thin(double *x, double *y, const double *values, int64_t lines, int cx, int cy) {
    const int64_t stretch = (lines + MOST_POINTS - 1) / MOST_POINTS;
    int64_t count = 0;
    for (int64_t first = 0; first < lines; first += stretch, count++) {
        const int64_t n = lines - first < stretch ? lines - first : stretch;
        x[count] = y[count] = 0;
        for (int64_t i = first; i < first + n; i++) {
            x[count] += values[i * COLUMNS + cx] / (double)n;
            y[count] += values[i * COLUMNS + cy] / (double)n;
        }
    }
    return count;
}

static hkd_status plot_log(hkd_report *r, const char *path, char *text) {
    static const char *const wanted[] = {"loss", "loss_end", "loss_path"};
    static double x[3][MOST_POINTS + 1], y[3][MOST_POINTS + 1];
    int64_t room = 1;
    for (const char *at = text; (at = strchr(at, '\n')) && room < MOST_LINES; at++) room++;
    double *values = malloc((size_t)room * COLUMNS * sizeof *values);
    if (!values) return hkd_fail(HKD_RESOURCES, "%s: out of memory", path);
    const int64_t lines = read_lines(values, room, text);
    const int cx = column_named(text, "images");
    hkd_series series[3];
    int count = 0;
    for (int k = 0; k < 3; k++) {
        const int cy = column_named(text, wanted[k]);
        if (cx < 0 || cy < 0) continue;
        series[count] = (hkd_series){wanted[k], HKD_LINE, x[count], y[count], thin(x[count], y[count], values, lines, cx, cy)};
        count++;
    }
    free(values);
    if (!count) return hkd_fail(HKD_BAD_FILE, "%s: expected a log of hkd train with the columns images and loss", path);
    fputs("<div class=\"plots\">", r->out);
    hkd_svg_plot(r->out, &(hkd_plot){"Loss", {.label = "pictures seen"}, {.label = "loss", .log = true}, series, count, false});
    fputs("</div>\n", r->out);
    return HKD_OK;
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
    hkd_report_row(r->out, "judged", judged);
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

hkd_status hkd_report_making(hkd_report *r) {
    char command[2048], *config;
    hkd_status status = hkd_config_to_json(&config, &r->s.model->config);
    if (status) return status;
    hkd_command_text(command, sizeof command, r->args);
    fputs("<section id=\"making\"><h2>How this was made</h2>\n<table>\n", r->out);
    hkd_report_row(r->out, "command", command);
    hkd_report_row(r->out, "program", "hkd " HKD_VERSION);
    hkd_report_row(r->out, "device", r->s.dev->kind);
    hkd_report_row(r->out, "seeds", hkd_arg(r->args, "seeds"));
    status = file_row(r, "model", hkd_arg(r->args, "model"));
    static const char *const files[] = {"teacher", "log", "verify"};
    for (int k = 0; k < 3 && !status; k++)
        if (hkd_given(r->args, files[k])) status = file_row(r, files[k], hkd_arg(r->args, files[k]));
    hkd_report_row(r->out, "configuration", config);
    fputs("</table></section>\n", r->out);
    free(config);
    return status;
}
