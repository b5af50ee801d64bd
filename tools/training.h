/* training.h - what verb_train and verb_demo share: running a trainer to its end with log, checkpoints and progress. */
#ifndef HKD_TRAINING_H
#define HKD_TRAINING_H

#include "checkpoint.h"
#include "dataset.h"
#include "progress.h"

typedef struct {
    hkd_trainer *trainer;
    const char *what;        /* shown beside the progress bar */
    const char *settings;    /* lines that fix the run: a checkpoint of another run is refused */
    const char *checkpoint;  /* path, or NULL: none is kept */
    double every;            /* seconds between checkpoints */
    const char *log;         /* CSV path, or NULL */
    int64_t sides_every;     /* its rows hold both sides of C.2's bound every so many steps; 0: never (no HKD model) */
    bool resume;             /* continue from the checkpoint */
    bool quiet;
} training_run;

/* Run until settings.images are seen. Checkpoints are written by a copy of this process, beside the computation (from a device
 * with memory of its own: between steps). Ctrl-C writes one and gives HKD_RESOURCES. */
hkd_status training_run_to_end(training_run *run);

/* The log as a plot. */
hkd_status training_plot(const char *csv, const char *svg, const char *title);

/* Up to `most` pictures of a data set (0: all), held in memory. */
typedef struct {
    hkd_images images;
    int channels, resolution, classes;
    unsigned char *bytes;
    int *labels;
} training_images;
hkd_status training_images_load(training_images *out, const char *data, int64_t most, bool quiet);
void training_images_free(training_images *images);
/* Names pictures and labels by content. */
void training_images_hash(char hex[65], const training_images *images);

#endif
