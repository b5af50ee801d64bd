/* svg.h - plots as SVG: lines, scatter, histograms and maps on labelled axes.
 *
 * A plot takes its colours from the page or the system (light and dark), its text from the page's font, and holds no script.
 * Data that are not finite are left out. Everything is escaped. Ownership: the caller's arrays are only read.
 */
#ifndef HKD_SVG_H
#define HKD_SVG_H

#include "hkd.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum { HKD_LINE, HKD_POINTS, HKD_STEPS } hkd_mark; /* STEPS: a histogram, y[i] from x[i] to x[i + 1] */

typedef struct {
    const char *name;      /* in the legend; NULL: not there */
    hkd_mark mark;
    const double *x, *y;   /* [count]; STEPS: x [count + 1] */
    int64_t count;
} hkd_series;

typedef struct {
    const char *label;
    bool log;              /* base 10; values up to 0 are left out */
    double low, high;      /* range; low == high: from the data */
} hkd_axis;

typedef struct {
    const char *title;
    hkd_axis x, y;
    const hkd_series *series;
    int count;
    bool unit_circle;      /* draw it, with equal scales on both axes */
} hkd_plot;

/* Write one <svg> element; complete as a file of its own and inside a page. */
void hkd_svg_plot(FILE *out, const hkd_plot *plot);

/* A map [h, w], row 0 on top, with a colour bar from the least to the greatest value; diverging around 0 when both signs
 * occur. */
void hkd_svg_map(FILE *out, const char *title, const double *values, int64_t h, int64_t w);

/* The pieces, for figures of another kind: the opening tag with style and title (close with </svg>), and escaped text. */
void hkd_svg_open(FILE *out, const char *title, double width, double height);
void hkd_svg_text(FILE *out, const char *s);

#endif
