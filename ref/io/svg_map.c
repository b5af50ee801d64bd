#include "svg.h"

#include <math.h>

/* Between the anchors of a colour scale, t in [0, 1]. */
static void colour_at(char *hex, double t, bool diverging) {
    static const unsigned char anchors[2][5][3] = {
        {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}},
        {{33, 102, 172}, {146, 197, 222}, {247, 247, 247}, {244, 165, 130}, {178, 24, 43}},
    };
    const double at = 4 * fmin(fmax(t, 0), 1);
    const int k = at < 4 ? (int)at : 3;
    unsigned char rgb[3];
    for (int c = 0; c < 3; c++) {
        const double from = anchors[diverging][k][c], to = anchors[diverging][k + 1][c];
        rgb[c] = (unsigned char)(from + (to - from) * (at - k) + 0.5);
    }
    sprintf(hex, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

static void draw_bar(FILE *out, double left, double top, double height, double low, double high, bool diverging) {
    char hex[8];
    for (int i = 0; i < 64; i++) {
        colour_at(hex, 1 - (i + 0.5) / 64, diverging);
        fprintf(out, "<rect x=\"%.1f\" y=\"%.2f\" width=\"14\" height=\"%.2f\" fill=\"%s\"/>", left, top + height * i / 64,
                height / 64 + 0.3, hex);
    }
    for (int i = 0; i < 3; i++)
        fprintf(out, "\n<text x=\"%.1f\" y=\"%.1f\">%.4g</text>", left + 20, top + 4.5 + height * i / 2,
                high - (high - low) * i / 2);
    fputs("\n", out);
}

void hkd_svg_map(FILE *out, const char *title, const double *values, int64_t h, int64_t w) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < h * w; i++) {
        if (!isfinite(values[i])) continue;
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    if (!(low <= high)) low = high = 0;
    const bool diverging = low < 0 && high > 0;
    if (diverging) low = fmin(low, -high), high = -low;
    const double side = fmax(fmin(320 / (double)(w > h ? w : h), 40), 2);
    const double width = side * (double)w, height = side * (double)h;
    const double page = fmax(width + 120, 300), left = (page - 100 - width) / 2;
    hkd_svg_open(out, title, page, height + 50);
    for (int64_t i = 0; i < h * w; i++) {
        char hex[8];
        if (!isfinite(values[i])) continue;
        colour_at(hex, high > low ? (values[i] - low) / (high - low) : 0.5, diverging);
        fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
                left + side * (double)(i % w), 36 + side * (double)(i / w), side + 0.2, side + 0.2, hex);
    }
    draw_bar(out, left + width + 12, 36, height, low, high, diverging);
    fputs("</svg>\n", out);
}
