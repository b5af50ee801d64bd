/* Plots as text: well-formed, every series there, nothing that is not a number, points thinned only where they coincide. */
#include "svg.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const hkd_plot *plot, const double *map, int64_t h, int64_t w) {
    FILE *f = tmpfile();
    char *text = calloc(1, 1 << 20);
    if (!f || !text) return text;
    if (plot) hkd_svg_plot(f, plot);
    else hkd_svg_map(f, "a < b & \"c\"", map, h, w);
    rewind(f);
    text[fread(text, 1, (1 << 20) - 1, f)] = 0;
    fclose(f);
    return text;
}

static int occurrences(const char *text, const char *word) {
    int n = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) n++;
    return n;
}

/* Tags balance and attributes are quoted: a browser refuses a file that fails this. */
static void well_formed(const char *text, const char *what) {
    int depth = 0;
    for (const char *p = text; (p = strchr(p, '<')); p++) {
        const char *end = strchr(p, '>');
        if (!CHECK(end, "%s: an open tag", what)) return;
        int quotes = 0;
        for (const char *q = p; q < end; q++) quotes += *q == '"';
        CHECK(quotes % 2 == 0, "%s: a quote is open in %.40s", what, p);
        if (p[1] == '/') depth--;
        else if (end[-1] != '/') depth++;
    }
    CHECK(depth == 0, "%s: %d tags are not closed", what, depth);
    CHECK(!strstr(text, "nan") && !strstr(text, "inf"), "%s: a value that is not a number was printed", what);
}

static void lines(void) {
    const double x[6] = {1, 2, 3, 4, 5, 6}, loss[6] = {1, 0.1, NAN, 0, 1e-4, 1e-5};
    const hkd_series series[2] = {{"loss <1>", HKD_LINE, x, loss, 6}, {NULL, HKD_LINE, x, x, 0}};
    const hkd_plot plot = {"Loss & time", {.label = "step"}, {.label = "loss", .log = true}, series, 2, false};
    char *text = text_of(&plot, NULL, 0, 0);
    well_formed(text, "a line with gaps on a log axis");
    CHECK(strstr(text, "loss &lt;1&gt;") && strstr(text, "Loss &amp; time"), "text is not escaped");
    CHECK(strstr(text, ">0.001<") && strstr(text, ">1<"), "decades are not labelled");
    const char *path = strstr(text, "stroke=\"var(--c0)\""), *d = path ? strstr(path, "d=\"M") : NULL;
    int moves = 0, draws = 0;
    for (; d && *d && strncmp(d, "/>", 2); d++) moves += *d == 'M', draws += *d == 'L';
    CHECK(moves == 2 && draws == 2, "a gap must lift the pen: %d moves, %d lines", moves, draws);
    free(text);
}

/* A thousand equal points are one dot, distinct ones stay; the circle is round: equal scales on both axes. */
static void scatter(void) {
    double x[1002], y[1002];
    for (int i = 0; i < 1000; i++) x[i] = 0.5, y[i] = 0.25;
    x[1000] = -0.5, y[1000] = 0.1;
    x[1001] = 0.9, y[1001] = 3;
    const hkd_series series = {"modes", HKD_POINTS, x, y, 1002};
    const hkd_plot plot = {"Eigenvalues", {.label = "Re"}, {.label = "Im"}, &series, 1, true};
    char *text = text_of(&plot, NULL, 0, 0);
    well_formed(text, "scatter");
    CHECK(occurrences(text, "h0") == 3, "%d dots for 3 places", occurrences(text, "h0"));
    double rx = 0, ry = -1;
    const char *ellipse = strstr(text, "<ellipse");
    ellipse = ellipse ? strstr(ellipse, " rx=\"") : NULL;
    if (CHECK(ellipse && sscanf(ellipse, " rx=\"%lf\" ry=\"%lf\"", &rx, &ry) == 2, "no circle"))
        CHECK(fabs(rx - ry) < 0.11, "circle %g x %g", rx, ry);
    free(text);
}

static void others(void) {
    const double edges[4] = {-1, 0, 1, 2}, counts[3] = {3, 0, 5}, map[6] = {-1, 0, 2, INFINITY, 1, 0.5};
    const hkd_series series = {"alpha", HKD_STEPS, edges, counts, 3};
    const hkd_plot histogram = {"Histogram", {.label = "alpha"}, {.label = "modes"}, &series, 1, false};
    const hkd_plot empty = {"Nothing", {.label = "x"}, {.label = "y"}, NULL, 0, false};
    char *text = text_of(&histogram, NULL, 0, 0);
    well_formed(text, "histogram");
    free(text);
    text = text_of(&empty, NULL, 0, 0);
    well_formed(text, "a plot without data");
    free(text);
    text = text_of(NULL, map, 2, 3);
    well_formed(text, "map");
    CHECK(occurrences(text, "fill=\"#") == 5 + 64, "5 finite cells and 64 of the bar, not %d", occurrences(text, "fill=\"#"));
    CHECK(strstr(text, "#f7f7f7"), "0 is not neutral on a diverging scale");
    free(text);
}

void test_svg(void) {
    lines();
    scatter();
    others();
}
