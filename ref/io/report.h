/* report.h - the parts of a report (hkd_report_write of hkd_insight.h): one HTML file with everything inside it. */
#ifndef HKD_REPORT_H
#define HKD_REPORT_H

#include "hkd_insight.h"
#include "model_bands.h"
#include "model_inputs.h"
#include "polarity.h"

#include <stdio.h>

typedef struct {
    const hkd_report_options *o;
    hkd_model *model;
    FILE *out;
    hkd_model_levels levels;
    int64_t side, channels, size;       /* of one picture; size = channels side side */
    hkd_inputs noise;
    hkd_model_bands bands;
    hkd_polarity polarity;
    double *z[HKD_MAX_LATENTS + 1];     /* latents at the noise */
    double *samples;                    /* [n, size], one step */
    int sheets;                         /* pictures so far: names of their classes */
    int done;                           /* parts so far */
} hkd_report;

/* ---- report.c: is the page still wanted? ---- */

/* Tells the caller how many parts are done; what it answers. tick: the same for an hkd_ticker, whose numbers are not told. */
hkd_status hkd_report_ask(hkd_report *r);
hkd_status hkd_report_tick(void *self, int64_t done, int64_t total);

/* ---- report_page.c: HTML ---- */

extern const char hkd_report_style[], hkd_report_script[];

/* values [rows, columns, channels, R, R]: all tiles on one PNG inside the page, as the CSS class sN; returns N. */
hkd_status hkd_report_sheet(int *number, hkd_report *r, const double *values, int64_t rows, int64_t columns);
/* One tile: its row is fixed, its column too or (column < 0) the variable --column around it. */
void hkd_report_tile(const hkd_report *r, int sheet, int64_t row, int64_t column, const char *what);
/* All tiles of a sheet with titles. */
void hkd_report_gallery(const hkd_report *r, int sheet, const char *const *row_title, int64_t rows,
                        const char *const *column_title, int64_t columns);
void hkd_report_row(FILE *out, const char *name, const char *value);   /* of a table, escaped */

/* ---- report_parts.c: samples and trajectory, and what all sections need ---- */

double *hkd_report_room(const hkd_report *r, int64_t count); /* so many pictures, zeros; NULL: no memory */
hkd_status hkd_report_no_room(void);
const char **hkd_report_seeds(const hkd_report *r);          /* "seed 7" for each image; freed by the caller */
hkd_status hkd_report_samples(hkd_report *r);
hkd_status hkd_report_path(hkd_report *r);

/* ---- report_spectrum.c, report_edits.c ---- */

hkd_status hkd_report_spectrum(hkd_report *r);
hkd_status hkd_report_effect(hkd_report *r);
hkd_status hkd_report_edits(hkd_report *r);

/* ---- report_measured.c: what other verbs measured (files, or NULL: not measured), and the propositions ---- */

hkd_status hkd_report_identifiability(hkd_report *r, const char *file);
hkd_status hkd_report_control(hkd_report *r, const char *file);
hkd_status hkd_report_propositions(hkd_report *r);

/* ---- report_facts.c: training and verification, and how everything was made ---- */

hkd_status hkd_report_training(hkd_report *r, const char *log);
hkd_status hkd_report_verification(hkd_report *r, const char *json);
hkd_status hkd_report_making(hkd_report *r);

#endif
