#include "svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLOURS = 6, MARGIN_LEFT = 66, MARGIN_RIGHT = 18, MARGIN_BOTTOM = 48, TITLE = 30, LEGEND_ROW = 20 };

/* Where the data lie on the paper. */
typedef struct {
    double left, top, width, height; /* of the axes' box, in px */
    hkd_axis x, y;                   /* with ranges filled in */
} frame;

static const char style[] =
    "<style>.hkd-plot{max-width:100%;height:auto;font:13px system-ui,sans-serif;color:#222;background:#fff;"
    "--c0:#1c6bb0;--c1:#c2500c;--c2:#26824a;--c3:#8553bb;--c4:#98700a;--c5:#bb3a75}"
    "@media(prefers-color-scheme:dark){.hkd-plot{color:#ddd;background:#151515;"
    "--c0:#6fb2ee;--c1:#f2955c;--c2:#6cc98d;--c3:#c09fe9;--c4:#dfb73c;--c5:#ee86b5}}"
    ".hkd-plot text{fill:currentColor}.hkd-plot .grid{stroke:currentColor;stroke-opacity:.15}"
    ".hkd-plot .box{stroke:currentColor;stroke-opacity:.5;fill:none}</style>\n";

void hkd_svg_text(FILE *out, const char *s) {
    for (; s && *s; s++)
        switch (*s) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc(*s, out);
        }
}

void hkd_svg_open(FILE *out, const char *title, double width, double height) {
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"hkd-plot\" viewBox=\"0 0 %g %g\" width=\"%g\" role=\"img\" "
            "aria-label=\"", width, height, width);
    hkd_svg_text(out, title);
    fprintf(out, "\">\n%s<text x=\"%g\" y=\"20\" text-anchor=\"middle\" font-weight=\"600\">", style, width / 2);
    hkd_svg_text(out, title);
    fputs("</text>\n", out);
}

/* ---- ranges and ticks ---- */

static bool usable(const hkd_axis *a, double v) { return isfinite(v) && (!a->log || v > 0); }

static void widen(hkd_axis *a, const double *v, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!usable(a, v[i])) continue;
        a->low = fmin(a->low, v[i]);
        a->high = fmax(a->high, v[i]);
    }
}

/* The axis with its range from the data (which = 0 for x, 1 for y) unless given; a margin, and never empty. */
static hkd_axis range_of(const hkd_plot *p, int which) {
    hkd_axis a = which ? p->y : p->x;
    if (a.low != a.high) return a;
    a.low = INFINITY, a.high = -INFINITY;
    bool steps = false;
    for (int i = 0; i < p->count; i++) {
        const hkd_series *s = &p->series[i];
        widen(&a, which ? s->y : s->x, s->count + (!which && s->mark == HKD_STEPS && s->count));
        steps |= s->mark == HKD_STEPS;
    }
    if (p->unit_circle) a.low = fmin(a.low, -1), a.high = fmax(a.high, 1);
    if (steps && which && !a.log) a.low = fmin(a.low, 0);
    if (!(a.low <= a.high)) a.low = a.log ? 1 : 0, a.high = a.log ? 10 : 1;
    if (a.log) {
        a.low /= 1.15, a.high *= 1.15;
        return a;
    }
    const double span = a.high > a.low ? a.high - a.low : fmax(fabs(a.high), 1);
    if (!(steps && (which ? a.low == 0 : 1))) a.low -= 0.04 * span;
    if (!steps || which || a.high == a.low) a.high += 0.04 * span;
    return a;
}

static double place(const hkd_axis *a, double v) { /* 0 at low, 1 at high */
    return a->log ? log(v / a->low) / log(a->high / a->low) : (v - a->low) / (a->high - a->low);
}

/* Up to `room` ticks at 1, 2, 5 times powers of ten; on a log axis whole decades, or 1, 2, 5 when there are few. */
static int ticks_of(double *tick, int room, const hkd_axis *a) {
    int n = 0;
    if (a->log) {
        const double decades = log10(a->high / a->low), stride = fmax(1, ceil(decades / (room - 1)));
        for (double e = floor(log10(a->low)); e <= log10(a->high) + 1e-9; e += stride)
            for (int k = 0; k < (decades < 2.5 ? 3 : 1); k++) {
                const double v = pow(10, e) * (k == 2 ? 5 : k + 1);
                if (v >= a->low && v <= a->high && n < room) tick[n++] = v;
            }
        return n;
    }
    const double raw = (a->high - a->low) / 5, power = pow(10, floor(log10(raw)));
    const double step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
    for (double k = ceil(a->low / step - 1e-9); k * step <= a->high + 1e-9 * step && n < room; k++) tick[n++] = k * step + 0.0;
    return n;
}

static void draw_axes(FILE *out, const frame *f) {
    double tick[12];
    const double bottom = f->top + f->height, right = f->left + f->width;
    int n = ticks_of(tick, 9, &f->x);
    for (int i = 0; i < n; i++) {
        const double at = f->left + f->width * place(&f->x, tick[i]);
        fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", at, f->top, bottom);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g</text>\n", at, bottom + 17, tick[i]);
    }
    n = ticks_of(tick, 9, &f->y);
    for (int i = 0; i < n; i++) {
        const double at = bottom - f->height * place(&f->y, tick[i]);
        fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", f->left, at, right);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", f->left - 6, at + 4.5, tick[i]);
    }
    fprintf(out, "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", f->left, f->top, f->width,
            f->height);
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", f->left + f->width / 2, bottom + 38);
    hkd_svg_text(out, f->x.label);
    fprintf(out, "</text>\n<text transform=\"translate(15 %.1f)rotate(-90)\" text-anchor=\"middle\">", f->top + f->height / 2);
    hkd_svg_text(out, f->y.label);
    fputs("</text>\n", out);
}

/* ---- marks ---- */

static void draw_line(FILE *out, const frame *f, const hkd_series *s) {
    bool pen = false;
    fputs("fill=\"none\" stroke-width=\"1.8\" stroke-linejoin=\"round\" d=\"", out);
    for (int64_t i = 0; i < s->count; i++) {
        const bool here = usable(&f->x, s->x[i]) && usable(&f->y, s->y[i]);
        if (here) fprintf(out, "%c%.1f %.1f", pen ? 'L' : 'M', f->left + f->width * place(&f->x, s->x[i]),
                          f->top + f->height * (1 - place(&f->y, s->y[i])));
        pen = here;
    }
}

/* Points that fall on the same half pixel are drawn once, so that a million eigenvalues stay a small file. */
static void draw_points(FILE *out, const frame *f, const hkd_series *s) {
    const int columns = (int)(2 * f->width) + 1, rows = (int)(2 * f->height) + 1;
    unsigned char *seen = calloc((size_t)columns * (size_t)rows, 1);
    fputs("fill=\"none\" stroke-width=\"3\" stroke-linecap=\"round\" stroke-opacity=\".7\" d=\"", out);
    for (int64_t i = 0; i < s->count; i++) {
        if (!usable(&f->x, s->x[i]) || !usable(&f->y, s->y[i])) continue;
        const double px = place(&f->x, s->x[i]), py = 1 - place(&f->y, s->y[i]);
        if (!(px >= 0 && px <= 1 && py >= 0 && py <= 1)) continue;
        const int column = (int)(2 * f->width * px), row = (int)(2 * f->height * py);
        if (seen && seen[row * columns + column]++) seen[row * columns + column] = 1;
        else fprintf(out, "M%.1f %.1fh0", f->left + column / 2.0, f->top + row / 2.0);
    }
    free(seen);
}

static void draw_steps(FILE *out, const frame *f, const hkd_series *s, int colour) {
    const double bottom = f->top + f->height;
    fprintf(out, "fill=\"var(--c%d)\" fill-opacity=\".3\" stroke-width=\"1.2\" d=\"M%.1f %.1f", colour,
            s->count ? f->left + f->width * place(&f->x, s->x[0]) : 0, bottom);
    for (int64_t i = 0; i < s->count; i++) {
        const double y = usable(&f->y, s->y[i]) ? bottom - f->height * place(&f->y, s->y[i]) : bottom;
        fprintf(out, "V%.1fH%.1f", y, f->left + f->width * place(&f->x, s->x[i + 1]));
    }
    fprintf(out, "V%.1f", bottom);
}

static void draw_series(FILE *out, const frame *f, const hkd_series *s, int colour) {
    fprintf(out, "<path clip-path=\"url(#hkd-box-%.0f-%.0f)\" stroke=\"var(--c%d)\" ", f->top, f->width, colour);
    if (s->mark == HKD_LINE) draw_line(out, f, s);
    else if (s->mark == HKD_POINTS) draw_points(out, f, s);
    else draw_steps(out, f, s, colour);
    fputs("\"/>\n", out);
}

static void draw_circle(FILE *out, const frame *f) {
    fprintf(out,
            "<ellipse class=\"box\" stroke-dasharray=\"4 3\" clip-path=\"url(#hkd-box-%.0f-%.0f)\" cx=\"%.1f\" cy=\"%.1f\" "
            "rx=\"%.1f\" ry=\"%.1f\"/>\n", f->top, f->width, f->left + f->width * place(&f->x, 0),
            f->top + f->height * (1 - place(&f->y, 0)), f->width / (f->x.high - f->x.low),
            f->height / (f->y.high - f->y.low));
}

/* Names under the title, wrapped; returns the rows used. With out NULL it only counts. */
static int legend(FILE *out, const hkd_plot *p, double width) {
    double at = MARGIN_LEFT;
    int rows = 0;
    for (int i = 0; i < p->count; i++) {
        if (!p->series[i].name) continue;
        const double length = 36 + 8.2 * (double)strlen(p->series[i].name);
        if (rows == 0 || at + length > width) at = MARGIN_LEFT, rows++;
        const double y = TITLE + LEGEND_ROW * (rows - 0.5);
        if (out) {
            fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"6\" rx=\"2\" fill=\"var(--c%d)\"/><text x=\"%.1f\" "
                    "y=\"%.1f\">", at, y - 3, i % COLOURS, at + 19, y + 4.5);
            hkd_svg_text(out, p->series[i].name);
            fputs("</text>\n", out);
        }
        at += length;
    }
    return rows;
}

/* Give both axes the same units per pixel, widening the one that has too many. */
static void equal_scales(frame *f) {
    const double per_x = (f->x.high - f->x.low) / f->width, per_y = (f->y.high - f->y.low) / f->height;
    hkd_axis *narrow = per_x < per_y ? &f->x : &f->y;
    const double span = fmax(per_x, per_y) * (narrow == &f->x ? f->width : f->height);
    const double middle = (narrow->low + narrow->high) / 2;
    narrow->low = middle - span / 2;
    narrow->high = middle + span / 2;
}

void hkd_svg_plot(FILE *out, const hkd_plot *p) {
    const double width = 480, top = TITLE + LEGEND_ROW * legend(NULL, p, width) + 6;
    const double box = p->unit_circle ? width - MARGIN_LEFT - MARGIN_RIGHT : 240;
    frame f = {MARGIN_LEFT, top, width - MARGIN_LEFT - MARGIN_RIGHT, box, range_of(p, 0), range_of(p, 1)};
    if (p->unit_circle) equal_scales(&f);
    hkd_svg_open(out, p->title, width, top + box + MARGIN_BOTTOM);
    fprintf(out, "<clipPath id=\"hkd-box-%.0f-%.0f\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>\n",
            f.top, f.width, f.left, f.top, f.width, f.height);
    draw_axes(out, &f);
    legend(out, p, width);
    if (p->unit_circle) draw_circle(out, &f);
    for (int i = 0; i < p->count; i++) draw_series(out, &f, &p->series[i], i % COLOURS);
    fputs("</svg>\n", out);
}
