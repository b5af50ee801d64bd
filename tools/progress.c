#include "progress.h"

#include "cli.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>

void hkd_progress_begin(hkd_progress *p, const char *what, const char *unit, int64_t total, bool quiet) {
    const double start = hkd_seconds();
    *p = (hkd_progress){.what = what, .unit = unit, .total = total, .start = start, .shown = start, .quiet = quiet,
                        .terminal = hkd_is_terminal(2)};
    const char *no_colour = getenv("NO_COLOR");
    p->colour = p->terminal && !(no_colour && *no_colour);
}

void hkd_progress_resume(hkd_progress *p, int64_t first) { p->first = p->done = first; }

/* 75 -> "1:15", 3700 -> "1:01:40" */
static void clock_text(char *out, size_t size, double seconds) {
    const long s = seconds > 0 && seconds < 1e8 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600) snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw(hkd_progress *p, const char *extra) {
    enum { WIDTH = 24 };
    const double seconds = hkd_seconds() - p->start, rate = seconds > 0 ? (double)(p->done - p->first) / seconds : 0;
    char bar[WIDTH + 1], left[32] = "", took[32];
    const int full = p->total > 0 ? (int)(WIDTH * p->done / p->total) : 0;
    for (int i = 0; i < WIDTH; i++) bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = 0;
    clock_text(took, sizeof took, seconds);
    if (p->total > 0 && rate > 0) clock_text(left, sizeof left, (double)(p->total - p->done) / rate);
    if (p->terminal) fprintf(stderr, "\r%s%s%s ", p->colour ? "\033[36m" : "", p->what, p->colour ? "\033[0m" : "");
    else fprintf(stderr, "%s ", p->what);
    if (p->total > 0 && p->terminal) fprintf(stderr, "[%s] ", bar);
    if (p->total > 0) fprintf(stderr, "%lld/%lld ", (long long)p->done, (long long)p->total);
    else fprintf(stderr, "%lld ", (long long)p->done);
    fprintf(stderr, "%s, %.3g %s/s, %s%s%s%s%s", p->unit, rate, p->unit, took, *left ? ", left " : "", left,
            extra ? ", " : "", extra ? extra : "");
    fputs(p->terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
    p->drawn = true;
}

void hkd_progress_at(hkd_progress *p, int64_t done, const char *extra) {
    p->done = done;
    const double time = hkd_seconds();
    if (p->quiet || time - p->shown < (p->terminal ? 0.1 : 30)) return;
    p->shown = time;
    draw(p, extra);
}

void hkd_progress_end(hkd_progress *p) {
    if (p->terminal && p->drawn) fputs("\r\033[K", stderr);
}

static hkd_status tick(void *self, int64_t done, int64_t total) {
    hkd_progress *p = self;
    if (total) p->total = total;
    hkd_progress_at(p, done, NULL);
    return hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : HKD_OK;
}

hkd_ticker hkd_progress_ticker(hkd_progress *p) { return (hkd_ticker){tick, p}; }
