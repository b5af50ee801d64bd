#include "training.h"

#include "cli.h"
#include "os.h"
#include "sha256.h"
#include "sides.h"
#include "status.h"
#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "step,images,loss,loss_end,loss_path,lr,gradient_norm,epoch,ema_decay";
/* Both sides of the bound of Propositions C.2 and C.3 (sides.h); empty where a step did not measure them. */
static const char more[] = ",consistency_loss,consistency_bound,consistency_rho";

/* ---- the log ---- */

typedef struct {
    FILE *file;        /* NULL: none */
    const char *path;
    bool sides;        /* it has the columns for them */
} train_log;

/* Keep the header and the rows up to `steps`; what a lost stretch of the run had logged beyond goes. */
static hkd_status cut_log(const char *path, int64_t steps) {
    unsigned char *bytes;
    size_t count;
    if (!hkd_exists(path)) return HKD_OK;
    hkd_status status = hkd_read_file(&bytes, &count, path, (size_t)1 << 30);
    if (status) return status;
    size_t keep = 0;
    for (size_t at = 0; at < count;) {
        const unsigned char *end = memchr(bytes + at, '\n', count - at);
        if (!end || (at && strtoll((const char *)bytes + at, NULL, 10) > steps)) break;
        keep = at = (size_t)(end - bytes) + 1;
    }
    status = hkd_write_file(path, bytes, keep);
    free(bytes);
    return status;
}

/* Does the log that is continued have the columns? One of an older version has not, and stays as it is. */
static bool has_sides(const char *path) {
    char line[256] = "";
    FILE *f = fopen(path, "rb");
    const bool found = f && fgets(line, sizeof line, f) && strstr(line, more);
    if (f) fclose(f);
    return found;
}

static hkd_status open_log(train_log *out, const training_run *run) {
    *out = (train_log){.path = run->log, .sides = run->sides_every > 0};
    if (!run->log) return HKD_OK;
    const hkd_status status = run->resume ? cut_log(run->log, run->trainer->optimizer->steps) : HKD_OK;
    if (status) return status;
    out->file = fopen(run->log, run->resume ? "ab" : "wb");
    if (!out->file || fseek(out->file, 0, SEEK_END)) return hkd_fail(HKD_RESOURCES, "%s: cannot be written", run->log);
    if (ftell(out->file)) out->sides = out->sides && has_sides(run->log);
    else if (fprintf(out->file, "%s%s\n", header, out->sides ? more : "") < 0)
        return hkd_fail(HKD_RESOURCES, "%s: cannot be written", run->log);
    return HKD_OK;
}

static hkd_status log_row(const train_log *log, const training_run *run, const hkd_train_row *r) {
    FILE *f = log->file;
    if (!f) return HKD_OK;
    bool good = fprintf(f, "%lld,%lld,%.9g,%.9g,%.9g,%.9g,%.9g,%lld,%.9g", (long long)r->step, (long long)r->images, r->loss,
                        r->loss_end, r->loss_path, r->lr, r->gradient_norm, (long long)r->epoch, r->ema_decay) > 0;
    if (log->sides && r->step % run->sides_every == 0) {
        hkd_consistency c;
        const hkd_status status = hkd_train_sides(&c, run->trainer->model, run->trainer->settings.hkd->trajectories);
        if (status) return status;
        good = good && fprintf(f, ",%.9g,%.9g,%.9g", c.loss, c.bound, c.rho) > 0;
    } else if (log->sides) {
        good = good && fputs(",,,", f) >= 0;
    }
    return good && fputc('\n', f) >= 0 ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: cannot be written (disk full?)", log->path);
}

static hkd_status flush_log(const train_log *log) {
    return log->file && fflush(log->file) ? hkd_fail(HKD_RESOURCES, "%s: cannot be written (disk full?)", log->path) : HKD_OK;
}

/* ---- the run ---- */

static hkd_status write_checkpoint(void *self) {
    const training_run *run = self;
    return hkd_checkpoint_save(run->trainer, run->checkpoint, run->settings);
}

/* Checkpoints that are written while the run goes on. */
typedef struct {
    hkd_beside *writing; /* NULL: none at the moment */
    double began;
} checkpoints;

static hkd_status tend_checkpoints(checkpoints *c, training_run *run, const train_log *log) {
    if (c->writing && hkd_beside_ended(c->writing)) {
        const hkd_status status = hkd_beside_end(c->writing);
        c->writing = NULL;
        if (status) return status;
    }
    if (c->writing || !run->checkpoint || hkd_seconds() - c->began < run->every) return HKD_OK;
    const bool host_memory = !run->trainer->model->dev->memory;
    hkd_status status = flush_log(log);
    if (!status) status = host_memory ? hkd_beside_begin(&c->writing, write_checkpoint, run) : write_checkpoint(run);
    c->began = hkd_seconds();
    return status;
}

static hkd_status last_checkpoint(training_run *run, const train_log *log) {
    hkd_trainer *t = run->trainer;
    hkd_status status = flush_log(log);
    if (!status && run->checkpoint) status = write_checkpoint(run);
    if (status || t->images >= t->settings.images) return status;
    return run->checkpoint ? hkd_fail(HKD_RESOURCES, "interrupted after step %lld; %s keeps the run (--resume)",
                                      (long long)t->optimizer->steps, run->checkpoint)
                           : hkd_fail(HKD_RESOURCES, "interrupted");
}

static hkd_status steps_to_end(training_run *run, const train_log *log, hkd_progress *bar) {
    hkd_trainer *t = run->trainer;
    checkpoints kept = {.began = hkd_seconds()};
    hkd_status status = HKD_OK;
    double average = NAN;
    while (!status && t->images < t->settings.images && !hkd_cancelled()) {
        hkd_train_row row;
        char extra[64];
        status = hkd_trainer_step(t, &row);
        if (!status) status = log_row(log, run, &row);
        if (status) break;
        average = isnan(average) ? row.loss : 0.98 * average + 0.02 * row.loss;
        snprintf(extra, sizeof extra, "loss %.4g", average);
        hkd_progress_at(bar, t->images, extra);
        status = tend_checkpoints(&kept, run, log);
    }
    const hkd_status written = hkd_beside_end(kept.writing); /* an older one must not replace the last */
    if (!status) status = written;
    return status ? status : last_checkpoint(run, log);
}

hkd_status training_run_to_end(training_run *run) {
    hkd_progress bar;
    train_log log;
    hkd_status status = HKD_OK;
    if (run->resume) status = hkd_checkpoint_load(run->trainer, run->checkpoint, run->settings);
    if (!status) status = open_log(&log, run);
    if (status) return status;
    hkd_progress_begin(&bar, run->what, "img", run->trainer->settings.images, run->quiet);
    hkd_progress_resume(&bar, run->trainer->images);
    status = steps_to_end(run, &log, &bar);
    hkd_progress_end(&bar);
    if (log.file && fclose(log.file) && !status)
        status = hkd_fail(HKD_RESOURCES, "%s: cannot be written (disk full?)", run->log);
    return status;
}

/* ---- the plot ---- */

typedef struct {
    double *images, *loss, *end, *path;
    int64_t count;
} curve;

/* Rows averaged over equal stretches, so that a long log is still a readable line. */
static void read_rows(curve *c, const char *text) {
    enum { POINTS = 300 };
    int64_t rows = 0, row = 0;
    for (const char *s = strchr(text, '\n'); s && s[1]; s = strchr(s + 1, '\n')) rows++;
    const int64_t stretch = rows / POINTS + 1;
    for (const char *s = strchr(text, '\n'); s && s[1]; s = strchr(s + 1, '\n'), row++) {
        double v[4];
        if (sscanf(s + 1, "%*[^,],%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2], &v[3]) != 4) break;
        const int64_t i = row / stretch, n = row % stretch;
        const double keep = (double)n / (double)(n + 1);
        c->images[i] = v[0];
        c->loss[i] = n ? keep * c->loss[i] + (1 - keep) * v[1] : v[1];
        c->end[i] = n ? keep * c->end[i] + (1 - keep) * v[2] : v[2];
        c->path[i] = n ? keep * c->path[i] + (1 - keep) * v[3] : v[3];
        c->count = i + 1;
    }
}

hkd_status training_plot(const char *csv, const char *svg, const char *title) {
    unsigned char *text;
    size_t count;
    double room[4 * 302];
    curve c = {room, room + 302, room + 604, room + 906, 0};
    hkd_status status = hkd_read_file(&text, &count, csv, (size_t)1 << 30);
    if (status) return status;
    read_rows(&c, (const char *)text);
    free(text);
    const bool two = c.count && c.path[c.count - 1] > 0;
    const hkd_series series[] = {
        {two ? "from noise (L_recon)" : "loss", HKD_LINE, c.images, two ? c.end : c.loss, c.count},
        {"along the path (L_t-consist)", HKD_LINE, c.images, c.path, c.count},
    };
    const hkd_plot plot = {.title = title, .x = {.label = "pictures seen"}, .y = {.label = "loss", .log = true},
                           .series = series, .count = two ? 2 : 1};
    hkd_draft d;
    status = hkd_draft_open(&d);
    if (status) return status;
    hkd_svg_plot(d.out, &plot);
    return hkd_draft_save(&d, svg);
}

/* ---- pictures ---- */

static hkd_status get_image(const hkd_images *self, int64_t index, double *image, int *label) {
    const training_images *t = self->context;
    const int64_t size = (int64_t)t->channels * t->resolution * t->resolution;
    for (int64_t i = 0; i < size; i++) image[i] = hkd_to_value(t->bytes[index * size + i]);
    *label = t->labels[index];
    return HKD_OK;
}

hkd_status training_images_load(training_images *out, const char *data, int64_t most, bool quiet) {
    hkd_dataset *set;
    hkd_progress bar;
    *out = (training_images){0};
    hkd_status status = hkd_dataset_open(&set, data);
    if (status) return status;
    const int64_t count = most > 0 && most < set->count ? most : set->count;
    const int64_t size = (int64_t)set->channels * set->resolution * set->resolution;
    *out = (training_images){.channels = set->channels, .resolution = set->resolution, .classes = set->classes,
                             .bytes = malloc((size_t)(count * size) + 1), .labels = malloc((size_t)count * sizeof(int) + 1)};
    out->images = (hkd_images){.count = count, .get = get_image, .context = out};
    if (!out->bytes || !out->labels) status = hkd_fail(HKD_RESOURCES, "%s: out of memory for %lld pictures", data,
                                                       (long long)count);
    hkd_progress_begin(&bar, "load", "img", count, quiet);
    for (int64_t i = 0; i < count && !status; i++) {
        status = hkd_dataset_get(set, i, out->bytes + i * size, &out->labels[i]);
        hkd_progress_at(&bar, i + 1, NULL);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    }
    hkd_progress_end(&bar);
    hkd_dataset_close(set);
    if (!status && !count) status = hkd_fail(HKD_BAD_FILE, "%s: holds no pictures", data);
    if (status) training_images_free(out);
    return status;
}

void training_images_hash(char hex[65], const training_images *d) {
    const int64_t size = (int64_t)d->channels * d->resolution * d->resolution;
    char about[128];
    hkd_sha256 hash;
    hkd_sha256_init(&hash);
    snprintf(about, sizeof about, "%lld %d %d %d\n", (long long)d->images.count, d->channels, d->resolution, d->classes);
    hkd_sha256_add(&hash, about, strlen(about));
    hkd_sha256_add(&hash, d->bytes, (size_t)(d->images.count * size));
    for (int64_t i = 0; i < d->images.count; i++) {
        snprintf(about, sizeof about, "%d\n", d->labels[i]);
        hkd_sha256_add(&hash, about, strlen(about));
    }
    hkd_sha256_hex(hex, &hash);
}

void training_images_free(training_images *images) {
    free(images->bytes);
    free(images->labels);
    *images = (training_images){0};
}
